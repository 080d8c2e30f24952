// SPDX-License-Identifier: MIT
//
// The device's side of a split ring (Virtio 1.2, 2.7).
#include "peer.h"

// 2.7.5, 2.7.6, 2.7.8: offsets and flags.
enum : ULONG {
    DescSize = 16,
    DescLen = 8,
    DescFlags = 12,
    DescNext = 14,
    FlagNext = 1,
    FlagWrite = 2,
    FlagIndirect = 4,
    IndexAt = 2,
    RingAt = 4,
    UsedElement = 8,
};

static USHORT Get16(const UCHAR *at) {
    return *(const volatile USHORT *)at;
}

static void Put16(UCHAR *at, USHORT value) {
    *(volatile USHORT *)at = value;
}

static ULONG Get32(const UCHAR *at) {
    return *(const volatile ULONG *)at;
}

void Peer::Attach(UCHAR *desc, UCHAR *avail, UCHAR *used, USHORT size, const Contiguous *tables) {
    desc_ = desc;
    avail_ = avail;
    used_ = used;
    size_ = size;
    tables_ = tables;
    taken_ = used_index_ = 0;
}

USHORT Peer::AvailFlags() const {
    return Get16(avail_);
}

USHORT Peer::AvailIndex() const {
    return Get16(avail_ + IndexAt);
}

USHORT Peer::available() const {
    return (USHORT)(AvailIndex() - taken_);
}

USHORT Peer::UsedEvent() const {
    return Get16(avail_ + RingAt + 2 * size_);
}

void Peer::SetAvailEvent(USHORT at) {
    Put16(used_ + RingAt + UsedElement * size_, at);
}

void Peer::SetNoNotify(bool on) {
    Put16(used_, on ? 1 : 0);
}

// A chain that begins at entry `first` of a table; `inside`: of an indirect one (2.7.5.3.1).
bool Peer::Read(const UCHAR *table, USHORT entries, USHORT first, bool inside, Chain *chain) {
    USHORT at = first;
    chain->count = 0;
    for (;;) {
        if (at >= entries || chain->count == entries || chain->count == 64)
            return false;
        const UCHAR *entry = table + DescSize * at;
        const USHORT flags = Get16(entry + DescFlags);
        Piece *piece = &chain->pieces[chain->count];
        piece->addr = *(const volatile ULONG64 *)entry;
        piece->len = Get32(entry + DescLen);
        piece->write = (flags & FlagWrite) != 0;
        if ((flags & FlagIndirect) != 0) {
            const ULONG64 offset = piece->addr - tables_->pa;
            if (inside || (flags & FlagNext) != 0 || chain->count != 0 ||
                piece->len % DescSize != 0 || offset % DescSize != 0 || offset > tables_->size ||
                piece->len > tables_->size - offset)
                return false;
            chain->indirect = true;
            return Read(tables_->va + offset, (USHORT)(piece->len / DescSize), 0, true, chain);
        }
        // 2.7.4.2: what is written comes after what is read.
        if (chain->count != 0 && !piece->write && chain->pieces[chain->count - 1].write)
            return false;
        chain->count++;
        if ((flags & FlagNext) == 0)
            return !inside || chain->count == entries;
        at = Get16(entry + DescNext);
    }
}

bool Peer::Take(Chain *chain) {
    if (available() == 0 || available() > size_)
        return false;
    chain->head = Get16(avail_ + RingAt + 2 * (taken_ % size_));
    chain->indirect = false;
    taken_++;
    return Read(desc_, size_, chain->head, false, chain);
}

void Peer::PutUsed(USHORT ahead, ULONG id, ULONG len) {
    UCHAR *entry = used_ + RingAt + UsedElement * ((USHORT)(used_index_ + ahead) % size_);
    *(volatile ULONG *)entry = id;
    *(volatile ULONG *)(entry + 4) = len;
}

void Peer::MoveUsed(LONG by) {
    used_index_ = (USHORT)(used_index_ + by);
    __sync_synchronize();
    Put16(used_ + IndexAt, used_index_);
    __sync_synchronize();
}

void Peer::Use(ULONG id, ULONG len) {
    PutUsed(0, id, len);
    MoveUsed(1);
}

// ---- a queue across from it ---------------------------------------------------------

static SIZE_T PoolSize(USHORT size, Tables tables) {
    const SIZE_T count = tables == OwnTables ? size : FewCount;
    return tables == NoTables ? PAGE_SIZE : count * TableLength * DescSize;
}

Queue::Queue(USHORT queue_size, bool event, Tables kind, USHORT threshold)
    : vq(nullptr), size(queue_size), event_idx(event), tables(kind),
      state_(VirtqSplitStateSize(queue_size)),
      ring_(VirtqSplitRingMemSize(queue_size, PAGE_SIZE, TRUE)), pool_(PoolSize(queue_size, kind)),
      threshold_(threshold), ready_(false) {
    if (!state_.at || !ring_.va || !pool_.va)
        return;
    RtlFillMemory(state_.at, VirtqSplitStateSize(queue_size), 0x5A);
    vq = (VIRTQ_SPLIT *)state_.at;
    ready_ = Init() == STATUS_SUCCESS;
}

NTSTATUS Queue::Init() {
    const bool pooled = tables != NoTables;
    NTSTATUS status = VirtqSplitInit(vq, size, event_idx, pooled, ring_.va, ring_.pa, PAGE_SIZE,
                                     pooled ? pool_.va : nullptr, pooled ? pool_.pa : 0,
                                     tables == OwnTables ? size : FewCount, TableLength);
    if (!NT_SUCCESS(status))
        return status;
    vq->indirect_threshold = threshold_;
    // 2.7.2: the descriptors, the avail ring behind them, the used ring at the next page.
    UCHAR *avail = ring_.va + DescSize * size;
    const SIZE_T end = DescSize * size + 6 + 2 * size;
    UCHAR *used = ring_.va + (end + PAGE_SIZE - 1) / PAGE_SIZE * PAGE_SIZE;
    peer.Attach(ring_.va, avail, used, size, &pool_);
    return status;
}

void MakePieces(VIRTQ_SG *sg, USHORT count, USHORT written, ULONG64 seed) {
    for (USHORT i = 0; i < count; i++) {
        sg[i].addr = 0x100000000ull * (seed + 1) + 0x10000ull * i + i;
        sg[i].len = (ULONG)(512 * (i + 1) + seed);
        sg[i].write = (BOOLEAN)(i + written >= count);
    }
}

bool SamePieces(const Chain &chain, const VIRTQ_SG *sg, USHORT count) {
    CHECK_EQUAL(chain.count, count);
    for (USHORT i = 0; i < count; i++) {
        CHECK_EQUAL(chain.pieces[i].addr, sg[i].addr);
        CHECK_EQUAL(chain.pieces[i].len, sg[i].len);
        CHECK_EQUAL(chain.pieces[i].write, sg[i].write != FALSE);
    }
    return true;
}

ULONG WritableBytes(const VIRTQ_SG *sg, USHORT count) {
    ULONG sum = 0;
    for (USHORT i = 0; i < count; i++)
        sum += sg[i].write ? sg[i].len : 0;
    return sum;
}
