// SPDX-License-Identifier: MIT
//
// Legal uses of what the other cases misuse: these run through to the end.
#include "rules.h"

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            DbgPrint("ntcrules: %s, line %u\n", #condition, __LINE__);                             \
            return STATUS_UNSUCCESSFUL;                                                            \
        }                                                                                          \
    } while (0)

// ---- IRQL, DPCs, timers, locks --------------------------------------------------------

static KSPIN_LOCK Lock;
static volatile LONG DpcRuns;
static KEVENT Done;

static VOID NTAPI CountDpc(PKDPC, PVOID, PVOID, PVOID) {
    KeAcquireSpinLockAtDpcLevel(&Lock);
    DpcRuns = DpcRuns + 1;
    KeReleaseSpinLockFromDpcLevel(&Lock);
}

static NTSTATUS Irql(PDRIVER_OBJECT) {
    KIRQL passive, dispatch;
    KeInitializeSpinLock(&Lock);
    KeRaiseIrql(DISPATCH_LEVEL, &passive);
    KeRaiseIrql(DISPATCH_LEVEL + 3, &dispatch);
    CHECK(passive == PASSIVE_LEVEL && dispatch == DISPATCH_LEVEL);
    KeLowerIrql(dispatch);
    LARGE_INTEGER none;
    none.QuadPart = 0;
    KEVENT event;
    KeInitializeEvent(&event, SynchronizationEvent, TRUE);
    // With a timeout of zero nothing waits, which DISPATCH_LEVEL allows.
    CHECK(KeWaitForSingleObject(&event, Executive, KernelMode, FALSE, &none) == STATUS_SUCCESS);
    CHECK(KeWaitForSingleObject(&event, Executive, KernelMode, FALSE, &none) == STATUS_TIMEOUT);
    KeLowerIrql(passive);
    KDPC dpc;
    KeInitializeDpc(&dpc, CountDpc, nullptr);
    CHECK(KeInsertQueueDpc(&dpc, nullptr, nullptr));
    KeFlushQueuedDpcs();
    CHECK(DpcRuns == 1);
    KTIMER timer;
    LARGE_INTEGER due;
    due.QuadPart = -20000;
    KeInitializeTimer(&timer);
    CHECK(!KeSetTimer(&timer, due, &dpc));
    CHECK(KeWaitForSingleObject(&timer, Executive, KernelMode, FALSE, nullptr) == STATUS_SUCCESS);
    KeFlushQueuedDpcs();
    CHECK(DpcRuns == 2 && !KeCancelTimer(&timer));
    return STATUS_SUCCESS;
}

static KMUTEX Mutex;
static volatile LONG Turns;

static VOID NTAPI MutexThread(PVOID) {
    for (int i = 0; i < 50; i++) {
        KeWaitForSingleObject(&Mutex, Executive, KernelMode, FALSE, nullptr);
        LONG before = Turns;
        LARGE_INTEGER time;
        time.QuadPart = -1;
        if (i % 10 == 0)
            KeDelayExecutionThread(KernelMode, FALSE, &time);
        Turns = before + 1;
        KeReleaseMutex(&Mutex, FALSE);
    }
    if (Turns >= 100)
        KeSetEvent(&Done, IO_NO_INCREMENT, FALSE);
}

