// SPDX-License-Identifier: MIT
//
// Private to io and pnp: what lies behind NT's opaque fields, and the helpers both
// folders share.
#ifndef NTC_IOP_H_
#define NTC_IOP_H_

#include "ntc.h"
#include "cm/cm.h"
#include "ob/ob.h"

// Pool tags as they show up in a leak report.
#define IOP_TAG_IRP 0x20707249u       // "Irp "
#define IOP_TAG_BUFFER 0x42536F49u    // "IoSB": system buffers
#define IOP_TAG_NAME 0x6D4E6F49u      // "IoNm"
#define IOP_TAG_INTERRUPT 0x6E496F49u // "IoIn"
#define IOP_TAG_DMA 0x6D446F49u       // "IoDm"
#define IOP_TAG_WORK 0x6B576F49u      // "IoWk"
#define IOP_TAG_DRIVER 0x72446F49u    // "IoDr"
#define IOP_TAG_PNP 0x20706E50u       // "Pnp "

// Bits of IRP.Flags (NT's values, ntifs.h has most).
#ifndef IRP_NOCACHE
#define IRP_NOCACHE 0x00000001
#endif
#ifndef IRP_SYNCHRONOUS_API
#define IRP_SYNCHRONOUS_API 0x00000004
#endif
#ifndef IRP_BUFFERED_IO
#define IRP_BUFFERED_IO 0x00000010
#define IRP_DEALLOCATE_BUFFER 0x00000020
#define IRP_INPUT_OPERATION 0x00000040
#endif

// IRP.AllocationFlags: the IRP has an IOP_IRP_HEADER in front.
#define IOP_IRP_HAS_HEADER 0x80

#define IOP_IRP_MAGIC 0x70724956u

// One running IofCallDriver; lives on that call's stack.
typedef struct _IOP_CALL {
    LIST_ENTRY links;
    CHAR location;
    BOOLEAN completed; // the IRP has left `location`
    BOOLEAN pending;   // ... marked pending
    NTSTATUS status;
} IOP_CALL;

// What happens when an IRP has passed its topmost stack location.
typedef enum _IOP_IRP_KIND {
    IopIrpDriver,   // IoAllocateIrp: its owner has to stop completion
    IopIrpThread,   // IoBuildDeviceIoControlRequest and the like: freed by us
    IopIrpFile,     // ZwReadFile ... on an asynchronous handle: freed by us
    IopIrpInternal, // our own synchronous call: the caller frees it
} IOP_IRP_KIND;

// In front of every IRP from IoAllocateIrp: what Driver Verifier keeps, so that
// rules about an IRP's life can be checked.
typedef struct _IOP_IRP_HEADER {
    LIST_ENTRY all;
    ULONG magic;
    IOP_IRP_KIND kind;
    uint64_t allocator;  // address in the image that asked for it
    LIST_ENTRY calls;    // IOP_CALL of dispatch routines that have not returned
    CHAR owner_location; // CurrentLocation while the owner has it; 0: never sent
    CHAR stack_size;
    UCHAR returned_pending[62]; // by location: dispatch returned STATUS_PENDING
    PKEVENT user_event_object;  // referenced; dropped at completion
    PETHREAD thread;            // that built it, for kind IopIrpThread
} IOP_IRP_HEADER;
static_assert(sizeof(IOP_IRP_HEADER) % 16 == 0, "the IRP behind it stays 16-byte aligned");

static inline IOP_IRP_HEADER *IopIrpHeader(PIRP irp) {
    if (!(irp->AllocationFlags & IOP_IRP_HAS_HEADER))
        return nullptr;
    return (IOP_IRP_HEADER *)irp - 1;
}

extern KSPIN_LOCK IopIrpLock; // headers' `all` and `calls`

// DEVOBJ_EXTENSION: the public head, NT's private tail (debuggers read it).
typedef struct _IOP_DEVICE_EXTENSION {
    CSHORT Type;
    USHORT Size;
    PDEVICE_OBJECT DeviceObject;
    ULONG PowerFlags;
    PVOID Dope;
    ULONG ExtensionFlags;
    PVOID DeviceNode;
    PDEVICE_OBJECT AttachedTo;
    LONG StartIoCount;
    LONG StartIoKey;
    ULONG StartIoFlags;
    PVPB Vpb;
} IOP_DEVICE_EXTENSION;

#define DOE_UNLOAD_PENDING 0x1
#define DOE_DELETE_PENDING 0x2
#define DOE_REMOVE_PROCESSED 0x8

#ifndef DO_DEVICE_HAS_NAME
#define DO_DEVICE_HAS_NAME 0x00000040
#endif
#ifndef DO_SYSTEM_BOOT_PARTITION
#define DO_SYSTEM_BOOT_PARTITION 0x00000100
#endif

