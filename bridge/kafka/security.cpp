#include "bridge/kafka/security.hpp"

#include <fmt/format.h>
#include <openssl/x509_vfy.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>

namespace sluice::bridge::kafka {
namespace {

constexpr std::string_view mechanisms[] = {"", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"};
constexpr std::string_view sasl_names[] = {"none", "plain", "scram-sha-256", "scram-sha-512", "oauthbearer"};

/// What a managed cluster wants. All of them want TLS.
struct PresetRow {
    std::string_view name;
    std::uint16_t port;
    Sasl sasl;
    bool also_oauthbearer;
    std::string_view user;
};
constexpr PresetRow presets[] = {
    {"event_hubs", 9093, Sasl::plain, true, "$ConnectionString"},
    {"confluent_cloud", 9092, Sasl::plain, true, ""},
    {"msk_scram", 9096, Sasl::scram_sha_512, false, ""},
    {"msk_tls", 9094, Sasl::none, false, ""},
};

/// What a complaint of librdkafka has in it, and what it may mean.
struct Mark {
    std::string_view part;
    std::string_view meaning;
};
constexpr Mark marks[] = {
    {"certificate verify failed", "the server's certificate is not accepted"},
    {"connecting to a PLAINTEXT broker", "TLS failed, perhaps this port of the server has none"},
    {"connecting to a SSL listener", "the server hung up, perhaps its port wants `tls` or `sasl`"},
    {"Invalid response size",
     "no answer of a Kafka server, perhaps its port wants `tls` or is another server's"},
};

/// The number in OpenSSL's "...: SSL alert number 116"; 0 when there is none.
int alert_in(std::string_view text) {
    constexpr std::string_view mark = "SSL alert number ";
    const auto at = text.find(mark);
    int alert = 0;
    if (at != std::string_view::npos)
        std::from_chars(text.data() + at + mark.size(), text.data() + text.size(), alert);
    return alert;
}

std::string_view name_of(Sasl sasl) {
    return sasl_names[static_cast<unsigned>(sasl)];
}
bool wants_password(Sasl sasl) {
    return sasl != Sasl::none && sasl != Sasl::oauthbearer;
}

/// Empty when the keys fit the preset.
std::string preset_problem(const KafkaSettings& settings, const PresetRow& preset) {
    if (settings.tls.tls == false)
        return fmt::format("tls: preset = \"{}\" works with TLS only; expected true, or no preset",
                           preset.name);
    if (settings.sasl && *settings.sasl != preset.sasl &&
        !(preset.also_oauthbearer && *settings.sasl == Sasl::oauthbearer))
        return fmt::format(
            "sasl: \"{}\" is not possible with preset = \"{}\"; expected \"{}\"{}, or no preset",
            name_of(*settings.sasl), preset.name, name_of(preset.sasl),
            preset.also_oauthbearer ? " or \"oauthbearer\"" : "");
    if (settings.preset == Preset::event_hubs && settings.compression != Compression::none &&
        settings.compression != Compression::gzip)
        return "compression: Event Hubs does not take it; expected \"none\" or \"gzip\"";
    if (settings.preset == Preset::msk_tls && settings.tls.certificate.empty())
        return "certificate: is missing; expected it with preset = \"msk_tls\", and `key`";
    return {};
}

/// Empty when the keys fit the mechanism.
std::string sasl_problem(const KafkaSettings& settings, Sasl sasl, const std::string& user) {
    const bool has_token = !settings.token_file.empty() || !settings.token_command.empty();
    const std::string_view token_key = settings.token_file.empty() ? "token_command" : "token_file";
    if (has_token && sasl != Sasl::oauthbearer)
        return fmt::format("{}: has no meaning with sasl = \"{}\"; expected sasl = \"oauthbearer\"",
                           token_key, name_of(sasl));
    if (wants_password(sasl)) {
        if (user.empty())
            return fmt::format("user: is missing; expected a user name with sasl = \"{}\"", name_of(sasl));
        if (settings.password.empty())
            return fmt::format("password: is missing; expected one with sasl = \"{}\"", name_of(sasl));
        return {};
    }
    if (!settings.user.empty() || !settings.password.empty())
        return fmt::format(
            "{}: has no meaning with sasl = \"{}\"; expected sasl = \"plain\", "
            "\"scram-sha-256\" or \"scram-sha-512\"",
            settings.user.empty() ? "password" : "user", name_of(sasl));
    if (sasl == Sasl::none) return {};
    if (!settings.token_file.empty() && !settings.token_command.empty())
        return "token_command: there is a `token_file` too; expected one of the two";
    if (!has_token)
        return "token_file: is missing; expected `token_file` or `token_command` with sasl = \"oauthbearer\"";
    if (settings.token_file.empty() && settings.token_command.front().empty())
        return "token_command: the program is empty; expected its path";
    return {};
}

void add_tls(const TlsSettings& tls, Security& security) {
    const auto add = [&](const char* name, const std::string& value) {
        if (!value.empty()) security.settings.emplace_back(name, value);
    };
    add("ssl.ca.location", tls.ca_file);
    add("ssl.certificate.location", tls.certificate);
    add("ssl.key.location", tls.key);
    add("ssl.key.password", tls.key_password);
    add("ssl.endpoint.identification.algorithm", tls.server_name_check ? "https" : "none");
}

}  // namespace

Result<Security, std::string> resolve_security(const KafkaSettings& settings) {
    const PresetRow* preset = settings.preset ? &presets[static_cast<unsigned>(*settings.preset)] : nullptr;
    Security security;
    security.sasl = settings.sasl.value_or(preset ? preset->sasl : Sasl::none);
    security.tls = settings.tls.enabled(preset != nullptr);
    security.any_key_set = preset || settings.sasl || settings.tls.tls || settings.tls.any_key_set();
    std::string user = settings.user;
    if (preset) {
        if (auto problem = preset_problem(settings, *preset); !problem.empty())
            return Err{std::move(problem)};
        security.default_port = preset->port;
        if (user.empty() && security.sasl == preset->sasl) user = preset->user;
    }
    if (auto problem = sasl_problem(settings, security.sasl, user); !problem.empty())
        return Err{std::move(problem)};
    if (auto checked = check_tls(settings.tls); !checked) return Err{checked.error()};
    // Azure closes what idles for 240 s, and not always so that the client notices.
    if (settings.preset == Preset::event_hubs)
        security.defaults.emplace_back("connections.max.idle.ms", "180000");
    if (!security.any_key_set) return security;
    const bool sasl = security.sasl != Sasl::none;
    security.settings.emplace_back("security.protocol", security.tls ? sasl ? "sasl_ssl" : "ssl"
                                                        : sasl       ? "sasl_plaintext"
                                                                     : "plaintext");
    if (security.tls) add_tls(settings.tls, security);
    if (sasl)
        security.settings.emplace_back("sasl.mechanism", mechanisms[static_cast<unsigned>(security.sasl)]);
    if (wants_password(security.sasl)) {
        security.settings.emplace_back("sasl.username", user);
        security.settings.emplace_back("sasl.password", settings.password);
    }
    return security;
}

bool is_about_security(std::string_view name) {
    return name.starts_with("ssl.") || name.starts_with("sasl.") || name == "security.protocol" ||
           name == "enable.ssl.certificate.verification" || name == "enable.sasl.oauthbearer.unsecure.jwt";
}

void CertificateProblem::listen(rd_kafka_conf_t* conf) {
    rd_kafka_conf_set_ssl_cert_verify_cb(conf, &verify);
}

/// On a thread of librdkafka, for each certificate of the chain; `error` is OpenSSL's own verdict, which
/// stays.
int CertificateProblem::verify(rd_kafka_t* /*handle*/, const char* broker, std::int32_t /*broker_id*/,
                               int* error, int /*depth*/, const char* /*der*/, std::size_t /*der_bytes*/,
                               char* text, std::size_t text_bytes, void* self) {
    if (*error == X509_V_OK) return 1;
    std::snprintf(text, text_bytes, "%s", X509_verify_cert_error_string(*error));
    auto* problem = static_cast<CertificateProblem*>(self);
    if (!problem) return 0;
    const std::lock_guard lock(problem->mutex_);
    problem->text_ = fmt::format("{}: {}", broker, explain_certificate_error(*error));
    return 0;
}

std::string CertificateProblem::take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(text_, {});
}

SecurityError explain_security_error(rd_kafka_resp_err_t code, std::string_view text,
                                     const std::string& certificate) {
    if (code == RD_KAFKA_RESP_ERR__SSL && !certificate.empty()) return {certificate, true};
    if (const auto meaning = explain_tls_alert(alert_in(text)); !meaning.empty())
        return {fmt::format("{}: {}", meaning, text), true};
    for (const Mark& mark : marks)
        if (text.find(mark.part) != std::string_view::npos)
            return {fmt::format("{}: {}", mark.meaning, text), false};
    if (code == RD_KAFKA_RESP_ERR__AUTHENTICATION)
        return {fmt::format("authentication failed: {}", text), true};
    if (code == RD_KAFKA_RESP_ERR__SSL) return {fmt::format("TLS failed: {}", text), true};
    return {};
}

}  // namespace sluice::bridge::kafka
