#pragma once
/// The acl_file, read.
#include <string>
#include <string_view>

#include "auth/acl_rules.hpp"
#include "base/result.hpp"

namespace sluice::auth {

/// `file` is for the messages: "FILE:LINE: problem; expected ...".
Result<AclRules, std::string> parse_acl(std::string_view text, std::string_view file);

}  // namespace sluice::auth
