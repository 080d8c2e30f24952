// SPDX-License-Identifier: MIT
// What the files of vq7test.sys say to each other. README.md has the tour.
#ifndef VQ7_DRIVER_H_
#define VQ7_DRIVER_H_

#include <ntddk.h>
#include <wdf.h>

#include "pci_bars.h"
#include "virtio_pci.h"
#include "virtio_sg_pfn.h"
#include "virtqueue_split.h"
#include "vq7_ioctl.h"

#define VQ7_POOL_TAG '7qVt'

// More than any device uses here; each is a WDFINTERRUPT made before the number
// of messages is known, and queues share messages where there are fewer.
#define VQ7_MAX_INTERRUPTS 8
#define VQ7_MAX_QUEUES 8
// Largest ring of a modern device; a legacy device's size is not negotiable.
#define VQ7_MAX_QUEUE_SIZE 1024

// At error level, which a Windows with default settings passes on.
#define Vq7Log(...) DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_ERROR_LEVEL, "vq7test: " __VA_ARGS__)

typedef struct _DEVICE_CONTEXT DEVICE_CONTEXT;

// One BAR, as the system placed it. `length` 0: absent.
typedef struct _VQ7_BAR {
    PHYSICAL_ADDRESS start; // memory
    ULONG port;             // I/O space: first port
    UINT64 length;
    BOOLEAN is_port;
} VQ7_BAR;

// A mapped part of a memory BAR.
typedef struct _VQ7_WINDOW {
    PUCHAR mapped;
    VQ7_BAR_RANGE range;
} VQ7_WINDOW;
// Common configuration, ISR status, device configuration, of the modern interface and
// of the legacy one that may take over; a notify register for each queue.
#define VQ7_MAX_WINDOWS (6 + VQ7_MAX_QUEUES)

// Counters of one queue, guarded by its lock. Names as in VQ7_STATS.
typedef struct _QUEUE_STATS {
    UINT64 submitted;
    UINT64 completed;
    UINT64 errors;
    UINT64 bytes_read;
    UINT64 bytes_written;
    UINT64 notifications;
    UINT64 suppressed;
    UINT64 ring_full;
    UINT64 indirect;
    UINT64 max_in_flight;
    UINT64 odd_lengths;
    UINT64 bounced;
    UINT64 resent;
    UINT64 timed_out;
    UINT64 lost_interrupts;
} QUEUE_STATS;

// Counters of the device, guarded by register_lock.
typedef struct _DEVICE_STATS {
    UINT64 interrupts;
    UINT64 interrupts_not_ours;
    UINT64 config_changes;
    UINT64 dpcs;
    UINT64 restarts;
    UINT64 failures[VQ7_FAILURE_ROOM];
} DEVICE_STATS;

typedef struct _VQ7_QUEUE {
    DEVICE_CONTEXT *device;
    WDFSPINLOCK lock; // the fields below, *vq, and the type's per-queue data
    UINT16 index;
    UINT16 size;
    UINT16 max_size;
    UINT16 vector;
    BOOLEAN running;       // the device may be given buffers
    UINT32 clock_ms;       // the watchdog's: time in which it ran
    BOOLEAN was_waiting;   // at the last tick: the device had finished buffers ...
    UINT16 was_waiting_at; // ... from here on
    NTSTATUS last_error;
    QUEUE_STATS stats;
    VIRTQ_SPLIT *vq; // nonpaged pool
    WDFCOMMONBUFFER ring;
    WDFCOMMONBUFFER indirect_pool; // NULL: no indirect descriptors
} VQ7_QUEUE;

// What becomes of requests when the device was reset.
typedef enum _VQ7_TAKE_BACK {
    Vq7EndAll,     // they fail
    Vq7KeepAll,    // they are kept for Resume
    Vq7KeepRetries // those that the device had: as often as dc->retries, then they fail
} VQ7_TAKE_BACK;

