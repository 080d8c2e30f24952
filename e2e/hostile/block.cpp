// SPDX-License-Identifier: MIT
#include "block_wire.h"

#include <algorithm>
#include <array>
#include <span>

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

namespace hostile {

namespace {

const std::vector<std::string_view> kindNames = {"read",    "write",  "flush", "id",
                                                 "discard", "zeroes", "other"};
constexpr uint8_t Heads = 16, SectorsPerTrack = 63;

std::string_view kindOfType(uint32_t type) {
    switch (type) {
    case TypeIn:
        return kindNames[0];
    case TypeOut:
        return kindNames[1];
    case TypeFlush:
        return kindNames[2];
    case TypeGetId:
        return kindNames[3];
    case TypeDiscard:
        return kindNames[4];
    case TypeWriteZeroes:
        return kindNames[5];
    default:
        return kindNames[6];
    }
}

// Calls again for what a short transfer left. `parts` is used up.
template <class Call> bool transferAll(std::vector<iovec> &parts, off_t offset, Call call) {
    std::span<iovec> left(parts);

    while (!left.empty()) {
        int count = int(std::min<size_t>(left.size(), IOV_MAX));
        ssize_t done = call(left.data(), count, offset);
        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done <= 0) {
            return false;
        }
        offset += done;
        while (!left.empty() && size_t(done) >= left[0].iov_len) {
            done -= ssize_t(left[0].iov_len);
            left = left.subspan(1);
        }
        if (done != 0) {
            left[0].iov_base = static_cast<uint8_t *>(left[0].iov_base) + done;
            left[0].iov_len -= size_t(done);
        }
    }
    return true;
}

void clear(const std::vector<iovec> &parts) {
    for (const iovec &part : parts) {
        memset(part.iov_base, 0, part.iov_len);
    }
}

} // namespace

std::vector<iovec> Block::Request::dataParts() const {
    std::vector<iovec> parts;
    bool there = header.type == TypeIn || header.type == TypeGetId
                     ? slice(memory, chain.writable, 0, in, parts)
                     : slice(memory, chain.readable, sizeof(Header), out, parts);
    if (!there) {
        throw RingError("a request's memory is gone");
    }
    return parts;
}

Block::Block(const std::string &file) {
    struct stat about;

    file_ = Fd(open(file.c_str(), O_RDWR | O_CLOEXEC));
    if (!file_ || fstat(file_.get(), &about) != 0) {
        systemError("can't open " + file);
    }
    properties_.capacity = uint64_t(about.st_size) / Sector;
}

uint64_t Block::features() const {
    uint64_t offered =
        FeatureGeometry | FeatureTopology | FeatureIndirect | FeatureEventIdx | FeatureVersion1;

    offered |= properties_.sizeMax != 0 ? FeatureSizeMax : 0;
    offered |= properties_.segMax != 0 ? FeatureSegMax : 0;
    offered |= properties_.blkSize != 0 ? FeatureBlkSize : 0;
    offered |= properties_.readOnly != 0 ? FeatureRo : 0;
    offered |= properties_.flush != 0 ? FeatureFlush : 0;
    offered |= properties_.configWce != 0 ? FeatureConfigWce : 0;
    offered |= properties_.queues > 1 ? FeatureMq : 0;
    offered |= properties_.discard != 0 ? FeatureDiscard : 0;
    offered |= properties_.writeZeroes != 0 ? FeatureWriteZeroes : 0;
    return (offered | properties_.with) & ~properties_.without;
}

std::vector<uint8_t> Block::config() const {
    uint64_t cylinders = properties_.capacity / (Heads * SectorsPerTrack);
    bool discards = properties_.discard != 0, zeroes = properties_.writeZeroes != 0;
    Config config{properties_.capacity,
                  uint32_t(properties_.sizeMax),
                  uint32_t(properties_.segMax),
                  uint16_t(std::min<uint64_t>(cylinders, UINT16_MAX)),
                  Heads,
                  SectorsPerTrack,
                  uint32_t(properties_.blkSize),
                  0,
                  0,
                  1,
                  0,
                  writeback_,
                  0,
                  uint16_t(properties_.queues),
                  uint32_t(properties_.discard),
                  discards ? MaxRanges : 0,
                  discards ? uint32_t(unit()) : 0,
                  uint32_t(properties_.writeZeroes),
                  zeroes ? MaxRanges : 0,
                  zeroes,
                  {}};
    std::vector<uint8_t> bytes(sizeof(config));

    memcpy(bytes.data(), &config, sizeof(config));
    return bytes;
}

bool Block::writeConfig(uint32_t offset, const std::vector<uint8_t> &bytes) {
    if (properties_.configWce == 0 || offset != offsetof(Config, writeback) || bytes.size() != 1 ||
        bytes[0] > 1) {
        return false;
    }
    writeback_ = bytes[0];
    return true;
}

const std::vector<std::string_view> &Block::kinds() const {
    return kindNames;
}

Block::Header Block::headerOf(const Chain &chain, const GuestMemory &memory) const {
    std::vector<iovec> parts;
    Header header;
    auto *to = reinterpret_cast<uint8_t *>(&header);

    if (chain.writable.empty() || !slice(memory, chain.readable, 0, sizeof(header), parts)) {
        throw RingError("a block request without room for its header or its status");
    }
    for (const iovec &part : parts) {
        memcpy(to, part.iov_base, part.iov_len);
        to += part.iov_len;
    }
    return header;
}

std::string_view Block::kindOf(const Chain &chain, const GuestMemory &memory) const {
    return kindOfType(headerOf(chain, memory).type);
}

