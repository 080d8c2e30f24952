// SPDX-License-Identifier: MIT
//
// Device interfaces: names below \?? that lead to a PDO.
#include "pnp/pnp.h"

struct INTERFACE_ENTRY {
    LIST_ENTRY links;
    PDEVICE_OBJECT pdo;
    GUID guid;
    bool enabled;
    WCHAR link[256]; // \??\PCI#...#{guid}[\reference]
};

static LIST_ENTRY Interfaces = {&Interfaces, &Interfaces};
static KMUTEX Lock;
static LONG LockReady;

static void Acquire(void) {
    IopRequireIrql(PASSIVE_LEVEL, "a device interface routine");
    if (!InterlockedExchange(&LockReady, 1))
        KeInitializeMutex(&Lock, 0);
    KeWaitForSingleObject(&Lock, Executive, KernelMode, FALSE, nullptr);
}

static void Release(void) {
    KeReleaseMutex(&Lock, FALSE);
}

static void FormatLink(INTERFACE_ENTRY *entry, const PNP_NODE *node,
                       const UNICODE_STRING *reference) {
    WCHAR text[40];
    IopCopy(entry->link, 256, L"\\??\\");
    size_t start = IopLength(entry->link);
    IopAppend(entry->link, 256, node->instance);
    for (size_t i = start; entry->link[i]; i++)
        if (entry->link[i] == L'\\')
            entry->link[i] = L'#';
    IopAppend(entry->link, 256, L"#");
    IopFormatGuid(&entry->guid, text);
    IopAppend(entry->link, 256, text);
    if (!reference || !reference->Length)
        return;
    size_t at = IopLength(entry->link), length = reference->Length / sizeof(WCHAR);
    if (at + length + 2 > 256)
        KdViolation(IOP_VERIFIER, "a device interface's reference string is too long", 0, length, 0,
                    0);
    entry->link[at++] = L'\\';
    for (size_t i = 0; i < length; i++)
        entry->link[at++] = reference->Buffer[i];
    entry->link[at] = 0;
}

static INTERFACE_ENTRY *Find(const UNICODE_STRING *link) {
    for (PLIST_ENTRY e = Interfaces.Flink; e != &Interfaces; e = e->Flink) {
        auto *entry = CONTAINING_RECORD(e, INTERFACE_ENTRY, links);
        UNICODE_STRING name;
        RtlInitUnicodeString(&name, entry->link);
        if (RtlEqualUnicodeString(&name, (PUNICODE_STRING)link, TRUE))
            return entry;
    }
    return nullptr;
}

static NTSTATUS CopyOut(const WCHAR *text, PUNICODE_STRING out) {
    size_t bytes = (IopLength(text) + 1) * sizeof(WCHAR);
    out->Buffer = (PWCH)ExAllocatePoolWithTag(PagedPool, bytes, IOP_TAG_PNP);
    if (!out->Buffer)
        return STATUS_INSUFFICIENT_RESOURCES;
    RtlCopyMemory(out->Buffer, text, bytes);
    out->Length = (USHORT)(bytes - sizeof(WCHAR));
    out->MaximumLength = (USHORT)bytes;
    return STATUS_SUCCESS;
}

extern "C" NTSTATUS NTAPI IoRegisterDeviceInterface(IN PDEVICE_OBJECT PhysicalDeviceObject,
                                                    IN CONST GUID *InterfaceClassGuid,
                                                    IN PUNICODE_STRING ReferenceString OPTIONAL,
                                                    OUT PUNICODE_STRING SymbolicLinkName) {
    IopRequireDevice(PhysicalDeviceObject, "IoRegisterDeviceInterface");
    PNP_NODE *node = PnpNodeOf(PhysicalDeviceObject);
    if (!node)
        return STATUS_INVALID_DEVICE_REQUEST; // no PDO
    auto *entry =
        (INTERFACE_ENTRY *)ExAllocatePoolWithTag(PagedPool, sizeof(INTERFACE_ENTRY), IOP_TAG_PNP);
    if (!entry)
        return STATUS_INSUFFICIENT_RESOURCES;
    RtlZeroMemory(entry, sizeof(*entry));
    entry->pdo = PhysicalDeviceObject;
    entry->guid = *InterfaceClassGuid;
    FormatLink(entry, node, ReferenceString);
    Acquire();
    UNICODE_STRING link;
    RtlInitUnicodeString(&link, entry->link);
    NTSTATUS status = CopyOut(entry->link, SymbolicLinkName);
    // Registering it again, as after a reload, is the same interface.
    if (!NT_SUCCESS(status) || Find(&link))
        ExFreePoolWithTag(entry, IOP_TAG_PNP);
    else
        InsertTailList(&Interfaces, &entry->links);
    Release();
    return status;
}

// Without the reference string: the link leads to the device, the rest is parsed.
static UNICODE_STRING LinkOf(INTERFACE_ENTRY *entry) {
    UNICODE_STRING link;
    RtlInitUnicodeString(&link, entry->link);
    for (USHORT i = 4; i < link.Length / sizeof(WCHAR); i++)
        if (link.Buffer[i] == L'\\')
            link.Length = (USHORT)(i * sizeof(WCHAR));
    return link;
}

