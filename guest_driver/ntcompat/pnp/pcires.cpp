// SPDX-License-Identifier: MIT
//
// Resource requirements and boot resources of PCI devices. The firmware has placed
// the BARs, and they stay there. As on Windows each BAR's descriptor is followed
// by a device-private one that names the BAR.
#include "pnp/pci.h"

static ULONG CountBars(const PCI_DEVICE *device) {
    ULONG count = 0;
    for (const PCI_BAR &bar : device->bars)
        count += bar.type != 0;
    return count;
}

static USHORT BarFlags(const PCI_BAR *bar) {
    if (bar->type == CmResourceTypePort)
        return CM_RESOURCE_PORT_IO | CM_RESOURCE_PORT_POSITIVE_DECODE | CM_RESOURCE_PORT_BAR;
    return (USHORT)(CM_RESOURCE_MEMORY_READ_WRITE | CM_RESOURCE_MEMORY_BAR |
                    (bar->prefetchable ? CM_RESOURCE_MEMORY_PREFETCHABLE : 0));
}

// A range of 4 GiB and more is of a type of its own, its length without the low bits.
struct BAR_SIZE {
    UCHAR type;
    USHORT flags;
    ULONG length;
};

static BAR_SIZE SizeOf(const PCI_BAR *bar) {
    if (bar->length <= 0xFFFFFFFF)
        return {(UCHAR)bar->type, BarFlags(bar), (ULONG)bar->length};
    bool in40 = bar->length <= CM_RESOURCE_MEMORY_LARGE_40_MAXLEN;
    bool in48 = bar->length <= CM_RESOURCE_MEMORY_LARGE_48_MAXLEN;
    USHORT large = in40   ? CM_RESOURCE_MEMORY_LARGE_40
                   : in48 ? CM_RESOURCE_MEMORY_LARGE_48
                          : CM_RESOURCE_MEMORY_LARGE_64;
    return {CmResourceTypeMemoryLarge, (USHORT)(BarFlags(bar) | large),
            (ULONG)(bar->length >> (in40   ? 8
                                    : in48 ? 16
                                           : 32))};
}

static IO_RESOURCE_DESCRIPTOR *WriteBars(const PCI_DEVICE *device, IO_RESOURCE_DESCRIPTOR *d) {
    for (ULONG i = 0; i < PCI_TYPE0_ADDRESSES; i++) {
        const PCI_BAR *bar = &device->bars[i];
        if (!bar->type)
            continue;
        BAR_SIZE size = SizeOf(bar);
        d->Type = size.type;
        d->ShareDisposition = CmResourceShareDeviceExclusive;
        d->Flags = size.flags;
        d->u.Memory.Length = size.length;
        d->u.Memory.Alignment = size.length;
        d->u.Memory.MinimumAddress.QuadPart = (LONGLONG)bar->base;
        d->u.Memory.MaximumAddress.QuadPart = (LONGLONG)(bar->base + bar->length - 1);
        d++;
        d->Type = CmResourceTypeDevicePrivate;
        d->ShareDisposition = CmResourceShareDeviceExclusive;
        d->u.DevicePrivate.Data[0] = 1;
        d->u.DevicePrivate.Data[1] = i;
        d++;
    }
    return d;
}

static void WriteMessage(IO_RESOURCE_DESCRIPTOR *d) {
    d->Type = CmResourceTypeInterrupt;
    d->ShareDisposition = CmResourceShareDeviceExclusive;
    d->Flags = CM_RESOURCE_INTERRUPT_LATCHED | CM_RESOURCE_INTERRUPT_MESSAGE;
    d->u.Interrupt.MinimumVector = CM_RESOURCE_INTERRUPT_MESSAGE_TOKEN;
    d->u.Interrupt.MaximumVector = CM_RESOURCE_INTERRUPT_MESSAGE_TOKEN;
}

static void WriteLine(const PCI_DEVICE *device, IO_RESOURCE_DESCRIPTOR *d) {
    d->Type = CmResourceTypeInterrupt;
    d->ShareDisposition = CmResourceShareShared;
    d->Flags = CM_RESOURCE_INTERRUPT_LEVEL_SENSITIVE;
    d->u.Interrupt.MinimumVector = device->config.u.type0.InterruptLine;
    d->u.Interrupt.MaximumVector = device->config.u.type0.InterruptLine;
}

static bool HasLine(const PCI_DEVICE *device) {
    UCHAR line = device->config.u.type0.InterruptLine;
    return device->config.u.type0.InterruptPin && line && line != 0xFF;
}

// The messages Windows would ask for: the table's size, within the limits of the
// device's hardware key.
static ULONG WantedMessages(const PCI_DEVICE *device) {
    PNP_NODE *node = PnpNodeOf(device->pdo);
    if (!device->msix_offset || !node || !node->service[0])
        return 0;
    ULONG supported = CmpCommandLineDword(node->service, L"MSISupported",
                                          PnpInfDword(node->service, L"MSISupported", 1));
    if (!supported)
        return 0;
    ULONG limit = CmpCommandLineDword(node->service, L"MessageNumberLimit",
                                      PnpInfDword(node->service, L"MessageNumberLimit", ~0u));
    ULONG count = device->msix_size;
    if (limit && count > limit)
        count = limit;
    return count > PNP_MAX_MESSAGES ? PNP_MAX_MESSAGES : count;
}

