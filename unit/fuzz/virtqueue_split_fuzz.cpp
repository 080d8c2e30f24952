// SPDX-License-Identifier: MIT
//
// Fuzzing of the split queue: a driver and a hostile device, both of which do what
// the input says (virtqueue_split_format.h). Each call is judged against a model of
// the header's promises (virtqueue_split_model.h): its status, cookies, lengths,
// counts, what it wrote to the ring. The device may write any shared byte between
// two calls; the model does not look at what it wrote, so neither may the library.
#include <algorithm>

#include "virtqueue_split_arguments.h"
#include "virtqueue_split_buffers.h"
#include "virtqueue_split_results.h"

namespace fuzz {

Reached<kFunctions> reached(kDocumented);

namespace {

GuardedMemory<16384> memory;

class Session {
  public:
    explicit Session(const Header &header) : model_(driver_.model), ring_(driver_.ring) {
        const bool indirect = (header.shape & 16) != 0, separate = (header.shape & 32) != 0;
        UINT16 qsz = static_cast<UINT16>(1u << ((header.shape & 7) % 5));
        UINT16 tables = header.tables % 18, entries = header.entries % 18;
        tables = entries == 0 ? UINT16{0} : tables;
        memory.Begin();
        std::size_t state_size = VirtqSplitStateSize(qsz);
        std::uint8_t *state = memory.Take(state_size);
        std::memset(state, 0xAA, state_size);
        ring_.Lay(memory, qsz, separate);
        ring_.pool.size = std::size_t{16} * tables * entries;
        ring_.pool.bytes = ring_.pool.size != 0 ? memory.Take(ring_.pool.size) : nullptr;
        driver_.vq = reinterpret_cast<VIRTQ_SPLIT *>(state);
        model_.qsz = qsz;
        model_.event_idx = (header.shape & 8) != 0;
        model_.tables = indirect ? std::min(tables, qsz) : 0;
        model_.entries = entries;
        Init(separate, indirect, tables);
        model_.cut = (header.shape & 64) != 0;
        VirtqSplitSetCutUsedLength(driver_.vq, model_.cut);
        model_.kick_when_full = (header.shape & 128) != 0;
        VirtqSplitSetKickWhenFull(driver_.vq, model_.kick_when_full);
        SetThreshold(header.threshold);
    }

    void Run(const std::uint8_t *data, std::size_t size) {
        for (std::size_t i = 0; i < kMaxOps && size != 0; i++) {
            Operation o = {};
            std::size_t n = std::min(size, sizeof(o));
            std::memcpy(&o, data, n);
            data += n;
            size -= n;
            if (IsDevice(static_cast<Op>(o.op % kOps))) {
                DeviceStep(o);
            } else {
                DriverStep(o);
            }
            driver_.Check();
        }
        driver_.Recover();
        if (driver_.ever_broken) {
            ProveUsable();
        }
        memory.Check();
    }

  private:
    void Init(bool separate, bool indirect, UINT16 tables) {
        VIRTQ_SPLIT_AREAS areas = ring_.Addresses();
        NTSTATUS status =
            separate
                ? VirtqSplitInitAreas(driver_.vq, model_.qsz, kMaxQueue, model_.event_idx, indirect,
                                      &areas, ring_.pool.bytes, SharedRing::kPoolAddress, tables,
                                      static_cast<UINT16>(model_.entries))
                : VirtqSplitInit(driver_.vq, model_.qsz, model_.event_idx, indirect,
                                 ring_.area[0].bytes, SharedRing::kRingAddress, 16,
                                 ring_.pool.bytes, SharedRing::kPoolAddress, tables,
                                 static_cast<UINT16>(model_.entries));
        Require(status == STATUS_SUCCESS, "init");
    }

    void SetThreshold(unsigned value) {
        model_.threshold = value % 18;
        driver_.vq->indirect_threshold = static_cast<UINT16>(model_.threshold);
    }

    void Add(const Operation &o) {
        UINT16 count = static_cast<UINT16>(1 + o.a % (Driver::kMaxSegments - 1));
        UINT16 head = driver_.Add(Segments(count, o.b % 18, o.c), count);
        if ((o.c & 0x80) != 0 && head != VIRTQ_SPLIT_NO_DESC) {
            driver_.Publish(head);
            if ((o.c & 0x40) != 0) {
                driver_.KickPrepare();
                driver_.KickCommit();
            }
        }
    }

