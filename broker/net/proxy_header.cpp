#include "net/proxy_header.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <vector>

namespace sluice::net {
namespace {

constexpr std::string_view text_begin = "PROXY ";
constexpr std::size_t text_bytes_max = 107;  // of version 1, its line end included
constexpr std::string_view binary_begin("\r\n\r\n\0\r\nQUIT\n", 12);
constexpr std::size_t binary_head_bytes = 16;
enum Command : std::uint8_t { local = 0, proxied = 1 };
enum Family : std::uint8_t { unspecified = 0, inet = 1, inet6 = 2, unix_path = 3 };
constexpr std::array<std::size_t, 4> address_bytes{0, 12, 36, 216};  // by family
constexpr std::size_t path_bytes_max = 108;
constexpr std::size_t extension_head_bytes = 3;

Err<FilterError> malformed(std::string what) {
    return Err{FilterError{"PROXY header: " + std::move(what)}};
}

std::vector<std::string_view> split(std::string_view text) {
    std::vector<std::string_view> words;
    for (;;) {
        const std::size_t space = text.find(' ');
        words.push_back(text.substr(0, space));
        if (space == std::string_view::npos) return words;
        text.remove_prefix(space + 1);
    }
}

std::optional<std::uint16_t> parse_port(std::string_view text) {
    std::uint16_t port = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    const bool whole = error == std::errc{} && end == text.data() + text.size();
    const bool padded = text.size() > 1 && text.front() == '0';
    return whole && !padded ? std::optional(port) : std::nullopt;
}

/// It goes into log lines.
bool is_printable(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

class ProxyHeaderFilter final : public Filter {
  public:
    explicit ProxyHeaderFilter(const ProxyHeaderLimits& limits) : limits_(limits) {}

    Result<void, FilterError> receive(Bytes wire, ByteBuffer& plain, ByteBuffer& reply) override;
    Result<void, FilterError> send(Bytes, ByteBuffer&) override {
        return malformed("nothing can be sent before it");
    }
    void close(ByteBuffer&) override {}
    bool ready() const override { return whole_; }
    bool introduces() const override { return true; }
    void identify(PeerIdentity& identity) const override;

  private:
    using Step = Result<void, FilterError>;

    /// After each further byte.
    Step judge();
    Step judge_text();
    Step judge_binary();
    Step read_text(std::string_view line);
    Step read_binary();
    static Step check_extensions(Bytes extensions);

    const ProxyHeaderLimits limits_;
    ByteBuffer head_;
    bool whole_ = false;
    std::optional<IpAddress> source_;
    std::uint16_t port_ = 0;
    std::optional<std::string> path_;
};

Result<void, FilterError> ProxyHeaderFilter::receive(Bytes wire, ByteBuffer& plain, ByteBuffer& reply) {
    (void)reply;
    // One by one: what stands behind the header must not be touched, and there is one header to a connection.
    while (!whole_ && !wire.empty()) {
        head_.push_back(wire[0]);
        wire = wire.subspan(1);
        if (auto step = judge(); !step) return step;
    }
    append(plain, wire);
    return {};
}

Result<void, FilterError> ProxyHeaderFilter::judge() {
    switch (head_[0]) {
        case 'P':
            return judge_text();
        case '\r':
            return judge_binary();
        case 0x10:
            return malformed("there is none (MQTT sent without a proxy to a port that requires one?)");
        case 0x16:
            return malformed("there is none (TLS sent without a proxy to a port that requires one?)");
        default:
            return malformed("there is none");
    }
}

Result<void, FilterError> ProxyHeaderFilter::judge_text() {
    const std::size_t n = head_.size();
    if (n <= text_begin.size() && as_text(head_) != text_begin.substr(0, n))
        return malformed("there is none");
    if (head_.back() != '\n') return n < text_bytes_max ? Step{} : malformed("the line is too long");
    if (head_[n - 2] != '\r') return malformed("the line does not end with CR LF");
    return read_text(as_text(head_).substr(0, n - 2));
}

Result<void, FilterError> ProxyHeaderFilter::read_text(std::string_view line) {
    const auto words = split(line.substr(text_begin.size()));
    whole_ = true;
    if (words[0] == "UNKNOWN") return {};  // whatever follows
    const bool v4 = words[0] == "TCP4";
    if (!v4 && words[0] != "TCP6") return malformed("the protocol is none of TCP4, TCP6 and UNKNOWN");
    if (words.size() != 5) return malformed("the line has not two addresses and two ports");
    for (const std::string_view word : {words[1], words[2]}) {
        const bool of_family = (word.find(':') == std::string_view::npos) == v4;
        if (!of_family || !parse_ip(word)) return malformed("an address is not valid");
    }
    const auto port = parse_port(words[3]);
    if (!port || !parse_port(words[4])) return malformed("a port is not valid");
    source_ = parse_ip(words[1]);
    port_ = *port;
    return {};
}

Result<void, FilterError> ProxyHeaderFilter::judge_binary() {
    const std::size_t n = head_.size();
    if (n <= binary_begin.size()) {
        return head_.back() == static_cast<std::uint8_t>(binary_begin[n - 1]) ? Step{}
                                                                              : malformed("there is none");
    }
    const std::uint8_t version_and_command = head_[12];
    if (version_and_command >> 4 != 2) return malformed("the version is not 2");
    const auto command = static_cast<Command>(version_and_command & 15);
    if (command > proxied) return malformed("the command is neither LOCAL nor PROXY");
    if (n >= 14 && command == proxied && (head_[13] >> 4 > unix_path || (head_[13] & 15) > 2))
        return malformed("the address family or protocol is unknown");
    if (n < binary_head_bytes) return {};
    const std::size_t total = binary_head_bytes + read_u16(head_.data() + 14);
    if (total > limits_.header_bytes_max) return malformed("it is too long");
    return n < total ? Step{} : read_binary();
}

Result<void, FilterError> ProxyHeaderFilter::read_binary() {
    whole_ = true;
    const auto family = static_cast<Family>(head_[13] >> 4);
    // The block of a proxy that speaks for itself is skipped, its family included.
    if ((head_[12] & 15) == local || family == unspecified) return {};
    const Bytes block = Bytes(head_).subspan(binary_head_bytes);
    const std::size_t needed = address_bytes[family];
    if (block.size() < needed) return malformed("it is too short for its addresses");
    if (family == inet) {
        source_ = ip_v4(block.data());
        port_ = read_u16(block.data() + 8);
    } else if (family == inet6) {
        source_ = ip_v6(block.data());
        port_ = read_u16(block.data() + 32);
    } else {
        const std::string_view field = as_text(block.first(path_bytes_max));
        const std::string_view path = field.substr(0, field.find('\0'));
        path_ = is_printable(path) ? std::string(path) : std::string();
    }
    return check_extensions(block.subspan(needed));
}

// None is needed here, but one that does not fit says that the rest was not understood either.
Result<void, FilterError> ProxyHeaderFilter::check_extensions(Bytes extensions) {
    while (!extensions.empty()) {
        if (extensions.size() < extension_head_bytes) return malformed("an extension is cut off");
        const std::size_t bytes = extension_head_bytes + read_u16(extensions.data() + 1);
        if (bytes > extensions.size()) return malformed("an extension is cut off");
        extensions = extensions.subspan(bytes);
    }
    return {};
}

void ProxyHeaderFilter::identify(PeerIdentity& identity) const {
    if (source_) {
        identity.ip = source_;
        identity.address = text_of(*source_, port_);
    } else if (path_) {
        identity.ip.reset();
        identity.address = path_->empty() ? "unix" : "unix:" + *path_;
    }
}

}  // namespace

std::unique_ptr<Filter> make_proxy_header_filter(const ProxyHeaderLimits& limits) {
    return std::make_unique<ProxyHeaderFilter>(limits);
}

}  // namespace sluice::net
