// SPDX-License-Identifier: MIT
//
// Inside HAL.dll.
#ifndef NTC_HAL_H_
#define NTC_HAL_H_

#include "ntc.h"

extern "C" {

// Maps device registers uncached and returns their address.
volatile uint8_t *HalMapRegisters(uint64_t physical, size_t bytes);

// APIC (apic.cpp)
void HalInitializeLocalApic(void);
void HalInitializeIoApic(void);
uint32_t HalApicRead(uint32_t offset);
void HalApicWrite(uint32_t offset, uint32_t value);

// Time (time.cpp)
void HalCalibrate(void);

// ACPI (acpi.cpp): finds the power-off values in FADT and \_S5, and the timer.
extern uint16_t HalPmTimerPort; // 0: unknown
void HalParseAcpi(void);
struct ACPI_HEADER {
    char signature[4];
    uint32_t length;
    uint8_t revision, checksum;
    char oem[6], table[8];
    uint32_t oem_revision, creator, creator_revision;
};
bool HalMatch(const uint8_t *at, const char *text, size_t length);

// PCI hot plug (hotplug.cpp)
void HalParseHotplug(const uint8_t *fadt, const uint8_t *dsdt);

enum {
    APIC_ID = 0x20,
    APIC_EOI = 0xB0,
    APIC_SPURIOUS = 0xF0,
    APIC_TRIGGER_MODE = 0x180,
    APIC_COMMAND = 0x300,
    APIC_COMMAND_HIGH = 0x310,
    APIC_LVT_TIMER = 0x320,
    APIC_LVT_LINT0 = 0x350,
    APIC_LVT_LINT1 = 0x360,
    APIC_LVT_ERROR = 0x370,
    APIC_TIMER_INITIAL = 0x380,
    APIC_TIMER_CURRENT = 0x390,
    APIC_TIMER_DIVIDE = 0x3E0,
    APIC_MASKED = 0x10000,
    APIC_PERIODIC = 0x20000,
};

} // extern "C"

#endif // NTC_HAL_H_
