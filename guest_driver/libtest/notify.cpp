// SPDX-License-Identifier: MIT
//
// Who is told when: kicks (Virtio 1.2, 2.7.10, 2.7.13.4), interrupts (2.7.7).
#include "peer.h"

// One buffer of one piece is made available.
static NTSTATUS Publish(Queue &q) {
    static const VIRTQ_SG sg = {0x10000, 64, TRUE};
    USHORT head;
    const NTSTATUS status = VirtqSplitAddBuffer(q.vq, &sg, 1, nullptr, &head);
    return NT_SUCCESS(status) ? VirtqSplitPublishChecked(q.vq, head) : status;
}

// The device finishes one.
static bool Finish(Queue &q) {
    Chain chain;
    CHECK(q.peer.Take(&chain));
    q.peer.Use(chain.head, 1);
    return true;
}

static NTSTATUS Get(Queue &q) {
    void *cookie;
    UINT32 len;
    return VirtqSplitGetUsed(q.vq, &cookie, &len);
}

// The kick in one step, or in two.
static BOOLEAN Kick(Queue &q, bool two) {
    if (!two)
        return VirtqSplitKick(q.vq);
    const BOOLEAN wanted = VirtqSplitKickPrepare(q.vq);
    VirtqSplitKickCommit(q.vq);
    return wanted;
}

static bool KicksByFlag(bool two) {
    Queue q(8, false, NoTables);
    CHECK(q.Ready());
    CHECK(!Kick(q, two)); // nothing was published
    CHECK_STATUS(Publish(q), STATUS_SUCCESS);
    CHECK(Kick(q, two));
    CHECK(!Kick(q, two));
    q.peer.SetNoNotify(true);
    CHECK_STATUS(Publish(q), STATUS_SUCCESS);
    CHECK(!Kick(q, two));
    q.peer.SetNoNotify(false);
    CHECK(!Kick(q, two)); // that one was settled
    return true;
}

static bool KicksByEvent(bool two) {
    Queue q(8, true, NoTables);
    CHECK(q.Ready());
    CHECK(!Kick(q, two));
    q.peer.SetAvailEvent(1); // after the second
    CHECK_STATUS(Publish(q), STATUS_SUCCESS);
    CHECK(!Kick(q, two));
    q.peer.SetNoNotify(true); // means nothing with EVENT_IDX
    CHECK_STATUS(Publish(q), STATUS_SUCCESS);
    CHECK(Kick(q, two));
    CHECK_STATUS(Publish(q), STATUS_SUCCESS);
    CHECK_STATUS(Publish(q), STATUS_SUCCESS);
    q.peer.SetAvailEvent(2); // the first of two
    CHECK(Kick(q, two));
    return true;
}

static bool Kicks() {
    return KicksByFlag(false) && KicksByFlag(true) && KicksByEvent(false) && KicksByEvent(true);
}

// What is published between the two steps, or by one inside the other, is not lost.
static bool KickInTwoSteps() {
    Queue q(8, true, NoTables);
    CHECK(q.Ready());
    q.peer.SetAvailEvent(1);
    CHECK_STATUS(Publish(q), STATUS_SUCCESS);
    CHECK(!VirtqSplitKickPrepare(q.vq));
    CHECK_STATUS(Publish(q), STATUS_SUCCESS);
    VirtqSplitKickCommit(q.vq);
    CHECK(Kick(q, true));
    q.peer.SetAvailEvent(3);
    CHECK_STATUS(Publish(q), STATUS_SUCCESS);
    CHECK(!VirtqSplitKickPrepare(q.vq));
    CHECK(!VirtqSplitKick(q.vq));
    CHECK_STATUS(Publish(q), STATUS_SUCCESS);
    VirtqSplitKickCommit(q.vq);
    CHECK(VirtqSplitKick(q.vq));
    return true;
}

