/// Any bytes as a password file: an error that names its line, or a table that can be asked.
#include "auth/password_file.hpp"
#include "base/check.hpp"

namespace {

const sluice::auth::DecoySecret secret;

/// Made-up keys look like some entry's, and an entry comes back as it was written.
void check_scram(const sluice::auth::PasswordTable& table, std::string_view text) {
    using namespace sluice::auth;
    if (!table.has_scram()) return;
    const ScramCredential nobody = table.scram_credential("no:body", secret);
    CHECK(!nobody.known && !nobody.keys.salt.empty());
    CHECK(nobody.keys.iterations >= ScramKeys::iterations_min &&
          nobody.keys.iterations <= ScramKeys::iterations_max);
    const ScramCredential user = table.scram_credential(text.substr(0, text.find(':')), secret);
    if (!user.known) return;
    const auto again =
        parse_scram_keys(std::string_view(to_text(user.keys)).substr(ScramKeys::scheme.size() + 1));
    CHECK(again.ok() && to_text(*again) == to_text(user.keys));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace sluice;
    const auto table = auth::parse_passwords(as_text({data, size}), "file");
    if (!table) {
        CHECK(table.error().starts_with("file:"));
        return 0;
    }
    const std::string_view text = as_text({data, size});
    // A name with a colon is in no file. $7$ and SCRAM may cost seconds: not asked.
    const bool quick = text.find("$7$") == text.npos && text.find(auth::ScramKeys::scheme) == text.npos;
    if (quick)
        CHECK(table->check("no:body", "password", secret) == auth::PasswordTable::Verdict::unknown_user);
    check_scram(*table, text);
    return 0;
}
