#pragma once
/// PayloadJson: a payload read as JSON, and what stands at a path in it.
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::bridge {

struct JsonStep {
    std::string key;        ///< member of an object; empty when `is_index`
    std::size_t index = 0;  ///< element of an array
    bool is_index = false;
};
/// `payload.list[0]["a b"]`, read by FieldReader.
using JsonPath = std::vector<JsonStep>;

struct JsonValue {
    /// structure: an object or array.
    enum class Kind : std::uint8_t { missing, null, boolean, integer, real, text, structure };
    Kind kind = Kind::missing;
    bool boolean = false;
    std::int64_t integer = 0;
    double real = 0;
    std::uint64_t large = 0;  ///< an integer over INT64_MAX, exactly; its kind is real, and `real` is near it
    std::string_view text;    ///< the document's
};

/// One thread.
class PayloadJson {
  public:
    /// Any bytes, which outlive this; reads them now.
    explicit PayloadJson(std::string_view payload);
    ~PayloadJson();
    PayloadJson(const PayloadJson&) = delete;
    PayloadJson& operator=(const PayloadJson&) = delete;

    /// Why it has no fields: "is no JSON", "nests deeper than 128", "has a number out of range"; empty when
    /// it has.
    std::string problem() const;
    /// `missing` too when there is a problem. Lives as long as this.
    JsonValue find(const JsonPath& path) const;

  private:
    struct Document;
    std::string_view payload_;
    std::unique_ptr<Document> document_;
};

}  // namespace sluice::bridge