static bool KickWhenFullBy(bool two) {
    Queue q(4, false, NoTables);
    CHECK(q.Ready());
    q.peer.SetNoNotify(true);
    while (Publish(q) == STATUS_SUCCESS) {
    }
    CHECK_EQUAL(VirtqSplitNumFree(q.vq), 0);
    CHECK(!Kick(q, two)); // off at Init
    VirtqSplitSetKickWhenFull(q.vq, TRUE);
    CHECK(!Kick(q, two)); // none was refused since
    CHECK_STATUS(Publish(q), STATUS_INSUFFICIENT_RESOURCES);
    CHECK(Kick(q, two));
    CHECK(!Kick(q, two));
    CHECK_STATUS(Publish(q), STATUS_INSUFFICIENT_RESOURCES);
    CHECK(VirtqSplitKickPrepare(q.vq));
    CHECK_STATUS(Publish(q), STATUS_INSUFFICIENT_RESOURCES);
    VirtqSplitKickCommit(q.vq); // not the one that was refused since
    CHECK(Kick(q, two));
    VirtqSplitSetKickWhenFull(q.vq, FALSE);
    CHECK_STATUS(Publish(q), STATUS_INSUFFICIENT_RESOURCES);
    CHECK(!Kick(q, two));
    return true;
}

static bool KickWhenFull() {
    VirtqSplitSetKickWhenFull(nullptr, TRUE);
    return KickWhenFullBy(false) && KickWhenFullBy(true);
}

// More than a 16-bit count of buffers without a kick: the next one is sure, because a count
// that had wrapped would look like few.
static bool OverrunBy(bool two) {
    enum : USHORT { Many = 128 };
    Queue q(Many, true, NoTables);
    Pool<VIRTQ_BUFFER> buffers(Many);
    Pool<VIRTQ_COMPLETION> out(Many);
    static const VIRTQ_SG sg = {0x10000, 64, TRUE};
    USHORT done;
    CHECK(q.Ready() && buffers.at && out.at);
    for (USHORT i = 0; i < Many; i++)
        buffers.at[i] = {&sg, 1, nullptr};
    q.peer.SetAvailEvent(0x8000);
    if (two)
        VirtqSplitKickPrepare(q.vq);
    for (ULONG i = 0; i < 0x10000 / Many + 1; i++) {
        CHECK_STATUS(VirtqSplitSubmitBatch(q.vq, buffers.at, Many, &done), STATUS_SUCCESS);
        CHECK_EQUAL(done, Many);
        for (USHORT n = 0; n < Many; n++)
            if (!Finish(q))
                return false;
        CHECK_STATUS(VirtqSplitGetUsedBatch(q.vq, out.at, Many, &done), STATUS_SUCCESS);
        CHECK_EQUAL(done, Many);
    }
    if (two)
        VirtqSplitKickCommit(q.vq);
    q.peer.SetAvailEvent(0x4000);
    CHECK(Kick(q, two));
    CHECK(!Kick(q, two));
    return true;
}

static bool Overrun() {
    return OverrunBy(false) && OverrunBy(true);
}

static bool InterruptsByFlag() {
    Queue q(8, false, NoTables);
    CHECK(q.Ready());
    CHECK_EQUAL(q.peer.AvailFlags(), 0);
    VirtqSplitDisableInterrupts(q.vq);
    CHECK_EQUAL(q.peer.AvailFlags(), 1);
    CHECK_STATUS(Publish(q), STATUS_SUCCESS);
    CHECK(!VirtqSplitHasUsed(q.vq) && Finish(q) && VirtqSplitHasUsed(q.vq));
    CHECK(!VirtqSplitEnableInterrupts(q.vq)); // one is waiting
    CHECK_EQUAL(q.peer.AvailFlags(), 0);
    CHECK_STATUS(Get(q), STATUS_SUCCESS);
    CHECK(VirtqSplitEnableInterrupts(q.vq));
    CHECK(VirtqSplitEnableInterruptsDelayed(q.vq)); // as above without EVENT_IDX
    CHECK_STATUS(Get(q), STATUS_NOT_FOUND);
    return true;
}