    void AddOdd(const Operation &o) {
        UINT16 count = static_cast<UINT16>(1 + o.a % (Driver::kMaxSegments - 1));
        VIRTQ_SG *sg = Segments(count, count / 2u, o.a);
        unsigned fault = o.c % 8;
        if (fault == kNullSegments || fault == kNullHead || fault == kNoSegment) {
            UINT16 head;
            NTSTATUS status = VirtqSplitAddBuffer(driver_.vq, fault == kNullSegments ? nullptr : sg,
                                                  fault == kNoSegment ? UINT16{0} : count, nullptr,
                                                  fault == kNullHead ? nullptr : &head);
            Require(status == STATUS_INVALID_PARAMETER, "a buffer that is none");
            return;
        }
        Spoil(sg, count, o.b % count, fault);
        UINT16 head = driver_.Add(sg, count);
        if (head != VIRTQ_SPLIT_NO_DESC) {
            driver_.Publish(head);
        }
    }

    void AddBatch(const Operation &o) {
        Batch batch(o, driver_);
        UINT16 heads[kMaxBuffers];
        driver_.AddBatch(batch.First(), batch.count, heads + (kMaxBuffers - batch.count));
    }

    void Submit(const Operation &o) {
        Batch batch(o, driver_);
        driver_.SubmitBatch(batch.First(), batch.count);
    }

    // The n-th set bit, counted round.
    static unsigned Nth(std::uint32_t mask, unsigned n) {
        n %= static_cast<unsigned>(__builtin_popcount(mask));
        for (; n > 0; n--) {
            mask &= mask - 1;
        }
        return static_cast<unsigned>(__builtin_ctz(mask));
    }

    void Publish(const Operation &o) {
        bool any = (o.c & 1) != 0 || model_.added == 0;
        driver_.Publish(
            static_cast<UINT16>(any ? o.b * (o.c & 2 ? 257u : 1u) : Nth(model_.added, o.a)));
    }

    void PublishBatch(const Operation &o) {
        UINT16 heads[8];
        UINT16 count = 0;
        for (std::uint32_t left = model_.added; left != 0 && count < o.a % 6; left &= left - 1) {
            heads[count++] = static_cast<UINT16>(__builtin_ctz(left));
        }
        if ((o.c & 1) != 0 && count != 0) {
            heads[count] = heads[count - 1];
            count++;
        }
        if ((o.c & 2) != 0) {
            heads[count++] = o.b;
        }
        driver_.PublishBatch(heads, count);
    }

    void Kick(const Operation &o) {
        if ((o.a & 3) == 3) {
            return driver_.Kick();
        }
        if ((o.a & 3) != 2) {
            driver_.KickPrepare();
        }
        if ((o.a & 3) != 1) {
            driver_.KickCommit();
        }
    }

    void DriverStep(const Operation &o) {
        switch (o.op % kOps) {
        case kAdd:
            return Add(o);
        case kAddOdd:
            return AddOdd(o);
        case kAddBatch:
            return AddBatch(o);
        case kPublish:
            return Publish(o);
        case kPublishBatch:
            return PublishBatch(o);
        case kSubmit:
            return Submit(o);
        case kKick:
            return Kick(o);
        case kGet:
            return driver_.Get();
        case kGetBatch:
            return driver_.GetBatch(o.a % Driver::kMaxBatch);
        case kDrain:
            return driver_.Drain();
        case kDisable:
            return driver_.Disable();
        case kEnable:
            return (o.a & 3) == 1   ? driver_.EnableDelayed()
                   : (o.a & 3) == 2 ? driver_.WaitAndPoll()
                                    : driver_.Enable();
        case kDetach:
            for (unsigned i = 0; i <= o.a % 4u && driver_.Detach(); i++) {
            }
            return;
        case kReset:
            return driver_.Reset();
        case kRecover:
            return driver_.Recover();
        default:
            return Inspect(o);
        }
    }

    void Inspect(const Operation &o) {
        VIRTQ_SPLIT *vq = driver_.vq;
        switch (o.a % 7) {
        case 0:
            return Dump();
        case 1:
            return CheckNullArguments(vq);
        case 2:
            return o.b & 1 ? CheckBadAreas(vq, ring_, model_.qsz, o.c)
                           : CheckBadInit(vq, ring_, model_.qsz, o.c);
        case 3:
            return CheckSizes(static_cast<UINT16>(o.b & 1 ? 1u << o.c % 16 : o.b | o.c << 8),
                              (1u << o.c % 31) + (o.b >> 7));
        case 4:
            model_.cut = (o.b & 1) != 0;
            return VirtqSplitSetCutUsedLength(vq, model_.cut);
        case 5:
            model_.kick_when_full = (o.b & 1) != 0;
            return VirtqSplitSetKickWhenFull(vq, model_.kick_when_full);
        default:
            return SetThreshold(o.b);
        }
    }

    // Once a run: it costs as much as all the rest.
    void Dump() {
        if (dumped_) {
            return;
        }
        dumped_ = true;
        unsigned lines = 0;
        VirtqSplitDump(
            driver_.vq,
            [](const char *line, void *context) {
                Require(std::strlen(line) < VIRTQ_SPLIT_DUMP_LINE_SIZE, "a bounded line");
                ++*static_cast<unsigned *>(context);
            },
            &lines);
        Require(lines != 0 && lines <= VIRTQ_SPLIT_DUMP_MAX_LINES, "a bounded dump");
    }

