// SPDX-License-Identifier: MIT
//
// PnP and power requests at the PDO: the bottom of each PCI device's stack.
#include "pnp/liar.h"
#include "pnp/pci.h"

// {496B8280-6F25-11D0-BEAF-08002BE2092F}, {C8EBDFB0-B510-11D0-80E5-00A0C92542E3}
static const GUID BusInterfaceGuid = {
    0x496B8280, 0x6F25, 0x11D0, {0xBE, 0xAF, 0x08, 0x00, 0x2B, 0xE2, 0x09, 0x2F}};
static const GUID BusTypePciGuid = {
    0xC8EBDFB0, 0xB510, 0x11D0, {0x80, 0xE5, 0x00, 0xA0, 0xC9, 0x25, 0x42, 0xE3}};

static bool SameGuid(const GUID *a, const GUID *b) {
    return RtlCompareMemory(a, b, sizeof(GUID)) == sizeof(GUID);
}

static NTSTATUS Complete(PIRP irp, NTSTATUS status) {
    irp->IoStatus.Status = status;
    IofCompleteRequest(irp, IO_NO_INCREMENT);
    return status;
}

// ---- GUID_BUS_INTERFACE_STANDARD ------------------------------------------------------

static PCI_DEVICE *FromContext(PVOID context) {
    auto *device = (PCI_DEVICE *)context;
    if (!device || device->signature != PCI_SIGNATURE || device->interfaces <= 0)
        KdViolation(IOP_VERIFIER, "a bus interface was used without a reference", 0,
                    (uint64_t)context, 0, 0);
    return device;
}

static VOID NTAPI InterfaceReference(PVOID context) {
    InterlockedIncrement(&((PCI_DEVICE *)context)->interfaces);
}

static VOID NTAPI InterfaceDereference(PVOID context) {
    PCI_DEVICE *device = FromContext(context);
    InterlockedDecrement(&device->interfaces);
}

static BOOLEAN NTAPI Translate(PVOID context, PHYSICAL_ADDRESS address, ULONG length,
                               PULONG address_space, PPHYSICAL_ADDRESS translated) {
    (void)FromContext(context);
    (void)length;
    (void)address_space; // ports stay ports
    *translated = address;
    return TRUE;
}

static PDMA_ADAPTER NTAPI GetAdapter(PVOID context, PDEVICE_DESCRIPTION description,
                                     PULONG map_registers) {
    return IoGetDmaAdapter(FromContext(context)->pdo, description, map_registers);
}

static ULONG CheckedLength(ULONG space, ULONG offset, ULONG length) {
    if (space == PCI_WHICHSPACE_ROM)
        KdUnimplemented("access to a PCI expansion ROM");
    if (space != PCI_WHICHSPACE_CONFIG || offset >= PCI_EXTENDED_CONFIG_LENGTH)
        return 0;
    ULONG room = PCI_EXTENDED_CONFIG_LENGTH - offset;
    return length < room ? length : room;
}

static ULONG NTAPI SetData(PVOID context, ULONG space, PVOID buffer, ULONG offset, ULONG length) {
    PCI_DEVICE *device = FromContext(context);
    length = CheckedLength(space, offset, length);
    return length ? PciWriteConfig(device, offset, buffer, length) : 0;
}

static ULONG NTAPI GetData(PVOID context, ULONG space, PVOID buffer, ULONG offset, ULONG length) {
    PCI_DEVICE *device = FromContext(context);
    length = CheckedLength(space, offset, length);
    ULONG done = length ? PciReadConfig(device, offset, buffer, length) : 0;
    PnpLieAboutConfig(device, offset, (UCHAR *)buffer, done);
    return done;
}

static NTSTATUS QueryInterface(PCI_DEVICE *device, PIO_STACK_LOCATION location) {
    auto *q = &location->Parameters.QueryInterface;
    if (!SameGuid(q->InterfaceType, &BusInterfaceGuid))
        return STATUS_NOT_SUPPORTED;
    if (q->Version != 1 || q->Size < sizeof(BUS_INTERFACE_STANDARD))
        return STATUS_INVALID_PARAMETER;
    auto *bus = (PBUS_INTERFACE_STANDARD)q->Interface;
    bus->Size = sizeof(*bus);
    bus->Version = 1;
    bus->Context = device;
    bus->InterfaceReference = InterfaceReference;
    bus->InterfaceDereference = InterfaceDereference;
    bus->TranslateBusAddress = Translate;
    bus->GetDmaAdapter = GetAdapter;
    bus->SetBusData = SetData;
    bus->GetBusData = GetData;
    InterfaceReference(device);
    return STATUS_SUCCESS;
}

