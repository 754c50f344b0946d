#pragma once
/// Small helpers around Proton's C types.
#include <fmt/format.h>
#include <proton/codec.h>
#include <proton/condition.h>
#include <proton/types.h>

#include <memory>
#include <string>
#include <string_view>

namespace sluice::bridge::amqp1 {

inline pn_bytes_t to_pn(std::string_view text) {
    return {text.size(), text.data()};
}
inline std::string_view from_pn(pn_bytes_t bytes) {
    return bytes.start ? std::string_view(bytes.start, bytes.size) : std::string_view();
}

struct DataDeleter {
    void operator()(pn_data_t* data) const { pn_data_free(data); }
};
using DataPtr = std::unique_ptr<pn_data_t, DataDeleter>;

/// "amqp:not-found: no queue 'x'"; empty when there is none.
inline std::string condition_text(pn_condition_t* condition) {
    if (!condition || !pn_condition_is_set(condition)) return {};
    const char* name = pn_condition_get_name(condition);
    const char* description = pn_condition_get_description(condition);
    if (!description || !*description) return name ? name : "";
    return fmt::format("{}: {}", name ? name : "", description);
}
inline std::string_view condition_name(pn_condition_t* condition) {
    const char* name =
        condition && pn_condition_is_set(condition) ? pn_condition_get_name(condition) : nullptr;
    return name ? name : "";
}

}  // namespace sluice::bridge::amqp1