static bool InterruptsByEvent() {
    Queue q(16, true, NoTables);
    CHECK(q.Ready());
    CHECK_EQUAL(q.peer.UsedEvent(), 0); // on at Init, and follows
    for (int i = 0; i < 8; i++)
        CHECK_STATUS(Publish(q), STATUS_SUCCESS);
    CHECK(Finish(q));
    CHECK_STATUS(Get(q), STATUS_SUCCESS);
    CHECK_EQUAL(q.peer.UsedEvent(), 1);
    CHECK(!VirtqSplitHasUsed(q.vq));
    VirtqSplitDisableInterrupts(q.vq);
    CHECK_EQUAL(q.peer.UsedEvent(), 0);  // as far away as it gets
    CHECK_EQUAL(q.peer.AvailFlags(), 0); // 2.7.7.1
    CHECK(Finish(q));
    CHECK_STATUS(Get(q), STATUS_SUCCESS);
    CHECK_EQUAL(q.peer.UsedEvent(), 0);
    // Six are in flight: after the fifth, three quarters and one.
    CHECK(VirtqSplitEnableInterruptsDelayed(q.vq));
    CHECK_EQUAL(q.peer.UsedEvent(), 2 + 6 * 3 / 4);
    for (int i = 0; i < 5; i++)
        CHECK(Finish(q));
    CHECK(!VirtqSplitEnableInterruptsDelayed(q.vq));
    CHECK(!VirtqSplitEnableInterrupts(q.vq));
    for (int i = 0; i < 5; i++)
        CHECK_STATUS(Get(q), STATUS_SUCCESS);
    CHECK_STATUS(Get(q), STATUS_NOT_FOUND);
    CHECK(VirtqSplitEnableInterrupts(q.vq));
    CHECK_EQUAL(q.peer.UsedEvent(), 7);
    return true;
}

static bool Waits() {
    for (int event_idx = 0; event_idx < 2; event_idx++) {
        Queue q(8, event_idx != 0, NoTables);
        CHECK(q.Ready());
        CHECK_STATUS(Publish(q), STATUS_SUCCESS);
        const USHORT at = VirtqSplitPrepareWait(q.vq);
        CHECK_EQUAL(at, 0);
        CHECK(!VirtqSplitPoll(q.vq, at) && Finish(q) && VirtqSplitPoll(q.vq, at));
        CHECK_STATUS(Get(q), STATUS_SUCCESS);
        CHECK_EQUAL(VirtqSplitPrepareWait(q.vq), 1);
        CHECK(!VirtqSplitPoll(q.vq, 1));
    }
    return true;
}

// used->idx that was seen ahead and then isn't would keep a drain loop going for ever.
static bool WentBack() {
    for (int batch = 0; batch < 2; batch++) {
        Queue q(8, true, NoTables);
        VIRTQ_COMPLETION out[2];
        USHORT count;
        CHECK(q.Ready());
        CHECK_STATUS(Publish(q), STATUS_SUCCESS);
        CHECK(Finish(q));
        CHECK(!VirtqSplitEnableInterrupts(q.vq));
        q.peer.MoveUsed(-1);
        CHECK(VirtqSplitHasUsed(q.vq)); // for GetUsed to say
        CHECK_STATUS(batch ? VirtqSplitGetUsedBatch(q.vq, out, 2, &count) : Get(q),
                     VIRTQ_STATUS_USED_IDX_AHEAD);
        CHECK_STATUS(VirtqSplitBrokenStatus(q.vq), VIRTQ_STATUS_USED_IDX_AHEAD);
    }
    return true;
}

static bool NullArguments() {
    CHECK(!VirtqSplitKick(nullptr) && !VirtqSplitKickPrepare(nullptr));
    VirtqSplitKickCommit(nullptr);
    CHECK(!VirtqSplitHasUsed(nullptr));
    VirtqSplitDisableInterrupts(nullptr);
    CHECK(VirtqSplitEnableInterrupts(nullptr) && VirtqSplitEnableInterruptsDelayed(nullptr));
    CHECK_EQUAL(VirtqSplitPrepareWait(nullptr), 0);
    CHECK(!VirtqSplitPoll(nullptr, 1));
    Queue q(8, true, NoTables);
    void *cookie;
    UINT32 len;
    CHECK(q.Ready());
    CHECK_STATUS(VirtqSplitGetUsed(nullptr, &cookie, &len), STATUS_INVALID_PARAMETER);
    CHECK_STATUS(VirtqSplitGetUsed(q.vq, nullptr, &len), STATUS_INVALID_PARAMETER);
    CHECK_STATUS(VirtqSplitGetUsed(q.vq, &cookie, nullptr), STATUS_INVALID_PARAMETER);
    CHECK(!VirtqSplitIsBroken(q.vq));
    return true;
}

const LibCase NotifyCases[] = {
    {"kicks", Kicks},
    {"kick-in-two-steps", KickInTwoSteps},
    {"kick-when-full", KickWhenFull},
    {"overrun", Overrun},
    {"interrupts-by-flag", InterruptsByFlag},
    {"interrupts-by-event", InterruptsByEvent},
    {"waits", Waits},
    {"went-back", WentBack},
    {"notify-null", NullArguments},
    {nullptr, nullptr},
};
