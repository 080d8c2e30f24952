// SPDX-License-Identifier: MIT
//
// libFuzzer harness: a driver that keeps the rules, and a device that does what
// the input says, to any byte that they share. Whatever happens, no buffer is
// given back twice or lost, no loop runs on, and after a reset the queue works.
// Memory errors are AddressSanitizer's to find: shared memory and state are
// blocks of exactly their size.
//
// Input: 4 bytes of configuration, then commands of one byte and its operands.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "virtqueue_split.h"

namespace {

void Require(bool condition, const char *what) {
    if (!condition) {
        std::fprintf(stderr, "property broken: %s\n", what);
        std::abort();
    }
}

class Input {
  public:
    Input(const std::uint8_t *data, std::size_t size) : data_(data), size_(size) {}
    bool Empty() const {
        return size_ == 0;
    }
    std::uint8_t Byte() {
        if (size_ == 0) {
            return 0;
        }
        size_--;
        return *data_++;
    }
    std::uint16_t Word() {
        std::uint16_t low = Byte();
        return static_cast<std::uint16_t>(low | Byte() << 8);
    }
    std::uint32_t Long() {
        std::uint32_t low = Word();
        return low | static_cast<std::uint32_t>(Word()) << 16;
    }

  private:
    const std::uint8_t *data_;
    std::size_t size_;
};

struct Free {
    void operator()(void *p) const {
        std::free(p);
    }
};
using Block = std::unique_ptr<std::uint8_t, Free>;

Block Allocate(std::size_t size) {
    void *p = nullptr;
    Require(posix_memalign(&p, 16, size != 0 ? size : 1) == 0, "memory");
    return Block(static_cast<std::uint8_t *>(p));
}

constexpr unsigned kCookies = 1024;

class Session {
  public:
    explicit Session(Input &in) : in_(in) {
        std::uint8_t shape = in.Byte();
        size_ = static_cast<UINT16>(1u << (shape & 3));
        BOOLEAN event_idx = (shape >> 2) & 1;
        BOOLEAN indirect = (shape >> 3) & 1;
        UINT16 tables = indirect ? in.Byte() % 5 : 0;
        UINT16 entries = indirect ? in.Byte() % 9 : 0;
        state_ = Allocate(VirtqSplitStateSize(size_));
        ring_size_ = VirtqSplitRingMemSize(size_, 16, event_idx);
        ring_ = Allocate(ring_size_);
        pool_size_ = std::size_t{16} * tables * entries;
        pool_ = Allocate(pool_size_);
        vq_ = reinterpret_cast<VIRTQ_SPLIT *>(state_.get());
        NTSTATUS status =
            VirtqSplitInit(vq_, size_, event_idx, indirect, ring_.get(), 0x10000, 16,
                           pool_size_ != 0 ? pool_.get() : nullptr, 0x900000, tables, entries);
        Require(NT_SUCCESS(status), "Init");
        vq_->indirect_threshold = in.Byte() % 4;
    }

    void Run() {
        while (!in_.Empty()) {
            Step(in_.Byte());
        }
        Recover();
    }

  private:
    void Step(std::uint8_t command) {
        switch (command % 16) {
        case 0:
        case 1:
            Add();
            break;
        case 2:
            (void)VirtqSplitPublishChecked(vq_, in_.Byte()); // any head, right or wrong
            break;
        case 3:
            if (VirtqSplitKickPrepare(vq_)) {
                kicks_++;
            }
            VirtqSplitKickCommit(vq_);
            break;
        case 4:
        case 5:
            Drain();
            break;
        case 6:
            DrainBatch();
            break;
        case 7:
            VirtqSplitDisableInterrupts(vq_);
            break;
        case 8:
            (void)VirtqSplitEnableInterrupts(vq_);
            break;
        case 9:
            (void)VirtqSplitEnableInterruptsDelayed(vq_);
            break;
        case 10: // a used entry, then the index: likely to be right
            PutUsed(vq_->last_used_idx, in_.Byte() % (size_ + 1), in_.Byte());
            SetUsedIdx(static_cast<UINT16>(vq_->last_used_idx + 1));
            break;
        case 11:
            PutUsed(in_.Word(), in_.Long(), in_.Long());
            break;
        case 12:
            SetUsedIdx(in_.Word());
            break;
        case 13: // any byte of the ring
            ring_.get()[in_.Word() % ring_size_] = in_.Byte();
            break;
        case 14: // any byte of the tables
            if (pool_size_ != 0) {
                pool_.get()[in_.Word() % pool_size_] = in_.Byte();
            }
            break;
        default:
            if (in_.Byte() % 8 == 0) {
                Recover();
            } else {
                VirtqSplitDump(
                    vq_, [](const char *line, void *) { (void)std::strlen(line); }, nullptr);
            }
        }
    }

