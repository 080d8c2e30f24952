// SPDX-License-Identifier: MIT
//
// The boot sector of a disk that takes updates as a Windows 7 with our agent does, as far as the rig
// can see: with the update disc in a drive it writes to its disk (sector MARK), says the phases on
// COM1 and turns the machine off; without it starts what the disk had before (sector CHAIN), and
// says first whether it was updated. `fault`, the byte behind the mark "FAULT=":
//   '-' none   'f' a step fails   'o' an agent that is older than updates: it serves COM1
    .code16
    .globl _start
    .set MARK, 40
    .set CHAIN, 41
    .set BUFFER, 0x9000
    .set COM1, 0x3F8
    .set CD_FIRST, 0xE0
    .set CD_LAST, 0xE3

    .section .text, "ax"
_start:                                 // linked to 0x600, where it goes first
    cli
    xorw %ax, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movw $0x7C00, %sp
    sti
    cld
    movw $0x7C00, %si
    movw $0x600, %di
    movw $256, %cx
    rep movsw
    ljmp $0, $begin
begin:
    movb %dl, disk
    movb $CD_FIRST, %dl
next_cd:
    movl $16, packet_block              // ECMA-119: the primary volume descriptor
    movb $0x42, %ah
    call disk_io
    jc 1f
    movw $(BUFFER + 40), %si
    movw $volume, %di
    movw $volume_size, %cx
    repe cmpsb
    je found
1:  incb %dl
    cmpb $CD_LAST, %dl
    jbe next_cd

    movl $MARK, packet_block
    call read_disk
    cmpb $1, BUFFER
    jne 1f
    movw $updated, %si
    call say
1:  movl $CHAIN, packet_block
    movw $0x7C00, packet_to
    call read_disk
    movb disk, %dl
    ljmp $0, $0x7C00

found:
    movw $agent, %si
    cmpb $'o', fault
    je stay
    movw $update, %si
    call say
    movw $failed, %si
    cmpb $'f', fault
    je stay
    movl $MARK, packet_block
    movb $1, BUFFER
    movb disk, %dl
    movb $0x43, %ah
    call disk_io
    movw $done, %si
    call say
    movw $0x2000, %ax                   // the i440FX's power management: S5
    movw $0x604, %dx
    outw %ax, %dx
1:  hlt
    jmp 1b
stay:
    call say
    jmp 1b

read_disk:
    movb disk, %dl
    movb $0x42, %ah
disk_io:
    movb $0, %al
    movw $packet, %si
    int $0x13
    ret

say:
    lodsb
    testb %al, %al
    jz 2f
    movb %al, %ah
    movw $(COM1 + 5), %dx
1:  inb %dx, %al
    testb $0x20, %al
    jz 1b
    movb %ah, %al
    movw $COM1, %dx
    outb %al, %dx
    jmp say
2:  ret

packet:
    .byte 16, 0
    .word 1
packet_to:
    .word BUFFER, 0
packet_block:
    .long 0, 0
disk:
    .byte 0
    .ascii "FAULT="
fault:
    .byte '-'
volume:
    .ascii "VQ7_UPDATE"
    .set volume_size, . - volume
update:
    .asciz "vq7-setup phase=update\r\nvq7-setup step=driver\r\n"
done:
    .asciz "vq7-setup phase=done\r\n"
failed:
    .asciz "vq7-setup failed step=driver code=5\r\n"
agent:
    .asciz "vq7agent 1 windows x64, 1 device\r\n"
updated:
    .asciz "updated\r\n"
    .org 510
    .word 0xAA55