// A device type. All but `type`, `name` and `queues` may be NULL or 0.
typedef struct _VQ7_TYPE_OPS {
    UINT16 type;
    const char *name;
    UINT16 queues;
    UINT16 chain_max; // descriptors of the longest chain: size of indirect tables
    UINT64 wanted;    // features of this type
    // PASSIVE_LEVEL. Makes type_context, once in the life of the device.
    NTSTATUS (*Create)(DEVICE_CONTEXT *dc);
    // PASSIVE_LEVEL. Frees it. No request is left.
    VOID (*Destroy)(DEVICE_CONTEXT *dc);
    // PASSIVE_LEVEL. Features are negotiated: reads the configuration.
    NTSTATUS (*Configure)(DEVICE_CONTEXT *dc);
    // PASSIVE_LEVEL. The rings exist: makes what goes with them.
    NTSTATUS (*QueuesReady)(DEVICE_CONTEXT *dc);
    // PASSIVE_LEVEL. Frees what QueuesReady made.
    VOID (*QueuesGone)(DEVICE_CONTEXT *dc);
    // <= DISPATCH_LEVEL. The device runs: sends what has waited.
    VOID (*Resume)(DEVICE_CONTEXT *dc);
    // DISPATCH_LEVEL. Takes finished buffers. TRUE: there is more, call again.
    BOOLEAN (*Service)(VQ7_QUEUE *queue);
    // DISPATCH_LEVEL, register_lock held. TRUE: the configuration has changed.
    BOOLEAN (*ConfigChanged)(DEVICE_CONTEXT *dc);
    // <= DISPATCH_LEVEL. The device was reset: takes all buffers back. Requests that are
    // not kept, and those that are to be purged, are completed with `status`.
    VOID (*TakeBack)(DEVICE_CONTEXT *dc, VQ7_TAKE_BACK what, NTSTATUS status);
    // DISPATCH_LEVEL, queue lock held. For how many ms of queue->clock_ms the device has had
    // the oldest of its buffers; 0: it has none.
    UINT32 (*OldestAge)(VQ7_QUEUE *queue);
    // <= DISPATCH_LEVEL. Completes or keeps the request. FALSE: unknown code.
    BOOLEAN(*DeviceControl)
    (DEVICE_CONTEXT *dc, WDFREQUEST request, size_t output_length, ULONG code);
    // <= DISPATCH_LEVEL. EvtIoStop of a request that was taken from io_queue.
    VOID (*IoStop)(DEVICE_CONTEXT *dc, WDFREQUEST request, ULONG flags);
} VQ7_TYPE_OPS;

typedef enum _VQ7_STATE {
    Vq7Stopped = 0,
    Vq7Running = 1,
    Vq7Failed = 2,    // broke the protocol; until it is started again
    Vq7Recovering = 3 // a work item resets and starts it; requests wait
} VQ7_STATE;
VIRTIO_STATIC_ASSERT(Vq7Recovering == VQ7_STATE_RECOVERING, states_are_those_of_the_interface);

struct _DEVICE_CONTEXT {
    WDFDEVICE device;
    WDFQUEUE io_queue; // manual: requests that wait for room in a ring
    WDFDMAENABLER dma;
    WDFWORKITEM fail_work;
    WDFWAITLOCK power_lock;              // start, stop, failure
    WDFSPINLOCK register_lock;           // status and configuration registers, stats
    volatile LONG state;                 // VQ7_STATE
    volatile LONG fail_reason;           // VQ7_FAILURE_*: the first since the start
    volatile LONG fail_noted;            // 0: the work item has yet to count it
    LONG last_failure;                   // register_lock
    WDFREQUEST volatile restart_request; // whoever asked for a restart

    WDFTIMER watchdog;
    volatile ULONG timeout_ms; // 0: none
    volatile ULONG tick_ms;    // what the watchdog was set to
    volatile ULONG retries;

    // EvtDevicePrepareHardware to EvtDeviceReleaseHardware
    BUS_INTERFACE_STANDARD bus; // Context NULL: none
    BOOLEAN bus_valid;
    VQ7_BAR bars[VIRTIO_PCI_BAR_COUNT];
    VQ7_WINDOW windows[VQ7_MAX_WINDOWS];
    volatile LONG window_count; // a window is complete before it is counted
    UINT16 subsystem_vendor;
    UINT16 subsystem;
    UINT8 revision;
    UINT8 bus_number;
    UINT8 slot;
    UINT8 function;
    VIRTIO_PCI_MODE mode;  // parameter Transport
    VIRTIO_PCI_DEVICE pci; // changes under the lock of interrupts[0]

    WDFINTERRUPT interrupts[VQ7_MAX_INTERRUPTS];
    UINT16 interrupts_connected;
    BOOLEAN messages; // they are messages
    volatile LONG isr_status;
    volatile LONG isr_taken; // folded into stats by the DPC
    volatile LONG isr_not_ours;
    DEVICE_STATS stats;

    const VQ7_TYPE_OPS *type;
    PVOID type_context;
    VQ7_QUEUE queues[VQ7_MAX_QUEUES];
    UINT16 queue_count;
};
WDF_DECLARE_CONTEXT_TYPE_WITH_NAME(DEVICE_CONTEXT, Vq7GetDevice);

typedef struct _INTERRUPT_CONTEXT {
    UINT16 index;
} INTERRUPT_CONTEXT;
WDF_DECLARE_CONTEXT_TYPE_WITH_NAME(INTERRUPT_CONTEXT, Vq7GetInterrupt);

