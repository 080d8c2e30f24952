// SPDX-License-Identifier: MIT
//
// Interrupt objects: connecting service routines to vectors, and their spin locks.
#include "io/iop.h"
#include "pnp/pnp.h"

#define INTERRUPT_MAGIC 0x746E4943u

// ke: the object itself, its lock and its dispatch.
extern "C" NTSTATUS KiInitializeInterrupt(PKINTERRUPT interrupt, PKSERVICE_ROUTINE routine,
                                          PKMESSAGE_SERVICE_ROUTINE message_routine,
                                          ULONG message_id, PVOID context, PKSPIN_LOCK lock,
                                          ULONG vector, KIRQL irql, KIRQL synchronize_irql);
extern "C" NTSTATUS KiConnectInterrupt(PKINTERRUPT interrupt);
extern "C" void KiDisconnectInterrupt(PKINTERRUPT interrupt);

struct INTERRUPT {
    struct _KINTERRUPT object; // must be first: what the driver holds
    ULONG magic;
    LIST_ENTRY links;
    ULONG vector;
    PDEVICE_OBJECT pdo; // null: IoConnectInterrupt doesn't say
};

// The table IoConnectInterruptEx hands out, with our part in front.
struct MESSAGE_TABLE {
    LIST_ENTRY links;
    IO_INTERRUPT_MESSAGE_INFO info;
};

static LIST_ENTRY Interrupts = {&Interrupts, &Interrupts};
static LIST_ENTRY Tables = {&Tables, &Tables};
static KSPIN_LOCK ListLock;

static INTERRUPT *FromInterrupt(PKINTERRUPT object, const char *function) {
    auto *interrupt = (INTERRUPT *)object;
    if (interrupt && interrupt->magic == INTERRUPT_MAGIC)
        return interrupt;
    DbgPrint("io: %s got no connected interrupt object: %p\n", function, interrupt);
    KdViolation(IOP_VERIFIER, "not a connected interrupt object", 0, (uint64_t)interrupt, 0, 0);
}

// ---- connecting ------------------------------------------------------------------

struct CONNECTION {
    PDEVICE_OBJECT pdo;
    PKSERVICE_ROUTINE routine;
    PKMESSAGE_SERVICE_ROUTINE message_routine;
    ULONG message;
    PVOID context;
    KSPIN_LOCK *lock;
    ULONG vector;
    KIRQL irql;
    KIRQL synchronize_irql;
};

static NTSTATUS Connect(const CONNECTION *connection, PKINTERRUPT *result) {
    *result = nullptr;
    if (connection->synchronize_irql < connection->irql || connection->irql <= DISPATCH_LEVEL)
        return STATUS_INVALID_PARAMETER;
    auto *interrupt =
        (INTERRUPT *)ExAllocatePoolWithTag(NonPagedPool, sizeof(INTERRUPT), IOP_TAG_INTERRUPT);
    if (!interrupt)
        return STATUS_INSUFFICIENT_RESOURCES;
    RtlZeroMemory(interrupt, sizeof(*interrupt));
    NTSTATUS status =
        KiInitializeInterrupt(&interrupt->object, connection->routine, connection->message_routine,
                              connection->message, connection->context, connection->lock,
                              connection->vector, connection->irql, connection->synchronize_irql);
    if (!NT_SUCCESS(status)) {
        ExFreePoolWithTag(interrupt, IOP_TAG_INTERRUPT);
        return status;
    }
    interrupt->magic = INTERRUPT_MAGIC;
    interrupt->vector = connection->vector;
    interrupt->pdo = connection->pdo;
    // The caller's variable is set before the first interrupt may come.
    *result = (PKINTERRUPT)interrupt;
    status = KiConnectInterrupt(&interrupt->object);
    if (!NT_SUCCESS(status)) {
        *result = nullptr;
        ExFreePoolWithTag(interrupt, IOP_TAG_INTERRUPT);
        return status;
    }
    KIRQL old;
    KeAcquireSpinLock(&ListLock, &old);
    InsertTailList(&Interrupts, &interrupt->links);
    KeReleaseSpinLock(&ListLock, old);
    if (interrupt->pdo)
        PnpEnableMessage(interrupt->pdo, interrupt->vector, true);
    return STATUS_SUCCESS;
}