    void Add() {
        VIRTQ_SG sg[16];
        UINT16 count = in_.Byte() % 17;
        std::uint8_t readable = in_.Byte();
        for (UINT16 i = 0; i < count; i++) {
            sg[i].addr = 0x100000u + 0x1000u * i;
            sg[i].len = in_.Byte();
            sg[i].write = i >= readable % 17;
        }
        if (next_ == kCookies) {
            return;
        }
        UINT16 head;
        if (NT_SUCCESS(VirtqSplitAddBuffer(vq_, sg, count, Cookie(next_), &head))) {
            Require(head < size_, "head in range");
            outstanding_[next_] = true;
            next_++;
            if (readable & 0x80) {
                VirtqSplitPublish(vq_, head);
            }
        }
    }

    static void *Cookie(unsigned n) {
        return reinterpret_cast<void *>(static_cast<std::uintptr_t>(n) + 1);
    }

    void GivenBack(void *cookie) {
        std::uintptr_t n = reinterpret_cast<std::uintptr_t>(cookie) - 1;
        Require(n < next_, "a cookie that was given");
        Require(outstanding_[n], "each buffer comes back once");
        outstanding_[n] = false;
    }

    void Drain() {
        unsigned rounds = 0;
        while (VirtqSplitHasUsed(vq_)) {
            void *cookie;
            UINT32 length;
            Require(rounds++ <= size_, "a drain loop ends");
            if (NT_SUCCESS(VirtqSplitGetUsed(vq_, &cookie, &length))) {
                Require(length <= 16 * 255, "length within the buffer");
                GivenBack(cookie);
            } else {
                Require(VirtqSplitIsBroken(vq_), "an error breaks the queue");
            }
        }
    }

    void DrainBatch() {
        VIRTQ_COMPLETION out[3];
        UINT16 count;
        if (NT_SUCCESS(VirtqSplitGetUsedBatch(vq_, out, 3, &count))) {
            Require(count >= 1 && count <= 3, "a batch has 1 to cap buffers");
            for (UINT16 i = 0; i < count; i++) {
                GivenBack(out[i].cookie);
            }
        }
    }

    void Recover() {
        void *cookie;
        while (NT_SUCCESS(VirtqSplitDetachUnused(vq_, &cookie))) {
            GivenBack(cookie);
        }
        for (unsigned i = 0; i < next_; i++) {
            Require(!outstanding_[i], "no buffer is lost");
        }
        next_ = 0;
        Require(NT_SUCCESS(VirtqSplitResetChecked(vq_)), "reset after detach");
        Require(vq_->num_free == size_, "all descriptors are free");
        for (UINT16 i = 0; i < size_; i++) { // and it works
            VIRTQ_SG sg = {0x1000, 8, TRUE};
            UINT16 head;
            UINT32 length;
            Require(NT_SUCCESS(VirtqSplitAddBuffer(vq_, &sg, 1, vq_, &head)), "add after reset");
            VirtqSplitPublish(vq_, head);
            PutUsed(i, head, 8);
            SetUsedIdx(static_cast<UINT16>(i + 1));
            Require(NT_SUCCESS(VirtqSplitGetUsed(vq_, &cookie, &length)), "get after reset");
            Require(cookie == vq_ && length == 8, "the right buffer after reset");
        }
        VirtqSplitReset(vq_);
    }

    // 2.7.8, offsets from the specification.
    void PutUsed(UINT16 index, UINT32 id, UINT32 length) {
        std::uint8_t *entry = ring_.get() + UsedOffset() + 4 + 8u * (index & (size_ - 1));
        std::memcpy(entry, &id, 4);
        std::memcpy(entry + 4, &length, 4);
    }
    void SetUsedIdx(UINT16 index) {
        std::memcpy(ring_.get() + UsedOffset() + 2, &index, 2);
    }
    std::size_t UsedOffset() const {
        return (16u * size_ + 6 + 2u * size_ + 15) / 16 * 16;
    }

    Input &in_;
    UINT16 size_ = 0;
    Block state_, ring_, pool_;
    std::size_t ring_size_ = 0, pool_size_ = 0;
    VIRTQ_SPLIT *vq_ = nullptr;
    bool outstanding_[kCookies] = {};
    unsigned next_ = 0;
    unsigned kicks_ = 0;
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    Input in(data, size);
    Session(in).Run();
    return 0;
}
