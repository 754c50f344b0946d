/// Any bytes as a password file: an error that names its line, or a table that can be asked.
#include "auth/password_file.hpp"
#include "base/check.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace sluice;
    const auto table = auth::parse_passwords(as_text({data, size}), "file");
    if (!table) {
        CHECK(table.error().starts_with("file:"));
        return 0;
    }
    // A name with a colon is in no file. A $7$ hash may cost seconds: not asked.
    if (as_text({data, size}).find("$7$") == std::string_view::npos)
        CHECK(table->check("no:body", "password") == auth::PasswordTable::Verdict::unknown_user);
    return 0;
}
