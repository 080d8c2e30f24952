// SPDX-License-Identifier: MIT
//
// The framework's functions of queues and requests.
#include "calls.h"

#include <utility>

namespace vq7::host {

namespace {

NTSTATUS QueueCreate(Globals, WDFDEVICE, PWDF_IO_QUEUE_CONFIG config,
                     PWDF_OBJECT_ATTRIBUTES attributes, WDFQUEUE *handle) {
    return CreateConfigured("WdfIoQueueCreate", config, attributes, framework->queues, handle);
}

WDFDEVICE QueueDevice(Globals, WDFQUEUE handle) {
    return HandleOf<WDFDEVICE>(Of<Queue>(handle)->parent);
}

NTSTATUS RetrieveNext(Globals, WDFQUEUE handle, WDFREQUEST *request) {
    Queue *queue = Of<Queue>(handle);
    kernel->Need(!framework->LocksHeld(), "a call that may call back, under a lock");
    if (framework->in_retrieve) {
        std::exchange(framework->in_retrieve, nullptr)();
    }
    if (!framework->powered && queue->config.PowerManaged != WdfFalse) {
        return STATUS_WDF_PAUSED;
    }
    if (queue->waiting.empty()) {
        if (framework->in_no_more) {
            std::exchange(framework->in_no_more, nullptr)();
        }
        return STATUS_NO_MORE_ENTRIES;
    }
    Request *next = queue->waiting.front();
    queue->waiting.pop_front();
    next->presented = true;
    *request = HandleOf<WDFREQUEST>(next);
    if (framework->in_retrieved) {
        std::exchange(framework->in_retrieved, nullptr)();
    }
    return STATUS_SUCCESS;
}

NTSTATUS ReadyNotify(Globals, WDFQUEUE handle, PFN_WDF_IO_QUEUE_STATE ready, WDFCONTEXT context) {
    if (kernel->Fails("WdfIoQueueReadyNotify")) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    Of<Queue>(handle)->ready = ready;
    Of<Queue>(handle)->ready_context = context;
    return STATUS_SUCCESS;
}

NTSTATUS Forward(Globals, WDFREQUEST handle, WDFQUEUE to) {
    Request *request = Of<Request>(handle);
    Queue *queue = Of<Queue>(to);
    kernel->Need(!framework->LocksHeld(), "a call that may call back, under a lock");
    if (kernel->Fails("WdfRequestForwardToIoQueue")) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    request->queue = queue;
    request->presented = false;
    queue->waiting.push_back(request);
    if (queue->waiting.size() == 1 && queue->ready != nullptr && framework->powered) {
        queue->ready(to, queue->ready_context);
    }
    return STATUS_SUCCESS;
}

VOID Complete(Globals, WDFREQUEST handle, NTSTATUS status, ULONG_PTR information) {
    Request *request = Of<Request>(handle);
    kernel->Need(!framework->LocksHeld(), "a request is completed under a lock");
    kernel->Need(!request->completed, "a request is completed twice");
    kernel->Need(request->presented, "a request is completed that the framework has");
    request->completed = true;
    request->presented = false;
    request->status = status;
    request->information = information;
    if (framework->in_complete) {
        std::exchange(framework->in_complete, nullptr)();
    }
}

VOID CompletePlain(Globals globals, WDFREQUEST handle, NTSTATUS status) {
    Complete(globals, handle, status, 0);
}

NTSTATUS RetrieveBuffer(std::size_t has, Request *request, size_t least, PVOID *buffer,
                        size_t *length) {
    if (has < least || has == 0) {
        return STATUS_BUFFER_TOO_SMALL;
    }
    *buffer = request->buffer.data();
    if (length != nullptr) {
        *length = has;
    }
    return STATUS_SUCCESS;
}

NTSTATUS RetrieveInput(Globals, WDFREQUEST handle, size_t least, PVOID *buffer, size_t *length) {
    Request *request = Of<Request>(handle);
    return RetrieveBuffer(request->in_length, request, least, buffer, length);
}

NTSTATUS RetrieveOutput(Globals, WDFREQUEST handle, size_t least, PVOID *buffer, size_t *length) {
    Request *request = Of<Request>(handle);
    return RetrieveBuffer(request->out_length, request, least, buffer, length);
}

NTSTATUS RetrieveMdl(Globals, WDFREQUEST handle, PMDL *mdl) {
    *mdl = Of<Request>(handle)->mdl;
    return kernel->Fails("WdfRequestRetrieveOutputWdmMdl") || *mdl == nullptr
               ? STATUS_INSUFFICIENT_RESOURCES
               : STATUS_SUCCESS;
}

VOID StopAcknowledge(Globals, WDFREQUEST handle, BOOLEAN requeue) {
    Request *request = Of<Request>(handle);
    kernel->Need(!framework->LocksHeld(), "a call that may call back, under a lock");
    kernel->Need(request->presented, "a request is acknowledged that the driver has not");
    kernel->Need(!requeue, "a request that was begun goes back to the queue");
    request->acknowledged = true;
    if (framework->in_acknowledge) {
        std::exchange(framework->in_acknowledge, nullptr)();
    }
}

} // namespace

void FillRequestCalls() {
    VQ7_ENTRY(WdfIoQueueCreate, QueueCreate);
    VQ7_ENTRY(WdfIoQueueGetDevice, QueueDevice);
    VQ7_ENTRY(WdfIoQueueRetrieveNextRequest, RetrieveNext);
    VQ7_ENTRY(WdfIoQueueReadyNotify, ReadyNotify);
    VQ7_ENTRY(WdfRequestForwardToIoQueue, Forward);
    VQ7_ENTRY(WdfRequestComplete, CompletePlain);
    VQ7_ENTRY(WdfRequestCompleteWithInformation, Complete);
    VQ7_ENTRY(WdfRequestRetrieveInputBuffer, RetrieveInput);
    VQ7_ENTRY(WdfRequestRetrieveOutputBuffer, RetrieveOutput);
    VQ7_ENTRY(WdfRequestRetrieveOutputWdmMdl, RetrieveMdl);
    VQ7_ENTRY(WdfRequestStopAcknowledge, StopAcknowledge);
}

} // namespace vq7::host
