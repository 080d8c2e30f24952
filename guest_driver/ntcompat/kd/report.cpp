// SPDX-License-Identifier: MIT
//
// The bug check report in the form Windows has given it since NT: the STOP line,
// the driver the address belongs to, then registers and a stack trace.
#include "kdp.h"

#include "ldr/ldrp.h"
#include "ldr/pe.h"
#include "rtl/rtlp.h"

extern "C" {

struct KD_CODE_NAME {
    ULONG code;
    const char *name;
};

#define KD_CODE(name)                                                                              \
    { name, #name }
static const KD_CODE_NAME KdCodes[] = {
    KD_CODE(IRQL_NOT_LESS_OR_EQUAL),
    KD_CODE(IRQL_NOT_DISPATCH_LEVEL),
    KD_CODE(SPIN_LOCK_ALREADY_OWNED),
    KD_CODE(SPIN_LOCK_NOT_OWNED),
    KD_CODE(MAXIMUM_WAIT_OBJECTS_EXCEEDED),
    KD_CODE(MUTEX_LEVEL_NUMBER_VIOLATION),
    KD_CODE(TRAP_CAUSE_UNKNOWN),
    KD_CODE(REFERENCE_BY_POINTER),
    KD_CODE(BAD_POOL_HEADER),
    KD_CODE(BAD_POOL_CALLER),
    KD_CODE(KMODE_EXCEPTION_NOT_HANDLED),
    KD_CODE(KERNEL_APC_PENDING_DURING_EXIT),
    KD_CODE(NO_MORE_IRP_STACK_LOCATIONS),
    KD_CODE(MULTIPLE_IRP_COMPLETE_REQUESTS),
    KD_CODE(CANCEL_STATE_IN_COMPLETED_IRP),
    KD_CODE(PAGE_FAULT_IN_NONPAGED_AREA),
    KD_CODE(PHASE1_INITIALIZATION_FAILED),
    KD_CODE(PROCESS_HAS_LOCKED_PAGES),
    KD_CODE(MEMORY_MANAGEMENT),
    KD_CODE(INSTALL_MORE_MEMORY),
    KD_CODE(SYSTEM_THREAD_EXCEPTION_NOT_HANDLED),
    KD_CODE(UNEXPECTED_KERNEL_MODE_TRAP),
    KD_CODE(NMI_HARDWARE_FAILURE),
    KD_CODE(SPIN_LOCK_INIT_FAILURE),
    KD_CODE(THREAD_TERMINATE_HELD_MUTEX),
    KD_CODE(MACHINE_CHECK_EXCEPTION),
    KD_CODE(DRIVER_POWER_STATE_FAILURE),
    KD_CODE(INTERNAL_POWER_ERROR),
    KD_CODE(PNP_DETECTED_FATAL_ERROR),
    KD_CODE(ATTEMPTED_SWITCH_FROM_DPC),
    KD_CODE(ATTEMPTED_WRITE_TO_READONLY_MEMORY),
    KD_CODE(DRIVER_VERIFIER_DETECTED_VIOLATION),
    KD_CODE(DRIVER_CORRUPTED_EXPOOL),
    KD_CODE(DRIVER_CAUGHT_MODIFYING_FREED_POOL),
    KD_CODE(DRIVER_VERIFIER_IOMANAGER_VIOLATION),
    KD_CODE(DRIVER_UNLOADED_WITHOUT_CANCELLING_PENDING_OPERATIONS),
    KD_CODE(DRIVER_IRQL_NOT_LESS_OR_EQUAL),
    KD_CODE(SYSTEM_PTE_MISUSE),
    KD_CODE(MANUALLY_INITIATED_CRASH),
    KD_CODE(DRIVER_OVERRAN_STACK_BUFFER),
    KD_CODE(ATTEMPTED_EXECUTE_OF_NOEXECUTE_MEMORY),
    KD_CODE(HARDWARE_INTERRUPT_STORM),
    KD_CODE(WDF_VIOLATION),
    KD_CODE(DPC_WATCHDOG_VIOLATION),
    KD_CODE(KERNEL_SECURITY_CHECK_FAILURE),
    KD_CODE(HAL_INITIALIZATION_FAILED),
    KD_CODE(NO_MORE_SYSTEM_PTES),
    KD_CODE(PFN_LIST_CORRUPT),
    KD_CODE(OBJECT_INITIALIZATION_FAILED),
    KD_CODE(CONFIG_INITIALIZATION_FAILED),
    KD_CODE(INVALID_KERNEL_HANDLE),
    KD_CODE(INVALID_WORK_QUEUE_ITEM),
    KD_CODE(WORKER_THREAD_RETURNED_AT_BAD_IRQL),
    KD_CODE(WORKER_INVALID),
    KD_CODE(IRQL_UNEXPECTED_VALUE),
    KD_CODE(INVALID_PROCESS_DETACH_ATTEMPT),
    KD_CODE(DRIVER_VERIFIER_DMA_VIOLATION),
    {0xDEAD0001, "NTCOMPAT_UNIMPLEMENTED"},
};

const char *KdBugCheckName(ULONG code) {
    for (const KD_CODE_NAME &c : KdCodes)
        if (c.code == code)
            return c.name;
    return "UNKNOWN_BUG_CHECK_CODE";
}

static void KdFormat(char *buffer, size_t size, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    RtlpFormat(buffer, size, format, arguments);
    va_end(arguments);
}

void KdDescribeAddress(uint64_t address, char *buffer, size_t size) {
    NTC_IMAGE *image = LdrFindImage(address);
    if (image)
        KdFormat(buffer, size, "%ws+0x%I64x", image->name, address - image->base);
    else
        KdFormat(buffer, size, "0x%016I64x", address);
}

static void KdPrintModule(uint64_t address) {
    NTC_IMAGE *image = address ? LdrFindImage(address) : nullptr;
    if (!image)
        return;
    const uint8_t *base = (const uint8_t *)image->base;
    const PeFileHeader *header = (const PeFileHeader *)(base + *(const uint32_t *)(base + 0x3C));
    KdPrint_("*** %ws - Address %016I64X base at %016I64X, DateStamp %08x\n", image->name, address,
             image->base, header->time_stamp);
}

static void KdPrintRegisters(const KI_TRAP_FRAME *f) {
    KdPrint_("rax=%016I64x rbx=%016I64x rcx=%016I64x\n", f->Rax, f->Rbx, f->Rcx);
    KdPrint_("rdx=%016I64x rsi=%016I64x rdi=%016I64x\n", f->Rdx, f->Rsi, f->Rdi);
    KdPrint_("rip=%016I64x rsp=%016I64x rbp=%016I64x\n", f->Rip, f->Rsp, f->Rbp);
    KdPrint_(" r8=%016I64x  r9=%016I64x r10=%016I64x\n", f->R8, f->R9, f->R10);
    KdPrint_("r11=%016I64x r12=%016I64x r13=%016I64x\n", f->R11, f->R12, f->R13);
    KdPrint_("r14=%016I64x r15=%016I64x efl=%08x\n", f->R14, f->R15, (ULONG)f->Rflags);
    KdPrint_("cr2=%016I64x cr3=%016I64x irql=%u vector=%02I64x error=%I64x\n", __readcr2(),
             __readcr3(), (ULONG)__readcr8(), f->Vector, f->ErrorCode);
}

static void KdFrameFromTrap(KD_FRAME *frame, const KI_TRAP_FRAME *f) {
    frame->Exact = true;
    frame->Rip = f->Rip;
    frame->Rsp = f->Rsp;
    const uint64_t registers[16] = {f->Rax, f->Rcx, f->Rdx, f->Rbx, f->Rsp, f->Rbp, f->Rsi, f->Rdi,
                                    f->R8,  f->R9,  f->R10, f->R11, f->R12, f->R13, f->R14, f->R15};
    for (int i = 0; i < 16; i++)
        frame->Registers[i] = registers[i];
}

static void KdPrintStack(KD_FRAME *frame) {
    char text[80];
    KdPrint_("STACK:\n");
    for (int i = 0; i < KD_STACK_LIMIT; i++) {
        KdDescribeAddress(frame->Rip, text, sizeof(text));
        KdPrint_("%02d %016I64x %s\n", i, frame->Rsp, text);
        if (!KdUnwind(frame) || frame->Rip == 0)
            return;
    }
}

void KdReportBugCheck(ULONG code, const ULONG_PTR p[4], const KI_TRAP_FRAME *trap) {
    KdPrint_("\n*** STOP: 0x%08X (0x%016I64X,0x%016I64X,0x%016I64X,0x%016I64X)\n%s\n", code, p[0],
             p[1], p[2], p[3], KdBugCheckName(code));
    if (KdBugCheckText)
        KdPrint_("*** %s\n", KdBugCheckText);
    KD_FRAME frame;
    if (trap)
        KdFrameFromTrap(&frame, trap);
    else
        KdFrameFromHere(&frame);
    KdPrintModule(KdGuilty(code, p, trap, &frame));
    if (trap)
        KdPrintRegisters(trap);
    else
        KdPrint_("irql=%u\n", (ULONG)__readcr8());
    KdPrintStack(&frame);
    KdPrint_("*** The guest has stopped.\n");
}

} // extern "C"
