// SPDX-License-Identifier: MIT
//
// What the driver uses of NT, for a host program: the library's own stand-ins
// (virtio_osdep.h), and beside them what the WDK's <ntddk.h> has, with its names, sizes
// and values. kernel.cpp has the functions. C++98, since the driver is. Compile with
// -fshort-wchar: WCHAR has 16 bits.
#ifndef VQ7_HOST_NTDDK_H_
#define VQ7_HOST_NTDDK_H_

#include <string.h>

#include "virtio_osdep.h"

#define _WIN64 1 /* how wide pointers are, for the size checks of wdf.h */
#define NTAPI
#define FASTCALL
#define __cdecl
#define __int64 long long
#define __declspec(what) VQ7_HOST_##what
#define VQ7_HOST_selectany __attribute__((weak))
#define DECLSPEC_ALIGN(n) __attribute__((aligned(n)))
#define POINTER_ALIGNMENT __attribute__((aligned(8)))
#define RTL_NUMBER_OF(a) (sizeof(a) / sizeof((a)[0]))
#define CONTAINING_RECORD(address, type, field) ((type *)((char *)(address)-offsetof(type, field)))

typedef char CHAR;
typedef CHAR *PCHAR;
typedef wchar_t WCHAR;
typedef WCHAR *PWCHAR, *PWSTR;
typedef const WCHAR *PCWSTR;
typedef long long LONGLONG, *PLONGLONG;
typedef unsigned long long ULONGLONG, ULONG64;
typedef UCHAR *PUCHAR, KIRQL;
typedef USHORT *PUSHORT;
typedef ULONG *PULONG, ACCESS_MASK;
typedef void *HANDLE;
typedef ULONG_PTR KAFFINITY, SIZE_T;

typedef union _LARGE_INTEGER {
    struct {
        ULONG LowPart;
        LONG HighPart;
    };
    LONGLONG QuadPart;
} LARGE_INTEGER, PHYSICAL_ADDRESS;

typedef struct _UNICODE_STRING {
    USHORT Length;
    USHORT MaximumLength;
    PWSTR Buffer;
} UNICODE_STRING, *PUNICODE_STRING;
typedef const UNICODE_STRING *PCUNICODE_STRING;

typedef struct _LIST_ENTRY {
    struct _LIST_ENTRY *Flink, *Blink;
} LIST_ENTRY;

typedef struct _GUID {
    ULONG Data1;
    USHORT Data2, Data3;
    UCHAR Data4[8];
} GUID;
typedef const GUID *LPCGUID;

#ifdef VQ7_HOST_INITGUID
#define DEFINE_GUID(name, a, b, c, d, e, f, g, h, i, j, k)                                         \
    static const GUID name = {a, b, c, {d, e, f, g, h, i, j, k}}
#else
#define DEFINE_GUID(name, a, b, c, d, e, f, g, h, i, j, k) extern const GUID name
#endif

typedef struct _DRIVER_OBJECT *PDRIVER_OBJECT;
typedef struct _DEVICE_OBJECT *PDEVICE_OBJECT;
typedef struct _IRP *PIRP;
typedef struct _IO_SECURITY_CONTEXT *PIO_SECURITY_CONTEXT;
typedef NTSTATUS NTAPI DRIVER_INITIALIZE(PDRIVER_OBJECT driver, PUNICODE_STRING registry_path);

typedef enum { LevelSensitive, Latched } KINTERRUPT_MODE;
typedef enum { BusRelations, RemovalRelations = 3, TargetDeviceRelation } DEVICE_RELATION_TYPE;
typedef enum { DevicePropertyBusNumber = 14, DevicePropertyAddress = 16 } DEVICE_REGISTRY_PROPERTY;
typedef enum { NonPagedPool = 0, PagedPool = 1 } POOL_TYPE;
typedef enum { MmNonCached = 0, MmCached = 1 } MEMORY_CACHING_TYPE;

// ---------------------------------------------------------------- resources

