// SPDX-License-Identifier: MIT
//
// Device nodes: from a PDO to a started device, and back. The order of requests is
// the PnP manager's documented one.
#include "pnp/pci.h"

LIST_ENTRY PnpNodes = {&PnpNodes, &PnpNodes};

PNP_NODE *PnpNodeOf(PDEVICE_OBJECT pdo) {
    return (PNP_NODE *)IopDeviceExtension(pdo)->DeviceNode;
}

bool PnpGetInterrupts(PDEVICE_OBJECT pdo, PNP_INTERRUPTS *interrupts) {
    if (!pdo || pdo->Type != IO_TYPE_DEVICE || !PnpNodeOf(pdo))
        return false;
    *interrupts = PnpNodeOf(pdo)->interrupts;
    return true;
}

void PnpEnableMessage(PDEVICE_OBJECT pdo, ULONG vector, bool enable) {
    PNP_NODE *node = PnpNodeOf(pdo);
    if (!node || !node->interrupts.message)
        return;
    for (ULONG i = 0; i < node->interrupts.count; i++)
        if (node->interrupts.vector[i] == vector)
            PciMaskMessage(PciFromPdo(pdo), i, !enable);
}

NTSTATUS PnpSendIrp(PDEVICE_OBJECT device, UCHAR minor, IO_STACK_LOCATION *location,
                    ULONG_PTR *information) {
    location->MajorFunction = IRP_MJ_PNP;
    location->MinorFunction = minor;
    return IopSynchronousCall(device, location, STATUS_NOT_SUPPORTED, information);
}

static NTSTATUS SendSimple(PNP_NODE *node, UCHAR minor) {
    IO_STACK_LOCATION location = {};
    return PnpSendIrp(node->pdo, minor, &location, nullptr);
}

WCHAR *PnpQueryId(PDEVICE_OBJECT pdo, BUS_QUERY_ID_TYPE type) {
    IO_STACK_LOCATION location = {};
    location.Parameters.QueryId.IdType = type;
    ULONG_PTR information = 0;
    NTSTATUS status = PnpSendIrp(pdo, IRP_MN_QUERY_ID, &location, &information);
    return NT_SUCCESS(status) ? (WCHAR *)information : nullptr;
}

static void QueryCapabilities(PNP_NODE *node) {
    DEVICE_CAPABILITIES *c = &node->capabilities;
    RtlZeroMemory(c, sizeof(*c));
    c->Size = sizeof(*c);
    c->Version = 1;
    c->Address = (ULONG)-1;
    c->UINumber = (ULONG)-1;
    IO_STACK_LOCATION location = {};
    location.Parameters.DeviceCapabilities.Capabilities = c;
    NTSTATUS status = PnpSendIrp(node->pdo, IRP_MN_QUERY_CAPABILITIES, &location, nullptr);
    if (!NT_SUCCESS(status))
        DbgPrint("pnp: %ws: no capabilities: 0x%08x\n", node->instance, status);
}

// ---- enumeration ----------------------------------------------------------------------

static size_t MultiBytes(const WCHAR *ids) {
    size_t length = 0;
    while (ids[length])
        length += IopLength(ids + length) + 1;
    return (length + 1) * sizeof(WCHAR);
}

static void KeepIds(const WCHAR *key, const WCHAR *name, const WCHAR *ids) {
    NTSTATUS status = CmpSetValue(key, name, REG_MULTI_SZ, ids, (ULONG)MultiBytes(ids));
    if (!NT_SUCCESS(status))
        DbgPrint("pnp: %ws of %ws can't be written: 0x%08x\n", name, key, status);
}