static NTSTATUS Locks(PDRIVER_OBJECT) {
    KIRQL irql;
    KLOCK_QUEUE_HANDLE queued;
    KeInitializeSpinLock(&Lock);
    KeAcquireSpinLock(&Lock, &irql);
    CHECK(KeGetCurrentIrql() == DISPATCH_LEVEL);
    KeReleaseSpinLock(&Lock, irql);
    KeAcquireInStackQueuedSpinLock(&Lock, &queued);
    KeReleaseInStackQueuedSpinLock(&queued);
    KeInitializeMutex(&Mutex, 0);
    KeWaitForSingleObject(&Mutex, Executive, KernelMode, FALSE, nullptr);
    KeWaitForSingleObject(&Mutex, Executive, KernelMode, FALSE, nullptr); // its owner may
    KeReleaseMutex(&Mutex, FALSE);
    KeReleaseMutex(&Mutex, FALSE);
    KeInitializeEvent(&Done, NotificationEvent, FALSE);
    HANDLE other;
    NTSTATUS status = PsCreateSystemThread(&other, THREAD_ALL_ACCESS, nullptr, nullptr, nullptr,
                                           MutexThread, nullptr);
    CHECK(NT_SUCCESS(status));
    CHECK(NT_SUCCESS(RunThread(MutexThread, nullptr)));
    KeWaitForSingleObject(&Done, Executive, KernelMode, FALSE, nullptr);
    ZwWaitForSingleObject(other, FALSE, nullptr);
    ZwClose(other);
    CHECK(Turns == 100);
    FAST_MUTEX fast;
    ExInitializeFastMutex(&fast);
    ExAcquireFastMutex(&fast);
    CHECK(KeGetCurrentIrql() == APC_LEVEL);
    ExReleaseFastMutex(&fast);
    return STATUS_SUCCESS;
}

// ---- memory ---------------------------------------------------------------------------

static NTSTATUS Pool(PDRIVER_OBJECT) {
    static const ULONG sizes[] = {1, 16, 100, 4000, 4096, 4097, 70000};
    UCHAR *blocks[RTL_NUMBER_OF(sizes)];
    for (int round = 0; round < 100; round++) {
        for (ULONG i = 0; i < RTL_NUMBER_OF(sizes); i++) {
            blocks[i] = (UCHAR *)RulesAllocate(sizes[i]);
            CHECK(blocks[i] != nullptr && ((ULONG_PTR)blocks[i] & 15) == 0);
            RtlFillMemory(blocks[i], sizes[i], (UCHAR)i);
        }
        for (ULONG i = 0; i < RTL_NUMBER_OF(sizes); i++) {
            CHECK(blocks[i][0] == i && blocks[i][sizes[i] - 1] == i);
            if (round % 2)
                ExFreePoolWithTag(blocks[i], RULES_TAG);
            else
                ExFreePool(blocks[i]);
        }
    }
    return STATUS_SUCCESS;
}

static NTSTATUS Memory(PDRIVER_OBJECT) {
    auto *buffer = (UCHAR *)RulesAllocate(3 * PAGE_SIZE);
    CHECK(buffer != nullptr);
    PMDL mdl = IoAllocateMdl(buffer + 100, 2 * PAGE_SIZE, FALSE, FALSE, nullptr);
    CHECK(mdl != nullptr);
    MmProbeAndLockPages(mdl, KernelMode, IoModifyAccess);
    auto *mapped = (UCHAR *)MmGetSystemAddressForMdlSafe(mdl, NormalPagePriority);
    CHECK(mapped != nullptr);
    for (ULONG i = 0; i < 2 * PAGE_SIZE; i++)
        mapped[i] = (UCHAR)(i * 7);
    for (ULONG i = 0; i < 2 * PAGE_SIZE; i++)
        CHECK(buffer[100 + i] == (UCHAR)(i * 7));
    MmUnlockPages(mdl);
    IoFreeMdl(mdl);
    ExFreePoolWithTag(buffer, RULES_TAG);
    PHYSICAL_ADDRESS address;
    address.QuadPart = 0xFEE00000; // the local APIC
    auto *registers = (volatile ULONG *)MmMapIoSpace(address, PAGE_SIZE, MmNonCached);
    CHECK(registers != nullptr && (registers[0x30 / 4] & 0xFF) != 0);
    MmUnmapIoSpace((PVOID)registers, PAGE_SIZE);
    address.QuadPart = 0xFFFFFFFF;
    PVOID contiguous = MmAllocateContiguousMemory(4 * PAGE_SIZE, address);
    CHECK(contiguous != nullptr && MmGetPhysicalAddress(contiguous).QuadPart < 0xFFFFFFFF);
    MmFreeContiguousMemory(contiguous);
    return STATUS_SUCCESS;
}

