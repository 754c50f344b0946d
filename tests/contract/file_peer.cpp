#include "tests/contract/file_peer.hpp"

#include <stdlib.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <regex>
#include <stdexcept>
#include <thread>

namespace sluice::bridge::test {
namespace {

using nlohmann::json;
using Steady = std::chrono::steady_clock;

constexpr std::size_t base_bytes_max = 150;

std::string decode_base64(const std::string& text) {
    static const std::string digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string out;
    unsigned bits = 0, count = 0;
    for (const char c : text.substr(0, text.find('='))) {
        bits = bits << 6 | static_cast<unsigned>(digits.find(c));
        count += 6;
        if (count < 8) continue;
        count -= 8;
        out += static_cast<char>(bits >> count & 0xff);
    }
    return out;
}

void read_file(const std::filesystem::path& path, std::vector<json>& lines) {
    std::ifstream in(path, std::ios::binary);
    for (std::string line; std::getline(in, line);) {
        const bool ended = !in.eof();
        lines.push_back(ended ? json::parse(line, nullptr, false) : json(json::value_t::discarded));
    }
}

}  // namespace

std::vector<std::string> finished_files(const std::filesystem::path& folder, const std::string& base) {
    static const std::regex form(R"((.*)-\d{8}T\d{6}Z-(\d{6,18})\.ndjson)");
    std::vector<std::pair<long, std::string>> found;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
        const std::string name = entry.path().filename().string();
        std::smatch match;
        if (std::regex_match(name, match, form) && match[1] == base)
            found.emplace_back(std::stol(match[2]), name);
    }
    std::sort(found.begin(), found.end());
    std::vector<std::string> names;
    for (auto& [number, name] : found) names.push_back(std::move(name));
    return names;
}

std::vector<json> read_lines(const std::filesystem::path& folder, const std::string& base) {
    std::vector<json> lines;
    for (const std::string& name : finished_files(folder, base)) read_file(folder / name, lines);
    read_file(folder / (base + ".ndjson"), lines);
    return lines;
}

std::string payload_of(const json& line) {
    const std::string encoding = line.at("payload_encoding").get<std::string>();
    if (encoding == "json") return line.at("payload").dump();
    const auto text = line.at("payload").get<std::string>();
    return encoding == "base64" ? decode_base64(text) : text;
}

FilePeer::FilePeer(std::filesystem::path root) : root_(std::move(root)) {
    std::filesystem::create_directory(folder());
}

FilePeer::~FilePeer() {
    std::error_code error;
    std::filesystem::remove_all(root_, error);
}

void FilePeer::configure(SettingsUnderTest& settings) {
    settings.bridge("directory", folder().string());
}

void FilePeer::configure_place(SettingsUnderTest& settings, const std::string& place) {
    settings.route("file", place);
}

void FilePeer::configure_refusal(SettingsUnderTest& settings, const std::string& place) {
    // With "a" at its end the name is as long as one may be, with "refused" it is longer.
    const std::string start = place + std::string(base_bytes_max - 1 - place.size(), 'x');
    bases_[place] = start + "a";
    settings.route("file", start + "{topic[1]}");
}

std::string FilePeer::configure_unreachable(SettingsUnderTest& settings) {
    const std::string folder = root_ / "nosuch";
    settings.bridge("directory", folder);
    return folder;
}

std::string FilePeer::configure_malformed(SettingsUnderTest& settings) {
    settings.bridge("mode", std::string("rw-r-----"));
    return "mode";
}

std::vector<Received> FilePeer::receive(const std::string& place, std::size_t count) {
    const auto other = bases_.find(place);
    const std::string base = other == bases_.end() ? place : other->second;
    std::vector<json> lines;
    for (const auto deadline = Steady::now() + std::chrono::seconds(20); Steady::now() < deadline;) {
        lines = read_lines(folder(), base);
        if (lines.size() >= count) break;
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    std::vector<Received> all;
    for (const json& line : lines) {
        if (!line.is_object()) throw std::runtime_error("a line is no JSON object");
        Received& one = all.emplace_back();
        one.has_payload = line.contains("payload");
        if (one.has_payload) one.payload = payload_of(line);
        for (const auto& [key, value] : line.items())
            if (key != "payload")
                one.headers[key] = value.is_string() ? value.get<std::string>() : value.dump();
    }
    return all;
}

void FilePeer::down() {
    std::filesystem::rename(folder(), root_ / "away");
    std::ofstream(folder()) << "in the way\n";
}

void FilePeer::up() {
    std::filesystem::remove(folder());
    std::filesystem::rename(root_ / "away", folder());
}

std::unique_ptr<Peer> start_file_peer(std::string& why) {
    std::string root = (std::filesystem::temp_directory_path() / "sluice-files-XXXXXX").string();
    if (::mkdtemp(root.data())) return std::make_unique<FilePeer>(root);
    why = "no folder for temporary files";
    return nullptr;
}

}  // namespace sluice::bridge::test