static bool NameNode(PNP_NODE *node) {
    WCHAR *device_id = PnpQueryId(node->pdo, BusQueryDeviceID);
    WCHAR *instance_id = PnpQueryId(node->pdo, BusQueryInstanceID);
    bool named = device_id && instance_id;
    if (named) {
        IopCopy(node->instance, 128, device_id);
        IopAppend(node->instance, 128, L"\\");
        IopAppend(node->instance, 128, instance_id);
    }
    if (device_id)
        ExFreePool(device_id);
    if (instance_id)
        ExFreePool(instance_id);
    return named;
}

static void MatchNode(PNP_NODE *node) {
    WCHAR key[256];
    IopCopy(key, 256, CM_ENUM);
    IopAppend(key, 256, node->instance);
    const struct {
        BUS_QUERY_ID_TYPE type;
        const WCHAR *value;
    } kinds[] = {{BusQueryHardwareIDs, L"HardwareID"}, {BusQueryCompatibleIDs, L"CompatibleIDs"}};
    for (auto &kind : kinds) {
        WCHAR *ids = PnpQueryId(node->pdo, kind.type);
        if (!ids)
            continue;
        if (!node->service[0])
            PnpMatchService(ids, node->service);
        if (node->service[0] || kind.type == BusQueryHardwareIDs)
            KeepIds(key, kind.value, ids);
        ExFreePool(ids);
    }
    if (node->service[0])
        (void)CmpSetString(key, L"Service", node->service);
}

PNP_NODE *PnpAddNode(PDEVICE_OBJECT pdo) {
    auto *node = (PNP_NODE *)ExAllocatePoolWithTag(NonPagedPool, sizeof(PNP_NODE), IOP_TAG_PNP);
    if (!node) {
        DbgPrint("pnp: no memory for a device node\n");
        return nullptr;
    }
    RtlZeroMemory(node, sizeof(*node));
    node->pdo = pdo;
    IopDeviceExtension(pdo)->DeviceNode = node;
    if (!NameNode(node)) {
        DbgPrint("pnp: a device without an ID is left alone\n");
        IopDeviceExtension(pdo)->DeviceNode = nullptr;
        ExFreePoolWithTag(node, IOP_TAG_PNP);
        return nullptr;
    }
    InsertTailList(&PnpNodes, &node->links);
    QueryCapabilities(node);
    MatchNode(node);
    return node;
}

// ---- start ----------------------------------------------------------------------------

static NTSTATUS AddDevice(PNP_NODE *node) {
    PDRIVER_ADD_DEVICE add = node->driver->DriverExtension->AddDevice;
    if (!add)
        return STATUS_INVALID_DEVICE_REQUEST;
    NTSTATUS status = add(node->driver, node->pdo);
    IopRequireIrqlAfter(PASSIVE_LEVEL, (PVOID)add, "AddDevice returned at a raised IRQL");
    PDEVICE_OBJECT fdo = node->pdo->AttachedDevice;
    if (!NT_SUCCESS(status)) {
        if (fdo)
            KdViolation(IOP_VERIFIER, "AddDevice failed and left a device attached", 0,
                        (uint64_t)fdo, (uint64_t)(ULONG)status, 0);
        return status;
    }
    if (!fdo)
        KdViolation(IOP_VERIFIER, "AddDevice succeeded without attaching a device", 0,
                    (uint64_t)node->pdo, 0, 0);
    if (fdo->Flags & DO_DEVICE_INITIALIZING)
        KdViolation(IOP_VERIFIER_IO, "AddDevice did not clear DO_DEVICE_INITIALIZING", 0x243, 0, 0,
                    (uint64_t)fdo);
    node->state = PnpStateAdded;
    return status;
}

