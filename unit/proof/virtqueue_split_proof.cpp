// SPDX-License-Identifier: MIT
//
// Each function of the queue, called once on any queue (any_queue.h). That no
// access leaves its object and every loop ends is what prove.py asks CBMC for;
// the rest is in Prove().
#include "any_queue.h"

#include "virtqueue_split.cpp"
#include "virtqueue_split_add.cpp"
#include "virtqueue_split_batch.cpp"
#include "virtqueue_split_detach.cpp"
#include "virtqueue_split_wait.cpp"

// What the call has changed is seen by comparison with these.
VIRTQ_SPLIT g_vq_before;
VIRTQ_SPLIT_CHAIN g_before[QSZ];

VIRTQ_SPLIT *AnyQueueRemembered() {
    VIRTQ_SPLIT *vq = AnyQueue();

    g_vq_before = g_vq;
    for (UINT16 i = 0; i < QSZ; i++) {
        g_before[i] = g_chains[i];
    }
    return vq;
}

bool SameChains() {
    for (UINT16 i = 0; i < QSZ; i++) {
        if (g_chains[i].state != g_before[i].state || g_chains[i].next != g_before[i].next ||
            (IsLive(g_chains[i].state) && (g_chains[i].cookie != g_before[i].cookie ||
                                           g_chains[i].table != g_before[i].table))) {
            return false;
        }
    }
    return g_vq.num_free == g_vq_before.num_free && g_vq.free_head == g_vq_before.free_head &&
           InFlight(&g_vq) == InFlight(&g_vq_before);
}

// ------------------------------------------------------------- giving away

// Segments, at the end of their array.
VIRTQ_SG g_sg[QSZ];

// The chain at `head` as a device reads it is the list that was added (2.7.5).
void ProveDescribed(UINT16 head, VIRTQ_SG *sg, UINT16 count) {
    bool indirect = (g_desc[head].flags & VIRTQ_DESC_F_INDIRECT) != 0;
    VIRTQ_DESC *table = &g_desc[0];
    UINT16 at = head;

    Prove(indirect == (g_chains[head].table != VIRTQ_SPLIT_NO_DESC));
    if (indirect) {
        UINT64 offset = g_desc[head].addr - g_vq.indirect_pool_pa;
        Prove(g_desc[head].flags == VIRTQ_DESC_F_INDIRECT && count <= g_vq.indirect_max_desc);
        Prove(g_desc[head].len == count * sizeof(VIRTQ_DESC));
        Prove(offset ==
              (UINT64)(g_vq.own_tables ? head : g_chains[head].table) * g_vq.indirect_table_stride);
        table = g_vq.indirect_pool_va + offset / sizeof(VIRTQ_DESC);
        at = 0;
    }
    UINT64 writable = 0, total = 0;
    bool write_seen = false;
    for (UINT16 i = 0; i < count; i++) {
        UINT16 flags = (UINT16)((i + 1 < count ? VIRTQ_DESC_F_NEXT : 0) |
                                (sg[i].write ? VIRTQ_DESC_F_WRITE : 0));
        Prove(table[at].addr == sg[i].addr && table[at].len == sg[i].len);
        Prove(table[at].flags == flags);
        Prove(sg[i].len != 0 && sg[i].addr <= ~(UINT64)0 - (sg[i].len - 1));
        Prove(sg[i].write || !write_seen);
        write_seen = write_seen || sg[i].write;
        total += sg[i].len;
        if (sg[i].write) {
            writable += sg[i].len;
        }
        at = table[at].next;
    }
    Prove(total <= 0xFFFFFFFFu);
    Prove(g_chains[head].writable == writable);
}

extern "C" void ProofAddBuffer() {
    VIRTQ_SPLIT *vq = AnyQueueRemembered();
    UINT16 count = nondet_u16();
    VIRTQ_SG *sg = &g_sg[0] + (count <= QSZ ? QSZ - count : QSZ);
    void *cookie = nondet_pointer();
    UINT16 head = nondet_u16();

    __CPROVER_havoc_object(&g_sg[0]);
    NTSTATUS status = VirtqSplitAddBuffer(vq, sg, count, cookie, &head);
    Prove(IsSound());
    if (status != STATUS_SUCCESS) {
        Reached("refused");
        Prove(SameChains());
        Prove(status != STATUS_IO_DEVICE_ERROR);
        return;
    }
    Prove(head < QSZ && !IsLive(g_before[head].state));
    Prove(g_chains[head].state == VIRTQ_CHAIN_ADDED && g_chains[head].cookie == cookie);
    ProveDescribed(head, sg, count);
    if (g_chains[head].table != VIRTQ_SPLIT_NO_DESC) {
        Reached("indirect");
    } else {
        Reached("direct");
    }
}

// Two buffers, at the end of their array; each has its segments at the end of theirs.
VIRTQ_BUFFER g_buffers[2];