static void Disconnect(PKINTERRUPT object) {
    INTERRUPT *interrupt = FromInterrupt(object, "IoDisconnectInterrupt");
    if (interrupt->pdo)
        PnpEnableMessage(interrupt->pdo, interrupt->vector, false);
    KiDisconnectInterrupt(&interrupt->object);
    KIRQL old;
    KeAcquireSpinLock(&ListLock, &old);
    RemoveEntryList(&interrupt->links);
    KeReleaseSpinLock(&ListLock, old);
    interrupt->magic = 0;
    ExFreePoolWithTag(interrupt, IOP_TAG_INTERRUPT);
}

ULONG IopConnectedInterrupts(PDEVICE_OBJECT pdo) {
    ULONG count = 0;
    KIRQL old;
    KeAcquireSpinLock(&ListLock, &old);
    for (PLIST_ENTRY e = Interrupts.Flink; e != &Interrupts; e = e->Flink)
        count += CONTAINING_RECORD(e, INTERRUPT, links)->pdo == pdo;
    KeReleaseSpinLock(&ListLock, old);
    return count;
}

bool IopVectorConnected(PDEVICE_OBJECT pdo, ULONG vector) {
    bool found = false;
    KIRQL old;
    KeAcquireSpinLock(&ListLock, &old);
    for (PLIST_ENTRY e = Interrupts.Flink; e != &Interrupts; e = e->Flink) {
        auto *interrupt = CONTAINING_RECORD(e, INTERRUPT, links);
        found |= interrupt->pdo == pdo && interrupt->vector == vector;
    }
    KeReleaseSpinLock(&ListLock, old);
    return found;
}

extern "C" NTSTATUS NTAPI IoConnectInterrupt(
    OUT PKINTERRUPT *InterruptObject, IN PKSERVICE_ROUTINE ServiceRoutine,
    IN PVOID ServiceContext OPTIONAL, IN PKSPIN_LOCK SpinLock OPTIONAL, IN ULONG Vector,
    IN KIRQL Irql, IN KIRQL SynchronizeIrql, IN KINTERRUPT_MODE InterruptMode,
    IN BOOLEAN ShareVector, IN KAFFINITY ProcessorEnableMask, IN BOOLEAN FloatingSave) {
    (void)InterruptMode; // the line was set up when its vector was allocated
    (void)ShareVector;
    (void)FloatingSave;
    IopRequireIrql(PASSIVE_LEVEL, "IoConnectInterrupt");
    *InterruptObject = nullptr;
    if (!(ProcessorEnableMask & 1))
        return STATUS_INVALID_PARAMETER;
    CONNECTION connection = {};
    connection.routine = ServiceRoutine;
    connection.context = ServiceContext;
    connection.lock = SpinLock;
    connection.vector = Vector;
    connection.irql = Irql;
    connection.synchronize_irql = SynchronizeIrql;
    return Connect(&connection, InterruptObject);
}

extern "C" VOID NTAPI IoDisconnectInterrupt(IN PKINTERRUPT InterruptObject) {
    IopRequireIrql(PASSIVE_LEVEL, "IoDisconnectInterrupt");
    Disconnect(InterruptObject);
}