#define CmResourceTypePort 1
#define CmResourceTypeInterrupt 2
#define CmResourceTypeMemory 3
#define CmResourceTypeMemoryLarge 7

typedef struct _CM_PARTIAL_RESOURCE_DESCRIPTOR {
    UCHAR Type;
    UCHAR ShareDisposition;
    USHORT Flags;
    union {
        struct {
            PHYSICAL_ADDRESS Start;
            ULONG Length;
        } Port, Memory;
    } u;
} CM_PARTIAL_RESOURCE_DESCRIPTOR, *PCM_PARTIAL_RESOURCE_DESCRIPTOR;

typedef struct _INTERFACE {
    USHORT Size, Version;
    PVOID Context;
    VOID (*InterfaceReference)(PVOID);
    VOID (*InterfaceDereference)(PVOID);
} INTERFACE, *PINTERFACE;

#define PCI_WHICHSPACE_CONFIG 0
#define NormalPagePriority 16
typedef ULONG (*PGET_SET_DEVICE_DATA)(PVOID context, ULONG type, PVOID buffer, ULONG offset,
                                      ULONG length);
typedef struct _BUS_INTERFACE_STANDARD {
    USHORT Size, Version;
    PVOID Context;
    VOID (*InterfaceReference)(PVOID);
    VOID (*InterfaceDereference)(PVOID);
    PVOID TranslateBusAddress;
    PVOID GetDmaAdapter;
    PGET_SET_DEVICE_DATA SetBusData;
    PGET_SET_DEVICE_DATA GetBusData;
} BUS_INTERFACE_STANDARD;

// ------------------------------------------------------------------- values

#define METHOD_BUFFERED 0
#define METHOD_IN_DIRECT 1
#define METHOD_OUT_DIRECT 2
#define FILE_READ_ACCESS 1
#define FILE_WRITE_ACCESS 2
#define CTL_CODE(device, function, method, access)                                                 \
    (((ULONG)(device) << 16) | ((access) << 14) | ((function) << 2) | (method))
#define KEY_READ 0x20019
#define PASSIVE_LEVEL 0
#define DISPATCH_LEVEL 2
#define DPFLTR_IHVDRIVER_ID 77
#define DPFLTR_ERROR_LEVEL 0

typedef enum { KernelMode, UserMode } KPROCESSOR_MODE;

#define STATUS_NO_MORE_ENTRIES ((NTSTATUS)0x8000001AL)
#define STATUS_NO_MEMORY ((NTSTATUS)0xC0000017L)
#define STATUS_OBJECT_NAME_NOT_FOUND ((NTSTATUS)0xC0000034L)
#define STATUS_MEDIA_WRITE_PROTECTED ((NTSTATUS)0xC00000A2L)
#define STATUS_CANCELLED ((NTSTATUS)0xC0000120L)
#define STATUS_DEVICE_REMOVED ((NTSTATUS)0xC00002B6L)
#define STATUS_WDF_PAUSED ((NTSTATUS)0xC0200203L)

// ---------------------------------------------------------------- functions

#define RtlZeroMemory(to, length) memset((to), 0, (length))
#define RtlCopyMemory(to, from, length) memcpy((to), (from), (length))

