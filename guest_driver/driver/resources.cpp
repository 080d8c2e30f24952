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

// Registers of virtio devices are in the first few KiB; what follows in a large
// BAR is shared memory (Virtio 1.2, 2.10), which this driver doesn't touch.
#define MAX_BAR_MAPPING 0x100000u

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
static NTSTATUS MapBar(VQ7_BAR *bar, PCM_PARTIAL_RESOURCE_DESCRIPTOR translated) {
    if (translated->Type == CmResourceTypePort) {
        bar->is_port = TRUE;
        bar->port = translated->u.Port.Start.LowPart;
        bar->length = translated->u.Port.Length;
        return STATUS_SUCCESS;
    }
    UINT32 length = translated->u.Memory.Length;
    if (length > MAX_BAR_MAPPING) {
        length = MAX_BAR_MAPPING;
    }
    bar->mapped = MmMapIoSpace(translated->u.Memory.Start, length, MmNonCached);
    if (bar->mapped == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    bar->length = length;
    return STATUS_SUCCESS;
}

// Resources come in no documented order, and 64-bit BARs take two registers, so
// the registers themselves say which BAR a range is.
static NTSTATUS MapResource(DEVICE_CONTEXT *dc, const VQ7_BAR_REGISTER *registers,
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
    return MapBar(&dc->bars[number], translated);
}

static NTSTATUS MapResources(DEVICE_CONTEXT *dc, WDFCMRESLIST raw_list,
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
        } else if (raw->Type == CmResourceTypePort || raw->Type == CmResourceTypeMemory) {
            status = MapResource(dc, registers, raw, translated);
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

static NTSTATUS OpenTransport(DEVICE_CONTEXT *dc) {
    NTSTATUS status = VirtioPciInit(&dc->pci, &Vq7PciIo, dc, dc->mode, dc->messages);

    if (!NT_SUCCESS(status)) {
        Vq7Log("no usable virtio-pci transport (Transport=%s), status 0x%08x\n",
               dc->mode == VirtioPciModeLegacy   ? "legacy"
               : dc->mode == VirtioPciModeModern ? "modern"
                                                 : "auto",
               (unsigned int)status);
        return status;
    }
    dc->pci_valid = TRUE;
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

// IRQL: PASSIVE_LEVEL. After a failure the framework calls
// EvtDeviceReleaseHardware, which undoes what was done.
NTSTATUS NTAPI Vq7EvtPrepareHardware(WDFDEVICE device, WDFCMRESLIST raw, WDFCMRESLIST translated) {
    DEVICE_CONTEXT *dc = Vq7GetDevice(device);
    NTSTATUS status = OpenBus(dc);

    if (NT_SUCCESS(status)) {
        status = ReadIdentity(dc);
    }
    if (NT_SUCCESS(status)) {
        status = MapResources(dc, raw, translated);
    }
    if (NT_SUCCESS(status)) {
        status = LookAtInterrupts(dc);
    }
    if (NT_SUCCESS(status)) {
        status = OpenTransport(dc);
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
    dc->pci_valid = FALSE;
    for (int i = 0; i < VIRTIO_PCI_BAR_COUNT; i++) {
        if (dc->bars[i].mapped != NULL) {
            MmUnmapIoSpace(dc->bars[i].mapped, dc->bars[i].length);
        }
    }
    RtlZeroMemory(dc->bars, sizeof(dc->bars));
    if (dc->bus_valid) {
        dc->bus.InterfaceDereference(dc->bus.Context);
        dc->bus_valid = FALSE;
    }
    return STATUS_SUCCESS;
}
