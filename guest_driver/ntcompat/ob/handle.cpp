// SPDX-License-Identifier: MIT
//
// The handle table of the system process, the only one there is. Entries are
// taken in turn, so that a handle just closed stays invalid for long.
#include "ob/obp.h"

namespace {

struct Entry {
    void *body; // nullptr: free
    ACCESS_MASK access;
    uint64_t opener; // code of the driver that has it opened, 0: none
};

const size_t kEntries = 4096;
Entry entries[kEntries];
size_t cursor;
MI_LOCK lock;

const uint64_t kKernelHandle = 0xFFFFFFFF80000000ull;

// The entry of a handle, or nullptr. The lock is held.
Entry *Find(HANDLE handle) {
    const uint64_t value = reinterpret_cast<uint64_t>(handle) & ~kKernelHandle;
    const uint64_t high = reinterpret_cast<uint64_t>(handle) & kKernelHandle;
    const size_t index = value / 4 - 1;
    if (value == 0 || (high && high != kKernelHandle) || index >= kEntries || !entries[index].body)
        return nullptr;
    return &entries[index];
}

} // namespace

NTSTATUS ObpCreateHandle(void *body, ACCESS_MASK access, ULONG attributes, HANDLE *handle) {
    MiPagedCode(__func__);
    OBP_HEADER *header = ObpHeader(body);
    const uint64_t opener = KdCaller();
    MiLockGuard guard(&lock);
    for (size_t i = 0; i < kEntries; ++i) {
        const size_t index = (cursor + i) % kEntries;
        if (entries[index].body)
            continue;
        InterlockedIncrement(&header->references);
        InterlockedIncrement(&header->handles);
        entries[index] = {body, access, opener};
        cursor = index + 1;
        uint64_t value = (index + 1) * 4;
        if (attributes & OBJ_KERNEL_HANDLE)
            value |= kKernelHandle;
        *handle = reinterpret_cast<HANDLE>(value);
        return STATUS_SUCCESS;
    }
    return STATUS_INSUFFICIENT_RESOURCES;
}

NTSTATUS NTAPI ObReferenceObjectByHandle(HANDLE handle, ACCESS_MASK, POBJECT_TYPE type,
                                         KPROCESSOR_MODE mode, PVOID *object,
                                         POBJECT_HANDLE_INFORMATION information) {
    MiPagedCode(__func__);
    void *body = nullptr;
    *object = nullptr;
    if (handle == ZwCurrentThread()) {
        body = KeGetCurrentThread();
        ObfReferenceObject(body);
    } else {
        MiLockGuard guard(&lock);
        Entry *entry = Find(handle);
        if (entry) {
            body = entry->body;
            InterlockedIncrement(&ObpHeader(body)->references);
            if (information) {
                information->HandleAttributes = 0;
                information->GrantedAccess = entry->access;
            }
        }
    }
    if (!body) {
        // Verifier's view of a kernel-mode caller that trusts a wrong handle.
        if (mode == KernelMode)
            KdViolation(0xC4, "a handle that doesn't exist is referenced", handle ? 0x3C : 0xF5,
                        reinterpret_cast<uintptr_t>(handle), reinterpret_cast<uintptr_t>(type), 0);
        return STATUS_INVALID_HANDLE;
    }
    if (type && ObpGetType(body) != type) {
        ObfDereferenceObject(body);
        return STATUS_OBJECT_TYPE_MISMATCH;
    }
    *object = body;
    return STATUS_SUCCESS;
}

NTSTATUS NTAPI ObOpenObjectByPointer(PVOID object, ULONG attributes, PACCESS_STATE,
                                     ACCESS_MASK access, POBJECT_TYPE type, KPROCESSOR_MODE,
                                     PHANDLE handle) {
    *handle = nullptr;
    if (type && ObpGetType(object) != type)
        return STATUS_OBJECT_TYPE_MISMATCH;
    return ObpCreateHandle(object, access, attributes, handle);
}

NTSTATUS NTAPI ZwClose(HANDLE handle) {
    MiPagedCode(__func__);
    void *body = nullptr;
    {
        MiLockGuard guard(&lock);
        Entry *entry = Find(handle);
        if (entry) {
            body = entry->body;
            entry->body = nullptr;
        }
    }
    if (!body)
        KdViolation(0x93, "a handle is closed that doesn't exist",
                    reinterpret_cast<uintptr_t>(handle), 1, 0, 0);
    OBP_HEADER *header = ObpHeader(body);
    if (InterlockedDecrement(&header->handles) == 0 && header->type->close)
        header->type->close(body);
    ObfDereferenceObject(body);
    return STATUS_SUCCESS;
}

void ObCheckHandlesOfImage(uint64_t base, uint64_t size) {
    size_t left = 0;
    for (size_t i = 0; i < kEntries; ++i) {
        const Entry *entry = &entries[i];
        if (!entry->body || entry->opener - base >= size)
            continue;
        KdPrint_("handle leak: 0x%zx, object %p of type %ws, opened from image+0x%llx\n",
                 (i + 1) * 4, entry->body, ObpGetType(entry->body)->name, entry->opener - base);
        ++left;
    }
    if (left)
        KdViolation(0xC4, "a driver was unloaded without closing its handles", 0, base, 0, left);
}

NTC_EXPORT NTSTATUS NTAPI ObCloseHandle(HANDLE handle, KPROCESSOR_MODE) {
    return ZwClose(handle);
}

NTC_EXPORT BOOLEAN NTAPI ObIsKernelHandle(HANDLE handle) {
    return (reinterpret_cast<uint64_t>(handle) & kKernelHandle) == kKernelHandle;
}