// ---- capabilities, relations ----------------------------------------------------------

static NTSTATUS QueryCapabilities(PCI_DEVICE *device, PDEVICE_CAPABILITIES c) {
    if (c->Version != 1 || c->Size < sizeof(*c))
        return STATUS_UNSUCCESSFUL;
    // PCI Power Management 1.2, 3.2.3: D1 and D2 support, PME support.
    USHORT pmc = device->pm_offset ? PciRead16(device, device->pm_offset + 2) : 0;
    c->DeviceD1 = (pmc >> 9) & 1;
    c->DeviceD2 = (pmc >> 10) & 1;
    c->WakeFromD0 = (pmc >> 11) & 1;
    c->WakeFromD1 = (pmc >> 12) & 1;
    c->WakeFromD2 = (pmc >> 13) & 1;
    c->WakeFromD3 = (pmc >> 14) & 1;
    c->UniqueID = FALSE; // the instance ID needs the parent's
    c->Address = device->slot.u.bits.DeviceNumber << 16 | device->slot.u.bits.FunctionNumber;
    c->UINumber = (ULONG)-1;
    c->DeviceState[PowerSystemWorking] = PowerDeviceD0;
    c->DeviceState[PowerSystemSleeping1] = PowerDeviceD3;
    c->DeviceState[PowerSystemSleeping2] = PowerDeviceD3;
    c->DeviceState[PowerSystemSleeping3] = PowerDeviceD3;
    c->DeviceState[PowerSystemHibernate] = PowerDeviceD3;
    c->DeviceState[PowerSystemShutdown] = PowerDeviceD3;
    c->SystemWake = PowerSystemUnspecified;
    c->DeviceWake = PowerDeviceUnspecified;
    return STATUS_SUCCESS;
}

static NTSTATUS QueryRelations(PCI_DEVICE *device, PIRP irp, PIO_STACK_LOCATION location) {
    if (location->Parameters.QueryDeviceRelations.Type != TargetDeviceRelation)
        return irp->IoStatus.Status; // none from us: as it came
    auto *relations =
        (PDEVICE_RELATIONS)ExAllocatePoolWithTag(PagedPool, sizeof(DEVICE_RELATIONS), IOP_TAG_PNP);
    if (!relations)
        return STATUS_INSUFFICIENT_RESOURCES;
    relations->Count = 1;
    relations->Objects[0] = device->pdo;
    ObReferenceObject(device->pdo);
    irp->IoStatus.Information = (ULONG_PTR)relations;
    return STATUS_SUCCESS;
}

static NTSTATUS QueryBusInformation(PCI_DEVICE *device, PIRP irp) {
    auto *information = (PPNP_BUS_INFORMATION)ExAllocatePoolWithTag(
        PagedPool, sizeof(PNP_BUS_INFORMATION), IOP_TAG_PNP);
    if (!information)
        return STATUS_INSUFFICIENT_RESOURCES;
    information->BusTypeGuid = BusTypePciGuid;
    information->LegacyBusType = PCIBus;
    information->BusNumber = device->bus;
    irp->IoStatus.Information = (ULONG_PTR)information;
    return STATUS_SUCCESS;
}

static NTSTATUS Config(PCI_DEVICE *device, PIRP irp, PIO_STACK_LOCATION location, bool write) {
    auto *p = &location->Parameters.ReadWriteConfig;
    ULONG length = CheckedLength(p->WhichSpace, p->Offset, p->Length);
    if (length != p->Length)
        return STATUS_INVALID_DEVICE_REQUEST;
    ULONG done = write ? PciWriteConfig(device, p->Offset, p->Buffer, length)
                       : PciReadConfig(device, p->Offset, p->Buffer, length);
    irp->IoStatus.Information = done;
    return done == length ? STATUS_SUCCESS : STATUS_UNSUCCESSFUL;
}

// ---- start, stop ----------------------------------------------------------------------

// Bus mastering is off when a device is started: whether Windows has it on is documented
// nowhere, so that a driver whose device needs it switches it on itself.
static void SetDecode(PCI_DEVICE *device, bool on) {
    ULONG offset = FIELD_OFFSET(PCI_COMMON_CONFIG, Command);
    USHORT command = PciRead16(device, offset);
    command &= (USHORT) ~(PCI_ENABLE_IO_SPACE | PCI_ENABLE_MEMORY_SPACE | PCI_ENABLE_BUS_MASTER);
    if (on) {
        for (const PCI_BAR &bar : device->bars) {
            if (bar.type == CmResourceTypePort)
                command |= PCI_ENABLE_IO_SPACE;
            if (bar.type == CmResourceTypeMemory)
                command |= PCI_ENABLE_MEMORY_SPACE;
        }
    }
    PciWrite16(device, offset, command);
}