// params.cpp
typedef struct _VQ7_SETTINGS {
    VIRTIO_PCI_MODE mode;
    VQ7_TIMEOUT timeout;
} VQ7_SETTINGS;
// PASSIVE_LEVEL. STATUS_INVALID_PARAMETER: a value that is none; the log says which.
NTSTATUS Vq7ReadSettings(VQ7_SETTINGS *settings);

// device.cpp
EVT_WDF_DRIVER_DEVICE_ADD Vq7EvtDeviceAdd;

// resources.cpp
EVT_WDF_DEVICE_PREPARE_HARDWARE Vq7EvtPrepareHardware;
EVT_WDF_DEVICE_RELEASE_HARDWARE Vq7EvtReleaseHardware;

// PASSIVE_LEVEL. Finds the transport and maps its registers; `connected`: interrupts may come
// meanwhile. Statuses of VirtioPciInit, or STATUS_INSUFFICIENT_RESOURCES; after them
// dc->pci is what it was.
NTSTATUS Vq7OpenTransport(DEVICE_CONTEXT *dc, VIRTIO_PCI_MODE mode, BOOLEAN connected);

// windows.cpp: the parts of BARs that are mapped, no more than the registers need.
// PASSIVE_LEVEL. Maps the pages of a region, where they aren't yet. Ports need no mapping.
// STATUS_INSUFFICIENT_RESOURCES: no room in the table, or in the system's address space.
NTSTATUS Vq7MapRegion(DEVICE_CONTEXT *dc, const VIRTIO_PCI_REGION *region);
// PASSIVE_LEVEL.
VOID Vq7UnmapRegions(DEVICE_CONTEXT *dc);
// Any IRQL. Where `width` bytes of a memory BAR are mapped. NULL: they are not.
PUCHAR Vq7Mapped(const DEVICE_CONTEXT *dc, UINT8 bar, UINT32 offset, UINT32 width);

// pci_io.cpp: register access for the library; the context is a DEVICE_CONTEXT.
extern const VIRTIO_PCI_IO Vq7PciIo;
// <= DISPATCH_LEVEL. Reads or writes configuration space; FALSE: not all of it.
BOOLEAN Vq7ConfigRead(DEVICE_CONTEXT *dc, UINT32 offset, PVOID buffer, ULONG length);
BOOLEAN Vq7ConfigWrite(DEVICE_CONTEXT *dc, UINT32 offset, PVOID buffer, ULONG length);
// <= DISPATCH_LEVEL. Lets the function do DMA, or not. FALSE: no access to the
// command register.
BOOLEAN Vq7SetBusMaster(DEVICE_CONTEXT *dc, BOOLEAN on);
// <= DISPATCH_LEVEL. Whether the function's MSI-X capability is enabled.
BOOLEAN Vq7MsixEnabled(DEVICE_CONTEXT *dc);

// power.cpp
EVT_WDF_DEVICE_D0_ENTRY Vq7EvtD0Entry;
EVT_WDF_DEVICE_D0_ENTRY_POST_INTERRUPTS_ENABLED Vq7EvtPostInterruptsEnabled;
EVT_WDF_DEVICE_D0_EXIT_PRE_INTERRUPTS_DISABLED Vq7EvtPreInterruptsDisabled;
EVT_WDF_DEVICE_D0_EXIT Vq7EvtD0Exit;
EVT_WDF_DEVICE_SURPRISE_REMOVAL Vq7EvtSurpriseRemoval;
// EvtDeviceSelfManagedIoInit and EvtDeviceSelfManagedIoRestart.
EVT_WDF_DEVICE_SELF_MANAGED_IO_INIT Vq7EvtIoStarted;
// PASSIVE_LEVEL. Resets the device and takes everything back; may be called in
// any state, also twice.
VOID Vq7DeviceStop(DEVICE_CONTEXT *dc, BOOLEAN keep, NTSTATUS status);
// PASSIVE_LEVEL, power_lock held, in D0; the device was reset, and has no buffers.
NTSTATUS Vq7StartAgain(DEVICE_CONTEXT *dc);

// failure.cpp
EVT_WDF_WORKITEM Vq7EvtFailWork;
// <= DISPATCH_LEVEL. The device can't be trusted any more: no more buffers; a work item
// resets it and fails what is outstanding. `reason`: VQ7_FAILURE_*; the first one counts.
VOID Vq7DeviceFail(DEVICE_CONTEXT *dc, LONG reason);
// Any IRQL. The reason for what a queue says (VIRTQ_STATUS_*).
LONG Vq7FailureOf(NTSTATUS queue_status);
// Any IRQL. What requests fail with on a device that failed.
NTSTATUS Vq7FailStatus(const DEVICE_CONTEXT *dc);
// <= DISPATCH_LEVEL, no lock held. Counts a failure.
VOID Vq7NoteFailure(DEVICE_CONTEXT *dc, LONG reason);
// PASSIVE_LEVEL, power_lock held. Counts the one that Vq7DeviceFail said, once.
VOID Vq7NoteFailed(DEVICE_CONTEXT *dc);
// <= DISPATCH_LEVEL. Completes the request when the device was reset and started again.
VOID Vq7Restart(DEVICE_CONTEXT *dc, WDFREQUEST request);