// ---- objects --------------------------------------------------------------------------

// The import is the system's own variable, which holds the type. (The WDK declares
// it without dllimport, which makes it one pointer more.)
template <class T> static POBJECT_TYPE TypeOf(T *imported) {
    return (POBJECT_TYPE)imported;
}

static NTSTATUS Objects(PDRIVER_OBJECT) {
    OBJECT_ATTRIBUTES attributes;
    HANDLE handle;
    PKEVENT event;
    InitializeObjectAttributes(&attributes, nullptr, OBJ_KERNEL_HANDLE, nullptr, nullptr);
    CHECK(NT_SUCCESS(
        ZwCreateEvent(&handle, EVENT_ALL_ACCESS, &attributes, NotificationEvent, FALSE)));
    CHECK(NT_SUCCESS(ObReferenceObjectByHandle(handle, EVENT_ALL_ACCESS, TypeOf(ExEventObjectType),
                                               KernelMode, (PVOID *)&event, nullptr)));
    PVOID other;
    CHECK(ObReferenceObjectByHandle(handle, 0, TypeOf(IoFileObjectType), KernelMode, &other,
                                    nullptr) == STATUS_OBJECT_TYPE_MISMATCH);
    KeSetEvent(event, IO_NO_INCREMENT, FALSE);
    CHECK(ZwWaitForSingleObject(handle, FALSE, nullptr) == STATUS_SUCCESS);
    CHECK(NT_SUCCESS(ZwClose(handle)));
    CHECK(KeReadStateEvent(event) != 0); // the reference keeps it
    ObDereferenceObject(event);
    return STATUS_SUCCESS;
}

// ---- IRPs and devices -----------------------------------------------------------------

static PIRP Pending;
static volatile LONG Works;

static NTSTATUS Complete(PIRP irp, NTSTATUS status) {
    irp->IoStatus.Status = status;
    irp->IoStatus.Information = 0;
    IoCompleteRequest(irp, IO_NO_INCREMENT);
    return status;
}

static VOID NTAPI CancelPending(PDEVICE_OBJECT, PIRP irp) {
    IoReleaseCancelSpinLock(irp->CancelIrql);
    Complete(irp, STATUS_CANCELLED);
}

// Code 0: at once; 1: pending, until cancelled; others: not supported.
static NTSTATUS NTAPI Control(PDEVICE_OBJECT, PIRP irp) {
    ULONG code = IoGetCurrentIrpStackLocation(irp)->Parameters.DeviceIoControl.IoControlCode;
    if (code != 1)
        return Complete(irp, code ? STATUS_INVALID_DEVICE_REQUEST : STATUS_SUCCESS);
    IoMarkIrpPending(irp);
    Pending = irp;
    IoSetCancelRoutine(irp, CancelPending);
    return STATUS_PENDING;
}

static NTSTATUS NTAPI Completed(PDEVICE_OBJECT, PIRP, PVOID) {
    KeSetEvent(&Done, IO_NO_INCREMENT, FALSE);
    return STATUS_MORE_PROCESSING_REQUIRED;
}

static NTSTATUS Request(PDEVICE_OBJECT device, ULONG code, bool cancel) {
    PIRP irp = IoAllocateIrp(device->StackSize, FALSE);
    if (!irp)
        return STATUS_INSUFFICIENT_RESOURCES;
    PIO_STACK_LOCATION next = IoGetNextIrpStackLocation(irp);
    next->MajorFunction = IRP_MJ_DEVICE_CONTROL;
    next->Parameters.DeviceIoControl.IoControlCode = code;
    KeInitializeEvent(&Done, NotificationEvent, FALSE);
    IoSetCompletionRoutine(irp, Completed, nullptr, TRUE, TRUE, TRUE);
    IoCallDriver(device, irp);
    if (cancel)
        IoCancelIrp(irp);
    KeWaitForSingleObject(&Done, Executive, KernelMode, FALSE, nullptr);
    NTSTATUS status = irp->IoStatus.Status;
    IoFreeIrp(irp);
    return status;
}

