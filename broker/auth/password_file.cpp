#include "auth/password_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "auth/saslprep.hpp"
#include "auth/text_file.hpp"

namespace sluice::auth {
namespace {

constexpr std::size_t name_bytes_max = 65535;  // what CONNECT can carry
constexpr std::size_t salt_bytes_max = 1024;
/// Ten seconds or more of CPU for one login; more is a mistake.
constexpr std::uint32_t iterations_max = 10'000'000;

/// The next field of "$7$101$salt$hash", without its '$'.
std::string_view cut_field(std::string_view& text) {
    const std::size_t end = text.find('$');
    const std::string_view field = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
    return field;
}

/// What is wrong with the hash, or nothing. The texts never contain parts of it.
std::optional<std::string> parse_hash(std::string_view text, PasswordHash& out) {
    if (!text.starts_with('$'))
        return "the password is not hashed; expected `name:SCRAM-SHA-256$...` as `sluicectl passwd` writes "
               "it, or `name:$7$...` or `name:$6$...` as mosquitto_passwd does";
    text.remove_prefix(1);
    const std::string_view scheme = cut_field(text);
    if (scheme == "7") {
        out.scheme = PasswordHash::Scheme::pbkdf2_sha512;
        const std::string_view number = cut_field(text);
        const auto [end, error] =
            std::from_chars(number.data(), number.data() + number.size(), out.iterations);
        if (error != std::errc{} || end != number.data() + number.size() || out.iterations == 0 ||
            out.iterations > iterations_max)
            return fmt::format("the number of iterations is wrong; expected 1 to {}", iterations_max);
    } else if (scheme == "6") {
        out.scheme = PasswordHash::Scheme::sha512;
    } else {
        return "unknown kind of hash; expected $7$ (PBKDF2-SHA512) or $6$ (SHA-512): "
               "`mosquitto_passwd -H sha512-pbkdf2` makes the former";
    }
    auto salt = decode_base64(cut_field(text));
    if (!salt || salt->empty() || salt->size() > salt_bytes_max)
        return fmt::format("the salt is damaged; expected base64 of 1 to {} bytes", salt_bytes_max);
    const auto hash = decode_base64(text);
    if (!hash || hash->size() != out.hash.size())
        return fmt::format("the hash is damaged; expected base64 of {} bytes", out.hash.size());
    out.salt = std::move(*salt);
    std::copy(hash->begin(), hash->end(), out.hash.begin());
    return std::nullopt;
}

/// What makes up the time that a check of this entry takes.
std::string cost_of(const PasswordEntry& entry) {
    if (const auto* keys = std::get_if<ScramKeys>(&entry)) return fmt::format("scram {}", keys->iterations);
    const auto& hash = std::get<PasswordHash>(entry);
    return hash.scheme == PasswordHash::Scheme::sha512 ? "6" : fmt::format("7 {}", hash.iterations);
}

std::string name_of(const std::pair<std::uint32_t, std::size_t>& scram_kind) {
    return fmt::format("{}:{}", scram_kind.first, scram_kind.second);
}

/// The same for all kinds of entries.
std::optional<std::string> parse_entry(std::string_view name, std::string_view text, PasswordEntry& out) {
    if (!text.starts_with(ScramKeys::scheme) || text.substr(ScramKeys::scheme.size(), 1) != "$")
        return parse_hash(text, out.emplace<PasswordHash>());
    // A client's name is prepared before it is looked for: this one would never be found.
    if (saslprep(name) != name)
        return "the user name cannot be used with SCRAM; expected one as `sluicectl passwd` writes it "
               "(SASLprep)";
    auto keys = parse_scram_keys(text.substr(ScramKeys::scheme.size() + 1));
    if (!keys) return keys.error();
    out = std::move(keys).value();
    return std::nullopt;
}

}  // namespace

bool PasswordHash::matches(std::string_view password) const {
    const auto computed = scheme == Scheme::sha512 ? sha512(as_bytes(password), salt)
                                                   : pbkdf2_sha512(as_bytes(password), salt, iterations);
    return computed && equal_in_constant_time(*computed, hash);
}

bool PasswordTable::add(std::string name, PasswordEntry entry) {
    if (!index_.emplace(std::move(name), entries_.size()).second) return false;
    if (const auto* keys = std::get_if<ScramKeys>(&entry)) {
        const ScramKind kind{keys->iterations, keys->salt.size()};
        const auto at = std::lower_bound(scram_kinds_.begin(), scram_kinds_.end(), kind);
        if (at == scram_kinds_.end() || *at != kind) scram_kinds_.insert(at, kind);
    }
    std::string cost = cost_of(entry);
    const auto at = std::lower_bound(costs_.begin(), costs_.end(), cost,
                                     [](const auto& one, const std::string& key) { return one.first < key; });
    if (at == costs_.end() || at->first != cost) costs_.emplace(at, std::move(cost), entries_.size());
    entries_.push_back(std::move(entry));
    return true;
}

const PasswordEntry& PasswordTable::decoy(std::string_view name, const DecoySecret& secret) const {
    if (entries_.empty()) return nobody_;
    const auto text_of = [this](std::size_t i) -> std::string_view { return costs_[i].first; };
    return entries_[costs_[secret.pick("cost ", name, costs_.size(), text_of)].second];
}

PasswordTable::Verdict PasswordTable::check(std::string_view name, std::string_view password,
                                            const DecoySecret& secret) const {
    const auto found = index_.find(name);
    const bool known = found != index_.end();
    const PasswordEntry& made_up = decoy(name, secret);  // for known names too: for the same time
    const PasswordEntry& entry = known ? entries_[found->second] : made_up;
    const bool same = std::visit([&](const auto& one) { return one.matches(password); }, entry);
    if (!known) return Verdict::unknown_user;
    return same ? Verdict::accepted : Verdict::wrong_password;
}

ScramKeys PasswordTable::made_up_keys(std::string_view name, const DecoySecret& secret) const {
    ScramKeys keys;
    // By the kinds that there are, not by the users who have them: a new user must change nobody's answer.
    const auto text_of = [this](std::size_t i) { return name_of(scram_kinds_[i]); };
    const auto& kind = scram_kinds_[secret.pick("kind ", name, scram_kinds_.size(), text_of)];
    const auto& [iterations, salt_bytes] = kind;
    keys.iterations = iterations;
    // Of the kind too: who gets another number of iterations has a new password, and so a new salt.
    Sha256 piece = secret.derive(fmt::format("salt {} ", name_of(kind)), name);
    while (keys.salt.size() < salt_bytes) {
        const std::size_t bytes = std::min(piece.size(), salt_bytes - keys.salt.size());
        append(keys.salt, Bytes(piece).first(bytes));
        piece = secret.derive("more ", as_text(piece));
    }
    keys.stored_key = secret.derive("stored ", name);
    keys.server_key = secret.derive("server ", name);
    return keys;
}

ScramCredential PasswordTable::scram_credential(std::string_view name, const DecoySecret& secret) const {
    ScramCredential made_up{made_up_keys(name, secret), false};  // for known names too: for the same time
    const auto found = index_.find(name);
    if (found == index_.end()) return made_up;
    const auto* keys = std::get_if<ScramKeys>(&entries_[found->second]);
    return keys ? ScramCredential{*keys, true} : made_up;
}

Result<PasswordTable, std::string> parse_passwords(std::string_view text, std::string_view file) {
    PasswordTable table;
    LineReader lines(text);
    for (std::string_view line; lines.next(line);) {
        const auto problem = [&](std::string_view what) { return Err{at_line(file, lines.number(), what)}; };
        const std::size_t colon = line.find(':');
        // The line may be a password that lost its name: it is not quoted.
        if (colon == std::string_view::npos) return problem("no ':' found; expected `name:hash`");
        const std::string_view name = trimmed(line.substr(0, colon));
        if (name.empty()) return problem("the user name is empty; expected `name:hash`");
        if (name.size() > name_bytes_max)
            return problem(
                fmt::format("the user name is too long; expected at most {} bytes", name_bytes_max));
        PasswordEntry entry;
        if (const auto wrong = parse_entry(name, trimmed(line.substr(colon + 1)), entry))
            return problem(*wrong);
        if (!table.add(std::string(name), std::move(entry)))
            return problem(fmt::format("user `{}` is there twice; expected one line for each user", name));
    }
    return table;
}

}  // namespace sluice::auth