// PCI Power Management 1.2, 3.2.4: bits 0 and 1 of PMCSR.
static void SetPower(PCI_DEVICE *device, DEVICE_POWER_STATE state) {
    if (device->power == state)
        return;
    if (device->pm_offset) {
        USHORT pmcsr = PciRead16(device, device->pm_offset + 4);
        PciWrite16(device, device->pm_offset + 4, (USHORT)((pmcsr & ~3) | (state - PowerDeviceD0)));
        if (device->power == PowerDeviceD3 || state == PowerDeviceD3) {
            LARGE_INTEGER settle; // 10 ms
            settle.QuadPart = -100000;
            if (KeGetCurrentIrql() == PASSIVE_LEVEL)
                KeDelayExecutionThread(KernelMode, FALSE, &settle);
            else
                KeStallExecutionProcessor(10000);
        }
    }
    device->power = state;
}

// What a function may lose in D3 (PCI Power Management 1.2, 5.4.1) is lost here, so
// that a driver which relies on it is seen: addresses, the line, MSI-X.
static void LoseConfig(PCI_DEVICE *device) {
    const ULONG nothing = 0;
    PciDisableMessages(device);
    for (ULONG i = 0; i < PCI_TYPE0_ADDRESSES; i++) {
        ULONG offset = FIELD_OFFSET(PCI_COMMON_CONFIG, u.type0.BaseAddresses) + 4 * i;
        PciWriteConfig(device, offset, &nothing, sizeof(nothing));
    }
    PciWriteConfig(device, FIELD_OFFSET(PCI_COMMON_CONFIG, u.type0.InterruptLine), &nothing, 1);
}

// Leaving D3 may have reset the function: its BARs, line and command come back.
static void RestoreConfig(PCI_DEVICE *device) {
    for (ULONG i = 0; i < PCI_TYPE0_ADDRESSES; i++) {
        ULONG offset = FIELD_OFFSET(PCI_COMMON_CONFIG, u.type0.BaseAddresses) + 4 * i;
        PciWriteConfig(device, offset, &device->config.u.type0.BaseAddresses[i], sizeof(ULONG));
    }
    UCHAR line = device->config.u.type0.InterruptLine;
    PciWriteConfig(device, FIELD_OFFSET(PCI_COMMON_CONFIG, u.type0.InterruptLine), &line, 1);
}

static NTSTATUS Start(PCI_DEVICE *device) {
    PNP_NODE *node = PnpNodeOf(device->pdo);
    SetPower(device, PowerDeviceD0);
    RestoreConfig(device); // its last driver may have left it in D3
    SetDecode(device, true);
    NTSTATUS status = PciStartMessages(device, &node->interrupts);
    device->started = NT_SUCCESS(status);
    return status;
}

static NTSTATUS Stop(PCI_DEVICE *device) {
    if (device->started) {
        if (ULONG left = IopConnectedInterrupts(device->pdo))
            KdViolation(IOP_VERIFIER, "a device was stopped or removed with interrupts connected",
                        0, (uint64_t)device->pdo, left, 0);
        // The table is in a BAR: before decoding ends.
        PciStopMessages(device);
        SetDecode(device, false);
    }
    device->started = false;
    return STATUS_SUCCESS;
}

static NTSTATUS Remove(PCI_DEVICE *device) {
    NTSTATUS status = Stop(device);
    if (device->interfaces)
        KdViolation(IOP_VERIFIER, "a device was removed with its bus interface still referenced", 0,
                    (uint64_t)device->pdo, (uint64_t)device->interfaces, 0);
    return status;
}

// The PDO stays while its device is in the slot, or another device above it.
static NTSTATUS RemoveAndComplete(PCI_DEVICE *device, PIRP irp) {
    PDEVICE_OBJECT pdo = device->pdo;
    bool gone = device->missing && !pdo->AttachedDevice;
    NTSTATUS status = Complete(irp, Remove(device));
    if (gone)
        IoDeleteDevice(pdo);
    return status;
}

static NTSTATUS Eject(const PCI_DEVICE *device) {
    HalHotplugEject(PciBridgeAddress(device), device->slot.u.bits.DeviceNumber);
    return STATUS_SUCCESS;
}

// ---- dispatch -------------------------------------------------------------------------

