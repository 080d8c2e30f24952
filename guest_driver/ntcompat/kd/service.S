// SPDX-License-Identifier: MIT
//
// Break instructions that debuggers know by name, and instructions that may fault.

    .text

    .macro FUNCTION name
    .globl \name
    .def \name; .scl 2; .type 32; .endef
    .p2align 4
\name:
    .endm

// void DbgBreakPoint(void)
    FUNCTION DbgBreakPoint
    int3
    ret

// void DbgBreakPointWithStatus(ULONG status /*ecx*/): the debugger looks the status up in
// RCX when it stops at this very instruction.
    FUNCTION DbgBreakPointWithStatus
    .globl RtlpBreakWithStatusInstruction
RtlpBreakWithStatusInstruction:
    int3
    ret

// void KdpService(ULONG service /*ecx*/, const void *argument /*rdx*/)
    FUNCTION KdpService
    int $0x2D
    ret

// uint32_t KdpReadMsr(uint32_t number /*ecx*/, uint64_t *value /*rdx*/): a status. The trap
// handler goes to KdpMsrFails when the instruction faults.
    FUNCTION KdpReadMsr
    movq %rdx, %r8
    .globl KdpMsrReads
KdpMsrReads:
    rdmsr
    shlq $32, %rdx
    orq %rdx, %rax
    movq %rax, (%r8)
    xorl %eax, %eax
    ret

// uint32_t KdpWriteMsr(uint32_t number /*ecx*/, uint64_t value /*rdx*/)
    FUNCTION KdpWriteMsr
    movl %edx, %eax
    shrq $32, %rdx
    .globl KdpMsrWrites
KdpMsrWrites:
    wrmsr
    xorl %eax, %eax
    ret

    .globl KdpMsrFails
KdpMsrFails:
    movl $0xC0000001, %eax              // STATUS_UNSUCCESSFUL
    ret

    .section .drectve,"yn"
    .ascii " -export:DbgBreakPoint -export:DbgBreakPointWithStatus"
