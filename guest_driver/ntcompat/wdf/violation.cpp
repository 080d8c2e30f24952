// SPDX-License-Identifier: MIT
// How WDFLDR.SYS stops the system, or refuses, when a driver breaks a rule.
#include "object.h"

// Exported by every NT kernel; the DDK headers leave it to the C library's.
extern "C" __declspec(dllimport) int __cdecl _vsnprintf(char *buffer, size_t count,
                                                        const char *format, va_list arguments);

namespace wdfldr {

static constexpr ULONG kWdfViolation = 0x10D;

void Stop(Violation code, const void *p2, ULONG_PTR p3, const char *format, ...) {
    char text[192];
    va_list arguments;
    va_start(arguments, format);
    int length = _vsnprintf(text, sizeof(text) - 1, format, arguments);
    va_end(arguments);
    text[length < 0 || length >= static_cast<int>(sizeof(text)) ? sizeof(text) - 1 : length] = 0;
    DbgPrint("WDFLDR: %s\n", text);
    KeBugCheckEx(kWdfViolation, code, reinterpret_cast<ULONG_PTR>(p2), p3, 0);
}

NTSTATUS Refuse(NTSTATUS status, const char *function, const char *why) {
    DbgPrint("WDFLDR: %s: %s, status 0x%08x\n", function, why, static_cast<unsigned>(status));
    return status;
}

void CheckIrql(KIRQL limit, const char *function) {
    KIRQL now = KeGetCurrentIrql();
    if (now > limit)
        Stop(kIrqlMismatch, nullptr, now, "%s called at IRQL %u, allowed is <= %u", function,
             static_cast<unsigned>(now), static_cast<unsigned>(limit));
}

void CheckNotNull(const void *pointer, const char *function, const char *name) {
    if (!pointer)
        Stop(kNullParameter, nullptr, 0, "%s: %s is NULL", function, name);
}

Globals *ToGlobals(PWDF_DRIVER_GLOBALS pub, const char *function) {
    auto *globals = reinterpret_cast<Globals *>(pub);
    if (!globals)
        Stop(kNullParameter, nullptr, 0, "%s: DriverGlobals is NULL", function);
    if (!MmIsAddressValid(globals) || globals->signature != Globals::kSignature)
        Stop(kInvalidHandle, pub, 0, "%s: DriverGlobals %p isn't a bound driver's", function, pub);
    return globals;
}

} // namespace wdfldr
