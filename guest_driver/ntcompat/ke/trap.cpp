// SPDX-License-Identifier: MIT
//
// Exceptions. There is no structured exception handling in kernel mode here: what the
// debugger, if there is one, does not handle is the bug check that Windows gives for an
// unhandled exception.
#include "ki.h"

#include "kd/kdp.h"
#include "liar.h"

extern "C" {

enum {
    KI_DIVIDE = 0,
    KI_DEBUG = 1,
    KI_NMI = 2,
    KI_BREAKPOINT = 3,
    KI_OVERFLOW = 4,
    KI_BOUNDS = 5,
    KI_INVALID_OPCODE = 6,
    KI_DOUBLE_FAULT = 8,
    KI_STACK_FAULT = 12,
    KI_PROTECTION = 13,
    KI_PAGE_FAULT = 14,
    KI_X87 = 16,
    KI_ALIGNMENT = 17,
    KI_MACHINE_CHECK = 18,
    KI_SIMD = 19,
    KI_SECURITY_CHECK = 0x29,
    KI_ASSERTION = 0x2C, // NT_ASSERT
    KI_DEBUG_SERVICE = 0x2D
};

// Parameters of 0x50, 0xA and 0xD1: 0 read, 1 write, 8 execute.
static uint64_t KiAccess(uint64_t error) {
    return error & 0x10 ? 8 : (error >> 1) & 1;
}

static bool KiIsKernelImage(uint64_t address) {
    for (uint32_t i = 0; i < KeLoaderBlock->module_count; i++) {
        const NTC_BOOT_MODULE *m = &KeLoaderBlock->modules[i];
        if (address >= m->base && address < m->base + m->size)
            return true;
    }
    return false;
}

struct KI_EXCEPTION {
    KI_TRAP_FRAME *frame;
    M128A *xmm6_to_15;
};

static void KiRecord(EXCEPTION_RECORD *record, NTSTATUS status, const KI_TRAP_FRAME *frame,
                     ULONG parameters, uint64_t first, uint64_t second) {
    __stosb((UCHAR *)record, 0, sizeof(*record));
    record->ExceptionCode = status;
    record->ExceptionAddress = (PVOID)frame->Rip;
    record->NumberParameters = parameters;
    record->ExceptionInformation[0] = first;
    record->ExceptionInformation[1] = second;
}

// DbgBreakPoint and nobody there to see it: the caller is at fault.
static void KiBreakWithoutDebugger(KI_TRAP_FRAME *frame) {
    if (frame->Rip != (uint64_t)&DbgBreakPoint)
        return;
    KiBugCheckFrame = nullptr;
    KdBugCheckText = "DbgBreakPoint without a debugger";
    KeBugCheckEx(KMODE_EXCEPTION_NOT_HANDLED, (ULONG)STATUS_BREAKPOINT, *(uint64_t *)frame->Rsp, 0,
                 0);
}

// Returns when the debugger has handled it. Otherwise 0x7E in a system thread, 0x1E elsewhere.
static void KiRaiseException(const KI_EXCEPTION *e, NTSTATUS status, ULONG parameters,
                             uint64_t access, uint64_t address) {
    KI_TRAP_FRAME *frame = e->frame;
    EXCEPTION_RECORD record;
    KiRecord(&record, status, frame, parameters, access, address);
    if (KdTrap(frame, e->xmm6_to_15, &record, true) || KdTrap(frame, e->xmm6_to_15, &record, false))
        return;
    KiBugCheckFrame = frame;
    if (status == STATUS_BREAKPOINT)
        KiBreakWithoutDebugger(frame);
    if (__readcr8() >= DISPATCH_LEVEL || !KiCurrent()->SystemThread)
        KeBugCheckEx(KMODE_EXCEPTION_NOT_HANDLED, (ULONG)status, frame->Rip, access, address);
    KeBugCheckEx(SYSTEM_THREAD_EXCEPTION_NOT_HANDLED, (ULONG)status, frame->Rip, access, address);
}

// ---- devices that are gone ----------------------------------------------------------

enum { KI_FLAG_TRAP = 0x100, KI_FLAG_INTERRUPTS = 0x200 };

// The instruction that is stepped over; 0: none. One processor, interrupts disabled.
static uint64_t KiGoneAddress;
static bool KiGoneInterrupts;

// One instruction sees the page of ones: it runs with the trap flag and without
// interrupts, so that nobody else sees it.
static bool KiBeginGoneAccess(KI_TRAP_FRAME *frame) {
    uint64_t address = __readcr2();
    if ((frame->ErrorCode & 1) || !MiIsGone(address))
        return false;
    if (KiGoneAddress)
        KdUnimplemented("one instruction that touches two devices that are gone");
    KiGoneAddress = address;
    KiGoneInterrupts = (frame->Rflags & KI_FLAG_INTERRUPTS) != 0;
    frame->Rflags = (frame->Rflags & ~(uint64_t)KI_FLAG_INTERRUPTS) | KI_FLAG_TRAP;
    MiBeginGoneAccess(address);
    return true;
}

static bool KiEndGoneAccess(KI_TRAP_FRAME *frame) {
    if (!KiGoneAddress)
        return false;
    MiEndGoneAccess(KiGoneAddress);
    KiGoneAddress = 0;
    frame->Rflags &= ~(uint64_t)KI_FLAG_TRAP;
    if (KiGoneInterrupts)
        frame->Rflags |= KI_FLAG_INTERRUPTS;
    return true;
}

static void KiPageFault(const KI_EXCEPTION *e) {
    KI_TRAP_FRAME *frame = e->frame;
    uint64_t address = __readcr2(), error = frame->ErrorCode, access = KiAccess(error);
    KIRQL irql = (KIRQL)__readcr8();
    KiBugCheckFrame = frame;
    if (irql >= DISPATCH_LEVEL || !(frame->Rflags & 0x200))
        KeBugCheckEx(KiIsKernelImage(frame->Rip) ? IRQL_NOT_LESS_OR_EQUAL
                                                 : DRIVER_IRQL_NOT_LESS_OR_EQUAL,
                     address, irql, access, frame->Rip);
    if (error & 1) { // a protection, not a missing page
        if (access == 8)
            KeBugCheckEx(ATTEMPTED_EXECUTE_OF_NOEXECUTE_MEMORY, address, MiPhysicalAddress(address),
                         (ULONG_PTR)frame, 2);
        KeBugCheckEx(ATTEMPTED_WRITE_TO_READONLY_MEMORY, address, MiPhysicalAddress(address),
                     (ULONG_PTR)frame, 0xA);
    }
    if ((int64_t)address < 0)
        KeBugCheckEx(PAGE_FAULT_IN_NONPAGED_AREA, address, access, frame->Rip, 0);
    KiBugCheckFrame = nullptr; // user range: an access violation
    KiRaiseException(e, STATUS_ACCESS_VIOLATION, 2, access, address);
}

static void KiHandle(const KI_EXCEPTION *e) {
    KI_TRAP_FRAME *frame = e->frame;
    switch (frame->Vector) {
    case KI_PAGE_FAULT:
        return KiPageFault(e);
    case KI_DIVIDE:
        return KiRaiseException(e, STATUS_INTEGER_DIVIDE_BY_ZERO, 0, 0, 0);
    case KI_DEBUG:
        frame->Rflags &= ~(uint64_t)KI_FLAG_TRAP;
        return KiRaiseException(e, STATUS_SINGLE_STEP, 0, 0, 0);
    case KI_BREAKPOINT:
        frame->Rip -= 1; // as reported on Windows
        return KiRaiseException(e, STATUS_BREAKPOINT, 1, 0, 0);
    case KI_ASSERTION:
        frame->Rip -= 2; // at the instruction, as on Windows
        return KiRaiseException(e, STATUS_ASSERTION_FAILURE, 0, 0, 0);
    case KI_OVERFLOW:
        return KiRaiseException(e, STATUS_INTEGER_OVERFLOW, 0, 0, 0);
    case KI_INVALID_OPCODE:
        return KiRaiseException(e, STATUS_ILLEGAL_INSTRUCTION, 0, 0, 0);
    case KI_PROTECTION: // also a non-canonical address: which one is not told
    case KI_STACK_FAULT:
        return KiRaiseException(e, STATUS_ACCESS_VIOLATION, 2, 0, ~0ull);
    case KI_SIMD:
        return KiRaiseException(e, STATUS_FLOAT_MULTIPLE_TRAPS, 0, 0, 0);
    default:
        break;
    }
    KiBugCheckFrame = frame;
    switch (frame->Vector) {
    case KI_DOUBLE_FAULT: // the guard page below a stack ends here
        KeBugCheckEx(UNEXPECTED_KERNEL_MODE_TRAP, KI_DOUBLE_FAULT, frame->Rsp,
                     KiCurrent() ? KiCurrent()->StackLimit : 0, frame->Rip);
    case KI_NMI:
        KeBugCheckEx(NMI_HARDWARE_FAILURE, 0x4F4454, 0, 0, 0);
    case KI_MACHINE_CHECK:
        KeBugCheckEx(MACHINE_CHECK_EXCEPTION, 0, 0, 0, 0);
    case KI_SECURITY_CHECK: // __fastfail and /GS
        KeBugCheckEx(DRIVER_OVERRAN_STACK_BUFFER, frame->Rcx, frame->Rsp, frame->Rip, 0);
    default:
        KeBugCheckEx(UNEXPECTED_KERNEL_MODE_TRAP, frame->Vector, frame->ErrorCode, frame->Rip, 0);
    }
}

void KiDispatchException(KI_TRAP_FRAME *frame, M128A *xmm6_to_15) {
    bool handled = KdFixup(frame) || (frame->Vector == KI_PAGE_FAULT && KiBeginGoneAccess(frame)) ||
                   (frame->Vector == KI_DEBUG && KiEndGoneAccess(frame)) ||
                   (frame->Vector == KI_PAGE_FAULT && KiBeginLiedAccess(frame)) ||
                   (frame->Vector == KI_DEBUG && KiEndLie(frame)) ||
                   (frame->Vector == KI_DEBUG_SERVICE && KdServiceTrap(frame, xmm6_to_15));
    const KI_EXCEPTION exception = {frame, xmm6_to_15};
    if (!handled)
        KiHandle(&exception);
}

} // extern "C"