static NTSTATUS SetState(INTERFACE_ENTRY *entry, bool enable) {
    if (entry->enabled == enable)
        return enable ? STATUS_OBJECT_NAME_EXISTS : STATUS_OBJECT_NAME_NOT_FOUND;
    UNICODE_STRING link = LinkOf(entry);
    NTSTATUS status;
    if (enable) {
        WCHAR storage[64];
        UNICODE_STRING target = {0, sizeof(storage), storage};
        status = ObpObjectPath(entry->pdo, &target);
        if (NT_SUCCESS(status))
            status = ObpCreateSymbolicLink(&link, &target);
    } else {
        status = ObpDeleteSymbolicLink(&link);
    }
    if (NT_SUCCESS(status))
        entry->enabled = enable;
    return status;
}

extern "C" NTSTATUS NTAPI IoSetDeviceInterfaceState(IN PUNICODE_STRING SymbolicLinkName,
                                                    IN BOOLEAN Enable) {
    Acquire();
    INTERFACE_ENTRY *entry = Find(SymbolicLinkName);
    NTSTATUS status = STATUS_OBJECT_NAME_NOT_FOUND;
    if (entry)
        status = SetState(entry, Enable != FALSE);
    Release();
    if (NT_SUCCESS(status))
        DbgPrint("pnp: interface %wZ %s\n", SymbolicLinkName, Enable ? "enabled" : "disabled");
    return status;
}

void PnpDisableInterfaces(PDEVICE_OBJECT pdo) {
    Acquire();
    for (PLIST_ENTRY e = Interfaces.Flink; e != &Interfaces; e = e->Flink) {
        auto *entry = CONTAINING_RECORD(e, INTERFACE_ENTRY, links);
        if (entry->pdo == pdo && entry->enabled)
            (void)SetState(entry, false);
    }
    Release();
}

void PnpForgetInterfaces(PDEVICE_OBJECT pdo) {
    Acquire();
    PLIST_ENTRY next;
    for (PLIST_ENTRY e = Interfaces.Flink; e != &Interfaces; e = next) {
        next = e->Flink;
        auto *entry = CONTAINING_RECORD(e, INTERFACE_ENTRY, links);
        if (entry->pdo != pdo)
            continue;
        if (entry->enabled)
            (void)SetState(entry, false);
        RemoveEntryList(e);
        ExFreePoolWithTag(entry, IOP_TAG_PNP);
    }
    Release();
}

extern "C" NTSTATUS NTAPI IoGetDeviceInterfaces(IN CONST GUID *InterfaceClassGuid,
                                                IN PDEVICE_OBJECT PhysicalDeviceObject OPTIONAL,
                                                IN ULONG Flags, OUT PWSTR *SymbolicLinkList) {
    *SymbolicLinkList = nullptr;
    bool all = (Flags & DEVICE_INTERFACE_INCLUDE_NONACTIVE) != 0;
    auto wanted = [&](INTERFACE_ENTRY *entry) {
        return (all || entry->enabled) &&
               (!PhysicalDeviceObject || entry->pdo == PhysicalDeviceObject) &&
               RtlCompareMemory(&entry->guid, InterfaceClassGuid, sizeof(GUID)) == sizeof(GUID);
    };
    Acquire();
    size_t length = 1;
    for (PLIST_ENTRY e = Interfaces.Flink; e != &Interfaces; e = e->Flink) {
        auto *entry = CONTAINING_RECORD(e, INTERFACE_ENTRY, links);
        if (wanted(entry))
            length += IopLength(entry->link) + 1;
    }
    auto *list = (PWSTR)ExAllocatePoolWithTag(PagedPool, length * sizeof(WCHAR), IOP_TAG_PNP);
    if (list) {
        PWSTR at = list;
        for (PLIST_ENTRY e = Interfaces.Flink; e != &Interfaces; e = e->Flink) {
            auto *entry = CONTAINING_RECORD(e, INTERFACE_ENTRY, links);
            if (!wanted(entry))
                continue;
            size_t n = IopLength(entry->link) + 1;
            RtlCopyMemory(at, entry->link, n * sizeof(WCHAR));
            at += n;
        }
        *at = 0;
    }
    Release();
    *SymbolicLinkList = list;
    return list ? STATUS_SUCCESS : STATUS_INSUFFICIENT_RESOURCES;
}

extern "C" NTSTATUS NTAPI IoOpenDeviceInterfaceRegistryKey(IN PUNICODE_STRING SymbolicLinkName,
                                                           IN ACCESS_MASK DesiredAccess,
                                                           OUT PHANDLE DeviceInterfaceKey) {
    Acquire();
    INTERFACE_ENTRY *entry = Find(SymbolicLinkName);
    WCHAR path[512], guid[40];
    if (entry) {
        IopFormatGuid(&entry->guid, guid);
        IopCopy(path, 512, CM_DEVICE_CLASSES);
        IopAppend(path, 512, guid);
        IopAppend(path, 512, L"\\##?#");
        IopAppend(path, 512, entry->link + 4);
        IopAppend(path, 512, L"\\#\\Device Parameters");
    }
    Release();
    if (!entry)
        return STATUS_OBJECT_NAME_NOT_FOUND;
    return CmpOpenPath(path, TRUE, DesiredAccess, DeviceInterfaceKey);
}
