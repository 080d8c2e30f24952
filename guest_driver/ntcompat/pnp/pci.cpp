// SPDX-License-Identifier: MIT
//
// PCI bus driver: finds functions, behind bridges too, and makes a PDO of each.
#include "pnp/pci.h"

static PDRIVER_OBJECT PciDriver;
static LONG PdoCount;

PCI_DEVICE *PciFromPdo(PDEVICE_OBJECT pdo) {
    auto *device = (PCI_DEVICE *)pdo->DeviceExtension;
    if (pdo->DriverObject != PciDriver || device->signature != PCI_SIGNATURE)
        KdViolation(IOP_VERIFIER, "not a PDO of the PCI bus", 0, (uint64_t)pdo, 0, 0);
    return device;
}

ULONG PciReadConfig(const PCI_DEVICE *device, ULONG offset, void *data, ULONG length) {
    return HalGetBusDataByOffset(PCIConfiguration, device->bus, device->slot.u.AsULONG, data,
                                 offset, length);
}

ULONG PciWriteConfig(const PCI_DEVICE *device, ULONG offset, const void *data, ULONG length) {
    return HalSetBusDataByOffset(PCIConfiguration, device->bus, device->slot.u.AsULONG, (PVOID)data,
                                 offset, length);
}

USHORT PciRead16(const PCI_DEVICE *device, ULONG offset) {
    USHORT value = 0xFFFF;
    PciReadConfig(device, offset, &value, sizeof(value));
    return value;
}

void PciWrite16(const PCI_DEVICE *device, ULONG offset, USHORT value) {
    PciWriteConfig(device, offset, &value, sizeof(value));
}

static ULONG Read32(const PCI_DEVICE *device, ULONG offset) {
    ULONG value = ~0u;
    PciReadConfig(device, offset, &value, sizeof(value));
    return value;
}

static void Write32(const PCI_DEVICE *device, ULONG offset, ULONG value) {
    PciWriteConfig(device, offset, &value, sizeof(value));
}

// PCI 3.0, 6.7. A list that loops or leaves the header is cut off.
UCHAR PciFindCapability(const PCI_DEVICE *device, UCHAR id) {
    if (!(PciRead16(device, FIELD_OFFSET(PCI_COMMON_CONFIG, Status)) &
          PCI_STATUS_CAPABILITIES_LIST))
        return 0;
    UCHAR at = 0;
    PciReadConfig(device, FIELD_OFFSET(PCI_COMMON_CONFIG, u.type0.CapabilitiesPtr), &at, 1);
    for (int i = 0; i < 48; i++) {
        at &= 0xFC;
        if (at < 0x40)
            return 0;
        PCI_CAPABILITIES_HEADER header;
        PciReadConfig(device, at, &header, sizeof(header));
        if (header.CapabilityID == id)
            return at;
        at = header.Next;
    }
    return 0;
}

// PCI 3.0, 6.2.5.1: write ones, see which bits stay. Decoding is off meanwhile.
static void SizeBar(PCI_DEVICE *device, ULONG index) {
    ULONG offset = FIELD_OFFSET(PCI_COMMON_CONFIG, u.type0.BaseAddresses) + 4 * index;
    PCI_BAR *bar = &device->bars[index];
    ULONG low = Read32(device, offset);
    bool port = (low & 1) != 0;
    bar->wide = !port && (low & 6) == 4 && index + 1 < PCI_TYPE0_ADDRESSES;
    ULONG high = bar->wide ? Read32(device, offset + 4) : 0;
    Write32(device, offset, ~0u);
    uint64_t mask = Read32(device, offset);
    Write32(device, offset, low);
    if (bar->wide) {
        Write32(device, offset + 4, ~0u);
        mask |= (uint64_t)Read32(device, offset + 4) << 32;
        Write32(device, offset + 4, high);
    } else if (mask) {
        mask |= 0xFFFFFFFF00000000ull;
    }
    if (port)
        mask |= 0xFFFFFFFFFFFF0000ull; // many devices decode 16 bits
    uint64_t flags = port ? 3 : 15;
    if (!(mask & ~flags))
        return; // not implemented
    bar->length = ~(mask & ~flags) + 1;
    bar->base = ((uint64_t)high << 32 | low) & ~flags;
    bar->prefetchable = !port && (low & 8);
    bar->type = port ? CmResourceTypePort : CmResourceTypeMemory;
}

// What has no address can't be used.
static void DropUnassigned(PCI_DEVICE *device) {
    for (PCI_BAR &bar : device->bars)
        if (!bar.base)
            bar.type = 0;
}

