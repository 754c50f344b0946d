#include "store/row_codec.hpp"

#include "store/crc32c.hpp"

namespace sluice::store {
namespace {

constexpr std::size_t checksum_bytes = 4;
constexpr std::uint8_t flag_retain = 4, flag_identifiers = 8, flag_share = 16, flags_known = 31;
constexpr std::uint8_t progress_format = 1;

void append_varint(ByteBuffer& out, std::uint64_t v) {
    for (; v >= 0x80; v >>= 7) out.push_back(static_cast<std::uint8_t>(v | 0x80));
    out.push_back(static_cast<std::uint8_t>(v));
}

bool read_varint(Bytes& in, std::uint64_t& v) {
    v = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (in.empty()) return false;
        const std::uint8_t byte = in.front();
        in = in.subspan(1);
        v |= std::uint64_t{byte & 0x7fU} << shift;
        if (byte < 0x80) return true;
    }
    return false;
}

void reserve_checksum(ByteBuffer& out) {
    out.assign(checksum_bytes, 0);
}

void put_checksum(ByteBuffer& out, std::uint64_t key) {
    const std::uint32_t sum = crc32c_of(key, Bytes(out).subspan(checksum_bytes));
    for (std::size_t i = 0; i < checksum_bytes; ++i) out[i] = static_cast<std::uint8_t>(sum >> (24 - 8 * i));
}

bool checksum_holds(std::uint64_t key, Bytes run) {
    return run.size() >= checksum_bytes &&
           read_u32(run.data()) == crc32c_of(key, run.subspan(checksum_bytes));
}

bool read_identifiers(Bytes& in, std::vector<std::uint32_t>& out) {
    std::uint64_t count = 0, v = 0;
    if (!read_varint(in, count) || count > in.size()) return false;
    out.reserve(count);
    for (; count > 0; --count) {
        if (!read_varint(in, v)) return false;
        out.push_back(static_cast<std::uint32_t>(v));
    }
    return true;
}

bool read_share(Bytes& in, core::Share& share) {
    std::uint64_t size = 0;
    if (!read_varint(in, size) || size == 0 || size > in.size()) return false;
    share = core::Share(as_text(in.first(size)));
    in = in.subspan(size);
    return true;
}

bool read_inflight(Bytes& in, core::InflightRecord& record) {
    if (!read_varint(in, record.row) || in.size() < 3 || in[2] > 1) return false;
    record.packet_id = read_u16(in.data());
    record.state = static_cast<core::InflightRecord::State>(in[2]);
    in = in.subspan(3);
    return true;
}

std::uint64_t checksum_key(const core::NoteArrival& note) {
    return note.row ^ note.publisher << 16 ^ std::uint64_t{note.packet_id} << 48;
}

void append_text(ByteBuffer& out, std::string_view text) {
    append_u32(out, static_cast<std::uint32_t>(text.size()));
    append(out, as_bytes(text));
}

}  // namespace

void TargetsWriter::start() {
    reserve_checksum(out_);
}

void TargetsWriter::add(const core::QueueTarget& t) {
    append_varint(out_, t.session);
    const bool identifiers = !t.subscription_identifiers.empty();
    out_.push_back(static_cast<std::uint8_t>(static_cast<unsigned>(t.qos) | (t.retain ? flag_retain : 0U) |
                                             (identifiers ? flag_identifiers : 0U) |
                                             (t.share ? flag_share : 0U)));
    if (identifiers) {
        append_varint(out_, t.subscription_identifiers.size());
        for (const std::uint32_t id : t.subscription_identifiers) append_varint(out_, id);
    }
    if (t.share) {
        append_varint(out_, t.share.view().size());
        append(out_, as_bytes(t.share.view()));
    }
}

Bytes TargetsWriter::finish(core::RowId row) {
    put_checksum(out_, row);
    return out_;
}

TargetsReader::TargetsReader(core::RowId row, Bytes run) : damaged_(!checksum_holds(row, run)) {
    if (!damaged_) rest_ = run.subspan(checksum_bytes);
}

bool TargetsReader::next(core::QueueTarget& target) {
    if (rest_.empty()) return false;
    target.subscription_identifiers.clear();
    target.share = {};
    bool fine = read_varint(rest_, target.session) && !rest_.empty();
    if (fine) {
        const std::uint8_t flags = rest_.front();
        rest_ = rest_.subspan(1);
        target.qos = static_cast<wire::QoS>(flags & 3);
        target.retain = (flags & flag_retain) != 0;
        fine =
            (flags & 3) != 3 && flags <= flags_known &&
            ((flags & flag_identifiers) == 0 || read_identifiers(rest_, target.subscription_identifiers)) &&
            ((flags & flag_share) == 0 || read_share(rest_, target.share));
    }
    if (!fine) {
        damaged_ = true;
        rest_ = {};
    }
    return fine;
}

