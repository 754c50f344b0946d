/// The first line is a template, the second a topic, the third a payload, the rest are property bytes.
#include "bridge/mapping.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace sluice;
    std::string_view rest = as_text({data, size});
    const auto next_line = [&rest] {
        const auto end = std::min(rest.find('\n'), rest.size());
        const auto line = rest.substr(0, end);
        rest.remove_prefix(std::min(end + 1, rest.size()));
        return line;
    };
    const auto parsed = bridge::Template::parse(next_line(), "gate-1");
    core::Message::Fields fields;
    fields.topic = next_line().substr(0, 65535);
    fields.payload = as_bytes(next_line());
    fields.properties = as_bytes(rest);
    fields.client_id = "c";
    const auto message = core::Message::freeze(fields);
    if (parsed) static_cast<void>(parsed->render(*message));
    const bridge::MessageView view(*message);
    const bridge::HeaderList headers(view, WallTime{});
    return 0;
}