static NTSTATUS ConnectFull(IO_CONNECT_INTERRUPT_FULLY_SPECIFIED_PARAMETERS *p) {
    *p->InterruptObject = nullptr;
    if (!(p->ProcessorEnableMask & 1) || !p->ServiceRoutine)
        return STATUS_INVALID_PARAMETER;
    PNP_INTERRUPTS assigned;
    if (!PnpGetInterrupts(p->PhysicalDeviceObject, &assigned))
        return STATUS_INVALID_PARAMETER;
    bool known = false;
    for (ULONG i = 0; i < assigned.count; i++)
        known |= assigned.vector[i] == p->Vector;
    if (!known)
        return STATUS_INVALID_PARAMETER; // not a vector of this device's resources
    if ((p->InterruptMode == Latched) != assigned.message)
        KdViolation(IOP_VERIFIER, "the interrupt mode differs from the device's resources", 0,
                    p->InterruptMode, p->Vector, 0);
    CONNECTION connection = {};
    connection.pdo = p->PhysicalDeviceObject;
    connection.routine = p->ServiceRoutine;
    connection.context = p->ServiceContext;
    connection.lock = p->SpinLock;
    connection.vector = p->Vector;
    connection.irql = p->Irql;
    connection.synchronize_irql = p->SynchronizeIrql;
    return Connect(&connection, p->InterruptObject);
}

static NTSTATUS ConnectLine(PDEVICE_OBJECT pdo, PKSERVICE_ROUTINE routine, PVOID context,
                            PKSPIN_LOCK lock, KIRQL synchronize, PKINTERRUPT *result) {
    *result = nullptr;
    PNP_INTERRUPTS assigned;
    if (!PnpGetInterrupts(pdo, &assigned) || !assigned.count)
        return STATUS_NOT_FOUND;
    CONNECTION connection = {};
    connection.pdo = pdo;
    connection.routine = routine;
    connection.context = context;
    connection.lock = lock;
    connection.vector = assigned.vector[0];
    connection.irql = assigned.irql[0];
    connection.synchronize_irql = synchronize ? synchronize : assigned.irql[0];
    return Connect(&connection, result);
}

static void DisconnectTable(PIO_INTERRUPT_MESSAGE_INFO info, ULONG count) {
    MESSAGE_TABLE *table = CONTAINING_RECORD(info, MESSAGE_TABLE, info);
    bool known = false;
    KIRQL old;
    KeAcquireSpinLock(&ListLock, &old);
    for (PLIST_ENTRY e = Tables.Flink; e != &Tables && !known; e = e->Flink)
        known = e == &table->links;
    if (known)
        RemoveEntryList(&table->links);
    KeReleaseSpinLock(&ListLock, old);
    if (!known)
        KdViolation(IOP_VERIFIER, "IoDisconnectInterruptEx: not a connected message table", 0,
                    (uint64_t)info, 0, 0);
    for (ULONG i = 0; i < count; i++)
        Disconnect(info->MessageInfo[i].InterruptObject);
    ExFreePoolWithTag(table, IOP_TAG_INTERRUPT);
}

static NTSTATUS ConnectMessages(IO_CONNECT_INTERRUPT_MESSAGE_BASED_PARAMETERS *p,
                                const PNP_INTERRUPTS *assigned) {
    size_t size = sizeof(MESSAGE_TABLE) + assigned->count * sizeof(IO_INTERRUPT_MESSAGE_INFO_ENTRY);
    auto *table = (MESSAGE_TABLE *)ExAllocatePoolWithTag(NonPagedPool, size, IOP_TAG_INTERRUPT);
    if (!table)
        return STATUS_INSUFFICIENT_RESOURCES;
    RtlZeroMemory(table, size);
    KIRQL old;
    KeAcquireSpinLock(&ListLock, &old);
    InsertTailList(&Tables, &table->links);
    KeReleaseSpinLock(&ListLock, old);
    PIO_INTERRUPT_MESSAGE_INFO info = &table->info;
    info->MessageCount = assigned->count;
    info->UnifiedIrql = p->SynchronizeIrql ? p->SynchronizeIrql : assigned->unified_irql;
    *p->ConnectionContext.InterruptMessageTable = info;
    for (ULONG i = 0; i < assigned->count; i++) {
        PIO_INTERRUPT_MESSAGE_INFO_ENTRY entry = &info->MessageInfo[i];
        uint64_t address;
        HalMessageAddress(assigned->vector[i], &address, &entry->MessageData);
        entry->MessageAddress.QuadPart = (LONGLONG)address;
        entry->TargetProcessorSet = 1;
        entry->Vector = assigned->vector[i];
        entry->Irql = assigned->irql[i];
        entry->Mode = Latched;
        entry->Polarity = InterruptActiveHigh;
        CONNECTION connection = {};
        connection.pdo = p->PhysicalDeviceObject;
        connection.message_routine = p->MessageServiceRoutine;
        connection.message = i;
        connection.context = p->ServiceContext;
        connection.lock = p->SpinLock;
        connection.vector = assigned->vector[i];
        connection.irql = assigned->irql[i];
        connection.synchronize_irql = info->UnifiedIrql;
        NTSTATUS status = Connect(&connection, &entry->InterruptObject);
        if (!NT_SUCCESS(status)) {
            *p->ConnectionContext.InterruptMessageTable = nullptr;
            DisconnectTable(info, i);
            return status;
        }
    }
    return STATUS_SUCCESS;
}