#ifdef __cplusplus
extern "C" {
#endif
PVOID ExAllocatePoolWithTag(POOL_TYPE type, size_t length, ULONG tag);
VOID ExFreePoolWithTag(PVOID block, ULONG tag);
PVOID MmMapIoSpace(PHYSICAL_ADDRESS address, size_t length, MEMORY_CACHING_TYPE type);
VOID MmUnmapIoSpace(PVOID mapping, size_t length);
PVOID MmGetSystemAddressForMdlSafe(PMDL mdl, int priority);
PHYSICAL_ADDRESS MmGetPhysicalAddress(PVOID address);
VOID KeStallExecutionProcessor(ULONG microseconds);
NTSTATUS KeDelayExecutionThread(KPROCESSOR_MODE mode, BOOLEAN alertable, LARGE_INTEGER *interval);
VOID VqHostRaiseIrql(KIRQL irql, KIRQL *old);
VOID VqHostCompare(VOID); // another processor may come first
VOID KeLowerIrql(KIRQL irql);
#define KeRaiseIrql(irql, old) VqHostRaiseIrql((irql), (old))
VOID RtlInitUnicodeString(PUNICODE_STRING string, PCWSTR text);
BOOLEAN RtlEqualUnicodeString(PCUNICODE_STRING a, PCUNICODE_STRING b, BOOLEAN any_case);
ULONG DbgPrintEx(ULONG component, ULONG level, const char *format, ...);

UCHAR READ_PORT_UCHAR(PUCHAR port);
USHORT READ_PORT_USHORT(PUSHORT port);
ULONG READ_PORT_ULONG(PULONG port);
VOID WRITE_PORT_UCHAR(PUCHAR port, UCHAR value);
VOID WRITE_PORT_USHORT(PUSHORT port, USHORT value);
VOID WRITE_PORT_ULONG(PULONG port, ULONG value);
UCHAR READ_REGISTER_UCHAR(PUCHAR at);
USHORT READ_REGISTER_USHORT(PUSHORT at);
ULONG READ_REGISTER_ULONG(PULONG at);
VOID WRITE_REGISTER_UCHAR(PUCHAR at, UCHAR value);
VOID WRITE_REGISTER_USHORT(PUSHORT at, USHORT value);
VOID WRITE_REGISTER_ULONG(PULONG at, ULONG value);
#ifdef __cplusplus
}
#endif

static __inline LONG InterlockedIncrement(volatile LONG *to) {
    return __sync_add_and_fetch(to, 1);
}
static __inline LONG InterlockedDecrement(volatile LONG *to) {
    return __sync_sub_and_fetch(to, 1);
}
static __inline LONG InterlockedExchange(volatile LONG *to, LONG value) {
    return __atomic_exchange_n(to, value, __ATOMIC_SEQ_CST);
}
static __inline LONG InterlockedCompareExchange(volatile LONG *to, LONG value, LONG old) {
    VqHostCompare();
    return __sync_val_compare_and_swap(to, old, value);
}

static __inline PVOID InterlockedExchangePointer(PVOID volatile *to, PVOID value) {
    return __atomic_exchange_n(to, value, __ATOMIC_SEQ_CST);
}
static __inline PVOID InterlockedCompareExchangePointer(PVOID volatile *to, PVOID value,
                                                        PVOID old) {
    return __sync_val_compare_and_swap(to, old, value);
}

static __inline VOID InitializeListHead(LIST_ENTRY *head) {
    head->Flink = head->Blink = head;
}
static __inline BOOLEAN IsListEmpty(const LIST_ENTRY *head) {
    return (BOOLEAN)(head->Flink == head);
}
static __inline BOOLEAN RemoveEntryList(LIST_ENTRY *entry) {
    entry->Blink->Flink = entry->Flink;
    entry->Flink->Blink = entry->Blink;
    return (BOOLEAN)(entry->Flink == entry->Blink);
}
static __inline LIST_ENTRY *RemoveHeadList(LIST_ENTRY *head) {
    LIST_ENTRY *entry = head->Flink;
    RemoveEntryList(entry);
    return entry;
}
static __inline VOID VqHostInsert(LIST_ENTRY *before, LIST_ENTRY *after, LIST_ENTRY *entry) {
    entry->Blink = before;
    entry->Flink = after;
    before->Flink = entry;
    after->Blink = entry;
}
static __inline VOID InsertHeadList(LIST_ENTRY *head, LIST_ENTRY *entry) {
    VqHostInsert(head, head->Flink, entry);
}
static __inline VOID InsertTailList(LIST_ENTRY *head, LIST_ENTRY *entry) {
    VqHostInsert(head->Blink, head, entry);
}

#endif // VQ7_HOST_NTDDK_H_
