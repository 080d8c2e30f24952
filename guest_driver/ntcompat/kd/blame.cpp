// SPDX-License-Identifier: MIT
//
// Whose code it was: of a broken rule, a fault, or a call into the kernel.
#include "kdp.h"

#include "ldr/ldrp.h"
#include "ldr/pe.h"

extern "C" {

// The innermost driver on the stack, or the innermost library that drivers call, as
// WDFLDR.SYS, where there is no driver. A driver whose unloading or removal the kernel
// is busy with counts as being on the stack where that began, if suspects count. 0: neither.
static uint64_t KdCallingDriver(KD_FRAME frame, bool suspects) {
    PKTHREAD thread = KiCurrent();
    const KD_SUSPECT *suspect = thread && suspects ? (const KD_SUSPECT *)thread->Suspect : nullptr;
    uint64_t library = 0;
    for (int i = 0; i < KD_STACK_LIMIT; i++) {
        if (suspect && frame.Rsp > (uint64_t)suspect)
            return suspect->address;
        const LDR_IMAGE *image = (const LDR_IMAGE *)LdrFindImage(frame.Rip);
        bool dll = image && (image->pe.file->characteristics & PE_FILE_DLL) != 0;
        if (image && !image->boot && !dll)
            return frame.Rip;
        if (dll && !image->boot && library == 0)
            library = frame.Rip;
        if (!KdUnwind(&frame) || frame.Rip == 0)
            break;
    }
    return library;
}

uint64_t KdCaller(void) {
    KD_FRAME frame;
    KdFrameFromHere(&frame);
    return KdCallingDriver(frame, true);
}

uint64_t KdCallerOnStack(void) {
    KD_FRAME frame;
    KdFrameFromHere(&frame);
    return KdCallingDriver(frame, false);
}

void KdBeginSuspect(KD_SUSPECT *suspect, const void *address) {
    PKTHREAD thread = KiCurrent();
    suspect->address = (uint64_t)address;
    suspect->outer = (KD_SUSPECT *)thread->Suspect;
    thread->Suspect = suspect;
}

void KdEndSuspect(KD_SUSPECT *suspect) {
    KiCurrent()->Suspect = suspect->outer;
}

static bool KdIsDriver(uint64_t address) {
    const LDR_IMAGE *image = (const LDR_IMAGE *)LdrFindImage(address);
    return image && !image->boot;
}

// A routine that left something wrong has returned: the stack doesn't have it.
static uint64_t KdReturnedRoutine(ULONG code, const ULONG_PTR p[4]) {
    switch (code) {
    case IRQL_NOT_DISPATCH_LEVEL:
    case WORKER_THREAD_RETURNED_AT_BAD_IRQL:
        return p[0];
    case IRQL_UNEXPECTED_VALUE:
        return p[1];
    default:
        return 0;
    }
}

// The code that a bug check blames: what faulted, or what called there if that is no
// code at all (data, a null pointer); otherwise who broke the rule, or at last the
// driver that one of the parameters points into.
uint64_t KdGuilty(ULONG code, const ULONG_PTR p[4], const KI_TRAP_FRAME *trap,
                  const KD_FRAME *frame) {
    if (trap && LdrFindImage(trap->Rip))
        return trap->Rip;
    uint64_t address = KdReturnedRoutine(code, p);
    if (!trap && KdIsDriver(address))
        return address;
    address = KdCallingDriver(*frame, true);
    // A thread that ends has left its driver.
    PKTHREAD thread = KiCurrent();
    if (address == 0 && thread && KdIsDriver((uint64_t)thread->StartAddress))
        address = (uint64_t)thread->StartAddress;
    for (int i = 0; i < 4 && address == 0; i++)
        if (KdIsDriver(p[i]))
            address = p[i];
    return address;
}

} // extern "C"
