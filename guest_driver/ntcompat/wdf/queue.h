// SPDX-License-Identifier: MIT
//
// WDFQUEUE. A queue holds requests in two lists: pending (waiting) and owned (given
// to the driver). Whether a pending one is presented depends on the driver's start
// and stop, and on power. A driver may retrieve requests until the queue is off.
#ifndef NTC_WDF_QUEUE_H_
#define NTC_WDF_QUEUE_H_

#include "device.h"
#include "request.h"

namespace wdfldr {

struct StateCallback {
    PFN_WDF_IO_QUEUE_STATE routine;
    WDFCONTEXT context;
};

// Power of a queue; queuepower.cpp has the transitions. Requests are presented and
// EvtIoQueueReady is called in On alone; a driver retrieves in all but Off.
enum class QueuePower : UCHAR {
    On,
    Leaving,  // no new callbacks; those that run still end
    Stopping, // EvtIoStop for what the driver had when this began
    Purging,  // the same for removal
    Off,
    Restarting, // EvtIoResume for what the driver holds
};

// One activation of the presenting loop; see Queue::Present.
struct PresentFrame {
    LIST_ENTRY links;
    PKTHREAD thread;
};

class Queue : public Object {
  public:
    static constexpr Type kType = Type::Queue;
    Device *device = nullptr;
    LIST_ENTRY deviceLink{};
    WDF_IO_QUEUE_CONFIG config{};
    bool powerManaged = false;
    bool passiveCallbacks = false;
    CallbackLock ownCallbackLock;
    CallbackLock *scopeLock = nullptr; // NULL: callbacks run concurrently

    KSPIN_LOCK lock = 0; // what follows
    LIST_ENTRY pending{};
    LIST_ENTRY owned{};
    LIST_ENTRY frames{};
    ULONG pendingCount = 0;
    ULONG ownedCount = 0;
    bool accept = true;    // takes new requests
    bool started = true;   // the driver's start / stop
    bool shutdown = false; // removal: accept stays off
    QueuePower power = QueuePower::Off;
    bool notifyReady = true; // next arrival is an edge for EvtIoQueueReady
    volatile bool workQueued = false;
    StateCallback ready{};
    StateCallback stopped{}; // when the driver owns nothing any more
    StateCallback empty{};   // drain, purge: when nothing is left at all
    KEVENT ownedIdle{};      // set while ownedCount == 0
    KEVENT stopChange{};     // a request was acknowledged or left, or a callback ended
    KEVENT allIdle{};        // set while both lists are empty
    PIO_WORKITEM work = nullptr;

    // Takes a request that no queue holds. STATUS_WDF_BUSY: not accepting;
    // STATUS_CANCELLED: the IRP was cancelled, the caller completes it.
    NTSTATUS Insert(Request *request, bool atHead);
    // Presents what may be presented; runs state callbacks that came due.
    void Present();
    // Next pending request as the driver's own, or NULL.
    Request *TakeNext();
    // The driver gives a request back: completed, forwarded or requeued.
    void ReleaseOwned(Request *request);
    // Cancels pending requests: all, or those of one file.
    void CancelPending(PFILE_OBJECT file = nullptr);
    // Calls EvtRequestCancel for owned requests that are marked cancelable.
    void CancelOwned();
    void UpdateEvents();                                                        // lock held
    void AddOwned(Request *request, RequestState state = RequestState::Driver); // lock held
    // Power, PASSIVE_LEVEL. Leaving D0: Leave() and Hold(), which returns when the driver
    // has stopped or finished what it had; back: Restart() and Restarted(). Removal:
    // Purge(). HoldQueues() and the others below do it for all queues of a device.
    void Leave();
    void Hold();
    void Restart();
    void Restarted();
    void Purge();

    void OnDelete() override;
    void OnDestroy() override;

  private:
    Request *TakePresentable();
    void Deliver(Request *request);
    bool TakeDueCallbacks(StateCallback *due, ULONG *count);
    void QueueWork();
    void MarkOwned();
    Request *NextMarked(bool *allDone);
    void StopMarked(ULONG action, const char *what);
    static IO_WORKITEM_ROUTINE WorkRoutine;
};

// A read or write of no bytes, which most queues complete themselves.
bool IsZeroLength(PIO_STACK_LOCATION stack);
// Removes from `pending`, lock held; FALSE: its cancel routine owns it.
bool TakeFromPending(Queue *queue, Request *request, RequestState state);

void HoldQueues(Device *device);
void ResumeQueues(Device *device);
// Purges power-managed (or the other) queues for good and waits.
void PurgeQueues(Device *device, bool powerManaged);
void WaitFor(Queue *queue, KEVENT *event, const char *what);

} // namespace wdfldr

#endif // NTC_WDF_QUEUE_H_
