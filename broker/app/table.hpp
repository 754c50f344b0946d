#pragma once
/// A table of text for people: columns as wide as their widest cell.
#include <string>
#include <vector>

namespace sluice::app {

class Table {
  public:
    enum class Align : std::uint8_t { left, right };
    struct Column {
        std::string head;
        Align align = Align::left;
    };

    explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
    /// One cell per column.
    void add(std::vector<std::string> cells);
    /// With a head line, each line ended; control characters made visible.
    std::string render() const;

  private:
    std::vector<Column> columns_;
    std::vector<std::vector<std::string>> rows_;
};

/// Characters, not bytes, of UTF-8.
std::size_t width_of(const std::string& text);

/// 1234567 as "1.2 MB"-like text in binary units: "1.2 MiB".
std::string human_bytes(double bytes);
/// Seconds as "45 s", "12 min", "3.5 h", "7.0 d".
std::string human_age(double seconds);

}  // namespace sluice::app
