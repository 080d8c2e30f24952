// SPDX-License-Identifier: MIT
//
// The part of the fuzzed queue's driver that gives buffers away: adds, publishes,
// submits, kicks. Each call is judged by the model and by what it wrote to the
// ring.
#pragma once

#include <algorithm>

#include "reached.h"
#include "virtqueue_split_model.h"
#include "virtqueue_split_shared.h"

namespace fuzz {

enum Function : unsigned {
    kAddBuffer,
    kAddIndirect, // kAddBuffer, where it took a table
    kAddMany,
    kPublishOne,
    kPublishMany,
    kSubmitNone, // of no buffers
    kSubmitOne,
    kSubmitMany,
    kSubmitPart, // of many, where some were submitted and one was refused
    kKickTrue,
    kKickFalse,
    kGetOne,
    kGetMany,
    kDetachOne,
    kResetQueue,
    kFunctions
};

extern Reached<kFunctions> reached;

class Giver {
  public:
    static constexpr unsigned kMaxSegments = kMaxQueue + 2;
    static constexpr UINT16 kMaxBatch = 8;

    VIRTQ_SPLIT *vq = nullptr;
    SharedRing ring;
    Model model;

    void *NextCookie() {
        return reinterpret_cast<void *>(cookies_++); // the first is null
    }

    // Gives the head, or NO_DESC.
    UINT16 Add(const VIRTQ_SG *sg, UINT16 count) {
        void *cookie = NextCookie();
        Allowed allowed = model.JudgeAdd(sg, count);
        UINT16 head = VIRTQ_SPLIT_NO_DESC;
        NTSTATUS status =
            reached.Note(kAddBuffer, VirtqSplitAddBuffer(vq, sg, count, cookie, &head));
        Settle(allowed, status, sg, count, cookie, head);
        return NT_SUCCESS(status) ? head : VIRTQ_SPLIT_NO_DESC;
    }

    void AddBatch(const VIRTQ_BUFFER *buffers, UINT16 count, UINT16 *heads) {
        UINT16 added = 0xFFFF;
        NTSTATUS status =
            reached.Note(kAddMany, VirtqSplitAddBatch(vq, buffers, count, heads, &added));
        SettleBatch(buffers, count, heads, added, status);
    }

    // What was submitted is in the avail ring and nowhere else, so the heads come
    // from there; that the chains are those of the buffers shows that they are right,
    // and in order.
    void SubmitBatch(const VIRTQ_BUFFER *buffers, UINT16 count) {
        const AvailImage before(ring);
        UINT16 submitted = 0xFFFF;
        NTSTATUS status = VirtqSplitSubmitBatch(vq, buffers, count, &submitted);
        const bool part = submitted != 0 && !NT_SUCCESS(status);
        (void)reached.Note(count == 0   ? kSubmitNone
                           : count == 1 ? kSubmitOne
                           : part       ? kSubmitPart
                                        : kSubmitMany,
                           status);
        if (count == 0) {
            Require(status == (model.broken == STATUS_SUCCESS ? STATUS_SUCCESS
                                                              : STATUS_INVALID_DEVICE_STATE),
                    "submit of no buffers");
        }
        UINT16 heads[kMaxBatch] = {};
        for (UINT16 i = 0; i < std::min(count, submitted); i++) {
            heads[i] = ring.AvailHead(static_cast<UINT16>(model.avail_idx + i));
        }
        SettleBatch(buffers, count, heads, submitted, status);
        SeePublished(before, heads, submitted);
    }

    void Publish(UINT16 head) {
        const AvailImage before(ring);
        NTSTATUS status = reached.Note(kPublishOne, VirtqSplitPublishChecked(vq, head));
        JudgePublish(before, status, &head, 1);
    }

    void PublishBatch(const UINT16 *heads, UINT16 count) {
        const AvailImage before(ring);
        NTSTATUS status = reached.Note(kPublishMany, VirtqSplitPublishBatch(vq, heads, count));
        JudgePublish(before, status, heads, count);
    }

    void KickPrepare() {
        Require((VirtqSplitKickPrepare(vq) != FALSE) == KickWanted(),
                "kick when the device wants it");
        if (model.broken == STATUS_SUCCESS) {
            model.prepared = model.published;
            model.full_prepared = model.was_full;
        }
    }

    void KickCommit() {
        VirtqSplitKickCommit(vq);
        model.settled = model.prepared;
        model.was_full = model.was_full && !model.full_prepared;
    }

    // Both in one; a KickCommit after it has nothing left to settle.
    void Kick() {
        const bool kick = VirtqSplitKick(vq) != FALSE;
        (void)reached.Note(kick ? kKickTrue : kKickFalse, STATUS_SUCCESS);
        Require(kick == KickWanted(), "kick when the device wants it");
        if (model.broken == STATUS_SUCCESS) {
            model.settled = model.prepared = model.published;
            model.was_full = false;
        }
    }