static NTSTATUS ConnectMessageBased(PIO_CONNECT_INTERRUPT_PARAMETERS parameters) {
    auto *p = &parameters->MessageBased;
    PNP_INTERRUPTS assigned;
    *p->ConnectionContext.Generic = nullptr;
    if (!PnpGetInterrupts(p->PhysicalDeviceObject, &assigned) || !assigned.count)
        return STATUS_NOT_FOUND;
    if (assigned.message)
        return ConnectMessages(p, &assigned);
    if (!p->FallBackServiceRoutine)
        return STATUS_NOT_FOUND;
    NTSTATUS status =
        ConnectLine(p->PhysicalDeviceObject, p->FallBackServiceRoutine, p->ServiceContext,
                    p->SpinLock, p->SynchronizeIrql, p->ConnectionContext.InterruptObject);
    if (NT_SUCCESS(status))
        parameters->Version = CONNECT_LINE_BASED;
    return status;
}

extern "C" NTSTATUS NTAPI IoConnectInterruptEx(IN OUT PIO_CONNECT_INTERRUPT_PARAMETERS Parameters) {
    IopRequireIrql(PASSIVE_LEVEL, "IoConnectInterruptEx");
    switch (Parameters->Version) {
    case CONNECT_FULLY_SPECIFIED:
    case CONNECT_FULLY_SPECIFIED_GROUP:
        if (Parameters->Version == CONNECT_FULLY_SPECIFIED_GROUP &&
            Parameters->FullySpecified.Group)
            return STATUS_INVALID_PARAMETER;
        return ConnectFull(&Parameters->FullySpecified);
    case CONNECT_LINE_BASED: {
        auto *p = &Parameters->LineBased;
        return ConnectLine(p->PhysicalDeviceObject, p->ServiceRoutine, p->ServiceContext,
                           p->SpinLock, p->SynchronizeIrql, p->InterruptObject);
    }
    case CONNECT_MESSAGE_BASED:
        return ConnectMessageBased(Parameters);
    default:
        Parameters->Version = CONNECT_CURRENT_VERSION; // what we know, as documented
        return STATUS_NOT_SUPPORTED;
    }
}

extern "C" VOID NTAPI IoDisconnectInterruptEx(IN PIO_DISCONNECT_INTERRUPT_PARAMETERS Parameters) {
    IopRequireIrql(PASSIVE_LEVEL, "IoDisconnectInterruptEx");
    switch (Parameters->Version) {
    case CONNECT_FULLY_SPECIFIED:
    case CONNECT_FULLY_SPECIFIED_GROUP:
    case CONNECT_LINE_BASED:
        Disconnect(Parameters->ConnectionContext.InterruptObject);
        return;
    case CONNECT_MESSAGE_BASED: {
        PIO_INTERRUPT_MESSAGE_INFO info = Parameters->ConnectionContext.InterruptMessageTable;
        DisconnectTable(info, info->MessageCount);
        return;
    }
    default:
        KdViolation(IOP_VERIFIER, "IoDisconnectInterruptEx: unknown version", 0,
                    Parameters->Version, 0, 0);
    }
}