static void SizeBars(PCI_DEVICE *device) {
    USHORT command = PciRead16(device, FIELD_OFFSET(PCI_COMMON_CONFIG, Command));
    PciWrite16(device, FIELD_OFFSET(PCI_COMMON_CONFIG, Command),
               (USHORT)(command & ~(PCI_ENABLE_IO_SPACE | PCI_ENABLE_MEMORY_SPACE)));
    for (ULONG i = 0; i < PCI_TYPE0_ADDRESSES; i++) {
        SizeBar(device, i);
        if (device->bars[i].wide)
            i++;
    }
    PciWrite16(device, FIELD_OFFSET(PCI_COMMON_CONFIG, Command), command);
}

static void FindCapabilities(PCI_DEVICE *device) {
    device->pm_offset = PciFindCapability(device, PCI_CAPABILITY_ID_POWER_MANAGEMENT);
    device->msix_offset = PciFindCapability(device, PCI_CAPABILITY_ID_MSIX);
    if (!device->msix_offset)
        return;
    // Message control: size - 1 in bits 0 to 10; then the table's BAR and offset.
    device->msix_size = (USHORT)((PciRead16(device, device->msix_offset + 2) & 0x7FF) + 1);
    ULONG table = Read32(device, device->msix_offset + 4);
    device->msix_bar = (UCHAR)(table & 7);
    device->msix_table = table & ~7u;
    const PCI_BAR *bar = &device->bars[device->msix_bar % PCI_TYPE0_ADDRESSES];
    if (device->msix_bar >= PCI_TYPE0_ADDRESSES || bar->type != CmResourceTypeMemory ||
        device->msix_table + 16ull * device->msix_size > bar->length) {
        DbgPrint("pci: %u:%u.%u has an MSI-X table outside its BARs; no messages\n", device->bus,
                 device->slot.u.bits.DeviceNumber, device->slot.u.bits.FunctionNumber);
        device->msix_offset = 0;
    }
}

static void Describe(const PCI_DEVICE *device) {
    const PCI_COMMON_CONFIG *c = &device->config;
    DbgPrint("pci: %u:%u.%u %04x:%04x class %02x%02x%02x rev %02x subsystem %04x:%04x"
             " pin %u line %u%s%s\n",
             device->bus, device->slot.u.bits.DeviceNumber, device->slot.u.bits.FunctionNumber,
             c->VendorID, c->DeviceID, c->BaseClass, c->SubClass, c->ProgIf, c->RevisionID,
             c->u.type0.SubVendorID, c->u.type0.SubSystemID, c->u.type0.InterruptPin,
             c->u.type0.InterruptLine, device->msix_offset ? " MSI-X" : "",
             device->pm_offset ? " PM" : "");
    for (ULONG i = 0; i < PCI_TYPE0_ADDRESSES; i++)
        if (device->bars[i].type)
            DbgPrint("pci:   BAR%u %s 0x%llx length 0x%llx%s%s\n", i,
                     device->bars[i].type == CmResourceTypePort ? "port" : "memory",
                     device->bars[i].base, device->bars[i].length,
                     device->bars[i].wide ? " 64-bit" : "",
                     device->bars[i].prefetchable ? " prefetchable" : "");
}

static void AddFunction(const PCI_DEVICE *found, bool arrived) {
    WCHAR text[32];
    IopCopy(text, 32, L"\\Device\\NTPNP_PCI");
    IopAppendHex(text, 32, (ULONG)(InterlockedIncrement(&PdoCount) - 1), 4, true);
    UNICODE_STRING name;
    RtlInitUnicodeString(&name, text);
    PDEVICE_OBJECT pdo;
    NTSTATUS status = IoCreateDevice(PciDriver, sizeof(PCI_DEVICE), &name, FILE_DEVICE_BUS_EXTENDER,
                                     0, FALSE, &pdo);
    if (!NT_SUCCESS(status)) {
        DbgPrint("pci: no PDO for %u:%u: 0x%08x\n", found->bus, found->slot.u.AsULONG, status);
        return;
    }
    auto *device = (PCI_DEVICE *)pdo->DeviceExtension;
    *device = *found;
    device->signature = PCI_SIGNATURE;
    device->pdo = pdo;
    device->power = PowerDeviceD0;
    pdo->Flags |= DO_BUS_ENUMERATED_DEVICE | DO_POWER_PAGABLE;
    // Bridges are not driven, and their registers are left alone.
    if (PCI_CONFIGURATION_TYPE(&device->config) == PCI_DEVICE_TYPE &&
        device->config.BaseClass != PCI_CLASS_BRIDGE_DEV) {
        SizeBars(device);
        if (arrived && !PciAssignAddresses(device))
            DbgPrint("pci: no room for the BARs of %u:%u\n", device->bus, device->slot.u.AsULONG);
        if (arrived)
            PciRouteLine(device);
        DropUnassigned(device);
        FindCapabilities(device);
    }
    device->command_at_start = PciRead16(device, FIELD_OFFSET(PCI_COMMON_CONFIG, Command));
    Describe(device);
    pdo->Flags &= ~(ULONG)DO_DEVICE_INITIALIZING;
    PnpAddNode(pdo);
}

