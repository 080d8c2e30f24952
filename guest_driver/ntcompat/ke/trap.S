// SPDX-License-Identifier: MIT
//
// Vector stubs, the common trap entry with unwind data (so that stack traces
// go through interrupts), and the context switch.

    .text

// 256 stubs of 16 bytes: [error code,] vector, jump.
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
    jmp KiTrapCommon
    .set vector, vector + 1
    .endr

    .globl KiTrapCommon
    .def KiTrapCommon; .scl 2; .type 32; .endef
    .seh_proc KiTrapCommon
KiTrapCommon:
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
    call KiTrapDispatch
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

// void KiSwapContext(PKTHREAD from /*rcx*/, PKTHREAD to /*rdx*/): saves what
// the calling convention calls nonvolatile. KernelStack is at offset 0x18.
    .globl KiSwapContext
    .def KiSwapContext; .scl 2; .type 32; .endef
    .seh_proc KiSwapContext
KiSwapContext:
    pushq %rbx
    .seh_pushreg %rbx
    pushq %rbp
    .seh_pushreg %rbp
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
    subq $0xB8, %rsp
    .seh_stackalloc 0xB8
    .seh_endprologue
    movaps %xmm6, 0x00(%rsp)
    movaps %xmm7, 0x10(%rsp)
    movaps %xmm8, 0x20(%rsp)
    movaps %xmm9, 0x30(%rsp)
    movaps %xmm10, 0x40(%rsp)
    movaps %xmm11, 0x50(%rsp)
    movaps %xmm12, 0x60(%rsp)
    movaps %xmm13, 0x70(%rsp)
    movaps %xmm14, 0x80(%rsp)
    movaps %xmm15, 0x90(%rsp)
    stmxcsr 0xA0(%rsp)
    movq %rsp, 0x18(%rcx)
    movq 0x18(%rdx), %rsp
    movaps 0x00(%rsp), %xmm6
    movaps 0x10(%rsp), %xmm7
    movaps 0x20(%rsp), %xmm8
    movaps 0x30(%rsp), %xmm9
    movaps 0x40(%rsp), %xmm10
    movaps 0x50(%rsp), %xmm11
    movaps 0x60(%rsp), %xmm12
    movaps 0x70(%rsp), %xmm13
    movaps 0x80(%rsp), %xmm14
    movaps 0x90(%rsp), %xmm15
    ldmxcsr 0xA0(%rsp)
    addq $0xB8, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rdi
    popq %rsi
    popq %rbp
    popq %rbx
    ret
    .seh_endproc

// First instructions of a new thread: KiSwapContext returns here. The stack is
// empty, which ends stack traces.
    .globl KiThreadStartup
    .def KiThreadStartup; .scl 2; .type 32; .endef
    .seh_proc KiThreadStartup
KiThreadStartup:
    subq $0x20, %rsp                    // RSP was a multiple of 16
    .seh_stackalloc 0x20
    .seh_endprologue
    call KiThreadMain
    int3
    .seh_endproc