ByteBuffer encode_progress(const core::SaveProgress& progress) {
    ByteBuffer out;
    reserve_checksum(out);
    out.push_back(progress_format);
    append_varint(out, progress.outbound.size());
    for (const auto& record : progress.outbound) {
        append_varint(out, record.row);
        append_u16(out, record.packet_id);
        out.push_back(static_cast<std::uint8_t>(record.state));
    }
    for (const wire::PacketId id : progress.inbound_released) append_u16(out, id);
    put_checksum(out, progress.session);
    return out;
}

std::optional<core::SaveProgress> decode_progress(core::SessionKey session, Bytes run) {
    if (!checksum_holds(session, run) || run.size() <= checksum_bytes ||
        run[checksum_bytes] != progress_format)
        return std::nullopt;
    Bytes rest = run.subspan(checksum_bytes + 1);
    core::SaveProgress progress{.session = session, .outbound = {}, .inbound_released = {}};
    std::uint64_t count = 0;
    if (!read_varint(rest, count) || count > rest.size()) return std::nullopt;
    progress.outbound.resize(count);
    for (auto& record : progress.outbound)
        if (!read_inflight(rest, record)) return std::nullopt;
    if (rest.size() % 2 != 0) return std::nullopt;
    for (; !rest.empty(); rest = rest.subspan(2)) progress.inbound_released.push_back(read_u16(rest.data()));
    return progress;
}

ByteBuffer encode_arrival(const core::NoteArrival& note) {
    ByteBuffer out;
    reserve_checksum(out);
    append_u32(out, note.content);
    append_varint(out, note.sessions.size());
    for (const core::SessionKey session : note.sessions) append_varint(out, session);
    for (const core::Share& group : note.groups) {
        append_varint(out, group.view().size());
        append(out, as_bytes(group.view()));
    }
    put_checksum(out, checksum_key(note));
    return out;
}

bool decode_arrival(Bytes run, core::NoteArrival& note) {
    if (!checksum_holds(checksum_key(note), run) || run.size() < checksum_bytes + 4) return false;
    note.content = read_u32(run.data() + checksum_bytes);
    Bytes rest = run.subspan(checksum_bytes + 4);
    std::uint64_t count = 0;
    if (!read_varint(rest, count) || count > rest.size()) return false;
    note.sessions.resize(count);
    for (core::SessionKey& session : note.sessions)
        if (!read_varint(rest, session)) return false;
    while (!rest.empty())
        if (!read_share(rest, note.groups.emplace_back())) return false;
    return true;
}

std::uint32_t encode_options(const core::SubscriptionOptions& o) {
    return static_cast<std::uint32_t>(o.qos) | (o.no_local ? 4U : 0U) | (o.retain_as_published ? 8U : 0U) |
           static_cast<std::uint32_t>(o.retain_handling) << 4 | (o.local_only ? 64U : 0U) |
           (o.at_least_once ? 128U : 0U);
}

std::optional<core::SubscriptionOptions> decode_options(std::uint64_t bits) {
    if (bits > 255 || (bits & 3) == 3 || ((bits >> 4) & 3) == 3) return std::nullopt;
    core::SubscriptionOptions o;
    o.qos = static_cast<wire::QoS>(bits & 3);
    o.no_local = (bits & 4) != 0;
    o.retain_as_published = (bits & 8) != 0;
    o.retain_handling = static_cast<wire::RetainHandling>((bits >> 4) & 3);
    o.local_only = (bits & 64) != 0;
    o.at_least_once = (bits & 128) != 0;
    return o;
}

std::uint32_t checksum_of(const core::SessionRecord& r) {
    ByteBuffer out;
    append_text(out, r.client_id);
    append_text(out, r.user_name);
    append_u32(out, r.expiry_interval_s);
    if (r.disconnected_at)
        append_u64(out, static_cast<std::uint64_t>(r.disconnected_at->time_since_epoch().count()));
    if (r.will) {
        append_u32(out, r.will->delay_s);
        append(out, r.will->message->body());
    }
    return crc32c_of(r.key, out);
}

std::uint32_t checksum_of(const core::SaveSubscription& s) {
    ByteBuffer out;
    append_text(out, s.filter);
    append_u32(out, encode_options(s.options));
    append_u32(out, s.options.identifier);
    return crc32c_of(s.session, out);
}

}  // namespace sluice::store
