// SPDX-License-Identifier: MIT
//
// The processor's state for debuggers and dumps, in the PRCB where they look for it.
#include "ki.h"

extern "C" {

enum : ULONG {
    MSR_GS_BASE = 0xC0000101,
    MSR_GS_SWAP = 0xC0000102,
    MSR_STAR = 0xC0000081,
    MSR_LSTAR = 0xC0000082,
    MSR_CSTAR = 0xC0000083,
    MSR_SYSCALL_MASK = 0xC0000084
};

enum : ULONG { KI_CONTEXT = 0x100000 | 0x1F }; // AMD64; all parts

#define KI_READ_DR(n)                                                                              \
    ([] {                                                                                          \
        uint64_t value;                                                                            \
        __asm__ volatile("movq %%db" #n ", %0" : "=r"(value));                                     \
        return value;                                                                              \
    }())
#define KI_WRITE_DR(n, value) __asm__ volatile("movq %0, %%db" #n : : "r"((uint64_t)(value)))

void KiSaveSpecialRegisters(void) {
    _KSPECIAL_REGISTERS *s = &KiPcr.Prcb.ProcessorState.SpecialRegisters;
    s->Cr0 = __readcr0();
    s->Cr2 = __readcr2();
    s->Cr3 = __readcr3();
    s->Cr4 = __readcr4();
    s->Cr8 = __readcr8();
    s->KernelDr0 = KI_READ_DR(0);
    s->KernelDr1 = KI_READ_DR(1);
    s->KernelDr2 = KI_READ_DR(2);
    s->KernelDr3 = KI_READ_DR(3);
    s->KernelDr6 = KI_READ_DR(6);
    s->KernelDr7 = KI_READ_DR(7);
    __asm__ volatile("sgdt %0" : "=m"(s->Gdtr.Limit));
    __asm__ volatile("sidt %0" : "=m"(s->Idtr.Limit));
    __asm__ volatile("str %0" : "=m"(s->Tr));
    __asm__ volatile("sldt %0" : "=m"(s->Ldtr));
    __asm__ volatile("stmxcsr %0" : "=m"(s->MxCsr));
    s->MsrGsBase = __readmsr(MSR_GS_BASE);
    s->MsrGsSwap = __readmsr(MSR_GS_SWAP);
    s->MsrStar = __readmsr(MSR_STAR);
    s->MsrLStar = __readmsr(MSR_LSTAR);
    s->MsrCStar = __readmsr(MSR_CSTAR);
    s->MsrSyscallMask = __readmsr(MSR_SYSCALL_MASK);
    KI_WRITE_DR(7, 0x400); // the debugger itself hits no breakpoint
    KI_WRITE_DR(6, 0);
}

void KiRestoreSpecialRegisters(void) {
    const _KSPECIAL_REGISTERS *s = &KiPcr.Prcb.ProcessorState.SpecialRegisters;
    KI_WRITE_DR(0, s->KernelDr0);
    KI_WRITE_DR(1, s->KernelDr1);
    KI_WRITE_DR(2, s->KernelDr2);
    KI_WRITE_DR(3, s->KernelDr3);
    KI_WRITE_DR(6, 0);
    // Without GD, whose exceptions would come from here; what is reserved stays as it is.
    KI_WRITE_DR(7, (s->KernelDr7 & 0xFFFF03FF) | 0x400);
    __asm__ volatile("movq %0, %%cr2" : : "r"(s->Cr2));
    __writecr8(s->Cr8 & 0xF);
}

static void KiSegments(CONTEXT *c, const KI_TRAP_FRAME *frame) {
    c->SegCs = (USHORT)frame->Cs;
    c->SegSs = (USHORT)frame->Ss;
    __asm__ volatile("movw %%ds, %0" : "=m"(c->SegDs));
    __asm__ volatile("movw %%es, %0" : "=m"(c->SegEs));
    __asm__ volatile("movw %%fs, %0" : "=m"(c->SegFs));
    __asm__ volatile("movw %%gs, %0" : "=m"(c->SegGs));
}

// What both structures have under the same name.
// clang-format off
#define KI_BOTH(F)                                                                                 \
    F(Rax) F(Rcx) F(Rdx) F(Rbx) F(Rsp) F(Rbp) F(Rsi) F(Rdi) F(R8) F(R9) F(R10) F(R11) F(R12)       \
    F(R13) F(R14) F(R15) F(Rip)
// clang-format on

void KiContextFromFrame(CONTEXT *c, const KI_TRAP_FRAME *frame, const M128A *xmm6_to_15) {
    const _KSPECIAL_REGISTERS *s = &KiPcr.Prcb.ProcessorState.SpecialRegisters;
    __stosb((UCHAR *)c, 0, sizeof(*c));
    __asm__ volatile("fxsave64 %0" : "=m"(c->FltSave));
    c->ContextFlags = KI_CONTEXT;
    c->MxCsr = c->FltSave.MxCsr = (ULONG)frame->MxCsr;
    c->EFlags = (ULONG)frame->Rflags;
    KiSegments(c, frame);
#define KI_GET(r) c->r = frame->r;
    KI_BOTH(KI_GET)
    M128A *xmm = &c->Xmm0;
    for (int i = 0; i < 6; i++)
        xmm[i] = frame->Xmm[i];
    for (int i = 0; i < 10; i++)
        xmm[6 + i] = xmm6_to_15[i];
    c->Dr0 = s->KernelDr0;
    c->Dr1 = s->KernelDr1;
    c->Dr2 = s->KernelDr2;
    c->Dr3 = s->KernelDr3;
    c->Dr6 = s->KernelDr6;
    c->Dr7 = s->KernelDr7;
}

// Segments are left alone; of the flags and MXCSR, what would fault when loaded.
void KiContextToFrame(const CONTEXT *c, KI_TRAP_FRAME *frame, M128A *xmm6_to_15) {
    const ULONG flags = 0x250FD5, mxcsr = 0xFFFF; // with TF, IF, RF and AC
    frame->MxCsr = c->MxCsr & mxcsr;
    frame->Rflags = (c->EFlags & flags) | 2;
#define KI_PUT(r) frame->r = c->r;
    KI_BOTH(KI_PUT)
    const M128A *xmm = &c->Xmm0;
    for (int i = 0; i < 6; i++)
        frame->Xmm[i] = xmm[i];
    for (int i = 0; i < 10; i++)
        xmm6_to_15[i] = xmm[6 + i];
}

} // extern "C"
