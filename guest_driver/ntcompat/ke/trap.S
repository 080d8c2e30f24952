// SPDX-License-Identifier: MIT
//
// Vector stubs, the common trap entry with unwind data (so that stack traces
// go through interrupts), and the context switch.

    .text

    .macro BEGIN name, class=2
    .if \class == 2
    .globl \name
    .endif
    .def \name; .scl \class; .type 32; .endef
    .seh_proc \name
\name:
    .endm

// Every instruction of what follows may be where a debugger stops, so the unwind data holds
// at each: stubs are all prologue, the way back restores by moves, and IRETQ, where nothing
// but the machine's frame is left, is a function of its own.
    .macro RETURN_FROM_INTERRUPT name
    .seh_endproc
    BEGIN \name, 3
    .seh_pushframe
    .seh_endprologue
    iretq
    .seh_endproc
    .endm

// A stub of 16 bytes: [error code,] vector, jump. Exceptions and what the debugger is for
// have an entry of their own, which keeps the registers that a debugger shows.
    .macro STUB
    .p2align 4
    BEGIN KiStub\@, 3
    .if (vector == 8) || (vector >= 10 && vector <= 14) || (vector == 17) || (vector == 21)
    .seh_pushframe @code
    .else
    .seh_pushframe
    pushq $0
    .seh_stackalloc 8
    .endif
    pushq $vector
    .seh_stackalloc 8
    .if (vector < 0x1F) || (vector == 0x29) || (vector == 0x2C) || (vector == 0x2D)
    jmp KiExceptionEntry
    .else
    jmp KiInterruptEntry
    .endif
    .seh_endprologue                    // the jump isn't to be taken for an epilogue
    .seh_endproc
    .set vector, vector + 1
    .endm

    .globl KiVectorStubs
    .p2align 4
KiVectorStubs:
    .set vector, 0
    .rept 256
    STUB
    .endr

    .macro ENTRY name, dispatch
    BEGIN \name
    .seh_pushframe @code
    .seh_stackalloc 8                   // the vector
    .irp r, rax, rcx, rdx, rbx, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15
    pushq %\r
    .seh_pushreg %\r
    .endr
    subq $0x90, %rsp
    .seh_stackalloc 0x90
    .seh_endprologue
    cld
    .irp n, 0, 1, 2, 3, 4, 5
    movaps %xmm\n, 0x20 + 16 * \n(%rsp)
    .endr
    stmxcsr 0x80(%rsp)
    ldmxcsr %gs:0x180
    movq %rsp, %rcx
    call \dispatch
    ldmxcsr 0x80(%rsp)
    .irp n, 0, 1, 2, 3, 4, 5
    movaps 0x20 + 16 * \n(%rsp), %xmm\n
    .endr
    .set at, 0x90
    .irp r, r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax
    movq at(%rsp), %\r
    .set at, at + 8
    .endr
    addq $at + 16, %rsp
    RETURN_FROM_INTERRUPT \name\()Return
    .endm

    ENTRY KiInterruptEntry, KiDispatchInterruptVector
    ENTRY KiExceptionEntry, KiSaveVectors

// The nonvolatile vector registers, at 0x20(%rsp); saving is part of the prologue.
    .macro SAVE_VECTORS
    .irp n, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    movaps %xmm\n, 0x20 + 16 * (\n - 6)(%rsp)
    .seh_savexmm %xmm\n, 0x20 + 16 * (\n - 6)
    .endr
    .endm
    .macro RESTORE_VECTORS
    .irp n, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    movaps 0x20 + 16 * (\n - 6)(%rsp), %xmm\n
    .endr
    .endm

// void KiSaveVectors(KI_TRAP_FRAME * /*rcx*/): calls KiDispatchException with the frame
// and the nonvolatile vector registers, which it may change.
    BEGIN KiSaveVectors, 3
    subq $0xC8, %rsp
    .seh_stackalloc 0xC8
    SAVE_VECTORS
    .seh_endprologue
    leaq 0x20(%rsp), %rdx
    call KiDispatchException
    RESTORE_VECTORS
    addq $0xC8, %rsp
    ret
    .seh_endproc

