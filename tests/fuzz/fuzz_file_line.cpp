/// The first line is a topic, the second a client id, the third property bytes, the rest a payload: the line
/// in the file is one JSON document, whatever they are. The whole is a file, too, that is read back.
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "bridge/file/file_name.hpp"
#include "bridge/file/json_line.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace sluice;
    using namespace sluice::bridge::file;
    const std::string_view all = as_text({data, size});
    std::string_view rest = all;
    const auto next_line = [&rest] {
        const auto end = std::min(rest.find('\n'), rest.size());
        const auto line = rest.substr(0, end);
        rest.remove_prefix(std::min(end + 1, rest.size()));
        return line;
    };
    core::Message::Fields fields;
    fields.topic = next_line().substr(0, 65535);
    fields.client_id = next_line().substr(0, 65535);
    fields.properties = as_bytes(next_line());
    fields.payload = as_bytes(rest);
    const auto message = core::Message::freeze(fields);
    const bridge::MessageView view(*message);
    for (const auto form :
         {PayloadForm::automatic, PayloadForm::text, PayloadForm::base64, PayloadForm::json}) {
        std::string line;
        if (!append_line(line, view, {"gateway", 1}, {form, true})) continue;
        LineCheck check;
        check.feed(line);
        if (line.find('\n') != line.size() - 1 || !nlohmann::json::accept(line) ||
            check.whole_bytes() != line.size())
            std::abort();
    }
    LineCheck check;
    check.feed(all);
    if (check.whole_bytes() > all.size()) std::abort();
    if (base_problem(fields.topic).empty()) {
        const std::string active = active_name(fields.topic), finished = finished_name(fields.topic, {}, 1);
        const auto parsed_active = parse_name(active), parsed = parse_name(finished);
        if (!parsed_active || parsed_active->base != fields.topic || parsed_active->number) std::abort();
        if (!parsed || parsed->base != fields.topic || parsed->number != 1) std::abort();
    }
    return 0;
}
