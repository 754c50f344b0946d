#include "bridge/file/settings.hpp"

namespace sluice::bridge::file {
namespace {

constexpr std::string_view payload_forms[] = {"auto", "text", "base64", "json"};

constexpr SettingRow bridge_table[] = {
    {.key = "directory",
     .kind = SettingKind::path,
     .default_text = "",
     .doc = "The folder of the files, for this bridge alone. It must exist: it is not made here, since a "
            "missing one may be a disk that is not mounted.",
     .assign = bind_setting<&FileSettings::directory>,
     .required = true},
    {.key = "rotate_bytes",
     .kind = SettingKind::size,
     .default_text = "64MiB",
     .doc = "A file is finished before it would be larger; a single line that is larger has a file of its "
            "own.",
     .assign = bind_setting<&FileSettings::rotate_bytes>,
     .minimum = 4096,
     .maximum = 1LL << 40},
    {.key = "rotate_age",
     .kind = SettingKind::duration,
     .default_text = "1h",
     .doc = "A file is finished when it is older, from 1 s; 0: never.",
     .assign = bind_setting<&FileSettings::rotate_age>,
     .minimum = 0,
     .maximum = 366LL * 24 * 3600 * 1000},
    {.key = "files_max",
     .kind = SettingKind::integer,
     .default_text = "100",
     .doc = "Finished files that are kept; beyond it the oldest one is removed, whether somebody has read it "
            "or not. 0: no limit.",
     .assign = bind_setting<&FileSettings::files_max>,
     .minimum = 0,
     .maximum = 1'000'000},
    {.key = "files_bytes_max",
     .kind = SettingKind::size,
     .default_text = "0",
     .doc = "Bytes that all files may have together, at least twice rotate_bytes; beyond it the oldest "
            "finished one is removed. 0: no limit.",
     .assign = bind_setting<&FileSettings::files_bytes_max>,
     .minimum = 0,
     .maximum = 1LL << 50},
    {.key = "mode",
     .kind = SettingKind::text,
     .default_text = "0640",
     .doc = "The permissions of the files, in octal digits, whatever the process's umask is.",
     .assign = bind_setting<&FileSettings::mode>},
};

constexpr SettingRow route_table[] = {
    {.key = "file",
     .kind = SettingKind::text,
     .default_text = "messages",
     .doc =
         "Template of the file's name, without folder and ending: \"messages\" is messages.ndjson while it "
         "is written. {topic} has '_' in place of '/'.",
     .assign = bind_setting<&FileRoute::file>},
    {.key = "payload",
     .kind = SettingKind::choice,
     .default_text = "auto",
     .doc =
         "How a payload is written: \"json\" (as it is; what is no JSON document is refused), \"text\" (what "
         "is no UTF-8 is refused), \"base64\", or the first of these that fits. The key payload_encoding of "
         "the line tells which.",
     .assign = bind_setting<&FileRoute::payload>,
     .choices = payload_forms},
    {.key = "headers",
     .kind = SettingKind::boolean,
     .default_text = "true",
     .doc =
         "Write QoS, retain flag, client id and MQTT 5 properties too, not only time, id, topic and payload.",
     .assign = bind_setting<&FileRoute::headers>},
};

}  // namespace

std::span<const SettingRow> bridge_rows() {
    return bridge_table;
}
std::span<const SettingRow> route_rows() {
    return route_table;
}

}  // namespace sluice::bridge::file
