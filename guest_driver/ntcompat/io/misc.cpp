// SPDX-License-Identifier: MIT
//
// Small services of the I/O manager: error log, versions, top-level IRPs.
#include "io/iop.h"

struct ERROR_ENTRY {
    PVOID object;
    UCHAR size;
    uint64_t reserved;
    // IO_ERROR_LOG_PACKET follows
};

extern "C" PVOID NTAPI IoAllocateErrorLogEntry(IN PVOID IoObject, IN UCHAR EntrySize) {
    IopRequireIrql(DISPATCH_LEVEL, "IoAllocateErrorLogEntry");
    if (!IoObject || EntrySize < sizeof(IO_ERROR_LOG_PACKET) || EntrySize > ERROR_LOG_MAXIMUM_SIZE)
        return nullptr;
    auto *entry = (ERROR_ENTRY *)ExAllocatePoolWithTag(
        NonPagedPool, sizeof(ERROR_ENTRY) + EntrySize, IOP_TAG_NAME);
    if (!entry)
        return nullptr;
    RtlZeroMemory(entry, sizeof(ERROR_ENTRY) + EntrySize);
    ObReferenceObject(IoObject);
    entry->object = IoObject;
    entry->size = EntrySize;
    return entry + 1;
}

extern "C" VOID NTAPI IoFreeErrorLogEntry(IN PVOID ElEntry) {
    ERROR_ENTRY *entry = (ERROR_ENTRY *)ElEntry - 1;
    ObDereferenceObject(entry->object);
    ExFreePoolWithTag(entry, IOP_TAG_NAME);
}

extern "C" VOID NTAPI IoWriteErrorLogEntry(IN PVOID ElEntry) {
    auto *packet = (PIO_ERROR_LOG_PACKET)ElEntry;
    DbgPrint("io: error log entry of %p: code 0x%08x, unique %u, final status 0x%08x\n",
             ((ERROR_ENTRY *)ElEntry - 1)->object, packet->ErrorCode, packet->UniqueErrorValue,
             packet->FinalStatus);
    for (USHORT i = 0; i < packet->DumpDataSize / sizeof(ULONG); i++)
        DbgPrint("io:   dump data %u: 0x%08x\n", i, packet->DumpData[i]);
    IoFreeErrorLogEntry(ElEntry);
}

extern "C" BOOLEAN NTAPI IoIsWdmVersionAvailable(IN UCHAR MajorVersion, IN UCHAR MinorVersion) {
    // Windows 7 is WDM 6.0 (Vista) with additions, and answers so.
    return MajorVersion < 6 || (MajorVersion == 6 && MinorVersion == 0);
}

extern "C" PDEVICE_OBJECT NTAPI IoGetDeviceToVerify(IN PETHREAD Thread) {
    (void)Thread;
    return nullptr; // no removable media, nothing to verify
}