    UINT16 NextUsed() const {
        return ring_.UsedIdx();
    }

    void Complete(const Operation &o) {
        std::uint32_t left = model_.flight;
        for (unsigned i = 0; i <= (o.c & 1u) && left != 0; i++) {
            unsigned head = Nth(left, o.a);
            std::uint64_t most = std::uint64_t{model_.chains[head].writable} + 1;
            ring_.PutUsed(NextUsed(), head, static_cast<UINT32>(o.b % most));
            ring_.PutUsedIdx(static_cast<UINT16>(NextUsed() + 1));
            left &= ~(1u << head);
        }
    }

    UINT32 OddId(std::uint8_t a) const {
        if ((a & 0x80) == 0) {
            return a % (model_.qsz + 2u);
        }
        const UINT32 wide[] = {0xFFFFFFFFu, 0x80000000u, 0x10000u, 0xFFFFu};
        return wide[a & 3] + (a >> 2 & 0x1F);
    }

    // b: 0-63 bytes, or around what the chain takes, or as great as can be.
    UINT32 OddLength(UINT32 id, std::uint8_t b) const {
        UINT32 writable = id < model_.qsz ? model_.chains[id].writable : 0;
        switch (b >> 6) {
        case 0:
            return b;
        case 1:
            return writable + (b & 3) - 1;
        case 2:
            return writable + b;
        default:
            return 0xFFFFFFFFu - (b & 0x3Fu);
        }
    }

    void CompleteOdd(const Operation &o) {
        UINT32 id = OddId(o.a);
        ring_.PutUsed(NextUsed(), id, OddLength(id, o.b));
        if ((o.c & 1) == 0) {
            ring_.PutUsedIdx(static_cast<UINT16>(NextUsed() + 1));
        }
    }

    void DeviceStep(const Operation &o) {
        UINT16 word = static_cast<UINT16>(o.a | o.b << 8);
        switch (o.op % kOps) {
        case kComplete:
            return Complete(o);
        case kCompleteOdd:
            return CompleteOdd(o);
        case kReplay: {
            UINT16 before = static_cast<UINT16>(NextUsed() - 1);
            ring_.PutUsed(NextUsed(), ring_.UsedId(before), ring_.UsedLen(before));
            return ring_.PutUsedIdx(static_cast<UINT16>(NextUsed() + 1));
        }
        case kUsedIdx:
            return ring_.PutUsedIdx(
                (o.c & 1) ? word : static_cast<UINT16>(NextUsed() + static_cast<std::int8_t>(o.a)));
        case kPokeRing:
            return PokeRing(word, o.c);
        case kPokePool:
            if (ring_.pool.size != 0) {
                ring_.pool.bytes[word % ring_.pool.size] = o.c;
            }
            return;
        case kDeviceWishes:
            ring_.PutUsedFlags(o.a);
            return ring_.PutAvailEvent(
                static_cast<UINT16>(model_.avail_idx + static_cast<std::int8_t>(o.b)));
        default:
            return Scribble(o.a & 3, o.c);
        }
    }

    void PokeRing(std::size_t at, std::uint8_t value) {
        at %= ring_.area[0].size + ring_.area[1].size + ring_.area[2].size;
        unsigned i = 0;
        for (; at >= ring_.area[i].size; i++) {
            at -= ring_.area[i].size;
        }
        ring_.area[i].bytes[at] = value;
        if (i == 1) {
            driver_.AvailScribbled();
        }
    }

    void Scribble(unsigned what, std::uint8_t value) {
        const Area &area = what == 3 ? ring_.pool : ring_.area[what];
        if (area.size != 0) {
            std::memset(area.bytes, value, area.size);
        }
        if (what == 1) {
            driver_.AvailScribbled();
        }
    }

    // As many buffers as there are descriptors go round.
    void ProveUsable() {
        for (UINT16 i = 0; i < model_.qsz; i++) {
            UINT16 head = driver_.Add(Segments(1, 0, i), 1);
            driver_.Publish(head);
            ring_.PutUsed(i, head, 1);
        }
        ring_.PutUsedIdx(model_.qsz);
        driver_.KickPrepare();
        driver_.KickCommit();
        while (driver_.HasUsed()) {
            driver_.GetBatch(Driver::kMaxBatch);
        }
        Require(model_.Free() == model_.qsz && model_.in_flight == 0, "usable after reset");
        driver_.Check();
    }

    Driver driver_;
    Model &model_;
    SharedRing &ring_;
    bool dumped_ = false;
};

} // namespace

} // namespace fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    fuzz::Header header = {};
    std::size_t n = std::min(size, sizeof(header));
    std::memcpy(&header, data, n);
    fuzz::Session(header).Run(data + n, size - n);
    return 0;
}