// 5.2.5: what the device says of segments binds the driver that has negotiated it.
bool Block::withinLimits(const Request &request) {
    bool read = request.header.type == TypeIn;
    uint64_t skip = read ? 0 : sizeof(Header), end = skip + request.data(), at = 0, count = 0;
    bool good = true;

    for (const Segment &each : read ? request.chain.writable : request.chain.readable) {
        uint64_t from = std::max(at, skip), to = std::min(at + each.length, end);
        at += each.length;
        if (from >= to) {
            continue;
        }
        count++;
        good = good && ((negotiated_ & FeatureSizeMax) == 0 || properties_.sizeMax == 0 ||
                        to - from <= properties_.sizeMax);
    }
    good = good && ((negotiated_ & FeatureSegMax) == 0 || properties_.segMax == 0 ||
                    count <= properties_.segMax);
    counters_["limits_exceeded"] += good ? 0 : 1;
    counters_["most_segments"] = std::max(counters_["most_segments"], count);
    return good;
}

uint64_t Block::unit() const {
    return std::max<uint64_t>(properties_.blkSize / Sector, 1);
}

bool Block::inRange(uint64_t sector, uint64_t sectors) const {
    return sectors != 0 && sectors % unit() == 0 && sector % unit() == 0 &&
           sector <= properties_.capacity &&
           sector < uint64_t(INT64_MAX) / Sector && // a file has no more
           sectors <= properties_.capacity - sector;
}

bool Block::transfer(const Request &request, bool read) {
    if (!withinLimits(request) || request.data() % Sector != 0 ||
        !inRange(request.header.sector, request.data() / Sector)) {
        return false;
    }
    std::vector<iovec> parts = request.dataParts(), all = parts;
    off_t offset = off_t(request.header.sector * Sector);
    if (read) {
        bool done = transferAll(parts, offset, [this](const iovec *list, int count, off_t from) {
            return preadv(file_.get(), list, count, from);
        });
        cache_.overlay(all, request.header.sector);
        return done;
    }
    if (cached()) {
        cache_.write(all, request.header.sector);
        return true;
    }
    if (!cache_.empty() && !flushFile()) { // or something older would come on top
        return false;
    }
    bool done = transferAll(parts, offset, [this](const iovec *list, int count, off_t from) {
        return pwritev(file_.get(), list, count, from);
    });
    return done && (writeback_ != 0 || flushFile());
}

// 5.2.6.2: a driver that doesn't negotiate FLUSH can't ask for it, so nothing is kept back.
bool Block::cached() const {
    return properties_.cache != 0 && writeback_ != 0 && (negotiated_ & FeatureFlush) != 0;
}

bool Block::flushFile() {
    return cache_.flush(file_.get()) && fdatasync(file_.get()) == 0;
}

std::string Block::cutPower(uint64_t seed) {
    Cache::Lost lost = cache_.cut(file_.get(), seed);
    return "dropped=" + std::to_string(lost.dropped) + " older=" + std::to_string(lost.older) +
           " kept=" + std::to_string(lost.kept);
}

std::map<std::string, uint64_t> Block::counters() const {
    std::map<std::string, uint64_t> all = counters_;
    all["cached"] = cache_.size();
    return all;
}

// 5.2.6.1: up to 20 bytes, with an end only where the text is shorter.
bool Block::answerId(const Request &request) {
    std::array<char, IdBytes> id{};
    size_t at = 0;

    std::copy_n(serial_.begin(), std::min(serial_.size(), id.size()), id.begin());
    for (const iovec &part : request.dataParts()) {
        size_t here = std::min(part.iov_len, id.size() - at);
        memcpy(part.iov_base, id.data() + at, here);
        at += here;
    }
    return at == id.size();
}

uint8_t Block::statusOf(const Request &request) {
    switch (request.header.type) {
    case TypeIn:
        return transfer(request, true) ? StatusOk : StatusIoErr;
    case TypeOut:
        return properties_.readOnly == 0 && transfer(request, false) ? StatusOk : StatusIoErr;
    case TypeFlush:
        return flushFile() ? StatusOk : StatusIoErr;
    case TypeGetId:
        return answerId(request) ? StatusOk : StatusIoErr;
    case TypeDiscard:
        return makeZeros(request, properties_.discard, 0);
    case TypeWriteZeroes:
        return makeZeros(request, properties_.writeZeroes, RangeUnmap);
    default:
        return StatusUnsupp;
    }
}

Answer Block::perform(const Chain &chain, const GuestMemory &memory) {
    Header header = headerOf(chain, memory);
    Request request{header, chain, memory, bytesOf(chain.readable) - sizeof(Header),
                    bytesOf(chain.writable) - 1};
    Answer answer{statusOf(request), uint32_t(request.in + 1)};

    // What is said to be written is written (2.7.8.2), also when there is no data.
    if (answer.status != StatusOk) {
        std::vector<iovec> parts;
        if (slice(memory, chain.writable, 0, request.in, parts)) {
            clear(parts);
        }
        counters_["failed"]++;
    }
    return answer;
}

Answer Block::pretend(const Chain &chain) const {
    return {StatusOk, uint32_t(bytesOf(chain.writable))};
}

void Block::writeStatus(const Chain &chain, const GuestMemory &memory, uint8_t status) {
    std::vector<iovec> parts;

    if (slice(memory, chain.writable, bytesOf(chain.writable) - 1, 1, parts)) {
        *static_cast<volatile uint8_t *>(parts[0].iov_base) = status;
    }
}

} // namespace hostile
