// SPDX-License-Identifier: MIT
//
// Buffers for the fuzzed queue: right ones, and what can be wrong with one.
#pragma once

#include "virtqueue_split_driver.h"

namespace fuzz {

// Not inline: AddressSanitizer puts no red zone behind a variable that is.
static VIRTQ_SG segments[Driver::kMaxSegments];

// The segments end where their array does, so that one more is out of bounds.
inline VIRTQ_SG *Segments(UINT16 count, unsigned readable, unsigned seed) {
    VIRTQ_SG *sg = segments + (Driver::kMaxSegments - count);
    for (UINT16 i = 0; i < count; i++) {
        sg[i].addr = 0x100000000u + (std::uint64_t{seed} << 16) + 0x1000u * i;
        sg[i].len = 1 + (seed * 13 + i * 29u) % 200;
        sg[i].write = i >= readable;
    }
    return sg;
}

// Puts a fault into the segments; those of the call itself are left to the caller.
inline void Spoil(VIRTQ_SG *sg, UINT16 count, unsigned at, unsigned fault) {
    switch (fault) {
    case kNoLength:
        sg[at].len = 0;
        break;
    case kWraps:
        sg[at].addr = ~std::uint64_t{0} - (sg[at].len | 2u) + 2;
        sg[at].len |= 2;
        break;
    case kOutOfOrder:
        sg[0].write = TRUE;
        sg[count - 1].write = FALSE;
        break;
    case kHuge:
        sg[at].len = 0xFFFFFFFFu;
        break;
    case kEndOfMemory:
        sg[at].addr = ~std::uint64_t{0} - (sg[at].len - 1);
        break;
    default:
        break;
    }
}

constexpr UINT16 kMaxBuffers = 6;

// The buffers of kAddBatch and kSubmit, at the end of their array like the segments.
class Batch {
  public:
    Batch(const Operation &o, Driver &driver) : count(o.a % kMaxBuffers) {
        const unsigned odd = o.c % 8, fault = o.c >> 3 & 7;
        for (UINT16 i = 0; i < count; i++) {
            UINT16 n = static_cast<UINT16>(1 + (o.b + i) % 3u);
            VIRTQ_SG *sg = sg_[i] + (3 - n);
            std::copy_n(Segments(n, o.b >> 4, o.b + i), n, sg);
            if (odd == i) {
                Spoil(sg, n, 0, fault);
            }
            First()[i].sg = odd == i && fault == kNullSegments ? nullptr : sg;
            First()[i].sg_count = odd == i && fault == kNoSegment ? UINT16{0} : n;
            First()[i].cookie = driver.NextCookie();
        }
    }

    VIRTQ_BUFFER *First() {
        return buffers_ + (kMaxBuffers - count);
    }

    const UINT16 count;

  private:
    VIRTQ_SG sg_[kMaxBuffers][3];
    VIRTQ_BUFFER buffers_[kMaxBuffers]; // the last member: nothing of ours is behind it
};

} // namespace fuzz
