/// The first line is a condition, the rest is the payload that it judges.
#include "bridge/condition.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace sluice;
    const std::string_view input = as_text({data, size});
    const auto end = input.find('\n');
    core::Message::Fields fields;
    fields.topic = "plant/7/telemetry";
    if (end != std::string_view::npos) fields.payload = as_bytes(input.substr(end + 1));
    const auto condition = bridge::Condition::parse(input.substr(0, end));
    if (condition) static_cast<void>(condition->matches(*core::Message::freeze(fields)));
    return 0;
}