// The clock's interrupt while the machine is in the debugger: ends a HLT, and runs no code
// that a breakpoint may have been set in.
    BEGIN KiDebuggerTick
    .seh_pushframe
    pushq %rax
    .seh_pushreg %rax
    .seh_endprologue
    movq KiEndOfInterrupt(%rip), %rax
    movl $0, (%rax)
    movq (%rsp), %rax
    addq $8, %rsp
    RETURN_FROM_INTERRUPT KiDebuggerTickReturn

// void KiSwapContext(PKTHREAD from /*rcx*/, PKTHREAD to /*rdx*/): saves what
// the calling convention calls nonvolatile.
    BEGIN KiSwapContext
    .irp r, rbx, rsi, rdi, r12, r13, r14, r15
    pushq %\r
    .seh_pushreg %\r
    .endr
    subq $0xD0, %rsp
    .seh_stackalloc 0xD0
    SAVE_VECTORS
    .seh_endprologue
    stmxcsr 0xC0(%rsp)
    call SwapContext
    RESTORE_VECTORS
    ldmxcsr 0xC0(%rsp)
    addq $0xD0, %rsp
    .irp r, r15, r14, r13, r12, rdi, rsi, rbx
    popq %\r
    .endr
    ret
    .seh_endproc

// Changes stacks. What it leaves on the old one is a _KSWITCH_FRAME (thread.cpp);
// KernelStack is at offset 0x38.
    BEGIN SwapContext, 3
    pushq %rbp
    .seh_pushreg %rbp
    subq $0x30, %rsp
    .seh_stackalloc 0x30
    .seh_endprologue
    movq %rsp, 0x38(%rcx)
    movq 0x38(%rdx), %rsp
    addq $0x30, %rsp
    popq %rbp
    ret
    .seh_endproc

// First instructions of a new thread: SwapContext returns here. The stack is
// empty, which ends stack traces.
    BEGIN KiThreadStartup
    subq $0x20, %rsp                    // RSP was a multiple of 16
    .seh_stackalloc 0x20
    .seh_endprologue
    ldmxcsr %gs:0x180
    call KiThreadMain
    int3
    .seh_endproc

// void RtlCaptureContext(PCONTEXT context /*rcx*/): the caller's, as it is after the call.
    BEGIN RtlCaptureContext
    pushfq
    .seh_stackalloc 8
    .seh_endprologue
    movl $0x10000F, 0x30(%rcx)          // AMD64: control, integer, segments, floating point
    movw %cs, 0x38(%rcx)
    movw %ds, 0x3A(%rcx)
    movw %es, 0x3C(%rcx)
    movw %fs, 0x3E(%rcx)
    movw %gs, 0x40(%rcx)
    movw %ss, 0x42(%rcx)
    movq %rax, 0x78(%rcx)
    movq %rcx, 0x80(%rcx)
    movq %rdx, 0x88(%rcx)
    movq %rbx, 0x90(%rcx)
    leaq 16(%rsp), %rax
    movq %rax, 0x98(%rcx)
    movq %rbp, 0xA0(%rcx)
    movq %rsi, 0xA8(%rcx)
    movq %rdi, 0xB0(%rcx)
    movq %r8, 0xB8(%rcx)
    movq %r9, 0xC0(%rcx)
    movq %r10, 0xC8(%rcx)
    movq %r11, 0xD0(%rcx)
    movq %r12, 0xD8(%rcx)
    movq %r13, 0xE0(%rcx)
    movq %r14, 0xE8(%rcx)
    movq %r15, 0xF0(%rcx)
    fxsave64 0x100(%rcx)
    stmxcsr 0x34(%rcx)
    movq 8(%rsp), %rax
    movq %rax, 0xF8(%rcx)
    movl (%rsp), %eax
    movl %eax, 0x44(%rcx)
    addq $8, %rsp
    ret
    .seh_endproc

    .section .drectve,"yn"
    .ascii " -export:RtlCaptureContext"
