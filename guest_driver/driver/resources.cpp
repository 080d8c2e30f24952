// SPDX-License-Identifier: MIT
// EvtDevicePrepareHardware and EvtDeviceReleaseHardware: BARs, interrupts,
// configuration space access, the transport.
#include <initguid.h>
#include "driver.h"

DEFINE_GUID(BusInterfaceGuid, 0x496b8280, 0x6f25, 0x11d0, 0xbe, 0xaf, 0x08, 0x00, 0x2b, 0xe2, 0x09,
            0x2f);

#define PCI_CONFIG_REVISION 0x08
#define PCI_CONFIG_SUBSYSTEM_VENDOR 0x2C
#define PCI_CONFIG_SUBSYSTEM 0x2E

static NTSTATUS OpenBus(DEVICE_CONTEXT *dc) {
    NTSTATUS status = WdfFdoQueryForInterface(dc->device, &BusInterfaceGuid, (PINTERFACE)&dc->bus,
                                              sizeof(dc->bus), 1, NULL);

    if (!NT_SUCCESS(status)) {
        Vq7Log("the bus has no BUS_INTERFACE_STANDARD, status 0x%08x\n", (unsigned int)status);
        return status;
    }
    dc->bus_valid = TRUE;
    return STATUS_SUCCESS;
}

static NTSTATUS ReadIdentity(DEVICE_CONTEXT *dc) {
    ULONG number = 0;
    ULONG address = 0;
    ULONG length;

    NTSTATUS status = WdfDeviceQueryProperty(dc->device, DevicePropertyBusNumber, sizeof(number),
                                             &number, &length);
    if (NT_SUCCESS(status)) {
        status = WdfDeviceQueryProperty(dc->device, DevicePropertyAddress, sizeof(address),
                                        &address, &length);
    }
    if (!NT_SUCCESS(status)) {
        Vq7Log("no bus address, status 0x%08x\n", (unsigned int)status);
        return status;
    }
    dc->bus_number = (UINT8)number;
    dc->slot = (UINT8)(address >> 16); // PCI: device number, then function
    dc->function = (UINT8)address;
    if (!Vq7ConfigRead(dc, PCI_CONFIG_REVISION, &dc->revision, sizeof(dc->revision)) ||
        !Vq7ConfigRead(dc, PCI_CONFIG_SUBSYSTEM_VENDOR, &dc->subsystem_vendor,
                       sizeof(dc->subsystem_vendor)) ||
        !Vq7ConfigRead(dc, PCI_CONFIG_SUBSYSTEM, &dc->subsystem, sizeof(dc->subsystem))) {
        Vq7Log("cannot read configuration space\n");
        return STATUS_DEVICE_CONFIGURATION_ERROR;
    }
    return STATUS_SUCCESS;
}

// `translated` says how the CPU reaches what `raw` says the bus calls it.
static VOID KeepBar(VQ7_BAR *bar, PCM_PARTIAL_RESOURCE_DESCRIPTOR translated) {
    if (translated->Type == CmResourceTypePort) {
        bar->is_port = TRUE;
        bar->port = translated->u.Port.Start.LowPart;
        bar->length = translated->u.Port.Length;
        return;
    }
    bar->start = translated->u.Memory.Start;
    bar->length = translated->u.Memory.Length;
    if (translated->Type == CmResourceTypeMemoryLarge) {
        bar->length = Vq7LargeLength(translated->Flags, translated->u.Memory.Length);
    }
}

// Resources come in no documented order, and 64-bit BARs take two registers, so
// the registers themselves say which BAR a range is.
static NTSTATUS TakeResource(DEVICE_CONTEXT *dc, const VQ7_BAR_REGISTER *registers,
                             PCM_PARTIAL_RESOURCE_DESCRIPTOR raw,
                             PCM_PARTIAL_RESOURCE_DESCRIPTOR translated) {
    BOOLEAN port = (BOOLEAN)(raw->Type == CmResourceTypePort);
    UINT64 address = (UINT64)(port ? raw->u.Port.Start.QuadPart : raw->u.Memory.Start.QuadPart);
    int number = Vq7FindBar(registers, port, address);

    if (number < 0) {
        // Such as the fixed ranges of a VGA-compatible function, or the upper half
        // of a 64-bit BAR that a bus driver takes for a BAR of its own. No virtio
        // registers are there: the library looks at BARs alone.
        Vq7Log("a resource at 0x%08x%08x belongs to no BAR: not used\n",
               (unsigned int)(address >> 32), (unsigned int)address);
        return STATUS_SUCCESS;
    }
    if (dc->bars[number].length != 0) {
        Vq7Log("BAR %d appears twice in the resources\n", number);
        return STATUS_DEVICE_CONFIGURATION_ERROR;
    }
    KeepBar(&dc->bars[number], translated);
    return STATUS_SUCCESS;
}

static BOOLEAN IsRange(PCM_PARTIAL_RESOURCE_DESCRIPTOR raw) {
    return (BOOLEAN)(raw->Type == CmResourceTypePort || raw->Type == CmResourceTypeMemory ||
                     raw->Type == CmResourceTypeMemoryLarge);
}

static NTSTATUS TakeResources(DEVICE_CONTEXT *dc, WDFCMRESLIST raw_list,
                              WDFCMRESLIST translated_list) {
    UINT32 values[VIRTIO_PCI_BAR_COUNT];
    VQ7_BAR_REGISTER registers[VIRTIO_PCI_BAR_COUNT];
    UINT16 interrupts = 0;
    ULONG count = WdfCmResourceListGetCount(translated_list);

    if (!Vq7ConfigRead(dc, VQ7_PCI_CONFIG_BAR0, values, sizeof(values))) {
        Vq7Log("cannot read the base address registers\n");
        return STATUS_DEVICE_CONFIGURATION_ERROR;
    }
    Vq7DecodeBars(values, registers);
    for (ULONG i = 0; i < count; i++) {
        PCM_PARTIAL_RESOURCE_DESCRIPTOR raw = WdfCmResourceListGetDescriptor(raw_list, i);
        PCM_PARTIAL_RESOURCE_DESCRIPTOR translated =
            WdfCmResourceListGetDescriptor(translated_list, i);
        NTSTATUS status = STATUS_SUCCESS;

        if (raw == NULL || translated == NULL) {
            return STATUS_DEVICE_CONFIGURATION_ERROR;
        }
        if (translated->Type == CmResourceTypeInterrupt) {
            interrupts++;
        } else if (IsRange(raw)) {
            status = TakeResource(dc, registers, raw, translated);
        }
        if (!NT_SUCCESS(status)) {
            return status;
        }
    }
    dc->interrupts_connected =
        (UINT16)(interrupts < VQ7_MAX_INTERRUPTS ? interrupts : VQ7_MAX_INTERRUPTS);
    return STATUS_SUCCESS;
}

// The framework has dealt the interrupt resources out to the interrupt objects
// before this; the first one tells of what kind they are.
static NTSTATUS LookAtInterrupts(DEVICE_CONTEXT *dc) {
    WDF_INTERRUPT_INFO info;

    if (dc->interrupts_connected == 0) {
        Vq7Log("the device has no interrupt\n");
        return STATUS_DEVICE_CONFIGURATION_ERROR;
    }
    WDF_INTERRUPT_INFO_INIT(&info);
    WdfInterruptGetInfo(dc->interrupts[0], &info);
    dc->messages = info.MessageSignaled;
    if (!dc->messages) {
        dc->interrupts_connected = 1;
    }
    return STATUS_SUCCESS;
}

static NTSTATUS MapRegisters(DEVICE_CONTEXT *dc, const VIRTIO_PCI_DEVICE *pci) {
    VIRTIO_PCI_REGION region;
    NTSTATUS status = STATUS_SUCCESS;

    for (UINT32 i = 0; NT_SUCCESS(status); i++) {
        if (!NT_SUCCESS(VirtioPciGetRegion(pci, i, &region))) {
            break;
        }
        status = Vq7MapRegion(dc, &region);
    }
    return status;
}

