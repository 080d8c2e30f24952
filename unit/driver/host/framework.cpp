// SPDX-License-Identifier: MIT
#include "calls.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

WDFFUNC WdfFunctions[WdfFunctionTableNumEntries];
static WDF_DRIVER_GLOBALS globals;
PWDF_DRIVER_GLOBALS WdfDriverGlobals = &globals;

extern "C" DRIVER_INITIALIZE DriverEntry;

namespace vq7::host {

Framework *framework;

namespace {

[[noreturn]] void Unknown() {
    throw std::logic_error("the driver calls a framework function that isn't here");
}

WDFDEVICE Handle(Object *device) {
    return reinterpret_cast<WDFDEVICE>(device);
}

} // namespace

void Object::AddContext(PCWDF_OBJECT_CONTEXT_TYPE_INFO type) {
    contexts[type].assign(type->ContextSize / 8 + 1, 0);
}

Framework::Framework(Kernel &kernel) : kernel_(kernel) {
    framework = this;
    for (WDFFUNC &entry : WdfFunctions) {
        entry = reinterpret_cast<WDFFUNC>(Unknown);
    }
    FillDeviceCalls();
    FillHardwareCalls();
    FillRequestCalls();
}

Framework::~Framework() {
    framework = nullptr;
}

NTSTATUS Framework::Load() {
    NTSTATUS status = DriverEntry(nullptr, nullptr);
    kernel_.Need(!NT_SUCCESS(status) || driver_config.EvtDriverUnload != nullptr,
                 "a driver that can't be unloaded");
    return status;
}

NTSTATUS Framework::AddDevice() {
    NTSTATUS status =
        driver_config.EvtDriverDeviceAdd(nullptr, reinterpret_cast<PWDFDEVICE_INIT>(this));
    if (!NT_SUCCESS(status)) {
        Remove();
    }
    return status;
}

NTSTATUS Framework::PrepareHardware() {
    NTSTATUS status =
        callbacks.EvtDevicePrepareHardware(Handle(device), reinterpret_cast<WDFCMRESLIST>(&raw),
                                           reinterpret_cast<WDFCMRESLIST>(&translated));
    if (!NT_SUCCESS(status)) {
        Released();
    }
    return status;
}

void Framework::Released() {
    kernel_.Need(callbacks.EvtDeviceReleaseHardware(
                     Handle(device), reinterpret_cast<WDFCMRESLIST>(&translated)) == STATUS_SUCCESS,
                 "ReleaseHardware fails");
}

NTSTATUS Framework::PowerUp() {
    NTSTATUS status = callbacks.EvtDeviceD0Entry(Handle(device), WdfPowerDeviceD3Final);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    kernel_.Need(kernel_.pci.status == 0, "the device isn't reset when interrupts are connected");
    if (messages > 0 && !keeps_msix_off) {
        kernel_.pci.msix = true; // the bus driver enables it
        kernel_.pci.cfg[kMsixAt + 3] |= 0x80;
    }
    connected = true;
    status = callbacks.EvtDeviceD0EntryPostInterruptsEnabled(Handle(device), WdfPowerDeviceD3Final);
    if (!NT_SUCCESS(status)) {
        connected = false;
        kernel_.Need(kernel_.pci.status == 0, "a device that failed to start isn't reset");
        if (callbacks.EvtDeviceD0Exit != nullptr) {
            callbacks.EvtDeviceD0Exit(Handle(device), WdfPowerDeviceD3Final);
        }
        return status;
    }
    powered = true;
    auto start = std::exchange(was_started_, true) ? callbacks.EvtDeviceSelfManagedIoRestart
                                                   : callbacks.EvtDeviceSelfManagedIoInit;
    return start != nullptr ? start(Handle(device)) : status;
}

NTSTATUS Framework::Start() {
    NTSTATUS status = Load();
    if (NT_SUCCESS(status)) {
        status = AddDevice();
    }
    if (NT_SUCCESS(status)) {
        status = PrepareHardware();
    }
    if (NT_SUCCESS(status)) {
        status = PowerUp();
        if (!NT_SUCCESS(status)) {
            Released();
        }
    }
    return status;
}

// Asks for every request that the driver has, and waits until it has given back or
// acknowledged them all.
void Framework::StopQueues(ULONG action) {
    std::vector<Request *> held;
    for (auto &object : objects) {
        auto *request = dynamic_cast<Request *>(object.get());
        if (request != nullptr && request->presented) {
            request->acknowledged = false;
            held.push_back(request);
        }
    }
    for (Request *request : held) {
        if (request->presented && request->queue->config.EvtIoStop != nullptr) {
            request->queue->config.EvtIoStop(reinterpret_cast<WDFQUEUE>(request->queue),
                                             reinterpret_cast<WDFREQUEST>(request), action);
        }
    }
    if (while_waiting) {
        while_waiting();
    }
    for (Request *request : held) {
        kernel_.Need(!request->presented || request->acknowledged,
                     "a request keeps the power-down from going on");
    }
    powered = false;
}

void Framework::PowerDown(ULONG action) {
    StopQueues(action);
    kernel_.Need(callbacks.EvtDeviceD0ExitPreInterruptsDisabled(Handle(device), WdfPowerDeviceD3) ==
                     STATUS_SUCCESS,
                 "a power-down fails");
    kernel_.Need(kernel_.pci.status == 0, "interrupts are disconnected from a device that runs");
    connected = false;
    kernel_.pci.msix = false;
    if (callbacks.EvtDeviceD0Exit != nullptr) {
        kernel_.Need(callbacks.EvtDeviceD0Exit(Handle(device), WdfPowerDeviceD3) == STATUS_SUCCESS,
                     "a power-down fails");
    }
}

void Framework::SurpriseRemove() {
    callbacks.EvtDeviceSurpriseRemoval(Handle(device));
}

// What is waiting in queues is cancelled by the framework.
void Framework::Remove() {
    if (device == nullptr) {
        return;
    }
    if (powered) {
        PowerDown(WdfRequestStopActionPurge);
    }
    for (Queue *queue : queues) {
        while (!queue->waiting.empty()) {
            Cancel(queue->waiting.front());
        }
    }
    if (!kernel_.mappings.empty() || bus_references != 0) {
        Released();
    }
    if (device->cleanup != nullptr) {
        device->cleanup(reinterpret_cast<WDFOBJECT>(device));
    }
    device->alive = false;
    device = nullptr;
}

Request *Framework::Send(ULONG code, const void *in, std::size_t in_length, std::size_t out_length,
                         PMDL mdl) {
    Request *request = Make<Request>();
    request->code = code;
    request->in_length = in_length;
    request->out_length = out_length;
    request->mdl = mdl;
    // Beyond its end: nothing may be written there.
    request->buffer.assign(std::max(in_length, mdl == nullptr ? out_length : 0) / 8 + 3,
                           0xA5A5A5A5A5A5A5A5);
    memcpy(request->buffer.data(), in, in_length);
    request->AddContext(request_context);
    // Nobody said what is in it.
    auto &context = request->contexts[request_context];
    context.assign(context.size(), 0xA5A5A5A5A5A5A5A5);
    request->queue = DefaultQueue();
    request->presented = true;
    request->queue->config.EvtIoDeviceControl(reinterpret_cast<WDFQUEUE>(request->queue),
                                              reinterpret_cast<WDFREQUEST>(request), out_length,
                                              in_length, code);
    return request;
}

void Framework::Cancel(Request *request) {
    auto &waiting = request->queue->waiting;
    for (auto at = waiting.begin(); at != waiting.end(); ++at) {
        if (*at == request) {
            waiting.erase(at);
            request->completed = true;
            request->status = STATUS_CANCELLED;
            return;
        }
    }
}

bool Framework::Interrupted(unsigned number) {
    kernel_.Need(connected, "an interrupt that is not connected");
    Interrupt *interrupt = interrupts.at(number);
    return interrupt->config.EvtInterruptIsr(reinterpret_cast<WDFINTERRUPT>(interrupt),
                                             messages > 0 ? number : 0) != FALSE;
}

// Fills what the next function will have for its variables.
[[gnu::noinline]] static void FillStack(std::uint8_t with) {
    volatile std::uint8_t bytes[2048];
    for (volatile std::uint8_t &byte : bytes) {
        byte = with;
    }
}

int Framework::RunDpcs() {
    int ran = 0;
    for (std::size_t i = 0; i < interrupts.size(); i++) {
        if (std::exchange(interrupts[i]->queued, false)) {
            kernel_.irql = DISPATCH_LEVEL;
            FillStack(stack);
            interrupts[i]->config.EvtInterruptDpc(reinterpret_cast<WDFINTERRUPT>(interrupts[i]),
                                                  reinterpret_cast<WDFOBJECT>(device));
            kernel_.Need(kernel_.irql == DISPATCH_LEVEL, "a DPC returns at another IRQL");
            kernel_.irql = PASSIVE_LEVEL;
            ran++;
        }
    }
    return ran;
}

int Framework::RunWork() {
    int ran = 0;
    for (WorkItem *work : work_items) {
        if (std::exchange(work->queued, false)) {
            work->config.EvtWorkItemFunc(reinterpret_cast<WDFWORKITEM>(work));
            ran++;
        }
    }
    return ran;
}

void Framework::Pass(unsigned ms) {
    for (Timer *timer : timers) {
        unsigned left = ms;
        while (timer->armed && timer->due_ms <= left) {
            left -= timer->due_ms;
            timer->armed = false;
            kernel_.irql = DISPATCH_LEVEL;
            timer->config.EvtTimerFunc(reinterpret_cast<WDFTIMER>(timer));
            kernel_.Need(kernel_.irql == DISPATCH_LEVEL, "a timer returns at another IRQL");
            kernel_.irql = PASSIVE_LEVEL;
        }
        timer->due_ms -= timer->armed ? left : 0;
    }
}

Queue *Framework::DefaultQueue() {
    for (Queue *queue : queues) {
        if (queue->config.DefaultQueue) {
            return queue;
        }
    }
    throw std::logic_error("there is no default queue");
}

bool Framework::LocksHeld() const {
    for (const Lock *lock : spin_locks) {
        if (lock->held) {
            return true;
        }
    }
    return false;
}

// What is left after ReleaseHardware and the device's cleanup.
std::vector<std::string> Framework::Leaks() const {
    std::vector<std::string> leaks;
    for (auto &[block, length] : kernel_.pool) {
        leaks.push_back("pool of " + std::to_string(length) + " bytes");
    }
    for (auto &mapping : kernel_.mappings) {
        leaks.push_back("a mapping of " + std::to_string(mapping.second) + " bytes");
    }
    for (auto &object : objects) {
        if (object->alive && object->kind == std::string("common buffer")) {
            leaks.push_back("a common buffer");
        }
        auto *request = dynamic_cast<Request *>(object.get());
        if (request != nullptr && !request->completed) {
            leaks.push_back("a request");
        }
    }
    for (const Interrupt *interrupt : interrupts) {
        if (interrupt->held) {
            leaks.push_back("the lock of an interrupt");
        }
    }
    for (const Timer *timer : timers) {
        if (timer->armed) {
            leaks.push_back("a timer that runs");
        }
    }
    if (bus_references != 0) {
        leaks.push_back("the bus interface");
    }
    if (open_keys != 0) {
        leaks.push_back("a registry key");
    }
    if (kernel_.irql != PASSIVE_LEVEL || LocksHeld()) {
        leaks.push_back("a raised IRQL or a lock");
    }
    return leaks;
}

} // namespace vq7::host
