#pragma once
/// LevelText: one topic level in 16 bytes; up to 15 bytes of text stand inside, longer ones on the heap.
/// Most levels are words such as "telemetry" or a device number, and a tree holds millions of them.
#include <cstdint>
#include <cstring>
#include <string_view>
#include <utility>

namespace sluice::core {

class LevelText {
  public:
    LevelText() = default;
    explicit LevelText(std::string_view text) {
        if (text.size() <= inline_bytes_max) {
            if (!text.empty()) std::memcpy(bytes_, text.data(), text.size());
            bytes_[15] = static_cast<char>(text.size());
            return;
        }
        char* heap = new char[text.size()];
        std::memcpy(heap, text.data(), text.size());
        const auto length = static_cast<std::uint32_t>(text.size());
        std::memcpy(bytes_, &heap, sizeof heap);
        std::memcpy(bytes_ + 8, &length, sizeof length);
        bytes_[15] = on_heap;
    }
    LevelText(LevelText&& other) noexcept { swap(other); }
    LevelText& operator=(LevelText&& other) noexcept {
        LevelText taken(std::move(other));
        swap(taken);
        return *this;
    }
    ~LevelText() {
        if (bytes_[15] == on_heap) delete[] heap_text();
    }

    std::string_view view() const {
        if (bytes_[15] != on_heap) return {bytes_, static_cast<std::size_t>(bytes_[15])};
        std::uint32_t length = 0;
        std::memcpy(&length, bytes_ + 8, sizeof length);
        return {heap_text(), length};
    }
    std::size_t heap_bytes() const { return bytes_[15] == on_heap ? view().size() : 0; }

  private:
    static constexpr std::size_t inline_bytes_max = 15;
    static constexpr char on_heap = 127;
    static_assert(sizeof(char*) <= 8);

    void swap(LevelText& other) {
        char kept[sizeof bytes_];
        std::memcpy(kept, bytes_, sizeof bytes_);
        std::memcpy(bytes_, other.bytes_, sizeof bytes_);
        std::memcpy(other.bytes_, kept, sizeof bytes_);
    }
    char* heap_text() const {
        char* heap = nullptr;
        std::memcpy(&heap, bytes_, sizeof heap);
        return heap;
    }

    char bytes_[16] = {};  ///< the last one: length of the text inside, or `on_heap`
};

}  // namespace sluice::core