static void QueryAfterStart(PNP_NODE *node) {
    QueryCapabilities(node);
    ULONG_PTR state = 0;
    IO_STACK_LOCATION location = {};
    NTSTATUS status = PnpSendIrp(node->pdo, IRP_MN_QUERY_PNP_DEVICE_STATE, &location, &state);
    if (NT_SUCCESS(status) && state)
        DbgPrint("pnp: %ws: device state 0x%llx\n", node->instance, (uint64_t)state);
    ULONG_PTR relations = 0;
    location = {};
    location.Parameters.QueryDeviceRelations.Type = BusRelations;
    status = PnpSendIrp(node->pdo, IRP_MN_QUERY_DEVICE_RELATIONS, &location, &relations);
    if (NT_SUCCESS(status) && relations) {
        if (((PDEVICE_RELATIONS)relations)->Count)
            KdUnimplemented("a function driver that enumerates children");
        ExFreePool((PVOID)relations);
    }
}

static NTSTATUS SendStart(PNP_NODE *node) {
    IO_STACK_LOCATION location = {};
    location.Parameters.StartDevice.AllocatedResources = node->raw;
    location.Parameters.StartDevice.AllocatedResourcesTranslated = node->translated;
    return PnpSendIrp(node->pdo, IRP_MN_START_DEVICE, &location, nullptr);
}

static NTSTATUS SendRemove(PNP_NODE *node) {
    KD_SUSPECT suspect;
    KdBeginSuspect(&suspect, (const void *)node->driver->DriverInit);
    NTSTATUS status = SendSimple(node, IRP_MN_REMOVE_DEVICE);
    PnpDisableInterfaces(node->pdo); // those the driver left enabled
    if (!NT_SUCCESS(status))
        KdViolation(IOP_VERIFIER_IO, "IRP_MN_REMOVE_DEVICE must not fail", 0x247,
                    (uint64_t)(ULONG)status, 0, (uint64_t)node->pdo);
    if (node->pdo->AttachedDevice)
        KdViolation(IOP_VERIFIER_IO, "a device is still attached after IRP_MN_REMOVE_DEVICE", 0x21D,
                    0, 0, (uint64_t)node->pdo->AttachedDevice);
    if (ULONG left = IopConnectedInterrupts(node->pdo))
        KdViolation(IOP_VERIFIER, "interrupts are still connected after IRP_MN_REMOVE_DEVICE", 0,
                    (uint64_t)node->pdo, left, 0);
    IopCheckAdaptersOfDevice(node->pdo);
    PnpReleaseResources(node);
    KdEndSuspect(&suspect);
    return status;
}

NTSTATUS PnpStartNode(PNP_NODE *node) {
    NTSTATUS status = AddDevice(node);
    if (!NT_SUCCESS(status)) {
        DbgPrint("pnp: %ws: AddDevice of %ws failed: 0x%08x\n", node->instance, node->service,
                 status);
        node->state = PnpStateFailed;
        return status;
    }
    status = PnpAssignResources(node);
    if (NT_SUCCESS(status)) {
        PnpPrintResources(node);
        status = SendStart(node);
    }
    if (!NT_SUCCESS(status)) {
        DbgPrint("pnp: %ws: start by %ws failed: 0x%08x\n", node->instance, node->service, status);
        (void)SendRemove(node);
        node->state = PnpStateFailed;
        return status;
    }
    node->state = PnpStateStarted;
    DbgPrint("pnp: %ws: started by %ws\n", node->instance, node->service);
    QueryAfterStart(node);
    return status;
}

// ---- remove ---------------------------------------------------------------------------

NTSTATUS PnpRemoveNode(PNP_NODE *node, bool query) {
    if (node->state != PnpStateStarted && node->state != PnpStateAdded) {
        node->state = PnpStateNoDriver;
        return STATUS_SUCCESS;
    }
    if (query) {
        NTSTATUS status = SendSimple(node, IRP_MN_QUERY_REMOVE_DEVICE);
        // Open handles veto, as with the PnP manager.
        if (NT_SUCCESS(status) && node->pdo->ReferenceCount)
            status = STATUS_DEVICE_BUSY;
        if (!NT_SUCCESS(status)) {
            DbgPrint("pnp: %ws: removal refused: 0x%08x\n", node->instance, status);
            (void)SendSimple(node, IRP_MN_CANCEL_REMOVE_DEVICE);
            return status;
        }
    }
    NTSTATUS status = SendRemove(node);
    node->state = PnpStateNoDriver;
    DbgPrint("pnp: %ws: removed\n", node->instance);
    return status;
}

