// SPDX-License-Identifier: MIT
//
// What the folders of ntcompat say to each other beside NT's exported functions.
// Everything exported has the name, signature and rules that NT documents.
#ifndef NTC_H_
#define NTC_H_

#include <stddef.h>
#include <stdint.h>

// The defining module must not see its own exports as imports.
#include "ntc_ddk.h"

#include "ntc_bugcodes.h"

#ifdef __cplusplus
extern "C" {
#endif

// ---- boot -> ntoskrnl.exe ---------------------------------------------------

#include "ntc_loader_block.h"

extern NTC_LOADER_BLOCK *KeLoaderBlock;

// ---- start of each subsystem, in this order, on the idle thread's stack -----

void KdInitSystem(NTC_LOADER_BLOCK *block); // kd: debug port, usable at once
void MmInitSystem(NTC_LOADER_BLOCK *block); // mm: page database, page tables, pool
void KiInitSystem(NTC_LOADER_BLOCK *block); // ke: IDT, APICs, clock, scheduler
void ObInitSystem(void);                    // ob
void CmInitSystem(NTC_LOADER_BLOCK *block); // cm: registry from the command line
void IoInitSystem(NTC_LOADER_BLOCK *block); // io, pnp: on the first system thread,
                                            // PASSIVE_LEVEL: loads the drivers of
                                            // the archive and starts the devices

// ---- mm ---------------------------------------------------------------------

// Pages of RAM. Returns a page frame number; 0 when none is left.
uint64_t MiAllocatePage(void);
uint64_t MiAllocateContiguousPages(size_t count, uint64_t highest_pfn, uint64_t boundary_pages);
void MiFreePages(uint64_t first_pfn, size_t count);
// Maps pages in the system address space; both fail with a bug check on misuse.
void MiMapPage(uint64_t va, uint64_t pfn, BOOLEAN writable, BOOLEAN executable,
               MEMORY_CACHING_TYPE caching);
void MiUnmapPage(uint64_t va);
// Page-aligned room in the system PTE range, with an unmapped page on each side.
uint64_t MiReserveSystemPtes(size_t pages);
void MiReleaseSystemPtes(uint64_t va, size_t pages);
// Walks the page tables: 0 where va is not mapped. Any IRQL.
uint64_t MiPhysicalAddress(uint64_t va);
// The device behind this physical memory is gone: mappings of it read as all ones, and
// swallow what is written. PASSIVE_LEVEL.
void MiRemoveDevice(uint64_t physical, uint64_t length);
// For the page fault handler: lets the one instruction that faulted on such a mapping
// through. Any IRQL, interrupts disabled.
bool MiIsGone(uint64_t va);
void MiBeginGoneAccess(uint64_t va);
void MiEndGoneAccess(uint64_t va);
// A kernel stack with guard pages; returns its top.
void *MmCreateKernelStack(void);
void MmDeleteKernelStack(void *top);
// Bytes and blocks of nonpaged pool in use by this tag; for leak checks at unload.
void ExQueryPoolTag(ULONG tag, size_t *blocks, size_t *bytes);
// Called by ldr when an image is unloaded: pool that the image allocated and did not
// free is a DRIVER_LEFT... bug check 0xC4, naming tag and size.
void ExCheckPoolOfImage(uint64_t base, uint64_t size);

// Called by ldr when an image is unloaded: handles that the image opened and did not
// close are a bug check 0xC4.
void ObCheckHandlesOfImage(uint64_t base, uint64_t size);

// ---- ldr --------------------------------------------------------------------

// The part up to `references` is Windows' LDR_DATA_TABLE_ENTRY, which debuggers read, and
// drivers through DRIVER_OBJECT.DriverSection.
typedef struct _NTC_IMAGE {
    LIST_ENTRY links; // of PsLoadedModuleList, in the order of loading
    uint64_t unused1[4];
    uint64_t base;  // 0x30: DllBase
    uint64_t entry; // EntryPoint
    uint64_t size;  // 0x40: SizeOfImage
    UNICODE_STRING full_name;
    UNICODE_STRING base_name; // 0x58
    ULONG flags;
    USHORT load_count, unused2;
    PVOID section;
    ULONG checksum; // 0x78
    uint64_t unused3[2];
    LONG references;
    WCHAR name[32]; // "vq7test.sys"
    WCHAR path[64]; // "\\SystemRoot\\system32\\DRIVERS\\vq7test.sys"
} NTC_IMAGE;

void LdrInitSystem(NTC_LOADER_BLOCK *block); // after MmInitSystem

// Finds the file in the archive, maps, relocates, resolves imports (loading the
// images they name), and protects sections. An import that doesn't exist is
// bound to a thunk which stops the guest when called, with its name:
// bug check 0xC000_0263-like DRIVER_ENTRYPOINT_NOT_FOUND is logged at load.
NTSTATUS LdrLoadSystemImage(const WCHAR *name, NTC_IMAGE **image);
// Drops a reference; the last one unmaps the image and those it had loaded.
void LdrUnloadSystemImage(NTC_IMAGE *image);
NTC_IMAGE *LdrFindImage(uint64_t address);
void *LdrFindExport(NTC_IMAGE *image, const char *name);
// File of the boot archive: direct-map address and size; FALSE: none.
BOOLEAN LdrFindFile(const char *name, const void **data, size_t *size);
// Name of the index-th file, NULL past the end.
const char *LdrFileName(size_t index);

// ---- kd ---------------------------------------------------------------------

// Formats to the debug port, and to COM1 once the guest is stopping. Any IRQL.
void KdPrint_(const char *format, ...);
// Stops with a bug check that names an unimplemented function or case:
// code 0x5 (INVALID_PROCESS_ATTACH...) is never reused; this is 0xDEAD0001
// UNIMPLEMENTED, with the name printed.
DECLSPEC_NORETURN void KdUnimplemented(const char *what);
// A documented rule broken by `caller`: bug check 0xC4 (DRIVER_VERIFIER_DETECTED_VIOLATION)
// or the code given, with text.
DECLSPEC_NORETURN void KdViolation(ULONG code, const char *rule, uint64_t p1, uint64_t p2,
                                   uint64_t p3, uint64_t p4);

// An address in the driver that called into the kernel, see KdCallingDriver; 0: none.
uint64_t KdCaller(void);
// The same, without those that are blamed for what the kernel does with them (KD_SUSPECT).
uint64_t KdCallerOnStack(void);
// Until the end, what breaks a rule without another driver's code further in on the
// stack is blamed on the driver at `address`: while it is unloaded or its device removed,
// its own code need not be on the stack. The structure lies on the caller's stack.
typedef struct _KD_SUSPECT {
    struct _KD_SUSPECT *outer;
    uint64_t address;
} KD_SUSPECT;
void KdBeginSuspect(KD_SUSPECT *suspect, const void *address);
void KdEndSuspect(KD_SUSPECT *suspect);

// ---- ke / hal ---------------------------------------------------------------

typedef BOOLEAN (*NTC_VECTOR_ROUTINE)(void *context);
// Vector allocation for devices: lines (IOAPIC pin; level or edge) and messages.
NTSTATUS HalAllocateLineVector(ULONG pin, BOOLEAN level, ULONG *vector, KIRQL *irql);
NTSTATUS HalAllocateMessageVectors(ULONG count, ULONG *first_vector, KIRQL *irql);
// How many HalAllocateMessageVectors has left; a vector for each line is kept back.
ULONG HalMessageVectorsLeft(void);
void HalReleaseVectors(ULONG first_vector, ULONG count);
// Unmasks or masks the line of this vector. ke does it with the first routine connected
// and the last one gone.
void HalEnableLine(ULONG vector, BOOLEAN enable);
void HalMessageAddress(ULONG vector, uint64_t *address, ULONG *data);
typedef struct _NTC_VECTOR_LINK {
    struct _NTC_VECTOR_LINK *next;
    NTC_VECTOR_ROUTINE routine;
    void *context;
} NTC_VECTOR_LINK;
// Routines of a vector are called in turn at its IRQL; a level-triggered vector
// stops at the first that returns TRUE, and many unclaimed ones are a bug check.
// The link is the caller's and stays in place while it is connected.
NTSTATUS KiConnectVector(ULONG vector, NTC_VECTOR_LINK *link);
void KiDisconnectVector(ULONG vector, NTC_VECTOR_LINK *link);
// Interrupt object, kept by ke; io makes it for IoConnectInterrupt(Ex). The
// routine runs at SynchronizeIrql with Lock held: `routine`, or for a message
// `message_routine` with `message_id`. KeSynchronizeExecution and
// KeAcquireInterruptSpinLock use the same lock and IRQL.
struct _KINTERRUPT {
    SHORT Type;
    SHORT Size;
    PKSPIN_LOCK Lock; // &SpinLock, or one that several interrupts share
    KSPIN_LOCK SpinLock;
    ULONG Vector;
    KIRQL Irql;
    KIRQL SynchronizeIrql;
    BOOLEAN Connected;
    PKSERVICE_ROUTINE Routine;
    PKMESSAGE_SERVICE_ROUTINE MessageRoutine;
    ULONG MessageId;
    PVOID Context;
    NTC_VECTOR_LINK Link; // ke's
};
// lock NULL: the object's own. SynchronizeIrql below Irql is STATUS_INVALID_PARAMETER.
NTSTATUS KiInitializeInterrupt(struct _KINTERRUPT *interrupt, PKSERVICE_ROUTINE routine,
                               PKMESSAGE_SERVICE_ROUTINE message_routine, ULONG message_id,
                               PVOID context, PKSPIN_LOCK lock, ULONG vector, KIRQL irql,
                               KIRQL synchronize_irql);
NTSTATUS KiConnectInterrupt(struct _KINTERRUPT *interrupt);
// Returns when the routine is not running and will not be called again.
void KiDisconnectInterrupt(struct _KINTERRUPT *interrupt);

// PCI hot plug. An event: something has come, or is to go; asking takes note of it.
BOOLEAN HalHotplugEvent(void);
// Buses with hot plug, by index: the bridge's address on the root bus (device in the
// upper half, function in the lower; HAL_ROOT_BUS: the root bus itself), and the slots
// that somebody wants to be ejected, as bits.
#define HAL_ROOT_BUS 0xFFFFFFFFu
ULONG HalHotplugBuses(void);
ULONG HalHotplugRemovals(ULONG index, ULONG *bridge);
// Ends the power of a slot: whatever is in it goes.
void HalHotplugEject(ULONG bridge, ULONG slot);
DECLSPEC_NORETURN void HalStopMachine(void); // after a bug check: halts for ever
DECLSPEC_NORETURN void HalRebootMachine(void);
DECLSPEC_NORETURN void HalPowerOffMachine(void);

// ---- pnp, for the agent: exported by ntoskrnl.exe beside NT's own names ------

// Removes every device of the service (query-remove, remove) and unloads its
// driver; loads it and starts its devices again. PASSIVE_LEVEL.
__declspec(dllexport) NTSTATUS NtcDisableService(const WCHAR *service);
__declspec(dllexport) NTSTATUS NtcEnableService(const WCHAR *service);
// What S3 and the way back to S0 mean for one started device: power IRPs to its stack,
// which `device` is any part of. Return when the device is in D3, or in D0 again.
__declspec(dllexport) NTSTATUS NtcSleepDevice(PDEVICE_OBJECT device);
__declspec(dllexport) NTSTATUS NtcWakeDevice(PDEVICE_OBJECT device);
// Shuts down: power IRPs to the devices, then off or reset. Does not return.
__declspec(dllexport) NTSTATUS NtcShutdown(BOOLEAN reboot);

// ---- faults for tests, for the agent: exported as those above -----------------------

// Of all allocations for this image (pool, mappings, contiguous memory; also those which
// the framework or the kernel make in its calls) the nth fails; 0: none. The count starts
// anew. STATUS_INVALID_PARAMETER: a name that is too long.
__declspec(dllexport) NTSTATUS NtcSetLowResources(const char *image, ULONG nth);
typedef struct _NTC_LOW_RESOURCES {
    ULONG nth;
    ULONG calls;        // so far, counted while nth is not 0
    const char *failed; // what it was; null: none yet
    ULONG offset;       // where the call came from, in the image
} NTC_LOW_RESOURCES;
__declspec(dllexport) void NtcGetLowResources(NTC_LOW_RESOURCES *now);

// What a driver reads in a register of a PCI function, instead of what the device says.
enum { NTC_LIE_SET, NTC_LIE_OR, NTC_LIE_AND, NTC_LIE_XOR, NTC_LIE_COUNT };
#define NTC_LIE_CONFIG 0xFFu // a space: configuration space; else a BAR's number
typedef struct _NTC_LIE {
    ULONG bus, device, function;
    ULONG space;
    ULONG offset, width; // only an access of just this width
    ULONG operation;     // NTC_LIE_COUNT: adds another multiple of `value` each time
    ULONG value;
    ULONG skip;        // so many reads get the truth first
    ULONG times;       // so many are lied to; 0: all that follow
    ULONG reads, hits; // so far
} NTC_LIE;
// PASSIVE_LEVEL. STATUS_INVALID_PARAMETER: no such register; STATUS_NO_SUCH_DEVICE;
// STATUS_INSUFFICIENT_RESOURCES: more than 16, or more than four ports.
__declspec(dllexport) NTSTATUS NtcAddLie(const NTC_LIE *lie);
// STATUS_NO_MORE_ENTRIES: there is no index-th.
__declspec(dllexport) NTSTATUS NtcGetLie(ULONG index, NTC_LIE *lie);
// PASSIVE_LEVEL. The devices say the truth again.
__declspec(dllexport) void NtcClearLies(void);

#ifdef __cplusplus
}
#endif

#endif // NTC_H_
