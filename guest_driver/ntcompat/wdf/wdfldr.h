// SPDX-License-Identifier: MIT
//
// WDFLDR.SYS: KMDF 1.9 as a driver sees it, on documented NT functions only.
// Common declarations: driver globals, violations, the function table.
#ifndef NTC_WDF_WDFLDR_H_
#define NTC_WDF_WDFLDR_H_

#include <ntifs.h>
#include <stdarg.h>
#include <stddef.h>

#define KMDF_TYPES_ONLY
#include "wdf.h"
#include "wdf_more.h"

inline void *operator new(size_t, void *memory) noexcept {
    return memory;
}

namespace wdfldr {

class Driver;

// One bound driver. `pub` is what the driver gets as WdfDriverGlobals.
struct Globals {
    static constexpr ULONG kSignature = 'bGdW';
    WDF_DRIVER_GLOBALS pub; // first: PWDF_DRIVER_GLOBALS is a Globals *
    ULONG signature;
    KSPIN_LOCK treeLock; // parents, children, contexts
    LONG allocations;    // under treeLock
    LIST_ENTRY live;     // every object's memory, for the report at unload
    PDRIVER_OBJECT driverObject;
    UNICODE_STRING registryPath;
    Driver *driver;
};

// Which of WDF_VIOLATION's (0x10D) first parameters: wdfbugcodes.h.
enum Violation : ULONG {
    kRecursiveLock = 0x2,
    kFatalError = 0x3,
    kNullParameter = 0x4,
    kInvalidHandle = 0x5,
    kRequestFatal = 0x6,
    kObjectError = 0x7,
    kDmaFatal = 0x8,
    kInvalidInterrupt = 0x9,
    kQueueFatal = 0xA,
    kInvalidLock = 0xB,
    kPnpFatal = 0xC,
    kIrqlMismatch = 0xE,
};

// Prints "WDFLDR: <text>" and stops: bug check WDF_VIOLATION (code, p2, p3, 0).
DECLSPEC_NORETURN void Stop(Violation code, const void *p2, ULONG_PTR p3, const char *format, ...);
// One debugger line about a refused call; returns `status`.
NTSTATUS Refuse(NTSTATUS status, const char *function, const char *why);
// The rule "IRQL <= limit" of a public function.
void CheckIrql(KIRQL limit, const char *function);
void CheckNotNull(const void *pointer, const char *function, const char *name);

Globals *ToGlobals(PWDF_DRIVER_GLOBALS pub, const char *function);

// ---- function table ---------------------------------------------------------

enum FunctionIndex : ULONG {
#define WDF_FUNCTION(index, name) kIndex##name = index,
#include "wdf_functions.inc"
#undef WDF_FUNCTION
    kFunctionCount
};
static_assert(kFunctionCount == 396);

struct TableEntry {
    ULONG_PTR index;
    void *function;
};

// Copies the first `count` functions; those that WDFLDR lacks stop with their name.
void FillFunctionTable(void **table, ULONG count);

} // namespace wdfldr

// Defines the function `name` of the table: WDF_API(NTSTATUS, WdfXxx, (args)) { ... }.
// Inside, `pub` is the caller's WDF_DRIVER_GLOBALS.
#define WDF_API(result, name, args)                                                                \
    static result NTAPI Api##name args;                                                            \
    __attribute__((section(".wdftab$m"), used)) static const wdfldr::TableEntry kEntry##name = {   \
        wdfldr::kIndex##name, reinterpret_cast<void *>(&Api##name)};                               \
    static result NTAPI Api##name args

// First line of most functions: the globals, checked.
#define WDF_ENTER(function, limit)                                                                 \
    static const char kName[] = #function;                                                         \
    wdfldr::Globals *globals = wdfldr::ToGlobals(pub, kName);                                      \
    wdfldr::CheckIrql(limit, kName);                                                               \
    (void)globals

#endif // NTC_WDF_WDFLDR_H_
