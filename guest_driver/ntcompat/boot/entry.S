// SPDX-License-Identifier: MIT
//
// Entered in 32-bit protected mode with flat segments, paging off, ESI = the
// physical address of the boot parameters (setup.S). Goes to long mode with the
// first 4 GiB identity-mapped and calls LoaderMain.

    .set CR0_LONG, 0x80010033           // PG WP NE ET MP PE
    .set CR4_LONG, 0x6A0                // PAE PGE OSFXSR OSXMMEXCPT
    .set EFER_LONG, 0x900               // LME NXE
    .set PDE_LARGE_RW, 0x83

    .section .text.entry, "ax"
    .code32
    .globl LoaderEntry
LoaderEntry:
    cli
    cld
    movw $0x18, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movl $LoaderStackTop, %esp
    // Not left to whoever loaded us: after a machine reset the image is copied
    // again, but what stands behind its data is not cleared.
    movl $LoaderBss, %edi
    movl $LoaderEnd, %ecx
    subl %edi, %ecx
    shrl $2, %ecx
    xorl %eax, %eax
    rep stosl
    // Identity map: four page directories of 2 MiB pages.
    movl $IdentityDirectories, %edi
    movl $PDE_LARGE_RW, %eax
    xorl %ecx, %ecx
1:  movl %eax, (%edi,%ecx,8)
    movl $0, 4(%edi,%ecx,8)
    addl $0x200000, %eax
    incl %ecx
    cmpl $2048, %ecx
    jne 1b
    movl $IdentityDirectories + 3, %eax
    movl $IdentityPointers, %edi
    xorl %ecx, %ecx
2:  movl %eax, (%edi,%ecx,8)
    addl $0x1000, %eax
    incl %ecx
    cmpl $4, %ecx
    jne 2b
    movl $IdentityPointers + 3, LoaderRoot

    movl $CR4_LONG, %eax
    movl %eax, %cr4
    movl $LoaderRoot, %eax
    movl %eax, %cr3
    movl $0xC0000080, %ecx              // EFER
    rdmsr
    orl $EFER_LONG, %eax
    wrmsr
    movl $CR0_LONG, %eax
    movl %eax, %cr0
    lgdt LoaderGdtPointer
    ljmp $0x10, $LongMode

    .code64
LongMode:
    movw $0x18, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    xorl %eax, %eax
    movw %ax, %fs
    movw %ax, %gs
    movl %esi, %edi
    call LoaderMain
3:  hlt
    jmp 3b

// void LoaderEnterKernel(entry /*rdi*/, block /*rsi*/, stack /*rdx*/): the
// kernel has Windows' calling convention.
    .globl LoaderEnterKernel
LoaderEnterKernel:
    movq %rdx, %rsp
    subq $0x28, %rsp
    movq %rsi, %rcx
    xorl %ebp, %ebp
    jmp *%rdi

    .section .rodata
    .align 8
LoaderGdt:
    .quad 0, 0
    .quad 0x00209A0000000000            // 0x10: code, 64 bit
    .quad 0x0000920000000000            // 0x18: data
LoaderGdtPointer:
    .word . - LoaderGdt - 1
    .long LoaderGdt

    .section .bss
    .align 4096
    .globl LoaderRoot
LoaderRoot:
    .skip 4096
IdentityPointers:
    .skip 4096
IdentityDirectories:
    .skip 4 * 4096
    .skip 16384
LoaderStackTop:
