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

// Instructions that the processor may refuse: then the trap handler finds them in KdpFixups
// and goes to KdpRefused. All return a status.
    .macro MAY_FAULT
    .section .rdata,"dr"
    .quad 9f, KdpRefused
    .text
9:
    .endm

    .section .rdata,"dr"
    .p2align 4
    .globl KdpFixups
KdpFixups:
    .text

// uint32_t KdpReadMsr(uint32_t number /*ecx*/, uint64_t *value /*rdx*/)
    FUNCTION KdpReadMsr
    movq %rdx, %r8
    MAY_FAULT
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
    MAY_FAULT
    wrmsr
    xorl %eax, %eax
    ret

// uint32_t KdpWriteCr0(uint64_t value /*rcx*/) and so on
    .irp n, 0, 3, 4
    FUNCTION KdpWriteCr\n
    MAY_FAULT
    movq %rcx, %cr\n
    xorl %eax, %eax
    ret
    .endr

// uint32_t KdpLoadGdt(const USHORT *limit_and_base /*rcx*/), KdpLoadIdt
    .irp table, g, i
    .ifc \table,g
    FUNCTION KdpLoadGdt
    .else
    FUNCTION KdpLoadIdt
    .endif
    MAY_FAULT
    l\table\()dt (%rcx)
    xorl %eax, %eax
    ret
    .endr

// uint32_t KdpLoadTask(USHORT selector /*cx*/)
    FUNCTION KdpLoadTask
    MAY_FAULT
    ltrw %cx
    xorl %eax, %eax
    ret

// uint32_t KdpLoadLocalTable(USHORT selector /*cx*/)
    FUNCTION KdpLoadLocalTable
    MAY_FAULT
    lldtw %cx
    xorl %eax, %eax
    ret

    .p2align 4
KdpRefused:
    movl $0xC000000E, %eax              // STATUS_NO_SUCH_DEVICE
    ret

    .section .rdata,"dr"
    .quad 0, 0                          // the end of KdpFixups
    .text

    .section .drectve,"yn"
    .ascii " -export:DbgBreakPoint -export:DbgBreakPointWithStatus"
