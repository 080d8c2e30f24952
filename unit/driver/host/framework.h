// SPDX-License-Identifier: MIT
//
// KMDF around the driver in a host program: the objects and calls of guest_driver/kmdf that
// the driver uses, on one thread. Work items and DPCs wait until a test runs them. What
// documented KMDF forbids, and what the driver promises (no request is completed under a
// lock), becomes a violation of the kernel.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kernel.h"
#include <wdf.h>

namespace vq7::host {

struct Object {
    explicit Object(const char *kind = "nothing") : kind(kind) {}
    virtual ~Object() = default;
    const char *kind;
    Object *parent = nullptr;
    bool alive = true;
    PFN_WDF_OBJECT_CONTEXT_CLEANUP cleanup = nullptr;
    std::map<PCWDF_OBJECT_CONTEXT_TYPE_INFO, std::vector<std::uint64_t>> contexts;
    void AddContext(PCWDF_OBJECT_CONTEXT_TYPE_INFO type);
};

// What memory holds that nobody has cleared.
inline constexpr std::uint8_t kUnset = 0xCD;

struct Buffer : Object { // a common buffer
    Buffer() : Object("common buffer") {}
    std::uint64_t pa = 0;
    std::size_t length = 0;
};

struct Lock : Object {
    Lock() : Object("lock") {}
    bool held = false;
    unsigned locked = 0;   // so often
    KIRQL irql_before = 0; // spin locks
};

struct Key : Object {
    Key() : Object("registry key") {}
};

struct Interrupt : Object {
    Interrupt() : Object("interrupt") {}
    bool held = false, queued = false; // its lock, its DPC
    unsigned locked = 0;               // so often
    WDF_INTERRUPT_CONFIG config = {};
};

struct WorkItem : Object {
    WorkItem() : Object("work item") {}
    bool queued = false;
    WDF_WORKITEM_CONFIG config = {};
};

struct Timer : Object {
    Timer() : Object("timer") {}
    bool armed = false;
    unsigned due_ms = 0; // from when it was armed
    unsigned waits = 0;  // until it doesn't run any more
    WDF_TIMER_CONFIG config = {};
};

struct Request;

struct Queue : Object {
    Queue() : Object("queue") {}
    WDF_IO_QUEUE_CONFIG config = {};
    std::deque<Request *> waiting;
    PFN_WDF_IO_QUEUE_STATE ready = nullptr;
    WDFCONTEXT ready_context = nullptr;
};

struct Request : Object {
    Request() : Object("request") {}
    ULONG code = 0;
    std::vector<std::uint64_t> buffer; // METHOD_BUFFERED: in and out; direct: in
    std::size_t in_length = 0, out_length = 0;
    PMDL mdl = nullptr;
    Queue *queue = nullptr; // whose it is
    bool presented = false; // the driver has it
    bool completed = false, acknowledged = false;
    NTSTATUS status = 0;
    ULONG_PTR information = 0;
};

class Framework {
  public:
    explicit Framework(Kernel &kernel);
    ~Framework();

    // What the machine gives the driver.
    std::optional<std::u16string> transport; // parameter Transport
    std::map<std::u16string, ULONG> numbers; // REG_DWORDs beside it
    bool parameters_key = true;
    int messages = 0; // message interrupts; 0: a line, if there is one
    bool keeps_msix_off = false;
    bool iommu = false;                       // what it calls memory is not where that is
    unsigned unreadable = ~0u;                // an offset in configuration space
    static constexpr unsigned kMsixAt = 0x98; // the capability
    std::vector<CM_PARTIAL_RESOURCE_DESCRIPTOR> raw, translated;
    ULONG bus_number = 0, address = 4 << 16;

    // The driver's life. A failure is followed by what KMDF calls then.
    NTSTATUS Load();
    NTSTATUS AddDevice();
    NTSTATUS PrepareHardware();
    NTSTATUS PowerUp();
    NTSTATUS Start(); // all of these
    void PowerDown(ULONG action = WdfRequestStopActionSuspend);
    void Remove();
    void SurpriseRemove();

    // What goes on while it runs.
    Request *Send(ULONG code, const void *in, std::size_t in_length, std::size_t out_length,
                  PMDL mdl = nullptr);
    void Cancel(Request *request);     // one that waits in a queue
    bool Interrupted(unsigned number); // what the ISR says
    int RunDpcs();                     // how many ran
    int RunWork();
    // As much time goes by: the timers that are due, in order.
    void Pass(unsigned ms);

    // Of the driver.
    WDF_DRIVER_CONFIG driver_config = {};
    WDF_PNPPOWER_EVENT_CALLBACKS callbacks = {};
    Object *device = nullptr;
    std::vector<Interrupt *> interrupts;
    std::vector<Queue *> queues;
    std::vector<WorkItem *> work_items;
    std::vector<Timer *> timers;
    std::vector<Lock *> spin_locks;
    std::vector<std::unique_ptr<Object>> objects;
    PCWDF_OBJECT_CONTEXT_TYPE_INFO request_context = nullptr;
    std::string interface_guid; // of the device interface
    int bus_references = 0, open_keys = 0;
    int config_writes = 0; // into configuration space
    std::size_t dma_length = 0;
    WDF_DMA_PROFILE dma_profile = WdfDmaProfileInvalid;
    bool connected = false;               // interrupts
    bool powered = false;                 // power-managed queues hand out requests
    std::function<void()> while_waiting;  // for requests that the driver has to give back
    std::function<void()> in_retrieve;    // another thread, while one asks for a request
    std::function<void()> in_no_more;     // another, when one was told that there is none
    std::function<void()> in_retrieved;   // another, when one has just got it
    std::function<void()> in_complete;    // another, while one completes a request
    std::function<void()> in_acknowledge; // another, while one acknowledges a stop
    std::function<void(Lock *)> in_lock;  // another, before one gets a spin lock
    // What a DPC finds on its stack: whatever was there.
    std::uint8_t stack = 0xCD;

    template <typename T> T *Make() {
        objects.push_back(std::make_unique<T>());
        return static_cast<T *>(objects.back().get());
    }
    Queue *DefaultQueue();
    bool LocksHeld() const;
    std::vector<std::string> Leaks() const;

  private:
    void StopQueues(ULONG action);
    void Released();
    Kernel &kernel_;
    bool was_started_ = false; // the device, once
};

extern Framework *framework;

} // namespace vq7::host
