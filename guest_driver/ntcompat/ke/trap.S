// SPDX-License-Identifier: MIT
//
// Vector stubs, the common trap entry with unwind data (so that stack traces
// go through interrupts), and the context switch.

    .text

// 256 stubs of 16 bytes: [error code,] vector, jump. Exceptions and the debugger's
// service have an entry of their own, which keeps the registers that a debugger shows.
    .globl KiVectorStubs
    .p2align 4
KiVectorStubs:
    .set vector, 0
    .rept 256
    .p2align 4
    .if (vector == 8) || (vector >= 10 && vector <= 14) || (vector == 17) || (vector == 21)
    .else
    pushq $0
    .endif
    pushq $vector
    .if (vector < 0x1F) || (vector == 0x29) || (vector == 0x2D)
    jmp KiExceptionEntry
    .else
    jmp KiInterruptEntry
    .endif
    .set vector, vector + 1
    .endr

    .macro ENTRY name, dispatch
    .globl \name
    .def \name; .scl 2; .type 32; .endef
    .seh_proc \name
\name:
    .seh_pushframe @code
    .seh_stackalloc 8                   // the vector
    pushq %rax
    .seh_pushreg %rax
    pushq %rcx
    .seh_pushreg %rcx
    pushq %rdx
    .seh_pushreg %rdx
    pushq %rbx
    .seh_pushreg %rbx
    pushq %rbp
    .seh_pushreg %rbp
    pushq %rsi
    .seh_pushreg %rsi
    pushq %rdi
    .seh_pushreg %rdi
    pushq %r8
    .seh_pushreg %r8
    pushq %r9
    .seh_pushreg %r9
    pushq %r10
    .seh_pushreg %r10
    pushq %r11
    .seh_pushreg %r11
    pushq %r12
    .seh_pushreg %r12
    pushq %r13
    .seh_pushreg %r13
    pushq %r14
    .seh_pushreg %r14
    pushq %r15
    .seh_pushreg %r15
    subq $0x90, %rsp
    .seh_stackalloc 0x90
    .seh_endprologue
    cld
    movaps %xmm0, 0x20(%rsp)
    movaps %xmm1, 0x30(%rsp)
    movaps %xmm2, 0x40(%rsp)
    movaps %xmm3, 0x50(%rsp)
    movaps %xmm4, 0x60(%rsp)
    movaps %xmm5, 0x70(%rsp)
    stmxcsr 0x80(%rsp)
    ldmxcsr %gs:0x180
    movq %rsp, %rcx
    call \dispatch
    ldmxcsr 0x80(%rsp)
    movaps 0x20(%rsp), %xmm0
    movaps 0x30(%rsp), %xmm1
    movaps 0x40(%rsp), %xmm2
    movaps 0x50(%rsp), %xmm3
    movaps 0x60(%rsp), %xmm4
    movaps 0x70(%rsp), %xmm5
    addq $0x90, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %r11
    popq %r10
    popq %r9
    popq %r8
    popq %rdi
    popq %rsi
    popq %rbp
    popq %rbx
    popq %rdx
    popq %rcx
    popq %rax
    addq $16, %rsp
    iretq
    .seh_endproc
    .endm

    ENTRY KiInterruptEntry, KiDispatchInterruptVector
    ENTRY KiExceptionEntry, KiSaveVectors

// void KiSaveVectors(KI_TRAP_FRAME * /*rcx*/): calls KiDispatchException with the frame
// and the nonvolatile vector registers, which it may change.
    .def KiSaveVectors; .scl 3; .type 32; .endef
    .seh_proc KiSaveVectors
