/// Any bytes as an acl_file, after a first line "USER CLIENT TOPIC": an error that names its line, or rules
/// whose answers agree with each other.
#include "auth/acl_file.hpp"
#include "auth/text_file.hpp"
#include "base/bytes.hpp"
#include "base/check.hpp"
#include "base/log.hpp"
#include "wire/topic.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace sluice;
    using auth::Action;
    log::set_level(log::Level::error);
    const std::string_view text = as_text({data, size});
    const std::size_t line_end = std::min(text.find('\n'), text.size());
    std::string_view topic = text.substr(0, line_end);
    const std::string_view user = auth::cut_word(topic), client = auth::cut_word(topic);
    const auto rules = auth::parse_acl(text.substr(line_end), "file");
    if (!rules) {
        CHECK(rules.error().starts_with("file:"));
        return 0;
    }
    if (!wire::is_topic_filter(topic)) return 0;
    const bool may_subscribe = rules->allows(Action::subscribe, user, client, topic);
    if (!wire::is_topic_name(topic)) return 0;
    // A filter without wildcards is decided exactly.
    CHECK(rules->allows(Action::deliver, user, client, topic) == may_subscribe);
    (void)rules->allows(Action::publish, user, client, topic);
    return 0;
}
