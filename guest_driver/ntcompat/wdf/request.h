// SPDX-License-Identifier: MIT
#ifndef NTC_WDF_REQUEST_H_
#define NTC_WDF_REQUEST_H_

#include "device.h"

namespace wdfldr {

class FileObject;
class Memory;

enum class RequestState : UCHAR {
    Arrived,   // not yet in a queue
    Queued,    // in a queue's pending list
    Driver,    // the driver has it
    Canceled,  // out of its queue to be completed, maybe by EvtIoCanceledOnQueue
    Completed, // the IRP is gone
};

// WDFREQUEST of an IRP that reached the device.
class Request : public Object {
  public:
    static constexpr Type kType = Type::Request;
    Device *device = nullptr;
    Queue *queue = nullptr; // where it waits, or that presented it
    FileObject *file = nullptr;
    PIRP irp = nullptr;
    LIST_ENTRY queueLink{}; // pending or owned list; under the queue's lock
    RequestState state = RequestState::Arrived;
    bool presented = false;    // was the driver's before (EvtIoCanceledOnQueue)
    bool cancelable = false;   // marked; a cancel routine of ours is set
    bool cancelCalled = false; // EvtRequestCancel has been or is being called
    bool stopMarked = false;   // the driver had it when its queue began to stop
    bool stopPending = false;  // EvtIoStop called for it
    bool stopAcknowledged = false;
    PFN_WDF_REQUEST_CANCEL cancel = nullptr;
    ULONG_PTR information = 0;
    // Made by the framework for this request, gone with it.
    Memory *inputMemory = nullptr;
    Memory *outputMemory = nullptr;
    PMDL inputMdl = nullptr;
    PMDL outputMdl = nullptr;

    // Completes the IRP; the request is gone afterwards unless referenced. The request
    // must not be in a pending list any more.
    void Complete(NTSTATUS status, CCHAR boost);
    void OnDispose() override;
};

Request *RequestInDriver(Globals *globals, WDFREQUEST handle, const char *function);
NTSTATUS CreateRequest(Device *device, PIRP irp, Request **out);

} // namespace wdfldr

#endif // NTC_WDF_REQUEST_H_