static PNP_NODE *FindFunction(ULONG bus, PCI_SLOT_NUMBER slot) {
    for (PLIST_ENTRY e = PnpNodes.Flink; e != &PnpNodes; e = e->Flink) {
        auto *node = CONTAINING_RECORD(e, PNP_NODE, links);
        PCI_DEVICE *device = PciFromPdo(node->pdo);
        if (device->bus == bus && device->slot.u.AsULONG == slot.u.AsULONG && !device->missing)
            return node;
    }
    return nullptr;
}

// What a scan does with the functions it finds.
struct SCAN {
    bool arrivals; // the firmware was there before
    ULONG depth;
};

static void ScanBus(ULONG bus, SCAN scan);

// Returns false when there is no such function.
static bool ScanFunction(ULONG bus, ULONG number, ULONG function, bool *multifunction, SCAN scan) {
    PCI_DEVICE device = {};
    device.bus = bus;
    device.slot.u.bits.DeviceNumber = number;
    device.slot.u.bits.FunctionNumber = function;
    ULONG got = PciReadConfig(&device, 0, &device.config, PCI_COMMON_HDR_LENGTH);
    if (got < PCI_COMMON_HDR_LENGTH || device.config.VendorID == PCI_INVALID_VENDORID)
        return false;
    *multifunction = PCI_MULTIFUNCTION_DEVICE(&device.config);
    if (!FindFunction(bus, device.slot))
        AddFunction(&device, scan.arrivals);
    if (PCI_CONFIGURATION_TYPE(&device.config) == PCI_BRIDGE_TYPE) {
        UCHAR secondary = device.config.u.type1.SecondaryBus;
        // The firmware numbers buses upwards; anything else would be a loop.
        if (secondary > bus)
            ScanBus(secondary, {scan.arrivals, scan.depth + 1});
    }
    return true;
}

static void ScanBus(ULONG bus, SCAN scan) {
    if (scan.depth > 16) {
        DbgPrint("pci: bus %u is nested too deep, not scanned\n", bus);
        return;
    }
    for (ULONG number = 0; number < PCI_MAX_DEVICES; number++) {
        bool multifunction = false;
        if (!ScanFunction(bus, number, 0, &multifunction, scan) || !multifunction)
            continue;
        bool unused;
        for (ULONG function = 1; function < PCI_MAX_FUNCTION; function++)
            ScanFunction(bus, number, function, &unused, scan);
    }
}

void PciEnumerate(void) {
    ScanBus(0, {false, 0});
}

void PciRescan(void) {
    ScanBus(0, {true, 0});
}

bool PciIsPresent(PDEVICE_OBJECT pdo) {
    const PCI_DEVICE *device = PciFromPdo(pdo);
    return PciRead16(device, 0) == device->config.VendorID &&
           PciRead16(device, 2) == device->config.DeviceID;
}

void PciMarkMissing(PDEVICE_OBJECT pdo) {
    PCI_DEVICE *device = PciFromPdo(pdo);
    if (device->missing)
        return;
    device->missing = true;
    for (const PCI_BAR &bar : device->bars)
        if (bar.type == CmResourceTypeMemory)
            MiRemoveDevice(bar.base, bar.length);
}

bool PciIsInSlot(PDEVICE_OBJECT pdo, ULONG bridge, ULONG slot) {
    const PCI_DEVICE *device = PciFromPdo(pdo);
    return PciBridgeAddress(device) == bridge && device->slot.u.bits.DeviceNumber == slot;
}

static NTSTATUS NTAPI PciEntry(PDRIVER_OBJECT driver, PUNICODE_STRING) {
    driver->MajorFunction[IRP_MJ_PNP] = PciDispatchPnp;
    driver->MajorFunction[IRP_MJ_POWER] = PciDispatchPower;
    return STATUS_SUCCESS;
}

void PciInit(void) {
    NTSTATUS status = IopCreateDriver(L"pci", nullptr, PciEntry, &PciDriver);
    if (!NT_SUCCESS(status))
        KdViolation(IOP_VERIFIER, "the PCI bus driver doesn't start", 0, (uint64_t)(ULONG)status, 0,
                    0);
}