// reset.cpp
// PASSIVE_LEVEL. Resets, and waits for it, a second or a little more at most. Statuses of
// VirtioPciReset.
NTSTATUS Vq7Reset(DEVICE_CONTEXT *dc);
// PASSIVE_LEVEL, power_lock held or not yet started. Resets; where the device does
// not follow, takes its bus mastering away, so that its buffers can be reused either
// way. The status of the reset.
NTSTATUS Vq7ResetOrIsolate(DEVICE_CONTEXT *dc);
// The same of a device that has broken the protocol: what it says of its reset is believed no
// more than the rest, and its bus mastering goes either way, until it is started again.
VOID Vq7ResetAndIsolate(DEVICE_CONTEXT *dc);
// <= DISPATCH_LEVEL, the state is no longer Vq7Running. Whoever holds
// register_lock may have seen the old state: waits until it is done.
VOID Vq7WaitForRegisters(DEVICE_CONTEXT *dc);

// watchdog.cpp: requests that the device doesn't answer.
// PASSIVE_LEVEL. Makes the timer, once in the life of the device.
NTSTATUS Vq7WatchdogCreate(DEVICE_CONTEXT *dc);
// <= DISPATCH_LEVEL, the device runs. Also when the time-out has changed.
VOID Vq7WatchdogStart(DEVICE_CONTEXT *dc);
// PASSIVE_LEVEL, the state is no longer Vq7Running. It does not run any more.
VOID Vq7WatchdogStop(DEVICE_CONTEXT *dc);
// Any IRQL. FALSE: out of the limits of VQ7_TIMEOUT.
BOOLEAN Vq7TimeoutIsValid(const VQ7_TIMEOUT *timeout);

// interrupt.cpp
EVT_WDF_INTERRUPT_ISR Vq7EvtIsr;
EVT_WDF_INTERRUPT_DPC Vq7EvtDpc;
// <= DISPATCH_LEVEL, register_lock held. Adds what the ISRs counted to stats.
VOID Vq7FoldInterruptCounts(DEVICE_CONTEXT *dc);

// <= DISPATCH_LEVEL. What a configuration interrupt would do, for when it may have been
// missed.
VOID Vq7LookAtConfig(DEVICE_CONTEXT *dc);

// queues.cpp
// PASSIVE_LEVEL. Makes (or keeps) the rings of all queues and gives them to the
// device. On failure everything made so far stays for Vq7QueuesFree.
NTSTATUS Vq7QueuesSetup(DEVICE_CONTEXT *dc);
VOID Vq7QueuesFree(DEVICE_CONTEXT *dc);
VOID Vq7QueuesRun(DEVICE_CONTEXT *dc, BOOLEAN run);
// DISPATCH_LEVEL, queue lock held. Publishes a chain that was added; notifies
// the device of what was published.
VOID Vq7QueuePublish(VQ7_QUEUE *queue, UINT16 head);
VOID Vq7QueueKick(VQ7_QUEUE *queue);

// dma.cpp
// PASSIVE_LEVEL. DMA memory, page-aligned, zeroed, contiguous for the device.
// STATUS_NOT_SUPPORTED: the device takes addresses that an IOMMU translates.
NTSTATUS Vq7CommonBuffer(DEVICE_CONTEXT *dc, size_t length, WDFCOMMONBUFFER *buffer);
// PASSIVE_LEVEL. NULL: nothing happens.
VOID Vq7DeleteBuffer(WDFCOMMONBUFFER *buffer);
// <= DISPATCH_LEVEL. What the device calls the buffer's first byte.
UINT64 Vq7BufferAddress(WDFCOMMONBUFFER buffer);

// ioctl.cpp
EVT_WDF_IO_QUEUE_IO_DEVICE_CONTROL Vq7EvtDeviceControl;
EVT_WDF_IO_QUEUE_IO_STOP Vq7EvtIoStop;
EVT_WDF_IO_QUEUE_STATE Vq7EvtIoQueueReady;

// types.cpp
const VQ7_TYPE_OPS *Vq7FindType(UINT16 device_type);

#endif // VQ7_DRIVER_H_