static NTSTATUS FindType(DEVICE_CONTEXT *dc) {
    NTSTATUS status = STATUS_SUCCESS;

    if (dc->type == NULL) {
        const VQ7_TYPE_OPS *type = Vq7FindType(dc->pci.device_type);
        if (type->Create != NULL) {
            status = type->Create(dc);
        }
        if (NT_SUCCESS(status)) {
            dc->type = type;
        }
    }
    return status;
}

static VOID LogTransport(DEVICE_CONTEXT *dc, const VIRTIO_PCI_DEVICE *pci, VIRTIO_PCI_MODE mode,
                         NTSTATUS status) {
    if (!NT_SUCCESS(status)) {
        Vq7Log("no usable virtio-pci transport (Transport=%s), status 0x%08x\n",
               mode == VirtioPciModeLegacy   ? "legacy"
               : mode == VirtioPciModeModern ? "modern"
                                             : "auto",
               (unsigned int)status);
    } else if (!pci->modern && !NT_SUCCESS(pci->modern_status) &&
               pci->modern_status != STATUS_NOT_FOUND) { // that is no fault
        Vq7Log("%02x:%02x.%x: its modern interface is malformed, status 0x%08x: the legacy one "
               "is used\n",
               dc->bus_number, dc->slot, dc->function, (unsigned int)pci->modern_status);
    }
}

NTSTATUS Vq7OpenTransport(DEVICE_CONTEXT *dc, VIRTIO_PCI_MODE mode, BOOLEAN connected) {
    VIRTIO_PCI_DEVICE found;
    NTSTATUS status = VirtioPciInit(&found, &Vq7PciIo, dc, mode, dc->messages);

    LogTransport(dc, &found, mode, status);
    if (NT_SUCCESS(status)) {
        status = MapRegisters(dc, &found);
    }
    if (!NT_SUCCESS(status)) {
        return status;
    }
    // Where the line is shared its ISR looks at the device at any time.
    if (connected) {
        WdfInterruptAcquireLock(dc->interrupts[0]);
    }
    dc->pci = found;
    if (connected) {
        WdfInterruptReleaseLock(dc->interrupts[0]);
    }
    return STATUS_SUCCESS;
}

// IRQL: PASSIVE_LEVEL. After a failure the framework calls
// EvtDeviceReleaseHardware, which undoes what was done.
NTSTATUS NTAPI Vq7EvtPrepareHardware(WDFDEVICE device, WDFCMRESLIST raw, WDFCMRESLIST translated) {
    DEVICE_CONTEXT *dc = Vq7GetDevice(device);
    NTSTATUS status = OpenBus(dc);

    if (NT_SUCCESS(status)) {
        status = ReadIdentity(dc);
    }
    if (NT_SUCCESS(status)) {
        status = TakeResources(dc, raw, translated);
    }
    if (NT_SUCCESS(status)) {
        status = LookAtInterrupts(dc);
    }
    if (NT_SUCCESS(status)) {
        status = Vq7OpenTransport(dc, dc->mode, FALSE);
    }
    if (NT_SUCCESS(status)) {
        status = FindType(dc);
    }
    if (!NT_SUCCESS(status)) {
        Vq7Log("cannot prepare %02x:%02x.%x, status 0x%08x\n", dc->bus_number, dc->slot,
               dc->function, (unsigned int)status);
    }
    return status;
}

// IRQL: PASSIVE_LEVEL.
NTSTATUS NTAPI Vq7EvtReleaseHardware(WDFDEVICE device, WDFCMRESLIST) {
    DEVICE_CONTEXT *dc = Vq7GetDevice(device);

    // Also after a start that failed half-way.
    Vq7DeviceStop(dc, TRUE, STATUS_CANCELLED);
    WdfWorkItemFlush(dc->fail_work);
    Vq7QueuesFree(dc);
    Vq7UnmapRegions(dc);
    RtlZeroMemory(dc->bars, sizeof(dc->bars));
    if (dc->bus_valid) {
        dc->bus.InterfaceDereference(dc->bus.Context);
        dc->bus_valid = FALSE;
    }
    return STATUS_SUCCESS;
}