  private:
    bool KickWanted() const {
        UINT32 added = model.published - model.settled;
        bool full = model.kick_when_full && model.was_full;
        bool wanted = (ring.UsedFlags() & 1) == 0;
        if (model.event_idx) { // 2.7.10.1: did the last `added` steps pass avail_event?
            wanted = static_cast<UINT16>(model.avail_idx - 1 - ring.AvailEvent()) < added;
        }
        return model.broken == STATUS_SUCCESS && (full || (added != 0 && wanted));
    }

    void Settle(const Allowed &allowed, NTSTATUS status, const VIRTQ_SG *sg, UINT16 count,
                void *cookie, UINT16 head) {
        Require(allowed.Has(status), "judgement of a buffer to add");
        if (NT_SUCCESS(status)) {
            SeeAdded(head, sg, count, cookie);
        } else if (status == STATUS_INSUFFICIENT_RESOURCES) {
            model.was_full = true;
            model.full_prepared = false;
        }
    }

    // The chain, as the device will read it (2.7.5): exactly the buffer.
    void SeeAdded(UINT16 head, const VIRTQ_SG *sg, UINT16 count, void *cookie) {
        Require(head < model.qsz, "a head in range");
        Chain chain = {cookie, 0, 1u << head, -1};
        Area table = ring.area[0];
        unsigned at = head;
        if (model.TakesTable(count)) {
            Descriptor first = ring.Desc(table, head);
            std::uint64_t offset = first.addr - SharedRing::kPoolAddress;
            Require(first.flags == 4 && first.len == 16u * count &&
                        offset % (16u * model.entries) == 0 && offset < ring.pool.size,
                    "a descriptor of a table");
            chain.table = static_cast<int>(offset / (16u * model.entries));
            table = {ring.pool.bytes + offset, 16u * model.entries};
            at = 0;
            (void)reached.Note(kAddIndirect, STATUS_SUCCESS);
        }
        for (UINT16 i = 0; i < count; i++) {
            Require(at < model.qsz && at < table.size / 16, "a descriptor in range");
            Descriptor d = ring.Desc(table, at);
            unsigned flags = (i + 1 < count ? 1u : 0u) | (sg[i].write ? 2u : 0u);
            Require(d.addr == sg[i].addr && d.len == sg[i].len && d.flags == flags,
                    "a descriptor as the segment");
            chain.writable += sg[i].write ? sg[i].len : 0;
            chain.members |= chain.table < 0 ? 1u << at : 0;
            at = d.next;
        }
        Require(chain.table >= 0 || __builtin_popcount(chain.members) == count, "no loop");
        model.Enter(head, chain);
    }

    // The first `done` of the buffers, and the one that was refused.
    void SettleBatch(const VIRTQ_BUFFER *buffers, UINT16 count, const UINT16 *heads, UINT16 done,
                     NTSTATUS status) {
        Require(done <= count && (count == 0 || NT_SUCCESS(status) == (done == count)),
                "how many of a batch were taken");
        for (UINT16 i = 0; i < done || (i == done && i < count); i++) {
            const VIRTQ_BUFFER &b = buffers[i];
            Settle(model.JudgeAdd(b.sg, b.sg_count), i < done ? STATUS_SUCCESS : status, b.sg,
                   b.sg_count, b.cookie, heads[i]);
        }
    }

    // Of one head or many: all are published, or none.
    void JudgePublish(const AvailImage &before, NTSTATUS status, const UINT16 *heads,
                      UINT16 count) {
        std::uint32_t seen = 0;
        UINT16 right = 0; // those before the first wrong one
        while (right < count && model.IsAdded(heads[right]) && (seen >> heads[right] & 1) == 0) {
            seen |= 1u << heads[right++];
        }
        if (model.broken != STATUS_SUCCESS) {
            Require(status == STATUS_INVALID_DEVICE_STATE, "publish on a broken queue");
            before.RequireOnly(ring, 0, nullptr, 0);
        } else if (right != count) {
            Require(status == model.Misuse(VIRTQ_STATUS_NOT_ADDED), "publish of a wrong head");
            // Entries that avail->idx has not reached mean nothing.
            before.RequireOnlyEntries(ring, model.avail_idx, right);
        } else {
            Require(status == STATUS_SUCCESS, "publish");
            SeePublished(before, heads, count);
        }
    }

    // The heads are in the avail ring in this order, avail->idx is behind them, and
    // nothing else of it was written.
    void SeePublished(const AvailImage &before, const UINT16 *heads, UINT16 count) {
        before.RequireOnly(ring, model.avail_idx, heads, count);
        for (UINT16 i = 0; i < count; i++) {
            model.Publish(heads[i]);
        }
    }

    std::uintptr_t cookies_ = 0;
};

} // namespace fuzz
