// SPDX-License-Identifier: MIT
#include "floor.h"

namespace bench {

Floor::Floor(const Queue &queue, bool indirect)
    : desc_(queue.vq->desc), avail_ring_(VirtqAvailRing(queue.vq->avail)),
      used_ring_(VirtqUsedRing(queue.vq->used)), avail_idx_at_(&queue.vq->avail->idx),
      used_idx_at_(&queue.vq->used->idx),
      used_event_at_(VirtqAvailUsedEvent(queue.vq->avail, kSize)),
      avail_event_at_(VirtqUsedAvailEvent(queue.vq->used, kSize)),
      pool_(reinterpret_cast<VIRTQ_DESC *>(queue.pool.get())), mask_(kSize - 1),
      indirect_(indirect) {
    for (UINT16 i = 0; i < kSize; i++) {
        chains_[i] = {nullptr, static_cast<UINT16>(i + 1), i};
    }
}

namespace {

// A descriptor in two stores: nothing in 2.7.5 asks for one a field.
inline void Store(VIRTQ_DESC *desc, UINT64 addr, UINT32 len, UINT32 flags, UINT32 next) {
    desc->addr = addr;
    VirtioStoreTriple(&desc->len, len | static_cast<UINT64>(flags | next << 16) << 32);
}

inline void Write(VIRTQ_DESC *desc, const VIRTQ_SG &segment, bool more, UINT16 next) {
    Store(desc, segment.addr, segment.len,
          (segment.write ? VIRTQ_DESC_F_WRITE : 0) | (more ? VIRTQ_DESC_F_NEXT : 0), next);
}

} // namespace

inline UINT16 Floor::Describe(const VIRTQ_SG *sg, UINT16 count, void *cookie) {
    UINT16 head = free_head_, index = head, end = head;
    if (indirect_) {
        // The table of a head is always the same one: nothing to allocate.
        VIRTQ_DESC *table = pool_ + kTableSize * head;
        for (UINT16 i = 0; i < count; i++) {
            Write(&table[i], sg[i], i + 1 < count, static_cast<UINT16>(i + 1));
        }
        Store(&desc_[head], kPoolPa + sizeof(VIRTQ_DESC) * kTableSize * head,
              static_cast<UINT32>(sizeof(VIRTQ_DESC)) * count, VIRTQ_DESC_F_INDIRECT, 0);
        index = chains_[head].next;
    } else {
        for (UINT16 i = 0; i < count; i++) {
            UINT16 next = chains_[index].next;
            Write(&desc_[index], sg[i], i + 1 < count, next);
            end = index;
            index = next;
        }
    }
    chains_[head].last = end;
    chains_[head].cookie = cookie;
    free_head_ = index;
    return head;
}

// "None" is final, so that the driver may sleep on it: one fence between the last
// store to used_event and the last look (2.7.7, 2.7.14).
inline UINT16 Floor::Waiting() {
    UINT16 idx = VirtioLoadAcquireU16(used_idx_at_);
    if (idx == used_idx_ && fenced_ != used_idx_) {
        VIRTIO_MB();
        fenced_ = used_idx_;
        idx = VirtioLoadAcquireU16(used_idx_at_);
    }
    return static_cast<UINT16>(idx - used_idx_);
}

inline void Floor::Take(void **cookie, UINT32 *length) {
    VIRTQ_USED_ELEM *entry = &used_ring_[used_idx_ & mask_];
    UINT16 head = static_cast<UINT16>(VirtioReadU32(&entry->id));
    *length = VirtioReadU32(&entry->len);
    *cookie = chains_[head].cookie;
    chains_[chains_[head].last].next = free_head_;
    free_head_ = head;
    used_idx_++;
}

UINT16 Floor::Add(const VIRTQ_SG *sg, UINT16 count, void *cookie) {
    return Describe(sg, count, cookie);
}

void Floor::Publish(UINT16 head) {
    avail_ring_[avail_idx_ & mask_] = head;
    VirtioStoreReleaseU16(avail_idx_at_, ++avail_idx_);
}

bool Floor::Kick() {
    VIRTIO_MB();
    bool kick = VirtqNeedEvent(VirtioReadU16(avail_event_at_), avail_idx_, kicked_) != FALSE;
    kicked_ = avail_idx_;
    return kick;
}

bool Floor::Get(void **cookie, UINT32 *length) {
    if (Waiting() == 0) {
        return false;
    }
    Take(cookie, length);
    VirtioWriteU16(used_event_at_, used_idx_);
    return true;
}

void Floor::Submit(const VIRTQ_BUFFER *buffers, UINT16 count) {
    for (UINT16 i = 0; i < count; i++) {
        UINT16 head = Describe(buffers[i].sg, buffers[i].sg_count, buffers[i].cookie);
        avail_ring_[static_cast<UINT16>(avail_idx_ + i) & mask_] = head;
    }
    avail_idx_ = static_cast<UINT16>(avail_idx_ + count);
    VirtioStoreReleaseU16(avail_idx_at_, avail_idx_);
}

UINT16 Floor::GetBatch(VIRTQ_COMPLETION *out, UINT16 cap) {
    UINT16 waiting = Waiting();
    UINT16 count = waiting < cap ? waiting : cap;
    for (UINT16 i = 0; i < count; i++) {
        Take(&out[i].cookie, &out[i].len);
    }
    if (count != 0) {
        VirtioWriteU16(used_event_at_, used_idx_);
    }
    return count;
}

} // namespace bench
