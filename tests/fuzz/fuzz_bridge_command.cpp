/// Any bytes as a request to the HTTP port, "METHOD TARGET" and its body behind the first line: an answer, or
/// a command that means all of something only when the body says so.
#include <nlohmann/json.hpp>

#include <algorithm>

#include "admin/bridge_command.hpp"
#include "base/bytes.hpp"
#include "base/check.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace sluice;
    using Kind = admin::BridgeCommand::Kind;
    const std::string_view text = as_text({data, size});
    const std::string_view line = text.substr(0, text.find('\n'));
    const std::string_view body = text.substr(std::min(size, line.size() + 1));
    const std::string_view method = line.substr(0, line.find(' '));
    const std::string_view target = line.substr(std::min(line.size(), method.size() + 1));
    const auto read = admin::read_command(
        {.method = method, .target = target, .body = body, .mark = "1", .host = "localhost"});
    if (!read) return 0;
    if (!read->ok()) {
        CHECK(read->error().status == 400 || read->error().status == 405);
        CHECK(nlohmann::json::parse(read->error().body, nullptr, false).contains("error"));
        return 0;
    }
    const admin::BridgeCommand& command = **read;
    CHECK(command.ids.size() <= admin::BridgeCommand::ids_max);
    CHECK(std::is_sorted(command.ids.begin(), command.ids.end()));
    CHECK(command.count_max >= 1 && command.count_max <= admin::BridgeCommand::count_max_max);
    const bool for_all = (command.kind == Kind::retry_dead || command.kind == Kind::drop_dead)
                             ? command.ids.empty()
                             : command.kind == Kind::forget && command.route.empty();
    CHECK(!for_all || nlohmann::json::parse(body, nullptr, false) == nlohmann::json({{"all", true}}));
    return 0;
}