// ---- surprise removal -------------------------------------------------------------------

void PnpSurpriseRemove(PNP_NODE *node) {
    if (node->state != PnpStateStarted && node->state != PnpStateAdded)
        return;
    DbgPrint("pnp: %ws: surprise removal\n", node->instance);
    (void)SendSimple(node, IRP_MN_SURPRISE_REMOVAL);
    PnpDisableInterfaces(node->pdo);
    node->state = PnpStateSurpriseRemoved;
}

bool PnpFinishRemoval(PNP_NODE *node) {
    if (node->state != PnpStateSurpriseRemoved)
        return true;
    if (node->pdo->ReferenceCount)
        return false;
    (void)SendRemove(node);
    node->state = PnpStateFailed;
    DbgPrint("pnp: %ws: removed\n", node->instance);
    return true;
}

void PnpDeleteNode(PNP_NODE *node) {
    PDEVICE_OBJECT pdo = node->pdo;
    PnpForgetInterfaces(pdo);
    PnpReleaseResources(node);
    RemoveEntryList(&node->links);
    DbgPrint("pnp: %ws: gone\n", node->instance);
    // The bus driver deletes its PDO.
    (void)SendSimple(node, IRP_MN_REMOVE_DEVICE);
    ExFreePoolWithTag(node, IOP_TAG_PNP);
}

// ---- changes that drivers report --------------------------------------------------------

// A device that failed is taken away from its driver like one that was pulled out.
void PnpCheckState(PNP_NODE *node) {
    if (node->state != PnpStateStarted)
        return;
    ULONG_PTR state = 0;
    IO_STACK_LOCATION location = {};
    NTSTATUS status = PnpSendIrp(node->pdo, IRP_MN_QUERY_PNP_DEVICE_STATE, &location, &state);
    if (!NT_SUCCESS(status) || !(state & (PNP_DEVICE_FAILED | PNP_DEVICE_REMOVED)))
        return;
    DbgPrint("pnp: %ws: its driver says it has failed (state 0x%llx)\n", node->instance,
             (uint64_t)state);
    PnpSurpriseRemove(node);
}

extern "C" VOID NTAPI IoInvalidateDeviceState(IN PDEVICE_OBJECT PhysicalDeviceObject) {
    IopRequireIrql(DISPATCH_LEVEL, "IoInvalidateDeviceState");
    IopRequireDevice(PhysicalDeviceObject, "IoInvalidateDeviceState");
    PNP_NODE *node = PnpNodeOf(PhysicalDeviceObject);
    if (!node)
        KeBugCheckEx(PNP_DETECTED_FATAL_ERROR, 2, (ULONG_PTR)PhysicalDeviceObject, 0, 0);
    InterlockedExchange(&node->invalidated, 1);
    PnpNotifyEvents();
}

extern "C" VOID NTAPI IoInvalidateDeviceRelations(IN PDEVICE_OBJECT DeviceObject,
                                                  IN DEVICE_RELATION_TYPE Type) {
    IopRequireIrql(DISPATCH_LEVEL, "IoInvalidateDeviceRelations");
    PNP_NODE *node = PnpNodeOf(DeviceObject);
    if (!node)
        KeBugCheckEx(PNP_DETECTED_FATAL_ERROR, 2, (ULONG_PTR)DeviceObject, 0, 0);
    if (Type == BusRelations)
        KdUnimplemented("a function driver that enumerates children");
}

extern "C" VOID NTAPI IoRequestDeviceEject(IN PDEVICE_OBJECT PhysicalDeviceObject) {
    (void)PhysicalDeviceObject;
    KdUnimplemented("IoRequestDeviceEject");
}
