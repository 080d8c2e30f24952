// SPDX-License-Identifier: MIT
//
// What a buffer costs: add, publish, kick decision, used, free. Queue of 256,
// EVENT_IDX on. The floor does the same work with only the loads, stores and
// fences that the specification demands (2.7.13, 2.7.14), and no checks; the
// device's part is the same code in both.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "virtqueue_split.h"

namespace {

constexpr UINT16 kSize = 256;

struct Free {
    void operator()(void *p) const {
        std::free(p);
    }
};
using Block = std::unique_ptr<std::uint8_t, Free>;

Block Allocate(std::size_t size) {
    size = (size + 4095) / 4096 * 4096;
    auto *p = static_cast<std::uint8_t *>(std::aligned_alloc(4096, size));
    std::memset(p, 0, size);
    return Block(p);
}

// Uses everything that is available, at once, and asks for no kicks.
struct Device {
    VIRTQ_AVAIL *avail;
    VIRTQ_USED *used;
    UINT16 next = 0;

    void Work() {
        UINT16 idx = VirtioLoadAcquireU16(&avail->idx);
        for (; next != idx; next++) {
            VIRTQ_USED_ELEM *entry = &VirtqUsedRing(used)[next & (kSize - 1)];
            entry->id = VirtqAvailRing(avail)[next & (kSize - 1)];
            entry->len = 0;
        }
        VirtioStoreReleaseU16(&used->idx, next);
    }
};

std::vector<VIRTQ_SG> Segments(UINT16 count) {
    std::vector<VIRTQ_SG> sg;
    for (UINT16 i = 0; i < count; i++) {
        sg.push_back({0x100000u + 0x1000u * i, 512, static_cast<BOOLEAN>(i + 1 == count)});
    }
    return sg;
}

struct Queue {
    Block state = Allocate(VirtqSplitStateSize(kSize));
    Block ring = Allocate(VirtqSplitRingMemSize(kSize, 4096, TRUE));
    Block pool = Allocate(std::size_t{16} * kSize * 8);
    VIRTQ_SPLIT *vq = reinterpret_cast<VIRTQ_SPLIT *>(state.get());
    Device device{};

    explicit Queue(bool indirect) {
        if (VirtqSplitInit(vq, kSize, TRUE, indirect, ring.get(), 0x1000, 4096,
                           indirect ? pool.get() : nullptr, 0x200000, kSize, 8) != STATUS_SUCCESS) {
            std::abort();
        }
        vq->indirect_threshold = 0;
        device = {vq->avail, vq->used};
        VirtioWriteU16(VirtqUsedAvailEvent(vq->used, kSize), 0x7FFF);
    }
};

void Library(benchmark::State &state) {
    const UINT16 batch = static_cast<UINT16>(state.range(0));
    auto sg = Segments(static_cast<UINT16>(state.range(1)));
    Queue queue(state.range(2) != 0);
    VIRTQ_SPLIT *vq = queue.vq;
    UINT32 kicks = 0;
    for (auto _ : state) {
        for (UINT16 i = 0; i < batch; i++) {
            UINT16 head;
            if (VirtqSplitAddBuffer(vq, sg.data(), static_cast<UINT16>(sg.size()), vq, &head) !=
                STATUS_SUCCESS) {
                std::abort();
            }
            VirtqSplitPublish(vq, head);
        }
        kicks += VirtqSplitKickPrepare(vq);
        VirtqSplitKickCommit(vq);
        queue.device.Work();
        for (UINT16 i = 0; i < batch; i++) {
            void *cookie;
            UINT32 length;
            if (VirtqSplitGetUsed(vq, &cookie, &length) != STATUS_SUCCESS) {
                std::abort();
            }
            benchmark::DoNotOptimize(cookie);
        }
    }
    benchmark::DoNotOptimize(kicks);
    state.SetItemsProcessed(state.iterations() * batch);
}

void LibraryBatch(benchmark::State &state) {
    const UINT16 batch = static_cast<UINT16>(state.range(0));
    auto sg = Segments(static_cast<UINT16>(state.range(1)));
    Queue queue(state.range(2) != 0);
    VIRTQ_SPLIT *vq = queue.vq;
    std::vector<VIRTQ_BUFFER> buffers(batch, {sg.data(), static_cast<UINT16>(sg.size()), vq});
    std::vector<UINT16> heads(batch);
    std::vector<VIRTQ_COMPLETION> done(batch);
    UINT32 kicks = 0;
    for (auto _ : state) {
        UINT16 count;
        if (VirtqSplitAddBatch(vq, buffers.data(), batch, heads.data(), &count) != STATUS_SUCCESS ||
            VirtqSplitPublishBatch(vq, heads.data(), batch) != STATUS_SUCCESS) {
            std::abort();
        }
        kicks += VirtqSplitKickPrepare(vq);
        VirtqSplitKickCommit(vq);
        queue.device.Work();
        if (VirtqSplitGetUsedBatch(vq, done.data(), batch, &count) != STATUS_SUCCESS ||
            count != batch) {
            std::abort();
        }
        benchmark::DoNotOptimize(done.data());
    }
    benchmark::DoNotOptimize(kicks);
    state.SetItemsProcessed(state.iterations() * batch);
}

// The least that works: a free list, cookies, and what the other side must see.
struct Floor {
    VIRTQ_DESC *desc;
    VIRTQ_AVAIL *avail;
    VIRTQ_USED *used;
    VIRTQ_DESC *pool;
    UINT16 next[kSize];
    UINT16 last[kSize];
    void *cookies[kSize];
    UINT16 free_head = 0;
    UINT16 avail_idx = 0;
    UINT16 kicked = 0;
    UINT16 used_idx = 0;

