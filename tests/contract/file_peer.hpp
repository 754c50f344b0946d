#pragma once
/// A folder of its own as a Peer.
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/contract/peer.hpp"

namespace sluice::bridge::test {

/// All lines of the finished files and of the active one of that base name, in the order of writing. A line
/// that is no JSON document comes as a discarded value; so does an end without '\n', which a reader may see
/// while a line is being written.
std::vector<nlohmann::json> read_lines(const std::filesystem::path& folder, const std::string& base);
/// The names of the finished files, by number.
std::vector<std::string> finished_files(const std::filesystem::path& folder, const std::string& base);
/// What was published; `line` is an object as the connector writes it.
std::string payload_of(const nlohmann::json& line);

class FilePeer final : public Peer {
  public:
    explicit FilePeer(std::filesystem::path root);
    ~FilePeer() override;

    std::string address() const override { return folder().string(); }
    void configure(SettingsUnderTest& settings) override;
    void configure_place(SettingsUnderTest& settings, const std::string& place) override;
    std::vector<Received> receive(const std::string& place, std::size_t count) override;
    void configure_refusal(SettingsUnderTest& settings, const std::string& place) override;
    std::string configure_unreachable(SettingsUnderTest& settings) override;
    std::string configure_malformed(SettingsUnderTest& settings) override;
    /// The folder is away, and a file in its place: not even root can write there.
    void down() override;
    void up() override;
    std::string why_not_frozen() const override {
        return "a file system that does not answer holds its caller inside of the kernel";
    }
    void freeze() override {}
    void thaw() override {}
    std::string ask(const std::string& command) override { return "unknown command: " + command; }

    std::filesystem::path folder() const { return root_ / "messages"; }

  private:
    std::filesystem::path root_;
    std::map<std::string, std::string> bases_;  ///< by place, where they differ
};

}  // namespace sluice::bridge::test
