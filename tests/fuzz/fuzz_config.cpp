/// The settings file: whatever stands in it, there is a Config or a list of one-line errors.
#include "app/config.hpp"
#include "tests/unit/app/fake_modules.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const sluice::app::ModuleSource modules = sluice::app::fake_modules();
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto config = sluice::app::parse_config(text, "/nonexistent/sluice.toml", modules);
    if (config) {
        CHECK(!config->listeners.empty());
        return 0;
    }
    CHECK(!config.error().empty());
    for (const auto& error : config.error()) CHECK(to_string(error).find('\n') == std::string::npos);
    return 0;
}