static inline IOP_DEVICE_EXTENSION *IopDeviceExtension(PDEVICE_OBJECT device) {
    return (IOP_DEVICE_EXTENSION *)device->DeviceObjectExtension;
}

// DRIVER_EXTENSION and what follows it.
typedef struct _IOP_DRIVER_EXTENSION {
    DRIVER_EXTENSION public_part;
    LIST_ENTRY client_extensions;
    NTC_IMAGE *image;
    LONG work_items; // queued or running
    WCHAR service[32];
    WCHAR name[64]; // \Driver\x
    WCHAR registry_path[160];
} IOP_DRIVER_EXTENSION;

static inline IOP_DRIVER_EXTENSION *IopDriverExtension(PDRIVER_OBJECT driver) {
    return (IOP_DRIVER_EXTENSION *)driver->DriverExtension;
}

// ---- rules -------------------------------------------------------------------

#define IOP_VERIFIER_IO 0xC9u // DRIVER_VERIFIER_IOMANAGER_VIOLATION
#define IOP_VERIFIER 0xC4u    // DRIVER_VERIFIER_DETECTED_VIOLATION

// Stops the guest when `function` is called above `maximum`.
void IopRequireIrql(KIRQL maximum, const char *function);
// Stops the guest when this isn't a living device object.
// Stops with IRQL_UNEXPECTED_VALUE where `routine` has returned at another IRQL.
void IopRequireIrqlAfter(KIRQL expected, PVOID routine, const char *rule);
void IopRequireDevice(PDEVICE_OBJECT device, const char *function);

// ---- io ----------------------------------------------------------------------

void IopInitDrivers(void);
void IopInitWorkers(void);
void IopInitFiles(void);
void IopInitSerial(void);

// An IRP of `kind` for a device with so many stack locations.
PIRP IopAllocateIrp(CCHAR stack_size, IOP_IRP_KIND kind, uint64_t allocator);
// Sends an IRP of ours with `location` as the parameters, and waits for it. The
// status comes from the IRP; `initial` is IoStatus.Status on entry. PASSIVE_LEVEL.
NTSTATUS IopSynchronousCall(PDEVICE_OBJECT device, const IO_STACK_LOCATION *location,
                            NTSTATUS initial, ULONG_PTR *information);
// Stops the guest when the image still has IRPs of its own.
void IopCheckIrpsOfImage(uint64_t base, uint64_t size, const WCHAR *name);
// Last step of a completed request: buffers, MDLs, status block, event.
void IopFinishRequest(PIRP irp);
void IopReleaseIrp(PIRP irp);

// Makes the driver object of a built-in driver, or of an image, and calls `entry`.
NTSTATUS IopCreateDriver(const WCHAR *service, NTC_IMAGE *image, PDRIVER_INITIALIZE entry,
                         PDRIVER_OBJECT *driver);
// Loads `<service>.sys` from the archive and calls its DriverEntry.
NTSTATUS IopLoadDriver(const WCHAR *service, PDRIVER_OBJECT *driver);
// Calls DriverUnload, checks for leaks, drops the image. Refused without an
// unload routine: STATUS_INVALID_DEVICE_REQUEST.
NTSTATUS IopUnloadDriver(PDRIVER_OBJECT driver);

// Runs `routine` on a system worker thread at PASSIVE_LEVEL. <= DISPATCH_LEVEL.
typedef struct _IOP_WORK {
    LIST_ENTRY links;
    void (*routine)(void *context);
    void *context;
} IOP_WORK;
void IopQueueWork(IOP_WORK *work);

// Drops the count that keeps a deleted device alive, and deletes it at last.
void IopReferenceDevice(PDEVICE_OBJECT device);
void IopDereferenceDevice(PDEVICE_OBJECT device);

// Wide-string helpers on fixed buffers; they stop the guest on overflow, since
// every buffer is sized for what goes in.
size_t IopLength(const WCHAR *text);
void IopCopy(WCHAR *to, size_t room, const WCHAR *from);
void IopAppend(WCHAR *to, size_t room, const WCHAR *from);
void IopAppendHex(WCHAR *to, size_t room, ULONG value, int digits, bool upper);
bool IopSameText(const WCHAR *a, const WCHAR *b); // without regard to ASCII case
// "{xxxxxxxx-xxxx-...}" in lower case, as IoRegisterDeviceInterface writes it.
void IopFormatGuid(const GUID *guid, WCHAR text[40]);

// Interrupt objects of a device that are still connected; for leak checks.
ULONG IopConnectedInterrupts(PDEVICE_OBJECT pdo);
bool IopVectorConnected(PDEVICE_OBJECT pdo, ULONG vector);
// DMA adapters not put back, with what was allocated from them, are a bug check 0xE6.
void IopCheckAdaptersOfDevice(PDEVICE_OBJECT pdo); // after its removal
void IopCheckAdaptersOfImage(uint64_t base, uint64_t size);

#endif // NTC_IOP_H_
