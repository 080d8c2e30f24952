// SPDX-License-Identifier: MIT
//
// The first 4 KiB of the file, as the Linux/x86 boot protocol wants them: setup
// header and real-mode code. Every machine type of QEMU loads such a file with
// -kernel and hands over archive and command line untouched. (PVH came with the
// types of 4.0; multiboot splits the archive's path at blanks and commas and puts
// the kernel's path into the command line.)
//
// The loader puts this block anywhere below 1 MiB, the image behind it to 1 MiB,
// and jumps to offset 0x200 with DS = SS = the block's segment. The code asks the
// BIOS for the memory map, writes it where the protocol's 32-bit entry has it,
// and enters LoaderEntry in protected mode with ESI = the block's address.

    .set SETUP_BLOCK, 0x10000           // where boot.ld links this block
    .set SETUP_SECTORS, 7               // of 512 bytes, behind the first
    .set PROTOCOL, 0x0206
    .set LOADED_HIGH, 1
    .set ARCHIVE_HIGHEST, 0x7FFFFFFF
    .set COMMAND_LINE_SIZE, 1023        // NTC_LOADER_BLOCK.command_line

    .set MAP_COUNT, 0x1E8               // boot_params.e820_entries (a byte)
    .set MAP_ENTRIES, 0x2D0             // boot_params.e820_table
    .set MAP_ENTRY_BYTES, 20
    .set MAP_MOST, 128
    .set SMAP, 0x534D4150

    .section .setup, "awx"              // linked at SETUP_BLOCK + 0x1F1
    .byte SETUP_SECTORS
    .word 0                             // root_flags
    .long LoaderParagraphs              // syssize
    .word 0, 0xFFFF, 0                  // ram_size, vid_mode, root_dev
    .word 0xAA55                        // boot_flag
    .byte 0xEB, SetupEntry - . - 1      // 0x200: jump
    .ascii "HdrS"
    .word PROTOCOL
    .long 0                             // realmode_swtch
    .word 0, 0                          // start_sys_seg, kernel_version
    .byte 0                             // type_of_loader
    .byte LOADED_HIGH                   // loadflags
    .word 0                             // setup_move_size
    .long LoaderEntry                   // code32_start
    .long 0, 0                          // 0x218: ramdisk_image, ramdisk_size
    .long 0                             // bootsect_kludge
    .word 0                             // heap_end_ptr
    .byte 0, 0                          // ext_loader_ver, ext_loader_type
    .long 0                             // 0x228: cmd_line_ptr
    .long ARCHIVE_HIGHEST               // initrd_addr_max
    .long 0x1000                        // kernel_alignment
    .byte 0, 0                          // relocatable_kernel, min_alignment
    .word 0                             // xloadflags
    .long COMMAND_LINE_SIZE

    .code16
SetupEntry:
    jmp SetupCode

    // Behind the memory map's place.
    .section .setup.code, "awx"
SetupCode:
    cld
    movw %ds, %ax
    movw %ax, %es
    movw $MAP_ENTRIES, %di
    xorl %ebx, %ebx
    xorw %si, %si
1:  movl $0xE820, %eax
    movl $SMAP, %edx
    movl $MAP_ENTRY_BYTES, %ecx
    int $0x15
    jc 2f                               // some BIOSes end the list so
    cmpl $SMAP, %eax
    jne 2f
    addw $MAP_ENTRY_BYTES, %di
    incw %si
    cmpw $MAP_MOST, %si
    jae 2f
    testl %ebx, %ebx
    jnz 1b
2:  movw %si, %ax
    movb %al, MAP_COUNT

    cli
    movw %ds, %ax
    movzwl %ax, %esi
    shll $4, %esi
    leal (SetupGdt - SETUP_BLOCK)(%esi), %eax
    movl %eax, SetupGdtPointer - SETUP_BLOCK + 2
    lgdtl SetupGdtPointer - SETUP_BLOCK
    movl %cr0, %eax
    orb $1, %al
    movl %eax, %cr0
    ljmpl $0x10, $LoaderEntry

    .balign 8
SetupGdt:                               // selectors as the 32-bit entry has them
    .quad 0, 0
    .quad 0x00CF9A000000FFFF            // 0x10: code, 32 bit
    .quad 0x00CF92000000FFFF            // 0x18: data
SetupGdtPointer:
    .word . - SetupGdt - 1
    .long 0
