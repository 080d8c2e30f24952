// SPDX-License-Identifier: MIT
//
// What virtqueue_split.h promises, as a model of the driver's side: sets of
// descriptors are bit masks, and each judgement gives the statuses that the header
// allows. It reads nothing of the library's private state, and of the ring only
// what the device put there.
#pragma once

#include <cstdint>

#include "require.h"
#include "virtqueue_split.h"
#include "virtqueue_split_format.h"

namespace fuzz {

// Statuses that a call may give. Empty: it must succeed.
class Allowed {
  public:
    void Add(NTSTATUS status) {
        list_[count_++] = status;
    }
    bool Empty() const {
        return count_ == 0;
    }
    bool Has(NTSTATUS status) const {
        for (unsigned i = 0; i < count_; i++) {
            if (list_[i] == status) {
                return true;
            }
        }
        return count_ == 0 && status == STATUS_SUCCESS;
    }

  private:
    NTSTATUS list_[6];
    unsigned count_ = 0;
};

struct Chain {
    void *cookie;
    std::uint32_t writable;
    std::uint32_t members; // ring descriptors, the head too
    int table;             // -1: direct
};

struct Model {
    // shape
    UINT16 qsz = 0;
    bool event_idx = false, cut = false, kick_when_full = false;
    unsigned tables = 0, entries = 0, threshold = 8;

    // descriptors, bit by bit
    std::uint32_t added = 0;  // heads not published
    std::uint32_t flight = 0; // heads that the device has
    std::uint32_t taken = 0;  // all that belong to a chain of either kind
    std::uint32_t inner = 0;  // those that belong to a chain in flight, not its head
    std::uint32_t done = 0;   // heads completed, and not issued since
    std::uint32_t tables_taken = 0;
    Chain chains[kMaxQueue] = {}; // a hostile length may be made from one never used

    UINT16 in_flight = 0, last_used = 0, avail_idx = 0;
    UINT32 published = 0, prepared = 0, settled = 0;
    bool was_full = false, full_prepared = false, interrupts = true;
    bool saw_waiting = false; // an enable did, and none was taken since
    NTSTATUS broken = STATUS_SUCCESS, last_misuse = STATUS_SUCCESS;
    UINT32 misuse = 0;

    // What the driver last asked for in used_event, or avail->flags; the device
    // may have written over it since.
    UINT16 asked = 0;
    bool asked_known = true;
    bool avail_clean = true; // the device has not written to the avail ring

    unsigned Free() const {
        return qsz - static_cast<unsigned>(__builtin_popcount(taken));
    }

    std::uint32_t Outstanding() const {
        return added | flight;
    }

    NTSTATUS Misuse(NTSTATUS status) {
        misuse++;
        return last_misuse = status;
    }

    bool TakesTable(UINT16 count) const {
        unsigned used = static_cast<unsigned>(__builtin_popcount(tables_taken));
        return used < tables && count <= entries && Free() != 0 &&
               (count > threshold || count > Free());
    }

    // VirtqSplitAddBuffer, head_out not null.
    Allowed JudgeAdd(const VIRTQ_SG *sg, UINT16 count) const {
        Allowed allowed;
        std::uint64_t total = 0;
        bool invalid = sg == nullptr || count == 0, written = false;
        for (UINT16 i = 0; sg != nullptr && i < count; i++) {
            std::uint64_t last = sg[i].addr + sg[i].len - 1;
            invalid |= sg[i].len == 0 || last < sg[i].addr || (written && !sg[i].write);
            written |= sg[i].write != FALSE;
            total += sg[i].len;
        }
        if (broken != STATUS_SUCCESS) {
            allowed.Add(STATUS_INVALID_DEVICE_STATE);
        }
        if (invalid) {
            allowed.Add(STATUS_INVALID_PARAMETER);
        }
        if (count > qsz || total > 0xFFFFFFFFu) {
            allowed.Add(STATUS_INVALID_BUFFER_SIZE);
        }
        if (count <= qsz && count > Free() && !TakesTable(count)) {
            allowed.Add(STATUS_INSUFFICIENT_RESOURCES);
        }
        return allowed;
    }

    void Enter(UINT16 head, const Chain &chain) {
        Require((chain.members & taken) == 0, "a chain of free descriptors");
        chains[head] = chain;
        taken |= chain.members;
        added |= 1u << head;
        done &= ~(1u << head);
        if (chain.table >= 0) {
            Require((tables_taken >> chain.table & 1) == 0, "a free table");
            tables_taken |= 1u << chain.table;
        }
    }

    bool IsAdded(UINT32 head) const {
        return head < qsz && (added >> head & 1) != 0;
    }

    void Publish(UINT16 head) {
        added &= ~(1u << head);
        flight |= 1u << head;
        inner |= chains[head].members & ~(1u << head);
        in_flight++;
        avail_idx++;
        published++;
    }

    // A used entry (2.7.8), with `waiting` of them there.
    Allowed JudgeUsed(UINT16 waiting, UINT32 id, UINT32 len) const {
        Allowed allowed;
        if (waiting > in_flight) {
            allowed.Add(VIRTQ_STATUS_USED_IDX_AHEAD);
        }
        if (id >= qsz) {
            allowed.Add(VIRTQ_STATUS_USED_ID_RANGE);
        } else if ((flight >> id & 1) != 0) {
            if (len > chains[id].writable && !cut) {
                allowed.Add(VIRTQ_STATUS_USED_LENGTH);
            }
        } else if ((inner >> id & 1) != 0) {
            allowed.Add(VIRTQ_STATUS_USED_MID_CHAIN);
        } else if ((done >> id & 1) != 0) {
            allowed.Add(VIRTQ_STATUS_USED_TWICE);
        } else {
            allowed.Add(VIRTQ_STATUS_USED_NOT_ISSUED);
        }
        return allowed;
    }

    // A judged entry comes back.
    void Return(UINT32 id) {
        in_flight--;
        last_used++;
        done |= 1u << id;
        Release(id);
        if (interrupts && event_idx) {
            asked = last_used;
            asked_known = true;
        }
    }

    void Release(UINT32 id) {
        const Chain &chain = chains[id];
        added &= ~(1u << id);
        flight &= ~(1u << id);
        taken &= ~chain.members;
        inner &= ~chain.members;
        if (chain.table >= 0) {
            tables_taken &= ~(1u << chain.table);
        }
    }

    void Ask(UINT16 event, bool on) {
        interrupts = on;
        asked = event_idx ? event : static_cast<UINT16>(on ? 0 : 1);
        asked_known = true;
    }

    // After a reset that succeeded.
    void Clear() {
        Model fresh;
        fresh.qsz = qsz;
        fresh.event_idx = event_idx;
        fresh.cut = cut;
        fresh.kick_when_full = kick_when_full;
        fresh.tables = tables;
        fresh.entries = entries;
        fresh.threshold = threshold;
        fresh.misuse = misuse;
        fresh.last_misuse = last_misuse;
        *this = fresh;
    }
};

} // namespace fuzz
