#include <fmt/format.h>

#include "app/config.hpp"
#include "app/config_value.hpp"

namespace sluice::app {
namespace {

constexpr std::string_view head = R"(# Settings reference

Everything that may stand in the settings file, `/etc/sluice/sluice.toml`. This page is printed by
`sluiced --settings` from the same tables that the broker reads the file with; do not edit it by hand.

- An unknown key, a wrong type or an impossible combination is an error, at start and in `sluiced --check`, with
  file, line and column; all errors of a file are told at once.
- A **size** is bytes as an integer, or text with a unit: `"512B"`, `"64KiB"`, `"1MiB"`, `"2GiB"`, `"1TiB"`.
- A **duration** is text with a unit: `"20ms"`, `"10s"`, `"5m"`, `"12h"`, `"7d"`; an integer is seconds.
- A **path** that is relative is relative to the folder of the settings file.
- A **secret** is the text itself, `"file:PATH"` for the content of a file (without the line end at its end), or
  `"env:NAME"` for an environment variable. It is read at start and never printed.
- *Reload* says whether `systemctl reload sluice` (SIGHUP) applies a change without dropping clients; the others
  need a restart, and a reload that finds one of them changed says so in the log. What a client was told or
  granted when it connected stays its own until it connects again: `packet_bytes_max`, `receive_maximum`,
  `inflight_max`, topic aliases, keep-alive, session expiry, the TLS certificate.
)";

std::string default_of(const SettingRow& row) {
    if (row.required) return "*required*";
    if (row.default_text.empty()) return row.kind == SettingKind::text_list ? "`[]`" : "";
    const bool is_text = row.kind == SettingKind::text || row.kind == SettingKind::choice ||
                         row.kind == SettingKind::path || row.kind == SettingKind::size ||
                         row.kind == SettingKind::duration;
    return is_text ? fmt::format("`\"{}\"`", row.default_text) : fmt::format("`{}`", row.default_text);
}

std::string values_of(const SettingRow& row) {
    constexpr auto unlimited = std::numeric_limits<std::int64_t>::max();
    const auto bounds = [&](std::string_view noun, std::string (*format)(std::int64_t)) {
        if (row.maximum == unlimited) return fmt::format("{}, at least {}", noun, format(row.minimum));
        return fmt::format("{}, {} to {}", noun, format(row.minimum), format(row.maximum));
    };
    switch (row.kind) {
        case SettingKind::text:
            return "text";
        case SettingKind::text_list:
            return "list of texts";
        case SettingKind::boolean:
            return "`true` or `false`";
        case SettingKind::integer:
            return bounds("integer", [](std::int64_t n) { return std::to_string(n); });
        case SettingKind::size:
            return bounds("size", format_size);
        case SettingKind::duration:
            return bounds("duration", format_duration);
        case SettingKind::choice: {
            std::string out;
            for (const auto choice : row.choices)
                out += fmt::format("{}`\"{}\"`", out.empty() ? "" : ", ", choice);
            return out;
        }
        case SettingKind::secret:
            return "secret";
        case SettingKind::path:
            return "path";
    }
    return {};
}

std::string cell(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (c == '|') out += '\\';
        out += c;
    }
    return out;
}

/// Of bridges a reload applies everything: one that has changed is exchanged as a whole.
enum class Reload : bool { by_row, all };

void section(std::string& out, std::string_view title, std::string_view doc, std::span<const SettingRow> rows,
             Reload reload = Reload::by_row) {
    out += fmt::format("\n## {}\n\n{}\n\n", title, doc);
    if (rows.empty()) return;
    out += "| key | values | default | reload | meaning |\n|---|---|---|---|---|\n";
    for (const SettingRow& row : rows) {
        out += fmt::format("| `{}` | {} | {} | {} | {} |\n", row.key, cell(values_of(row)),
                           cell(default_of(row)), row.reloadable || reload == Reload::all ? "yes" : "",
                           cell(row.doc));
    }
}

}  // namespace

std::string render_settings_reference(std::span<const bridge::ConnectorModule* const> modules) {
    std::string out(head);
    section(out, "`[broker]`", "The process as a whole.", broker_rows());
    section(out, "`[[listener]]`",
            "Where clients come in; one table for each. A file without any has one: `127.0.0.1`, port 1883, "
            "`anonymous = true`. Two listeners may not share address and port.",
            listener::listener_rows());
    section(out, "`[listener.tls]`", "TLS for the listener above it; left out: none.",
            net::tls_setting_rows());
    section(out, "`[auth]`", "Who may come in, and what they may do.", auth::auth_rows());
    section(out, "`[limits]`", "What bounds the broker as a whole and each client.", shard::limits_rows());
    section(out, "`[durability]`", "When a message counts as kept.", store::durability_rows());
    section(out, "`[store]`", "How much of the disk the store may take.", store::store_rows());
    section(out, "`[admin]`",
            "The HTTP port for operators: `/metrics`, `/healthz`, `/readyz`, `/api/v1/...`. Without this "
            "table there is "
            "no such port.",
            admin::admin_rows());
    section(out, "`[[bridge]]`",
            "One upstream, with at least one `[[bridge.route]]` or `[[bridge.down]]`. Its further keys "
            "belong to its type and "
            "stand below.",
            bridge::bridge_rows(), Reload::all);
    section(out, "`[bridge.spool]`", "What may wait on disk for the upstream of the bridge above it.",
            bridge::spool_rows(), Reload::all);
    section(out, "`[bridge.dead]`", "What the upstream of the bridge above it has refused for good.",
            bridge::dead_rows(), Reload::all);
    section(out, "`[[bridge.route]]`", "Which messages go up, and how.", bridge::route_rows(), Reload::all);
    section(out, "`[[bridge.down]]`", "What comes down from the upstream, for the types that can.",
            bridge::down_rows(), Reload::all);
    for (const bridge::ConnectorModule* module : modules) {
        section(out, fmt::format("`[[bridge]]` with `type = \"{}\"`", module->type), "Its further keys.",
                module->bridge_rows(), Reload::all);
        section(out, fmt::format("`[[bridge.route]]` with `type = \"{}\"`", module->type),
                "Its further keys.", module->route_rows(), Reload::all);
        if (module->down_rows != nullptr)
            section(out, fmt::format("`[[bridge.down]]` with `type = \"{}\"`", module->type),
                    "Its further keys.", module->down_rows(), Reload::all);
    }
    return out;
}

}  // namespace sluice::app
