#pragma once
/// Share: which shared subscription a delivery came by: its full text "$share/GROUP/FILTER", in one counted,
/// immutable allocation. Empty: an ordinary delivery. May cross threads as a Message may.
#include <string>
#include <string_view>

#include "base/ref_ptr.hpp"

namespace sluice::core {

class Share {
  public:
    Share() = default;
    explicit Share(std::string_view text) : text_(new Text(text)) {}

    explicit operator bool() const { return static_cast<bool>(text_); }
    /// Lives as long as any copy of this Share.
    std::string_view view() const { return text_ ? std::string_view(text_->text) : std::string_view{}; }
    friend bool operator==(const Share& a, const Share& b) { return a.view() == b.view(); }

  private:
    struct Text final : RefCounted<Text> {
        explicit Text(std::string_view given) : text(given) {}
        std::string text;
    };
    RefPtr<const Text> text_;
};

}  // namespace sluice::core