    __attribute__((noinline)) UINT16 Add(const VIRTQ_SG *sg, UINT16 count, void *cookie,
                                         bool indirect) {
        UINT16 head = free_head, index = head, end = head;
        if (indirect) {
            VIRTQ_DESC *table = pool + 8 * head;
            for (UINT16 i = 0; i < count; i++) {
                table[i].addr = sg[i].addr;
                table[i].len = sg[i].len;
                table[i].flags = static_cast<UINT16>((sg[i].write ? 2 : 0) | (i + 1 < count));
                table[i].next = static_cast<UINT16>(i + 1);
            }
            desc[head] = {0x200000u + 128u * head, 16u * count, 4, 0};
            index = next[head];
        } else {
            for (UINT16 i = 0; i < count; i++) {
                desc[index].addr = sg[i].addr;
                desc[index].len = sg[i].len;
                desc[index].flags = static_cast<UINT16>((sg[i].write ? 2 : 0) | (i + 1 < count));
                desc[index].next = next[index];
                end = index;
                index = next[index];
            }
        }
        last[head] = end;
        cookies[head] = cookie;
        free_head = index;
        return head;
    }
    __attribute__((noinline)) void Publish(UINT16 head) {
        VirtqAvailRing(avail)[avail_idx & (kSize - 1)] = head;
        VirtioStoreReleaseU16(&avail->idx, ++avail_idx);
    }
    __attribute__((noinline)) bool Kick() {
        VIRTIO_MB();
        UINT16 event = VirtioReadU16(VirtqUsedAvailEvent(used, kSize));
        bool kick = VirtqNeedEvent(event, avail_idx, kicked) != FALSE;
        kicked = avail_idx;
        return kick;
    }
    __attribute__((noinline)) bool Get(void **cookie, UINT32 *length) {
        if (VirtioLoadAcquireU16(&used->idx) == used_idx) {
            return false;
        }
        VIRTQ_USED_ELEM *entry = &VirtqUsedRing(used)[used_idx & (kSize - 1)];
        UINT16 head = static_cast<UINT16>(VirtioReadU32(&entry->id));
        *length = VirtioReadU32(&entry->len);
        *cookie = cookies[head];
        next[last[head]] = free_head;
        free_head = head;
        used_idx++;
        VirtioWriteU16(VirtqAvailUsedEvent(avail, kSize), used_idx);
        return true;
    }
};

void FloorOf(benchmark::State &state) {
    const UINT16 batch = static_cast<UINT16>(state.range(0));
    auto sg = Segments(static_cast<UINT16>(state.range(1)));
    bool indirect = state.range(2) != 0;
    Queue queue(indirect);
    auto floor = std::make_unique<Floor>();
    floor->desc = queue.vq->desc;
    floor->avail = queue.vq->avail;
    floor->used = queue.vq->used;
    floor->pool = reinterpret_cast<VIRTQ_DESC *>(queue.pool.get());
    for (UINT16 i = 0; i < kSize; i++) {
        floor->next[i] = static_cast<UINT16>(i + 1);
    }
    UINT32 kicks = 0;
    for (auto _ : state) {
        for (UINT16 i = 0; i < batch; i++) {
            UINT16 head = floor->Add(sg.data(), static_cast<UINT16>(sg.size()), queue.vq, indirect);
            floor->Publish(head);
        }
        kicks += floor->Kick();
        queue.device.Work();
        for (UINT16 i = 0; i < batch; i++) {
            void *cookie;
            UINT32 length;
            if (!floor->Get(&cookie, &length)) {
                std::abort();
            }
            benchmark::DoNotOptimize(cookie);
        }
    }
    benchmark::DoNotOptimize(kicks);
    state.SetItemsProcessed(state.iterations() * batch);
}

void Rows(benchmark::internal::Benchmark *b) {
    b->ArgNames({"batch", "segments", "indirect"});
    for (int batch : {1, 32}) {
        b->Args({batch, 1, 0});
        b->Args({batch, 4, 0});
        b->Args({batch, 4, 1});
    }
}

BENCHMARK(FloorOf)->Apply(Rows);
BENCHMARK(Library)->Apply(Rows);
BENCHMARK(LibraryBatch)->Apply(Rows);

} // namespace

BENCHMARK_MAIN();
