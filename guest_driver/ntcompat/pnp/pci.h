// SPDX-License-Identifier: MIT
//
// Private to the PCI bus driver. Numbers: PCI Local Bus Specification 3.0.
#ifndef NTC_PNP_PCI_H_
#define NTC_PNP_PCI_H_

#include "pnp/pnp.h"

#define PCI_SIGNATURE 0x44496350u

typedef struct _PCI_BAR {
    UCHAR type; // CmResourceTypePort, CmResourceTypeMemory; 0: none
    bool prefetchable;
    bool wide; // 64-bit: takes the next register too
    uint64_t base;
    uint64_t length;
} PCI_BAR;

// Device extension of a PDO.
typedef struct _PCI_DEVICE {
    ULONG signature;
    PDEVICE_OBJECT pdo;
    ULONG bus;
    PCI_SLOT_NUMBER slot;
    PCI_COMMON_CONFIG config; // the first 64 bytes, as found
    PCI_BAR bars[PCI_TYPE0_ADDRESSES];
    UCHAR pm_offset;   // capability, 0: none
    UCHAR msix_offset; // capability, 0: none
    USHORT msix_size;  // table entries
    UCHAR msix_bar;
    ULONG msix_table; // offset in that BAR
    volatile ULONG *msix_va;
    USHORT command_at_start; // of the command register, before we touched it
    DEVICE_POWER_STATE power;
    LONG interfaces; // references on interfaces handed out
    bool started;
    bool missing; // no longer in its slot: goes with the next IRP_MN_REMOVE_DEVICE
} PCI_DEVICE;

PCI_DEVICE *PciFromPdo(PDEVICE_OBJECT pdo);
ULONG PciReadConfig(const PCI_DEVICE *device, ULONG offset, void *data, ULONG length);
ULONG PciWriteConfig(const PCI_DEVICE *device, ULONG offset, const void *data, ULONG length);
USHORT PciRead16(const PCI_DEVICE *device, ULONG offset);
void PciWrite16(const PCI_DEVICE *device, ULONG offset, USHORT value);

// pciaddr.cpp: addresses and the line of a function that came when no firmware was
// there to give it any. False: there is no room.
bool PciAssignAddresses(PCI_DEVICE *device);
void PciRouteLine(PCI_DEVICE *device);
// The bridge to a bus, null: none is known, or it is the root bus.
PCI_DEVICE *PciBridgeOf(ULONG bus);
// As HAL names the bus that the device is on.
ULONG PciBridgeAddress(const PCI_DEVICE *device);

// pci.cpp
UCHAR PciFindCapability(const PCI_DEVICE *device, UCHAR id);

// pcipdo.cpp: dispatch routines of the PDO
NTSTATUS NTAPI PciDispatchPnp(PDEVICE_OBJECT pdo, PIRP irp);
NTSTATUS NTAPI PciDispatchPower(PDEVICE_OBJECT pdo, PIRP irp);

// pciid.cpp
NTSTATUS PciQueryId(const PCI_DEVICE *device, BUS_QUERY_ID_TYPE type, WCHAR **id);
NTSTATUS PciQueryText(const PCI_DEVICE *device, DEVICE_TEXT_TYPE type, WCHAR **text);

// pcires.cpp
NTSTATUS PciQueryRequirements(PCI_DEVICE *device, PIO_RESOURCE_REQUIREMENTS_LIST *list);
NTSTATUS PciQueryBootResources(PCI_DEVICE *device, PCM_RESOURCE_LIST *list);

// msix.cpp
NTSTATUS PciStartMessages(PCI_DEVICE *device, const PNP_INTERRUPTS *interrupts);
void PciStopMessages(PCI_DEVICE *device);
// Off in the function, as after a reset; the table stays mapped.
void PciDisableMessages(PCI_DEVICE *device);
void PciMaskMessage(PCI_DEVICE *device, ULONG entry, bool mask);

#endif // NTC_PNP_PCI_H_
