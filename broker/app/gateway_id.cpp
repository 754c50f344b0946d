#include "app/gateway_id.hpp"

#include <sys/random.h>

#include <algorithm>
#include <cstring>
#include <fstream>

#include <fmt/format.h>

#include "app/small_file.hpp"
#include "base/check.hpp"
#include "base/log.hpp"

namespace sluice::app {
namespace {

constexpr std::size_t id_bytes = 16;

bool is_gateway_id(const std::string& text) {
    return text.size() == id_bytes && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

}  // namespace

std::string make_gateway_id() {
    std::uint64_t bits = 0;
    CHECK(::getrandom(&bits, sizeof bits, 0) == sizeof bits);
    return fmt::format("{:016x}", bits);
}

std::string load_gateway_id(const std::string& data_dir) {
    const std::string path = data_dir + "/gateway.id";
    std::string id;
    std::ifstream(path) >> id;
    if (is_gateway_id(id)) return id;
    if (!id.empty()) log::error(fmt::format("{}: is not 16 hexadecimal digits; a new one is made", path));
    id = make_gateway_id();
    if (const int error = write_small_file(path, id + '\n'); error != 0)
        log::warn(fmt::format("{}: cannot be written: {}; this life has a name of its own", path,
                              std::strerror(error)));
    return id;
}

}  // namespace sluice::app