static IO_RESOURCE_LIST *BeginList(IO_RESOURCE_LIST *list, ULONG count) {
    list->Version = 1;
    list->Revision = 1;
    list->Count = count;
    return (IO_RESOURCE_LIST *)(list->Descriptors + count);
}

// First choice: all messages; then one message; then the line.
NTSTATUS PciQueryRequirements(PCI_DEVICE *device, PIO_RESOURCE_REQUIREMENTS_LIST *result) {
    ULONG bars = CountBars(device);
    ULONG messages = WantedMessages(device);
    bool line = HasLine(device);
    *result = nullptr;
    if (!bars && !messages && !line)
        return STATUS_NOT_SUPPORTED; // no resources wanted
    ULONG choices[3], lists = 0;
    if (messages)
        choices[lists++] = messages;
    if (messages > 1)
        choices[lists++] = 1;
    if (line || !lists)
        choices[lists++] = 0;
    size_t size = FIELD_OFFSET(IO_RESOURCE_REQUIREMENTS_LIST, List);
    for (ULONG i = 0; i < lists; i++) {
        ULONG count = 2 * bars + (choices[i] ? choices[i] : line);
        size +=
            FIELD_OFFSET(IO_RESOURCE_LIST, Descriptors) + count * sizeof(IO_RESOURCE_DESCRIPTOR);
    }
    size += sizeof(IO_RESOURCE_LIST); // the declared arrays have one element
    auto *requirements =
        (PIO_RESOURCE_REQUIREMENTS_LIST)ExAllocatePoolWithTag(PagedPool, size, IOP_TAG_PNP);
    if (!requirements)
        return STATUS_INSUFFICIENT_RESOURCES;
    RtlZeroMemory(requirements, size);
    requirements->ListSize = (ULONG)size;
    requirements->InterfaceType = PCIBus;
    requirements->BusNumber = device->bus;
    requirements->SlotNumber = device->slot.u.AsULONG;
    requirements->AlternativeLists = lists;
    IO_RESOURCE_LIST *list = requirements->List;
    for (ULONG i = 0; i < lists; i++) {
        ULONG interrupts = choices[i] ? choices[i] : line;
        IO_RESOURCE_LIST *next = BeginList(list, 2 * bars + interrupts);
        IO_RESOURCE_DESCRIPTOR *d = WriteBars(device, list->Descriptors);
        for (ULONG k = 0; k < choices[i]; k++)
            WriteMessage(d++);
        if (!choices[i] && line)
            WriteLine(device, d);
        list = next;
    }
    *result = requirements;
    return STATUS_SUCCESS;
}

NTSTATUS PciQueryBootResources(PCI_DEVICE *device, PCM_RESOURCE_LIST *result) {
    ULONG bars = CountBars(device);
    bool line = HasLine(device);
    *result = nullptr;
    if (!bars && !line)
        return STATUS_NOT_SUPPORTED;
    size_t size =
        sizeof(CM_RESOURCE_LIST) + (2 * bars + line) * sizeof(CM_PARTIAL_RESOURCE_DESCRIPTOR);
    auto *list = (PCM_RESOURCE_LIST)ExAllocatePoolWithTag(PagedPool, size, IOP_TAG_PNP);
    if (!list)
        return STATUS_INSUFFICIENT_RESOURCES;
    RtlZeroMemory(list, size);
    list->Count = 1;
    list->List[0].InterfaceType = PCIBus;
    list->List[0].BusNumber = device->bus;
    CM_PARTIAL_RESOURCE_LIST *partial = &list->List[0].PartialResourceList;
    partial->Version = 1;
    partial->Revision = 1;
    CM_PARTIAL_RESOURCE_DESCRIPTOR *d = partial->PartialDescriptors;
    for (ULONG i = 0; i < PCI_TYPE0_ADDRESSES; i++) {
        const PCI_BAR *bar = &device->bars[i];
        if (!bar->type)
            continue;
        BAR_SIZE size = SizeOf(bar);
        d->Type = size.type;
        d->ShareDisposition = CmResourceShareDeviceExclusive;
        d->Flags = size.flags;
        d->u.Memory.Start.QuadPart = (LONGLONG)bar->base;
        d->u.Memory.Length = size.length;
        d++;
        d->Type = CmResourceTypeDevicePrivate;
        d->ShareDisposition = CmResourceShareDeviceExclusive;
        d->u.DevicePrivate.Data[0] = 1;
        d->u.DevicePrivate.Data[1] = i;
        d++;
    }
    if (line) {
        d->Type = CmResourceTypeInterrupt;
        d->ShareDisposition = CmResourceShareShared;
        d->u.Interrupt.Level = device->config.u.type0.InterruptLine;
        d->u.Interrupt.Vector = device->config.u.type0.InterruptLine;
        d->u.Interrupt.Affinity = (KAFFINITY)-1;
    }
    partial->Count = 2 * bars + line;
    *result = list;
    return STATUS_SUCCESS;
}
