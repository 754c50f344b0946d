#pragma once
/// Making and changing a password file; for tools, the broker only reads.
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "auth/scram_keys.hpp"
#include "base/result.hpp"

namespace sluice::auth {

/// "name:SCRAM-SHA-256$...", with a fresh salt. The error is one line that says what is wrong with the name,
/// the password (which it does not quote) or the number, and what was expected.
Result<std::string, std::string> make_scram_entry(std::string_view name, std::string_view password,
                                                  std::uint32_t iterations = ScramKeys::iterations_default);
/// "name:$7$...", as mosquitto_passwd writes it.
Result<std::string, std::string> make_mosquitto_entry(std::string_view name, std::string_view password);

/// The text of a password file with `entry` instead of the line of the same user, or behind all others; the
/// rest stays as it is. An error when the text is not a password file; `file` is for its message.
Result<std::string, std::string> with_entry(std::string_view text, std::string_view file,
                                            std::string_view entry);
/// The same without the line of that user; an error when there is none.
Result<std::string, std::string> without_entry(std::string_view text, std::string_view file,
                                               std::string_view name);

/// What becomes of the text of a password file; "" for one that is not there.
using PasswordEdit = std::function<Result<std::string, std::string>(std::string_view text)>;
/// Reads the file, lets `edit` change it and saves it, while other editors wait: two at once lose nothing.
/// They meet at a lock (flock) on the file's folder, which leaves nothing behind; it is waited for as long as
/// `patience`. The error is one line, also that of `edit`.
Result<void, std::string> edit_password_file(const std::string& path, const PasswordEdit& edit,
                                             std::chrono::milliseconds patience = std::chrono::seconds(10));

/// Writes the whole file or leaves the old one: a reader never sees half of it. Mode and owner of an existing
/// file are kept (the owner, where we may); a new one gets mode 0640. It is on the disk when this returns.
/// The error is one line that names the file and the reason.
Result<void, std::string> save_password_file(const std::string& path, std::string_view text);

}  // namespace sluice::auth
