// SPDX-License-Identifier: MIT
//
// MSI-X (PCI 3.0, 6.8.2). At start the table is written with every entry masked
// and the capability is enabled; an entry is unmasked while an interrupt object
// is connected to its vector.
#include "pnp/pci.h"

#define MSIX_ENABLE 0x8000
#define MSIX_FUNCTION_MASK 0x4000
#define MSIX_ENTRY_WORDS 4
#define MSIX_VECTOR_MASKED 1

static void SetControl(PCI_DEVICE *device, USHORT clear, USHORT set) {
    USHORT control = PciRead16(device, device->msix_offset + 2);
    PciWrite16(device, device->msix_offset + 2, (USHORT)((control & ~clear) | set));
}

// PCI_COMMON_CONFIG.Command bit 10: no INTx while messages are in use.
static void SetLineDisabled(PCI_DEVICE *device, bool disabled) {
    ULONG offset = FIELD_OFFSET(PCI_COMMON_CONFIG, Command);
    USHORT command = PciRead16(device, offset);
    command = (USHORT)(disabled ? command | PCI_DISABLE_LEVEL_INTERRUPT
                                : command & ~PCI_DISABLE_LEVEL_INTERRUPT);
    PciWrite16(device, offset, command);
}

static void WriteEntry(PCI_DEVICE *device, ULONG entry, ULONG vector) {
    uint64_t address;
    ULONG data;
    HalMessageAddress(vector, &address, &data);
    volatile ULONG *words = device->msix_va + entry * MSIX_ENTRY_WORDS;
    words[3] = MSIX_VECTOR_MASKED;
    words[0] = (ULONG)address;
    words[1] = (ULONG)(address >> 32);
    words[2] = data;
}

NTSTATUS PciStartMessages(PCI_DEVICE *device, const PNP_INTERRUPTS *interrupts) {
    if (!interrupts->message) {
        SetLineDisabled(device, false);
        return STATUS_SUCCESS;
    }
    PHYSICAL_ADDRESS table;
    table.QuadPart = (LONGLONG)(device->bars[device->msix_bar].base + device->msix_table);
    if (!device->msix_va)
        device->msix_va =
            (volatile ULONG *)MmMapIoSpace(table, device->msix_size * 16, MmNonCached);
    if (!device->msix_va)
        return STATUS_INSUFFICIENT_RESOURCES;
    SetControl(device, 0, MSIX_ENABLE | MSIX_FUNCTION_MASK);
    // As documented for Windows: entries beyond the messages carry message 0.
    for (ULONG i = 0; i < device->msix_size; i++)
        WriteEntry(device, i, interrupts->vector[i < interrupts->count ? i : 0]);
    SetLineDisabled(device, true);
    SetControl(device, MSIX_FUNCTION_MASK, MSIX_ENABLE);
    // Back from D3 there may be interrupt objects already.
    for (ULONG i = 0; i < interrupts->count; i++)
        if (IopVectorConnected(device->pdo, interrupts->vector[i]))
            PciMaskMessage(device, i, false);
    return STATUS_SUCCESS;
}

void PciDisableMessages(PCI_DEVICE *device) {
    if (device->msix_offset)
        SetControl(device, MSIX_ENABLE | MSIX_FUNCTION_MASK, 0);
}

void PciStopMessages(PCI_DEVICE *device) {
    if (device->msix_va) {
        PciDisableMessages(device);
        MmUnmapIoSpace((PVOID)device->msix_va, device->msix_size * 16);
        device->msix_va = nullptr;
    }
    SetLineDisabled(device, true);
}

void PciMaskMessage(PCI_DEVICE *device, ULONG entry, bool mask) {
    if (!device->msix_va || entry >= device->msix_size)
        KdViolation(IOP_VERIFIER, "an interrupt message was (un)masked on a stopped device", 0,
                    (uint64_t)device->pdo, entry, 0);
    device->msix_va[entry * MSIX_ENTRY_WORDS + 3] = mask ? MSIX_VECTOR_MASKED : 0;
}
