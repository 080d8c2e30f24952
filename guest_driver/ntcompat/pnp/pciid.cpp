// SPDX-License-Identifier: MIT
//
// Identifiers of PCI devices, as documented under "Identifiers for PCI Devices".
#include "pnp/pci.h"

static const size_t Room = 512;

// A growing multi-string.
struct IDS {
    WCHAR text[Room];
    size_t end;
};

static void Begin(IDS *ids) {
    ids->text[ids->end] = 0;
}

static WCHAR *Here(IDS *ids) {
    return ids->text + ids->end;
}

static void End(IDS *ids) {
    ids->end += IopLength(Here(ids)) + 1;
    ids->text[ids->end] = 0;
}

enum PART { Vendor = 1, Device = 2, Subsystem = 4, Revision = 8, Class = 16, ClassProgIf = 32 };

static void Add(IDS *ids, const PCI_COMMON_CONFIG *c, int parts) {
    size_t room = Room - ids->end - 1;
    Begin(ids);
    WCHAR *at = Here(ids);
    const WCHAR *separator = L"PCI\\";
    auto part = [&](const WCHAR *name) {
        IopAppend(at, room, separator);
        IopAppend(at, room, name);
        separator = L"&";
    };
    if (parts & Vendor) {
        part(L"VEN_");
        IopAppendHex(at, room, c->VendorID, 4, true);
    }
    if (parts & Device) {
        part(L"DEV_");
        IopAppendHex(at, room, c->DeviceID, 4, true);
    }
    if (parts & Subsystem) {
        part(L"SUBSYS_");
        IopAppendHex(at, room, c->u.type0.SubSystemID, 4, true);
        IopAppendHex(at, room, c->u.type0.SubVendorID, 4, true);
    }
    if (parts & Revision) {
        part(L"REV_");
        IopAppendHex(at, room, c->RevisionID, 2, true);
    }
    if (parts & (Class | ClassProgIf)) {
        part(L"CC_");
        IopAppendHex(at, room, c->BaseClass, 2, true);
        IopAppendHex(at, room, c->SubClass, 2, true);
        if (parts & ClassProgIf)
            IopAppendHex(at, room, c->ProgIf, 2, true);
    }
    End(ids);
}

static void HardwareIds(IDS *ids, const PCI_COMMON_CONFIG *c) {
    Add(ids, c, Vendor | Device | Subsystem | Revision);
    Add(ids, c, Vendor | Device | Subsystem);
    Add(ids, c, Vendor | Device | ClassProgIf);
    Add(ids, c, Vendor | Device | Class);
}

static void CompatibleIds(IDS *ids, const PCI_COMMON_CONFIG *c) {
    Add(ids, c, Vendor | Device | Revision);
    Add(ids, c, Vendor | Device);
    Add(ids, c, Vendor | ClassProgIf);
    Add(ids, c, Vendor | Class);
    Add(ids, c, Vendor);
    Add(ids, c, ClassProgIf);
    Add(ids, c, Class);
}

// Like Windows': depth, a number for the parent, and the slot.
static void InstanceId(IDS *ids, const PCI_DEVICE *device) {
    Begin(ids);
    WCHAR *at = Here(ids);
    ULONG slot = device->slot.u.bits.DeviceNumber << 3 | device->slot.u.bits.FunctionNumber;
    IopCopy(at, 64, device->bus ? L"4&" : L"3&");
    IopAppendHex(at, 64, 0x267A616A + device->bus * 0x9E3779B1u, 8, false);
    IopAppend(at, 64, L"&0&");
    IopAppendHex(at, 64, slot, 2, true);
    End(ids);
}

static WCHAR *ToPool(const IDS *ids) {
    size_t bytes = (ids->end + 1) * sizeof(WCHAR);
    auto *text = (WCHAR *)ExAllocatePoolWithTag(PagedPool, bytes, IOP_TAG_PNP);
    if (text)
        RtlCopyMemory(text, ids->text, bytes);
    return text;
}

NTSTATUS PciQueryId(const PCI_DEVICE *device, BUS_QUERY_ID_TYPE type, WCHAR **id) {
    IDS ids = {};
    switch (type) {
    case BusQueryDeviceID:
        Add(&ids, &device->config, Vendor | Device | Subsystem | Revision);
        break;
    case BusQueryHardwareIDs:
        HardwareIds(&ids, &device->config);
        break;
    case BusQueryCompatibleIDs:
        CompatibleIds(&ids, &device->config);
        break;
    case BusQueryInstanceID:
        InstanceId(&ids, device);
        break;
    default:
        return STATUS_NOT_SUPPORTED;
    }
    *id = ToPool(&ids);
    return *id ? STATUS_SUCCESS : STATUS_INSUFFICIENT_RESOURCES;
}

static void AppendDecimal(WCHAR *text, size_t room, ULONG value) {
    WCHAR digits[12];
    int at = 11;
    digits[at] = 0;
    do {
        digits[--at] = (WCHAR)(L'0' + value % 10);
        value /= 10;
    } while (value);
    IopAppend(text, room, digits + at);
}

NTSTATUS PciQueryText(const PCI_DEVICE *device, DEVICE_TEXT_TYPE type, WCHAR **text) {
    IDS ids = {};
    Begin(&ids);
    WCHAR *at = Here(&ids);
    if (type == DeviceTextDescription) {
        IopCopy(at, 64, L"PCI Device");
    } else if (type == DeviceTextLocationInformation) {
        IopCopy(at, 64, L"PCI bus ");
        AppendDecimal(at, 64, device->bus);
        IopAppend(at, 64, L", device ");
        AppendDecimal(at, 64, device->slot.u.bits.DeviceNumber);
        IopAppend(at, 64, L", function ");
        AppendDecimal(at, 64, device->slot.u.bits.FunctionNumber);
    } else {
        return STATUS_NOT_SUPPORTED;
    }
    End(&ids);
    *text = ToPool(&ids);
    return *text ? STATUS_SUCCESS : STATUS_INSUFFICIENT_RESOURCES;
}
