// SPDX-License-Identifier: MIT
//
// Power off and reset. The values come from the machine's ACPI tables (ACPI 6.4:
// 5.2.5 RSDP, 5.2.9 FADT, 7.4.2 \_Sx): the PM1a control port from the FADT and the
// sleep type from the \_S5 package of DSDT or SSDT.
#include "hal.h"

extern "C" {

enum { FADT_DSDT = 40, FADT_PM1A_CONTROL = 64, FADT_PM_TIMER = 76, ACPI_SLEEP_ENABLE = 0x2000 };

static uint16_t HalPm1aControl; // 0: unknown
static uint16_t HalSleepType5;
uint16_t HalPmTimerPort;

static const uint8_t *HalTable(uint64_t physical) {
    const uint8_t *va = (const uint8_t *)(NTC_DIRECT_MAP_BASE + physical);
    if (physical == 0 || MiPhysicalAddress((uint64_t)va) == 0)
        return nullptr;
    uint32_t length = ((const ACPI_HEADER *)va)->length;
    if (length < sizeof(ACPI_HEADER) || length > 0x100000 ||
        MiPhysicalAddress((uint64_t)va + length - 1) == 0)
        return nullptr;
    return va;
}

bool HalMatch(const uint8_t *at, const char *text, size_t length) {
    for (size_t i = 0; i < length; i++)
        if (at[i] != (uint8_t)text[i])
            return false;
    return true;
}

// ACPI 6.4, 5.2.5.1: in the BIOS area, on a 16-byte boundary.
static const uint8_t *HalFindRsdp(void) {
    const uint8_t *low = (const uint8_t *)NTC_DIRECT_MAP_BASE;
    for (uint64_t at = 0xE0000; at < 0x100000; at += 16)
        if (HalMatch(low + at, "RSD PTR ", 8))
            return low + at;
    return nullptr;
}

// The n-th table of a signature; nullptr past the last.
static const uint8_t *HalFindTable(const uint8_t *rsdp, const char *signature, uint32_t n) {
    const uint8_t *rsdt = HalTable(*(const uint32_t *)(rsdp + 16));
    if (!rsdt)
        return nullptr;
    uint32_t count = (((const ACPI_HEADER *)rsdt)->length - sizeof(ACPI_HEADER)) / 4;
    const uint32_t *entries = (const uint32_t *)(rsdt + sizeof(ACPI_HEADER));
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *table = HalTable(entries[i]);
        if (table && HalMatch(table, signature, 4) && n-- == 0)
            return table;
    }
    return nullptr;
}

// Name(_S5_, Package() { SLP_TYPa, ... }) in AML: 08 "_S5_" 12 <length> <count>
// and then 00 (Zero), 01 (One) or 0A <byte>.
static bool HalFindSleepType(const uint8_t *aml) {
    uint32_t length = aml ? ((const ACPI_HEADER *)aml)->length : 0;
    for (uint32_t i = sizeof(ACPI_HEADER); i + 12 < length; i++) {
        if (!HalMatch(aml + i, "_S5_\x12", 5))
            continue;
        const uint8_t *p = aml + i + 5;
        p += 1 + (*p >> 6) + 1; // package length, element count
        if (*p > 1 && *p != 0x0A)
            return false;
        HalSleepType5 = *p == 0x0A ? p[1] : *p;
        return true;
    }
    return false;
}

void HalParseAcpi(void) {
    const uint8_t *rsdp = HalFindRsdp();
    const uint8_t *fadt = rsdp ? HalFindTable(rsdp, "FACP", 0) : nullptr;
    bool found = false;
    if (fadt) {
        HalPmTimerPort = (uint16_t) * (const uint32_t *)(fadt + FADT_PM_TIMER);
        const uint8_t *dsdt = HalTable(*(const uint32_t *)(fadt + FADT_DSDT));
        found = HalFindSleepType(dsdt);
        HalParseHotplug(fadt, dsdt);
        // Machine types up to 1.6 have it in a secondary table.
        const uint8_t *ssdt;
        for (uint32_t n = 0; !found && (ssdt = HalFindTable(rsdp, "SSDT", n)); n++)
            found = HalFindSleepType(ssdt);
    }
    if (found)
        HalPm1aControl = (uint16_t) * (const uint32_t *)(fadt + FADT_PM1A_CONTROL);
    else
        KdPrint_("hal: no usable ACPI tables; the machine can't be powered off\n");
}

void HalStopMachine(void) {
    for (;;) {
        _disable();
        __asm__ volatile("hlt");
    }
}

void HalPowerOffMachine(void) {
    _disable();
    if (HalPm1aControl != 0)
        __outword(HalPm1aControl, (USHORT)(HalSleepType5 << 10 | ACPI_SLEEP_ENABLE));
    // The emulator may end the machine a little after the write.
    KeStallExecutionProcessor(2000000);
    KdPrint_("hal: power off had no effect; it is now safe to turn off the machine\n");
    HalStopMachine();
}

// Reset control register (PIIX3 and ICH9), then the keyboard controller.
void HalRebootMachine(void) {
    _disable();
    __outbyte(0xCF9, 0x02);
    __outbyte(0xCF9, 0x06);
    KeStallExecutionProcessor(10000);
    __outbyte(0x64, 0xFE);
    HalStopMachine();
}

void HalReturnToFirmware(ULONG action) {
    const ULONG halt = 0, power_down = 1;
    if (action == power_down)
        HalPowerOffMachine();
    if (action == halt)
        HalStopMachine();
    HalRebootMachine();
}

} // extern "C"