static NTSTATUS Query(PCI_DEVICE *device, PIRP irp, PIO_STACK_LOCATION location) {
    PVOID *answer = (PVOID *)&irp->IoStatus.Information;
    switch (location->MinorFunction) {
    case IRP_MN_QUERY_ID:
        return PciQueryId(device, location->Parameters.QueryId.IdType, (WCHAR **)answer);
    case IRP_MN_QUERY_DEVICE_TEXT:
        return PciQueryText(device, location->Parameters.QueryDeviceText.DeviceTextType,
                            (WCHAR **)answer);
    case IRP_MN_QUERY_RESOURCES:
        return PciQueryBootResources(device, (PCM_RESOURCE_LIST *)answer);
    case IRP_MN_QUERY_RESOURCE_REQUIREMENTS:
        return PciQueryRequirements(device, (PIO_RESOURCE_REQUIREMENTS_LIST *)answer);
    case IRP_MN_QUERY_CAPABILITIES:
        return QueryCapabilities(device, location->Parameters.DeviceCapabilities.Capabilities);
    case IRP_MN_QUERY_INTERFACE:
        return QueryInterface(device, location);
    case IRP_MN_QUERY_DEVICE_RELATIONS:
        return QueryRelations(device, irp, location);
    case IRP_MN_QUERY_BUS_INFORMATION:
        return QueryBusInformation(device, irp);
    default:
        return irp->IoStatus.Status; // not for us: the status stays what it was
    }
}

NTSTATUS NTAPI PciDispatchPnp(PDEVICE_OBJECT pdo, PIRP irp) {
    PCI_DEVICE *device = PciFromPdo(pdo);
    PIO_STACK_LOCATION location = IoGetCurrentIrpStackLocation(irp);
    switch (location->MinorFunction) {
    case IRP_MN_START_DEVICE:
        return Complete(irp, Start(device));
    case IRP_MN_STOP_DEVICE:
        return Complete(irp, Stop(device));
    case IRP_MN_REMOVE_DEVICE:
        return RemoveAndComplete(device, irp);
    case IRP_MN_EJECT:
        return Complete(irp, Eject(device));
    case IRP_MN_SURPRISE_REMOVAL:
        return Complete(irp, STATUS_SUCCESS);
    case IRP_MN_QUERY_STOP_DEVICE:
    case IRP_MN_CANCEL_STOP_DEVICE:
    case IRP_MN_QUERY_REMOVE_DEVICE:
    case IRP_MN_CANCEL_REMOVE_DEVICE:
        return Complete(irp, STATUS_SUCCESS);
    case IRP_MN_READ_CONFIG:
        return Complete(irp, Config(device, irp, location, false));
    case IRP_MN_WRITE_CONFIG:
        return Complete(irp, Config(device, irp, location, true));
    case IRP_MN_QUERY_PNP_DEVICE_STATE:
        return Complete(irp, STATUS_SUCCESS); // nothing to add to the flags
    default:
        return Complete(irp, Query(device, irp, location));
    }
}

static NTSTATUS SetDevicePower(PCI_DEVICE *device, DEVICE_POWER_STATE state) {
    if (state < PowerDeviceD0 || state > PowerDeviceD3)
        return STATUS_INVALID_PARAMETER;
    bool up = device->power != PowerDeviceD0 && state == PowerDeviceD0;
    bool down = device->power == PowerDeviceD0 && state != PowerDeviceD0;
    if (down && device->started) {
        SetDecode(device, false);
        LoseConfig(device);
    }
    SetPower(device, state);
    if (up && device->started) {
        RestoreConfig(device);
        SetDecode(device, true);
        return PciStartMessages(device, &PnpNodeOf(device->pdo)->interrupts);
    }
    return STATUS_SUCCESS;
}

NTSTATUS NTAPI PciDispatchPower(PDEVICE_OBJECT pdo, PIRP irp) {
    PCI_DEVICE *device = PciFromPdo(pdo);
    PIO_STACK_LOCATION location = IoGetCurrentIrpStackLocation(irp);
    auto *power = &location->Parameters.Power;
    PoStartNextPowerIrp(irp);
    switch (location->MinorFunction) {
    case IRP_MN_SET_POWER: {
        NTSTATUS status = STATUS_SUCCESS;
        if (power->Type == DevicePowerState)
            status = SetDevicePower(device, power->State.DeviceState);
        return Complete(irp, status);
    }
    case IRP_MN_QUERY_POWER:
        return Complete(irp, STATUS_SUCCESS);
    case IRP_MN_WAIT_WAKE:
        return Complete(irp, STATUS_NOT_SUPPORTED);
    default:
        return Complete(irp, irp->IoStatus.Status);
    }
}
