// SPDX-License-Identifier: MIT
//
// Memory that is lacking on demand, as Driver Verifier's low resources simulation has it,
// but deterministic: of all allocations that are made for one driver, by its own calls or
// by those of the framework and the kernel below it, the n-th fails.
#include "mm/mi.h"

#include "ldr/ldrp.h"

namespace {

NTC_LOW_RESOURCES state;
char target[32]; // the driver's image

char Lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool IsTarget(const NTC_IMAGE *image) {
    const UNICODE_STRING &name = image->base_name;
    size_t i = 0;
    for (; i < name.Length / sizeof(WCHAR); ++i)
        if (Lower(target[i]) != Lower(static_cast<char>(name.Buffer[i])))
            return false;
    return target[i] == 0;
}

} // namespace

bool MiFailsForLack(const char *what) {
    if (!state.nth)
        return false;
    const uint64_t address = KdCallerOnStack();
    const NTC_IMAGE *image = address ? LdrFindImage(address) : nullptr;
    if (!image || !IsTarget(image) || ++state.calls != state.nth)
        return false;
    state.failed = what;
    state.offset = static_cast<ULONG>(address - image->base);
    KdPrint_("mm: low resources: allocation %u for %s, %s from +0x%x, fails\n", state.calls, target,
             what, state.offset);
    return true;
}

NTSTATUS NtcSetLowResources(const char *image, ULONG nth) {
    size_t length = strlen(image);
    if (length >= sizeof(target))
        return STATUS_INVALID_PARAMETER;
    KIRQL irql;
    KeRaiseIrql(HIGH_LEVEL, &irql);
    memcpy(target, image, length + 1);
    memset(&state, 0, sizeof(state));
    state.nth = nth;
    KeLowerIrql(irql);
    return STATUS_SUCCESS;
}

void NtcGetLowResources(NTC_LOW_RESOURCES *now) {
    KIRQL irql;
    KeRaiseIrql(HIGH_LEVEL, &irql);
    *now = state;
    KeLowerIrql(irql);
}