VIRTQ_BUFFER *AnyBuffers(UINT16 count) {
    __CPROVER_havoc_object(&g_sg[0]);
    __CPROVER_havoc_object(&g_buffers[0]);
    for (UINT16 i = 0; i < 2; i++) {
        UINT16 segments = g_buffers[i].sg_count;
        g_buffers[i].sg =
            nondet_u8() != 0 ? &g_sg[0] + (segments <= QSZ ? QSZ - segments : QSZ) : NULL;
    }
    return &g_buffers[0] + (2 - count);
}

void ProveAdded(UINT16 head, const VIRTQ_BUFFER *buffer, UINT16 state) {
    Prove(head < QSZ && !IsLive(g_before[head].state));
    Prove(g_chains[head].state == state && g_chains[head].cookie == buffer->cookie);
    ProveDescribed(head, buffer->sg, buffer->sg_count);
}

extern "C" void ProofAddBatch() {
    VIRTQ_SPLIT *vq = AnyQueueRemembered();
    UINT16 heads[2];
    UINT16 count = nondet_u16(), added = nondet_u16();

    Assume(count <= 2);
    const VIRTQ_BUFFER *buffers = AnyBuffers(count);
    UINT16 *out = &heads[0] + (2 - count);
    NTSTATUS status = VirtqSplitAddBatch(vq, buffers, count, out, &added);
    Prove(IsSound());
    Prove(added <= count && (status != STATUS_SUCCESS || added == count));
    Prove(g_vq.avail_idx == g_vq_before.avail_idx && InFlight(&g_vq) == InFlight(&g_vq_before));
    if (added == 0) {
        Reached("none");
        Prove(SameChains());
    }
    for (UINT16 i = 0; i < added; i++) {
        Reached("added");
        ProveAdded(out[i], &buffers[i], VIRTQ_CHAIN_ADDED);
    }
}

void ProveSubmit(UINT16 count) {
    VIRTQ_SPLIT *vq = AnyQueueRemembered();
    const VIRTQ_BUFFER *buffers = AnyBuffers(count);
    UINT16 submitted = nondet_u16();
    NTSTATUS status = VirtqSplitSubmitBatch(vq, buffers, count, &submitted);

    Prove(IsSound());
    Prove(submitted <= count && (status == STATUS_SUCCESS) == (submitted == count));
    Prove(g_vq.avail_idx == (UINT16)(g_vq_before.avail_idx + submitted));
    Prove(InFlight(&g_vq) == InFlight(&g_vq_before) + submitted);
    if (submitted == 0) {
        Reached("refused");
        Prove(SameChains());
        return;
    }
    Reached("submitted");
    Prove(g_avail[1] == g_vq.avail_idx && g_vq_before.broken_status == STATUS_SUCCESS);
    for (UINT16 i = 0; i < submitted; i++) {
        ProveAdded(g_avail[2 + (UINT16)(g_vq_before.avail_idx + i) % QSZ], &buffers[i],
                   VIRTQ_CHAIN_IN_FLIGHT);
    }
}

// A batch of one takes a path of its own.
extern "C" void ProofSubmitOne() {
    ProveSubmit(1);
}

extern "C" void ProofSubmitBatch() {
    ProveSubmit(2);
}

extern "C" void ProofPublish() {
    VIRTQ_SPLIT *vq = AnyQueueRemembered();
    UINT16 head = nondet_u16();
    NTSTATUS status = VirtqSplitPublishChecked(vq, head);

    Prove(IsSound());
    if (status != STATUS_SUCCESS) {
        Reached("refused");
        Prove(SameChains() && g_vq.avail_idx == g_vq_before.avail_idx);
        return;
    }
    Reached("published");
    Prove(g_before[head].state == VIRTQ_CHAIN_ADDED);
    Prove(g_chains[head].state == VIRTQ_CHAIN_IN_FLIGHT);
    Prove(g_avail[2 + g_vq_before.avail_idx % QSZ] == head);
    Prove(g_avail[1] == (UINT16)(g_vq_before.avail_idx + 1) && g_vq.avail_idx == g_avail[1]);
    Prove(g_vq.num_added == 0xFFFF || g_vq.num_added == g_vq_before.num_added + 1);
}

extern "C" void ProofPublishBatch() {
    VIRTQ_SPLIT *vq = AnyQueueRemembered();
    UINT16 heads[QSZ + 1];
    UINT16 count = nondet_u16();

    Assume(count <= QSZ + 1);
    __CPROVER_havoc_object(&heads[0]);
    NTSTATUS status = VirtqSplitPublishBatch(vq, &heads[0] + (QSZ + 1 - count), count);
    Prove(IsSound());
    if (status != STATUS_SUCCESS) {
        Reached("refused");
        Prove(SameChains() && g_vq.avail_idx == g_vq_before.avail_idx);
        return;
    }
    Reached("published");
    Prove(InFlight(&g_vq) == InFlight(&g_vq_before) + count);
    Prove(g_vq.avail_idx == (UINT16)(g_vq_before.avail_idx + count));
}

// ------------------------------------------------------------ getting back