KiSaveVectors:
    subq $0xC8, %rsp
    .seh_stackalloc 0xC8
    movaps %xmm6, 0x20(%rsp)
    .seh_savexmm %xmm6, 0x20
    movaps %xmm7, 0x30(%rsp)
    .seh_savexmm %xmm7, 0x30
    movaps %xmm8, 0x40(%rsp)
    .seh_savexmm %xmm8, 0x40
    movaps %xmm9, 0x50(%rsp)
    .seh_savexmm %xmm9, 0x50
    movaps %xmm10, 0x60(%rsp)
    .seh_savexmm %xmm10, 0x60
    movaps %xmm11, 0x70(%rsp)
    .seh_savexmm %xmm11, 0x70
    movaps %xmm12, 0x80(%rsp)
    .seh_savexmm %xmm12, 0x80
    movaps %xmm13, 0x90(%rsp)
    .seh_savexmm %xmm13, 0x90
    movaps %xmm14, 0xA0(%rsp)
    .seh_savexmm %xmm14, 0xA0
    movaps %xmm15, 0xB0(%rsp)
    .seh_savexmm %xmm15, 0xB0
    .seh_endprologue
    leaq 0x20(%rsp), %rdx
    call KiDispatchException
    movaps 0x20(%rsp), %xmm6
    movaps 0x30(%rsp), %xmm7
    movaps 0x40(%rsp), %xmm8
    movaps 0x50(%rsp), %xmm9
    movaps 0x60(%rsp), %xmm10
    movaps 0x70(%rsp), %xmm11
    movaps 0x80(%rsp), %xmm12
    movaps 0x90(%rsp), %xmm13
    movaps 0xA0(%rsp), %xmm14
    movaps 0xB0(%rsp), %xmm15
    addq $0xC8, %rsp
    ret
    .seh_endproc

// The clock's interrupt while the machine is in the debugger: ends a HLT, and runs no code
// that a breakpoint may have been set in.
    .globl KiDebuggerTick
KiDebuggerTick:
    pushq %rax
    movq KiEndOfInterrupt(%rip), %rax
    movl $0, (%rax)
    popq %rax
    iretq

// void KiSwapContext(PKTHREAD from /*rcx*/, PKTHREAD to /*rdx*/): saves what
// the calling convention calls nonvolatile.
    .globl KiSwapContext
    .def KiSwapContext; .scl 2; .type 32; .endef
    .seh_proc KiSwapContext
KiSwapContext:
    pushq %rbx
    .seh_pushreg %rbx
    pushq %rsi
    .seh_pushreg %rsi
    pushq %rdi
    .seh_pushreg %rdi
    pushq %r12
    .seh_pushreg %r12
    pushq %r13
    .seh_pushreg %r13
    pushq %r14
    .seh_pushreg %r14
    pushq %r15
    .seh_pushreg %r15
    subq $0xD0, %rsp
    .seh_stackalloc 0xD0
    .seh_endprologue
    movaps %xmm6, 0x20(%rsp)
    movaps %xmm7, 0x30(%rsp)
    movaps %xmm8, 0x40(%rsp)
    movaps %xmm9, 0x50(%rsp)
    movaps %xmm10, 0x60(%rsp)
    movaps %xmm11, 0x70(%rsp)
    movaps %xmm12, 0x80(%rsp)
    movaps %xmm13, 0x90(%rsp)
    movaps %xmm14, 0xA0(%rsp)
    movaps %xmm15, 0xB0(%rsp)
    stmxcsr 0xC0(%rsp)
    call SwapContext
    movaps 0x20(%rsp), %xmm6
    movaps 0x30(%rsp), %xmm7
    movaps 0x40(%rsp), %xmm8
    movaps 0x50(%rsp), %xmm9
    movaps 0x60(%rsp), %xmm10
    movaps 0x70(%rsp), %xmm11
    movaps 0x80(%rsp), %xmm12
    movaps 0x90(%rsp), %xmm13
    movaps 0xA0(%rsp), %xmm14
    movaps 0xB0(%rsp), %xmm15
    ldmxcsr 0xC0(%rsp)
    addq $0xD0, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rdi
    popq %rsi
    popq %rbx
    ret
    .seh_endproc

// Changes stacks. What it leaves on the old one is a _KSWITCH_FRAME (thread.cpp);
// KernelStack is at offset 0x38.
    .def SwapContext; .scl 3; .type 32; .endef
    .seh_proc SwapContext
SwapContext:
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
    .globl KiThreadStartup
    .def KiThreadStartup; .scl 2; .type 32; .endef
    .seh_proc KiThreadStartup
KiThreadStartup:
    subq $0x20, %rsp                    // RSP was a multiple of 16
    .seh_stackalloc 0x20
    .seh_endprologue
    ldmxcsr %gs:0x180
    call KiThreadMain
    int3
    .seh_endproc

// void RtlCaptureContext(PCONTEXT context /*rcx*/): the caller's, as it is after the call.
    .globl RtlCaptureContext
    .def RtlCaptureContext; .scl 2; .type 32; .endef
    .seh_proc RtlCaptureContext
RtlCaptureContext:
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
