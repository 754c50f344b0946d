#include "firmware_sim/csv.hpp"

#include <algorithm>
#include <utility>

namespace sluice::firmware {

bool CsvReader::read_line(std::string& line) {
    if (!std::getline(in_, line)) return false;
    ++line_;
    if (!line.empty() && line.back() == '\r') line.pop_back();
    constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";
    if (line_ == 1 && line.starts_with(byte_order_mark)) line.erase(0, byte_order_mark.size());
    return true;
}

std::optional<CsvRecord> CsvReader::next() {
    std::string line;
    do {
        if (!read_line(line)) return std::nullopt;
    } while (line.find_first_not_of(" \t") == std::string::npos);

    CsvRecord record;
    record.line = line_;
    std::size_t bytes = line.size();
    open_ = false;
    open_field_.clear();
    while (split(line, record)) {
        if (!read_line(line)) {
            record.error = "a quoted field is never closed";
            return record;
        }
        bytes += line.size() + 1;
        if (bytes > record_bytes_max) {
            record.error = "longer than 64 KiB: is a quote missing?";
            return record;
        }
    }
    if (record.error.empty() && bytes > record_bytes_max) record.error = "longer than 64 KiB";
    return record;
}

bool CsvReader::split(std::string_view line, CsvRecord& record) {
    std::size_t at = 0;
    std::string field = std::exchange(open_field_, {});
    bool quoted = std::exchange(open_, false);
    if (quoted) field += '\n';
    for (;;) {
        if (!quoted && field.empty() && at < line.size() && line[at] == '"') {
            quoted = true;
            ++at;
        }
        while (quoted) {
            const std::size_t quote = line.find('"', at);
            if (quote == std::string_view::npos) {
                open_field_ = field.append(line.substr(std::min(at, line.size())));
                open_ = true;
                return true;
            }
            field.append(line.substr(at, quote - at));
            at = quote + 1;
            if (at < line.size() && line[at] == '"') {
                field += '"';
                ++at;
            } else {
                quoted = false;
                if (at < line.size() && line[at] != separator_) record.error = "text after a closing quote";
            }
        }
        const std::size_t end = std::min(line.find(separator_, at), line.size());
        field.append(line.substr(std::min(at, end), end - std::min(at, end)));
        record.fields.push_back(std::exchange(field, {}));
        if (end == line.size()) return false;
        at = end + 1;
    }
}

char guess_separator(std::string_view header_line) {
    for (const char separator : {',', ';', '\t'}) {
        if (header_line.find(separator) != std::string_view::npos) return separator;
    }
    return ',';
}

}  // namespace sluice::firmware
