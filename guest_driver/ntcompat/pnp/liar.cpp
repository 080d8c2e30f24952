// SPDX-License-Identifier: MIT
//
// Devices that lie in their registers: configuration space, BARs in memory, ports. What a
// device says is read from it as ever, and then changed on its way to the driver, by a table
// that tests fill. The bus driver itself is told the truth.
#include "ke/liar.h"
#include "pnp/pci.h"
#include "pnp/liar.h"

namespace {

struct LIE {
    NTC_LIE said;
    const PCI_DEVICE *device;
    bool port;
    uint64_t address; // in a BAR: physical, or the port
};

constexpr ULONG kLies = 16;
LIE lies[kLies];
ULONG lie_count;

ULONG Mask(ULONG width) {
    return width == 4 ? ~0u : (1u << 8 * width) - 1;
}

ULONG Tell(NTC_LIE *lie, ULONG truth) {
    lie->reads++;
    if (lie->reads <= lie->skip || (lie->times && lie->hits >= lie->times))
        return truth;
    lie->hits++;
    ULONG told = lie->value;
    switch (lie->operation) {
    case NTC_LIE_OR:
        told = truth | lie->value;
        break;
    case NTC_LIE_AND:
        told = truth & lie->value;
        break;
    case NTC_LIE_XOR:
        told = truth ^ lie->value;
        break;
    case NTC_LIE_COUNT: // another one each time
        told = truth + lie->hits * lie->value;
        break;
    default:
        break;
    }
    return told & Mask(lie->width);
}

ULONG TellAt(uint64_t address, bool port, ULONG width, ULONG truth) {
    for (ULONG i = 0; i < lie_count; i++) {
        LIE *lie = &lies[i];
        if (lie->said.space != NTC_LIE_CONFIG && lie->port == port && lie->address == address &&
            lie->said.width == width)
            truth = Tell(&lie->said, truth);
    }
    return truth;
}

PCI_DEVICE *FindDevice(const NTC_LIE *lie) {
    for (PLIST_ENTRY e = PnpNodes.Flink; e != &PnpNodes; e = e->Flink) {
        PCI_DEVICE *device = PciFromPdo(CONTAINING_RECORD(e, PNP_NODE, links)->pdo);
        if (device && device->bus == lie->bus && device->slot.u.bits.DeviceNumber == lie->device &&
            device->slot.u.bits.FunctionNumber == lie->function)
            return device;
    }
    return nullptr;
}

// Has the accesses of the register watched.
NTSTATUS WatchBar(LIE *lie) {
    const PCI_BAR *bar = &lie->device->bars[lie->said.space];
    if (bar->type == 0 || lie->said.offset + lie->said.width > bar->length)
        return STATUS_INVALID_PARAMETER;
    lie->port = bar->type == CmResourceTypePort;
    lie->address = bar->base + lie->said.offset;
    if (lie->port)
        return KiWatchPort((USHORT)lie->address, lie->said.width);
    return MiWatchMemory(lie->address, lie->said.width);
}

bool IsSound(const NTC_LIE *lie) {
    return (lie->width == 1 || lie->width == 2 || lie->width == 4) &&
           lie->operation <= NTC_LIE_COUNT &&
           (lie->space == NTC_LIE_CONFIG ? lie->offset + lie->width <= PCI_EXTENDED_CONFIG_LENGTH
                                         : lie->space < PCI_TYPE0_ADDRESSES);
}

} // namespace

uint64_t PnpLieAboutMemory(uint64_t physical, ULONG width, uint64_t truth) {
    return width <= 4 ? TellAt(physical, false, width, (ULONG)truth) : truth;
}

ULONG PnpLieAboutPort(USHORT port, ULONG width, ULONG truth) {
    return TellAt(port, true, width, truth);
}

void PnpLieAboutConfig(const PCI_DEVICE *device, ULONG offset, UCHAR *buffer, ULONG length) {
    for (ULONG i = 0; i < lie_count; i++) {
        NTC_LIE *lie = &lies[i].said;
        if (lie->space != NTC_LIE_CONFIG || lies[i].device != device || lie->offset < offset ||
            lie->offset + lie->width > offset + length)
            continue;
        ULONG value = 0;
        memcpy(&value, buffer + (lie->offset - offset), lie->width);
        value = Tell(lie, value);
        memcpy(buffer + (lie->offset - offset), &value, lie->width);
    }
}

extern "C" NTSTATUS NtcAddLie(const NTC_LIE *lie) {
    IopRequireIrql(PASSIVE_LEVEL, "NtcAddLie");
    if (!IsSound(lie))
        return STATUS_INVALID_PARAMETER;
    if (lie_count == kLies)
        return STATUS_INSUFFICIENT_RESOURCES;
    LIE *entry = &lies[lie_count];
    *entry = {*lie, FindDevice(lie), false, 0};
    entry->said.reads = entry->said.hits = 0;
    if (!entry->device)
        return STATUS_NO_SUCH_DEVICE;
    NTSTATUS status = lie->space == NTC_LIE_CONFIG ? STATUS_SUCCESS : WatchBar(entry);
    if (NT_SUCCESS(status))
        lie_count++;
    return status;
}

extern "C" NTSTATUS NtcGetLie(ULONG index, NTC_LIE *lie) {
    if (index >= lie_count)
        return STATUS_NO_MORE_ENTRIES;
    *lie = lies[index].said;
    return STATUS_SUCCESS;
}

extern "C" void NtcClearLies(void) {
    IopRequireIrql(PASSIVE_LEVEL, "NtcClearLies");
    KIRQL irql;
    KeRaiseIrql(HIGH_LEVEL, &irql);
    lie_count = 0;
    KiUnwatchPorts();
    MiUnwatchAll();
    KeLowerIrql(irql);
}