static NTSTATUS Irps(PDRIVER_OBJECT driver) {
    PDEVICE_OBJECT device;
    driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = Control;
    CHECK(NT_SUCCESS(IoCreateDevice(driver, 0, nullptr, FILE_DEVICE_UNKNOWN, 0, FALSE, &device)));
    CHECK(Request(device, 0, false) == STATUS_SUCCESS);
    CHECK(Request(device, 1, true) == STATUS_CANCELLED);
    CHECK(Request(device, 2, false) == STATUS_INVALID_DEVICE_REQUEST);
    KEVENT event;
    IO_STATUS_BLOCK io;
    KeInitializeEvent(&event, NotificationEvent, FALSE);
    PIRP irp = IoBuildDeviceIoControlRequest(0, device, nullptr, 0, nullptr, 0, FALSE, &event, &io);
    CHECK(irp != nullptr);
    CHECK(IoCallDriver(device, irp) == STATUS_SUCCESS);
    KeWaitForSingleObject(&event, Executive, KernelMode, FALSE, nullptr);
    CHECK(io.Status == STATUS_SUCCESS);
    IoDeleteDevice(device);
    return STATUS_SUCCESS;
}

static VOID NTAPI Work(PDEVICE_OBJECT, PVOID) {
    Works = Works + 1;
    KeSetEvent(&Done, IO_NO_INCREMENT, FALSE);
}

static NTSTATUS Devices(PDRIVER_OBJECT driver) {
    UNICODE_STRING name, link;
    PDEVICE_OBJECT device, found;
    PFILE_OBJECT file;
    RtlInitUnicodeString(&name, L"\\Device\\NtcRules");
    RtlInitUnicodeString(&link, L"\\DosDevices\\NtcRules");
    CHECK(NT_SUCCESS(IoCreateDevice(driver, 16, &name, FILE_DEVICE_UNKNOWN, 0, FALSE, &device)));
    CHECK(NT_SUCCESS(IoCreateSymbolicLink(&link, &name)));
    CHECK(IoCreateDevice(driver, 0, &name, FILE_DEVICE_UNKNOWN, 0, FALSE, &found) ==
          STATUS_OBJECT_NAME_COLLISION);
    RtlInitUnicodeString(&name, L"\\Device\\NtcNothing");
    CHECK(!NT_SUCCESS(IoGetDeviceObjectPointer(&name, FILE_READ_DATA, &file, &found)));
    static IO_REMOVE_LOCK lock;
    IoInitializeRemoveLock(&lock, RULES_TAG, 0, 0);
    CHECK(NT_SUCCESS(IoAcquireRemoveLock(&lock, &lock)));
    IoReleaseRemoveLockAndWait(&lock, &lock);
    CHECK(IoAcquireRemoveLock(&lock, &lock) == STATUS_DELETE_PENDING);
    PIO_WORKITEM item = IoAllocateWorkItem(device);
    CHECK(item != nullptr);
    for (LONG i = 1; i <= 3; i++) { // once it runs it may be queued again
        KeInitializeEvent(&Done, NotificationEvent, FALSE);
        IoQueueWorkItem(item, Work, DelayedWorkQueue, nullptr);
        KeWaitForSingleObject(&Done, Executive, KernelMode, FALSE, nullptr);
        CHECK(Works == i);
    }
    IoFreeWorkItem(item);
    CHECK(NT_SUCCESS(IoDeleteSymbolicLink(&link)));
    IoDeleteDevice(device);
    return STATUS_SUCCESS;
}

const RuleCase ControlCases[] = {
    {"control-irql", Irql},       {"control-locks", Locks},     {"control-pool", Pool},
    {"control-memory", Memory},   {"control-objects", Objects}, {"control-irps", Irps},
    {"control-devices", Devices}, {nullptr, nullptr},
};