// Exactly the chains that are no longer in flight came back.
UINT16 CountCompleted() {
    UINT16 completed = 0;

    for (UINT16 i = 0; i < QSZ; i++) {
        if (g_before[i].state == VIRTQ_CHAIN_IN_FLIGHT &&
            g_chains[i].state != VIRTQ_CHAIN_IN_FLIGHT) {
            completed++;
        }
    }
    return completed;
}

bool CameBack(void *cookie, UINT32 len) {
    for (UINT16 i = 0; i < QSZ; i++) {
        if (g_before[i].state == VIRTQ_CHAIN_IN_FLIGHT &&
            g_chains[i].state != VIRTQ_CHAIN_IN_FLIGHT && g_before[i].cookie == cookie &&
            len <= g_before[i].writable) {
            return true;
        }
    }
    return false;
}

extern "C" void ProofGetUsed() {
    VIRTQ_SPLIT *vq = AnyQueueRemembered();
    void *cookie = nondet_pointer();
    UINT32 len = nondet_u32();
    NTSTATUS status = VirtqSplitGetUsed(vq, &cookie, &len);

    Prove(IsSound());
    if (status != STATUS_SUCCESS) {
        Prove(cookie == NULL && len == 0 && CountCompleted() == 0);
        Prove((g_vq.broken_status == STATUS_SUCCESS) == (status == STATUS_NOT_FOUND));
        Reached("refused");
        return;
    }
    Reached("taken");
    Prove(g_vq_before.broken_status == STATUS_SUCCESS && g_vq.broken_status == STATUS_SUCCESS);
    Prove(InFlight(&g_vq) == InFlight(&g_vq_before) - 1 && CountCompleted() == 1);
    Prove(CameBack(cookie, len));
}

extern "C" void ProofGetUsedBatch() {
    VIRTQ_SPLIT *vq = AnyQueueRemembered();
    VIRTQ_COMPLETION out[QSZ + 1];
    UINT16 cap = nondet_u16(), count = nondet_u16();
    UINT16 start = (UINT16)(cap <= QSZ + 1 ? QSZ + 1 - cap : 0);
    NTSTATUS status = VirtqSplitGetUsedBatch(vq, &out[0] + start, cap, &count);

    Prove(IsSound());
    if (status != STATUS_SUCCESS) {
        Reached("refused");
        Prove(count == 0 && CountCompleted() == 0);
        return;
    }
    Reached("taken");
    Prove(count > 0 && count <= cap && count <= InFlight(&g_vq_before));
    Prove(CountCompleted() == count && InFlight(&g_vq) == InFlight(&g_vq_before) - count);
    for (UINT16 i = 0; i < count; i++) {
        Prove(CameBack(out[start + i].cookie, out[start + i].len));
    }
}

extern "C" void ProofDetach() {
    VIRTQ_SPLIT *vq = AnyQueueRemembered();
    void *cookie = nondet_pointer();
    NTSTATUS status = VirtqSplitDetachUnused(vq, &cookie);

    Prove(IsSound());
    if (status != STATUS_SUCCESS) {
        Reached("none");
        Prove(status == STATUS_NOT_FOUND && cookie == NULL && g_vq.num_free == QSZ && SameChains());
        return;
    }
    Reached("taken");
    UINT16 taken = 0;
    for (UINT16 i = 0; i < QSZ; i++) {
        if (IsLive(g_before[i].state) && !IsLive(g_chains[i].state)) {
            taken++;
            Prove(cookie == g_before[i].cookie);
        }
    }
    Prove(taken == 1 && g_vq.broken_status != STATUS_SUCCESS);
}

// -------------------------------------------------------------- waking up

// Calls that look at the ring and change no buffer.
extern "C" void ProofNotify() {
    VIRTQ_SPLIT *vq = AnyQueueRemembered();
    UINT8 what = nondet_u8();

    if (what == 0) {
        if (VirtqSplitKickPrepare(vq)) {
            Reached("kick");
        }
        if (nondet_u8()) {
            VirtqSplitKickCommit(vq);
            Prove(g_vq.num_added == 0 || g_vq.broken_status != STATUS_SUCCESS);
        }
    } else if (what == 1) {
        VirtqSplitHasUsed(vq);
    } else if (what == 2) {
        VirtqSplitDisableInterrupts(vq);
    } else if (what == 3) {
        VirtqSplitEnableInterrupts(vq);
    } else if (what == 4) {
        VirtqSplitEnableInterruptsDelayed(vq);
    } else if (what == 5) {
        VirtqSplitPoll(vq, VirtqSplitPrepareWait(vq));
    } else if (what == 6) {
        if (VirtqSplitKick(vq)) {
            Reached("kick at once");
        }
        Prove(g_vq.num_added == 0 || g_vq.broken_status != STATUS_SUCCESS);
    } else {
        VirtqSplitSetKickWhenFull(vq, nondet_u8());
        VirtqSplitKickCommit(vq);
    }
    Prove(IsSound() && SameChains());
    Prove(g_vq.avail_idx == g_vq_before.avail_idx &&
          g_vq.last_used_idx == g_vq_before.last_used_idx);
}
