// SPDX-License-Identifier: MIT
//
// The driver of the fuzzed queue: what virtqueue_split_giver.h gives away, taken
// back; interrupts, detaching, resetting. Each call is judged by the model and by
// what it wrote to the ring.
#pragma once

#include <algorithm>

#include "virtqueue_split_giver.h"

namespace fuzz {

class Driver : public Giver {
  public:
    bool ever_broken = false;

    // What the accessors say, after each step.
    void Check() {
        ever_broken |= model.broken != STATUS_SUCCESS;
        Require(VirtqSplitNumFree(vq) == model.Free(), "free descriptors");
        Require(VirtqSplitInFlight(vq) == model.in_flight, "buffers in flight");
        Require(VirtqSplitBrokenStatus(vq) == model.broken &&
                    (VirtqSplitIsBroken(vq) != FALSE) == (model.broken != STATUS_SUCCESS),
                "why it is broken");
        Require(VirtqSplitMisuseCount(vq) == model.misuse &&
                    VirtqSplitLastMisuse(vq) == model.last_misuse,
                "misuses");
        if (model.broken == STATUS_SUCCESS) {
            Require(vq->avail_idx == model.avail_idx && vq->last_used_idx == model.last_used,
                    "both indices");
        }
    }

    UINT16 Waiting() const {
        return static_cast<UINT16>(ring.UsedIdx() - model.last_used);
    }

    bool HasUsed() const {
        bool has = VirtqSplitHasUsed(vq) != FALSE;
        bool waiting = Waiting() != 0 || model.saw_waiting;
        Require(has == (model.broken == STATUS_SUCCESS && waiting), "HasUsed");
        return has;
    }

    void Get() {
        UINT16 waiting = Waiting();
        UINT32 id = ring.UsedId(model.last_used), claimed = ring.UsedLen(model.last_used);
        void *cookie = &cookie;
        UINT32 len = 1;
        NTSTATUS status = reached.Note(kGetOne, VirtqSplitGetUsed(vq, &cookie, &len));
        if (!NT_SUCCESS(status)) {
            Require(cookie == nullptr && len == 0, "no buffer with an error");
        }
        if (model.broken != STATUS_SUCCESS) {
            Require(status == STATUS_INVALID_DEVICE_STATE, "get on a broken queue");
        } else if (waiting == 0) {
            Require(status == NothingThere(), "nothing to get");
            CheckAsked();
        } else {
            Require(model.JudgeUsed(waiting, id, claimed).Has(status), "judgement of a used entry");
            if (NT_SUCCESS(status)) {
                SeeReturned(id, claimed, cookie, len);
            } else {
                model.broken = status;
            }
        }
    }

    void GetBatch(UINT16 cap) {
        VIRTQ_COMPLETION out[kMaxBatch];
        VIRTQ_COMPLETION *first = out + (kMaxBatch - cap); // nothing behind it
        UINT16 count = 0xFFFF, i = 0;
        UINT16 waiting = Waiting();
        NTSTATUS status = reached.Note(kGetMany, VirtqSplitGetUsedBatch(vq, first, cap, &count));
        if (cap == 0 || model.broken != STATUS_SUCCESS || waiting == 0) {
            NTSTATUS expected = cap == 0                         ? STATUS_INVALID_PARAMETER
                                : model.broken != STATUS_SUCCESS ? STATUS_INVALID_DEVICE_STATE
                                                                 : NothingThere();
            Require(status == expected && count == 0, "no batch");
            return;
        }
        for (; i < std::min(cap, waiting); i++) {
            UINT32 id = ring.UsedId(model.last_used), claimed = ring.UsedLen(model.last_used);
            Allowed allowed = model.JudgeUsed(i == 0 ? waiting : UINT16{0}, id, claimed);
            if (i == 0 && !allowed.Empty()) {
                Require(allowed.Has(status) && count == 0, "judgement of a used entry");
                model.broken = status;
                return;
            }
            if (!allowed.Empty()) {
                break;
            }
            Require(i < count, "a batch takes all that is good");
            SeeReturned(id, claimed, first[i].cookie, first[i].len);
        }
        Require(status == STATUS_SUCCESS && count == i, "a batch takes only what is good");
    }

    // What there was is gone: the index went back.
    NTSTATUS NothingThere() {
        if (!model.saw_waiting) {
            return STATUS_NOT_FOUND;
        }
        return model.broken = VIRTQ_STATUS_USED_IDX_AHEAD;
    }

