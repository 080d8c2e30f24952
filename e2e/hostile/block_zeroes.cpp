// SPDX-License-Identifier: MIT
// DISCARD and WRITE_ZEROES (5.2.6): zeros are read of such ranges, of both.
#include <algorithm>
#include <array>

#include <fcntl.h>

#include "block_wire.h"

namespace hostile {

uint8_t Block::checkRange(const Range &range, uint64_t most, uint32_t flags) {
    // 5.2.6.2: what isn't known of flags is unsupported, and DISCARD knows none.
    if ((range.flags & ~flags) != 0) {
        return StatusUnsupp;
    }
    if (range.sectors > most) {
        counters_["limits_exceeded"]++;
        return StatusIoErr;
    }
    return inRange(range.sector, range.sectors) ? StatusOk : StatusIoErr;
}

uint8_t Block::makeZeros(const Request &request, uint64_t most, uint32_t flags) {
    uint64_t count = request.out / sizeof(Range);

    if (most == 0) {
        return StatusUnsupp; // it isn't offered
    }
    if (count == 0 || request.out % sizeof(Range) != 0 || count > MaxRanges) {
        counters_["limits_exceeded"] += count > MaxRanges ? 1 : 0;
        return StatusIoErr;
    }
    std::vector<Range> ranges(count); // a driver may say that there are any number of them
    auto *to = reinterpret_cast<uint8_t *>(ranges.data());

    for (const iovec &part : request.dataParts()) {
        memcpy(to, part.iov_base, part.iov_len);
        to += part.iov_len;
    }
    for (const Range &each : ranges) {
        uint8_t status = properties_.readOnly == 0 ? checkRange(each, most, flags) : StatusIoErr;
        if (status != StatusOk) {
            return status;
        }
    }
    bool discards = request.header.type == TypeDiscard;
    bool done = std::all_of(ranges.begin(), ranges.end(), [&](const Range &each) {
        return zero(each, discards || (each.flags & RangeUnmap) != 0);
    });
    return done && (writeback_ != 0 || flushFile()) ? StatusOk : StatusIoErr;
}

bool Block::zero(const Range &range, bool unmap) {
    static constexpr std::array<uint8_t, 1 << 16> zeros{};
    off_t at = off_t(range.sector * Sector), end = at + off_t(range.sectors) * Sector;

    if (!cache_.empty() && !cache_.flush(file_.get())) { // what is older would come on top
        return false;
    }
    // Not every file system can, and nobody has to.
    if (unmap &&
        fallocate(file_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, end - at) == 0) {
        return true;
    }
    while (at != end) {
        ssize_t done =
            pwrite(file_.get(), zeros.data(), size_t(std::min<off_t>(end - at, zeros.size())), at);
        if (done < 0 && errno != EINTR) {
            return false;
        }
        at += std::max<ssize_t>(done, 0);
    }
    return true;
}

} // namespace hostile
