#include "app/table.hpp"

#include <fmt/format.h>

#include "app/logging.hpp"
#include "base/check.hpp"

namespace sluice::app {

/// The continuation bytes of UTF-8 take no place.
std::size_t width_of(const std::string& text) {
    std::size_t width = 0;
    for (const char c : text) width += (static_cast<unsigned char>(c) & 0xc0) == 0x80 ? 0 : 1;
    return width;
}

void Table::add(std::vector<std::string> cells) {
    CHECK(cells.size() == columns_.size());
    for (std::string& cell : cells) cell = printable_line(cell);
    rows_.push_back(std::move(cells));
}

std::string Table::render() const {
    std::vector<std::string> heads;
    for (const Column& column : columns_) heads.push_back(column.head);
    std::vector<const std::vector<std::string>*> lines{&heads};
    for (const auto& row : rows_) lines.push_back(&row);

    std::vector<std::size_t> widths(columns_.size());
    for (const auto* line : lines) {
        for (std::size_t i = 0; i < widths.size(); ++i) widths[i] = std::max(widths[i], width_of((*line)[i]));
    }
    std::string out;
    for (const auto* line : lines) {
        std::string text;
        for (std::size_t i = 0; i < widths.size(); ++i) {
            const std::string gap(widths[i] - width_of((*line)[i]), ' ');
            if (i > 0) text += "  ";
            text += columns_[i].align == Align::right ? gap + (*line)[i] : (*line)[i] + gap;
        }
        text.erase(text.find_last_not_of(' ') + 1);
        out += text + '\n';
    }
    return out;
}

std::string human_bytes(double bytes) {
    constexpr std::string_view units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    std::size_t unit = 0;
    while (bytes >= 1024 && unit + 1 < std::size(units)) {
        bytes /= 1024;
        ++unit;
    }
    return unit == 0 ? fmt::format("{:.0f} B", bytes) : fmt::format("{:.1f} {}", bytes, units[unit]);
}

std::string human_age(double seconds) {
    if (seconds < 120) return fmt::format("{:.0f} s", seconds);
    if (seconds < 7200) return fmt::format("{:.0f} min", seconds / 60);
    if (seconds < 48 * 3600) return fmt::format("{:.1f} h", seconds / 3600);
    return fmt::format("{:.1f} d", seconds / 86400);
}

}  // namespace sluice::app
