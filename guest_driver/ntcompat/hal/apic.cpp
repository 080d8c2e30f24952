// SPDX-License-Identifier: MIT
//
// Local APIC, IOAPIC, and vectors (Intel SDM volume 3, chapter 11; 82093AA
// data sheet). The 8259s are masked for good.
#include "hal.h"

extern "C" {

enum {
    IOAPIC_ADDRESS = 0xFEC00000,
    IOAPIC_SELECT = 0,
    IOAPIC_WINDOW = 0x10,
    IOAPIC_VERSION = 1,
    IOAPIC_TABLE = 0x10,
    IOAPIC_LEVEL = 0x8000,
    IOAPIC_MASKED = 0x10000
};
// Devices have the IRQLs 3 to 11, as on Windows for x64; an IOAPIC has at most 240
// pins (82093AA, 3.2.2: the last has a number up to 239).
enum {
    HAL_MOST_PINS = 240,
    HAL_FIRST_IRQL = 3,
    HAL_LAST_IRQL = 11,
    HAL_DEVICE_VECTORS = (HAL_LAST_IRQL - HAL_FIRST_IRQL + 1) * 16,
    HAL_SPURIOUS_VECTOR = 0xFF
};

static volatile uint8_t *HalLocalApic;
static volatile uint8_t *HalIoApic;
static bool HalVectorUsed[256];
static ULONG HalVectorsInUse;
static ULONG HalPins;
static ULONG HalPinVector[HAL_MOST_PINS]; // 0: none
static ULONG HalPinUsers[HAL_MOST_PINS];
static bool HalPinLevel[HAL_MOST_PINS];

uint32_t HalApicRead(uint32_t offset) {
    return *(volatile uint32_t *)(HalLocalApic + offset);
}

void HalApicWrite(uint32_t offset, uint32_t value) {
    *(volatile uint32_t *)(HalLocalApic + offset) = value;
}

static uint32_t HalIoApicRead(uint32_t index) {
    *(volatile uint32_t *)(HalIoApic + IOAPIC_SELECT) = index;
    return *(volatile uint32_t *)(HalIoApic + IOAPIC_WINDOW);
}

static void HalIoApicWrite(uint32_t index, uint32_t value) {
    *(volatile uint32_t *)(HalIoApic + IOAPIC_SELECT) = index;
    *(volatile uint32_t *)(HalIoApic + IOAPIC_WINDOW) = value;
}

void HalInitializeLocalApic(void) {
    const ULONG apic_base = 0x1B;
    __outbyte(0x21, 0xFF);
    __outbyte(0xA1, 0xFF);
    uint64_t base = __readmsr(apic_base);
    __writemsr(apic_base, base | 0x800); // enabled
    HalLocalApic = HalMapRegisters(base & 0xFFFFFF000ull, PAGE_SIZE);
    HalApicWrite(APIC_LVT_TIMER, APIC_MASKED);
    HalApicWrite(APIC_LVT_LINT0, APIC_MASKED);
    HalApicWrite(APIC_LVT_LINT1, 0x400); // NMI
    HalApicWrite(APIC_LVT_ERROR, APIC_MASKED);
    HalApicWrite(APIC_SPURIOUS, 0x100 | HAL_SPURIOUS_VECTOR);
}

void HalInitializeIoApic(void) {
    HalIoApic = HalMapRegisters(IOAPIC_ADDRESS, PAGE_SIZE);
    HalPins = (HalIoApicRead(IOAPIC_VERSION) >> 16 & 0xFF) + 1;
    if (HalPins > HAL_MOST_PINS)
        KdViolation(HAL_INITIALIZATION_FAILED, "the IOAPIC has too many pins", HalPins, 0, 0, 0);
    for (uint32_t pin = 0; pin < HalPins; pin++)
        HalIoApicWrite(IOAPIC_TABLE + 2 * pin, IOAPIC_MASKED);
}

void HalEndOfInterrupt(void) {
    HalApicWrite(APIC_EOI, 0);
}

volatile uint8_t *HalEndOfInterruptRegister(void) {
    return HalLocalApic + APIC_EOI;
}

// Of the interrupt being serviced: the local APIC's trigger mode register.
BOOLEAN HalIsLevelTriggered(ULONG vector) {
    return (HalApicRead(APIC_TRIGGER_MODE + vector / 32 * 0x10) >> vector % 32 & 1) != 0;
}

// A self-IPI; held back by the local APIC until CR8 is below its IRQL.
void HalRequestSoftwareInterrupt(KIRQL irql) {
    const uint32_t self = 0x40000;
    HalApicWrite(APIC_COMMAND, self | (uint32_t)(irql << 4 | 0xF));
}

// Vectors are given out from the top IRQL for devices downward.
static NTSTATUS HalAllocateVectors(ULONG count, ULONG alignment, ULONG *first) {
    for (ULONG irql = HAL_LAST_IRQL; irql >= HAL_FIRST_IRQL; irql--) {
        for (ULONG v = irql * 16; v + count <= irql * 16 + 16; v += alignment) {
            bool free = true;
            for (ULONG i = 0; i < count; i++)
                free = free && !HalVectorUsed[v + i];
            if (!free)
                continue;
            for (ULONG i = 0; i < count; i++)
                HalVectorUsed[v + i] = true;
            HalVectorsInUse += count;
            *first = v;
            return STATUS_SUCCESS;
        }
    }
    return STATUS_INSUFFICIENT_RESOURCES;
}

static ULONG HalPinOfVector(ULONG vector) {
    ULONG pin = 0;
    while (pin < HalPins && HalPinVector[pin] != vector)
        pin++;
    return pin;
}

static ULONG HalPinsWithoutVector(void) {
    ULONG count = 0;
    for (ULONG pin = 0; pin < HalPins; pin++)
        count += HalPinVector[pin] == 0;
    return count;
}

// A vector is kept back for each pin: a device can always be given its line.
ULONG HalMessageVectorsLeft(void) {
    ULONG kept = HalVectorsInUse + HalPinsWithoutVector();
    return kept < HAL_DEVICE_VECTORS ? HAL_DEVICE_VECTORS - kept : 0;
}

// The pin stays masked until a routine is connected.
NTSTATUS HalAllocateLineVector(ULONG pin, BOOLEAN level, ULONG *vector, KIRQL *irql) {
    if (pin >= HalPins)
        return STATUS_INVALID_PARAMETER;
    if (HalPinVector[pin] == 0) {
        NTSTATUS status = HalAllocateVectors(1, 1, &HalPinVector[pin]);
        if (!NT_SUCCESS(status))
            return status;
        HalPinLevel[pin] = level != FALSE;
        HalIoApicWrite(IOAPIC_TABLE + 2 * pin + 1, HalApicRead(APIC_ID) & 0xFF000000u);
        HalIoApicWrite(IOAPIC_TABLE + 2 * pin,
                       HalPinVector[pin] | (level ? IOAPIC_LEVEL : 0) | IOAPIC_MASKED);
    } else if (HalPinLevel[pin] != (level != FALSE)) {
        return STATUS_CONFLICTING_ADDRESSES;
    }
    HalPinUsers[pin]++;
    *vector = HalPinVector[pin];
    *irql = (KIRQL)(*vector >> 4);
    return STATUS_SUCCESS;
}

// Nothing for a message's vector: messages are masked in their device.
void HalEnableLine(ULONG vector, BOOLEAN enable) {
    ULONG pin = HalPinOfVector(vector);
    if (pin == HalPins)
        return;
    uint32_t entry = HalIoApicRead(IOAPIC_TABLE + 2 * pin);
    HalIoApicWrite(IOAPIC_TABLE + 2 * pin,
                   enable ? entry & ~(uint32_t)IOAPIC_MASKED : entry | IOAPIC_MASKED);
}

// `count` consecutive vectors of one IRQL, at most 16; aligned as multiple-message MSI needs.
NTSTATUS HalAllocateMessageVectors(ULONG count, ULONG *first_vector, KIRQL *irql) {
    ULONG alignment = 1;
    while (alignment < count)
        alignment *= 2;
    if (count == 0 || count > 16)
        return STATUS_INVALID_PARAMETER;
    if (count > HalMessageVectorsLeft())
        return STATUS_INSUFFICIENT_RESOURCES;
    NTSTATUS status = HalAllocateVectors(count, alignment, first_vector);
    if (NT_SUCCESS(status))
        *irql = (KIRQL)(*first_vector >> 4);
    return status;
}

void HalReleaseVectors(ULONG first_vector, ULONG count) {
    for (ULONG v = first_vector; v < first_vector + count; v++) {
        if (v > 0xFF || !HalVectorUsed[v])
            KdViolation(DRIVER_VERIFIER_DETECTED_VIOLATION,
                        "release of a vector that is not allocated", 0, v, 0, 0);
        ULONG pin = HalPinOfVector(v);
        if (pin < HalPins && --HalPinUsers[pin] != 0)
            continue; // the line is shared
        if (pin < HalPins) {
            HalIoApicWrite(IOAPIC_TABLE + 2 * pin, IOAPIC_MASKED);
            HalPinVector[pin] = 0;
        }
        HalVectorUsed[v] = false;
        HalVectorsInUse--;
    }
}

// Fixed delivery, edge, to this processor.
void HalMessageAddress(ULONG vector, uint64_t *address, ULONG *data) {
    *address = 0xFEE00000ull | (uint64_t)(HalApicRead(APIC_ID) >> 24) << 12;
    *data = vector;
}

} // extern "C"