    // A loop that is slower than the README's; the number of rounds is the library's to bound.
    void Drain() {
        unsigned rounds = 0;
        VirtqSplitDisableInterrupts(vq);
        Ask(static_cast<UINT16>(model.last_used - 1), false);
        while (HasUsed()) {
            Require(rounds++ <= model.qsz, "a drain loop ends");
            Get();
        }
    }

    void SeeWaiting() {
        model.saw_waiting |= model.broken == STATUS_SUCCESS && Waiting() != 0;
    }

    void Disable() {
        VirtqSplitDisableInterrupts(vq);
        Ask(static_cast<UINT16>(model.last_used - 1), false);
    }

    void Enable() {
        bool idle = VirtqSplitEnableInterrupts(vq) != FALSE;
        bool broken = model.broken != STATUS_SUCCESS;
        Require(idle == (broken || Waiting() == 0), "EnableInterrupts");
        SeeWaiting();
        Ask(model.last_used, true);
    }

    void EnableDelayed() {
        UINT16 after = static_cast<UINT16>(model.event_idx ? model.in_flight * 3 / 4 : 0);
        bool idle = VirtqSplitEnableInterruptsDelayed(vq) != FALSE;
        bool broken = model.broken != STATUS_SUCCESS;
        Require(idle == (broken || Waiting() <= after), "EnableInterruptsDelayed");
        SeeWaiting();
        Ask(static_cast<UINT16>(model.last_used + after), true);
    }

    void WaitAndPoll() {
        bool broken = model.broken != STATUS_SUCCESS;
        UINT16 position = VirtqSplitPrepareWait(vq);
        Require(position == (broken ? 0 : model.last_used), "PrepareWait");
        SeeWaiting();
        Ask(model.last_used, true);
        bool news = VirtqSplitPoll(vq, position) != FALSE;
        Require(news == (!broken && Waiting() != 0), "Poll");
    }

    bool Detach() {
        std::uint32_t outstanding = model.Outstanding();
        void *cookie = &cookie;
        NTSTATUS status = reached.Note(kDetachOne, VirtqSplitDetachUnused(vq, &cookie));
        if (outstanding == 0) {
            Require(status == STATUS_NOT_FOUND && cookie == nullptr, "nothing to detach");
            return false;
        }
        UINT32 head = static_cast<UINT32>(__builtin_ctz(outstanding));
        Require(status == STATUS_SUCCESS && cookie == model.chains[head].cookie,
                "detach gives each buffer once, by descriptor");
        model.in_flight = static_cast<UINT16>(model.in_flight - (model.flight >> head & 1));
        model.Release(head);
        model.broken = model.broken == STATUS_SUCCESS ? VIRTQ_STATUS_DETACHED : model.broken;
        return true;
    }

    void Reset() {
        NTSTATUS status = reached.Note(kResetQueue, VirtqSplitResetChecked(vq));
        if (model.Outstanding() != 0) {
            Require(status == model.Misuse(VIRTQ_STATUS_BUFFERS_LEFT), "reset with buffers left");
            model.broken = model.broken == STATUS_SUCCESS ? status : model.broken;
            return;
        }
        Require(status == STATUS_SUCCESS, "reset");
        Require(ring.area[0].IsZero() && ring.area[1].IsZero() && ring.area[2].IsZero(),
                "reset clears what is shared");
        model.Clear();
    }

    void Recover() {
        ever_broken |= model.broken != STATUS_SUCCESS;
        while (Detach()) {
        }
        Reset();
    }

    // The device wrote to the avail ring.
    void AvailScribbled() {
        model.asked_known = false;
        model.avail_clean = false;
    }

  private:
    void SeeReturned(UINT32 id, UINT32 claimed, void *cookie, UINT32 len) {
        model.saw_waiting = false;
        Require(cookie == model.chains[id].cookie, "the cookie of that buffer");
        Require(len == std::min(claimed, model.chains[id].writable), "length within the buffer");
        model.Return(id);
    }

    // A broken queue asks for nothing any more.
    void Ask(UINT16 event, bool on) {
        if (model.broken == STATUS_SUCCESS) {
            model.Ask(event, on);
            CheckAsked();
        }
    }

    // used_event or avail->flags (2.7.7); flags stay 0 with EVENT_IDX (2.7.7.1).
    void CheckAsked() const {
        if (model.asked_known) {
            UINT16 told = model.event_idx ? ring.UsedEvent() : ring.AvailFlags();
            Require(told == model.asked, "what the device was told about interrupts");
        }
        if (model.event_idx && model.avail_clean) {
            Require(ring.AvailFlags() == 0, "avail->flags with EVENT_IDX");
        }
    }
};

} // namespace fuzz
