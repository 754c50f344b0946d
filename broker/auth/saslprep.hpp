#pragma once
/// SASLprep (RFC 4013): two ways of typing one name or password give one text.
///
/// What it does: maps spaces of other scripts to ' ', drops what is "commonly mapped to nothing" (soft
/// hyphen, joiners, variation selectors), and refuses what RFC 4013 2.3 prohibits: control characters,
/// private use, non-characters, tagging and what changes the display. What it leaves out, because it needs
/// large tables: Unicode normalization (NFKC), the check of right-to-left text, and the list of unassigned
/// code points. So a text that NFKC would change (a letter with a separate accent, a ligature) stays as it
/// is, and both sides must write it in the same way; for text in ASCII or already in NFKC the outcome is that
/// of RFC 4013.
#include <optional>
#include <string>
#include <string_view>

namespace sluice::auth {

/// Nothing when the text is not UTF-8, or has a character that is prohibited. Text in ASCII without control
/// characters comes back as it is.
std::optional<std::string> saslprep(std::string_view text);

}  // namespace sluice::auth
