# SPDX-License-Identifier: MIT
# A boot sector for the firmware's own virtio-blk driver: reads SECTORS sectors from sector
# 1 on by INT 13h, writes them from sector TARGET on, reads those, and says on the debug port
# (0xE9) the sum of the words of each. Real mode, at 0x7C00.
        .code16
        .set SECTORS, 64
        .set TARGET, 1000
        .globl _start
_start:
        ljmp    $0, $begin
begin:
        xorw    %ax, %ax
        movw    %ax, %ds
        movw    %ax, %ss
        movw    $0x7C00, %sp
        movb    %dl, drive

        movb    $0x42, %ah
        call    disk
        call    say_sum
        movw    $TARGET, packet + 8
        movb    $0x43, %ah
        call    disk
        call    clear
        movb    $0x42, %ah
        call    disk
        call    say_sum
        movw    $done, %si
        call    say
halt:   cli
        hlt
        jmp     halt

# Extended read (AH 0x42) or write (0x43) of what the packet says.
disk:   xorb    %al, %al
        movb    drive, %dl
        movw    $packet, %si
        int     $0x13
        jc      bad
        ret
bad:    movw    $failed, %si
        call    say
        jmp     halt

clear:  movw    packet + 6, %es
        xorw    %di, %di
        xorw    %ax, %ax
        movw    $SECTORS * 256, %cx
        cld
        rep stosw
        ret

say_sum:
        movw    packet + 6, %es
        xorw    %di, %di
        xorw    %bx, %bx
        movw    $SECTORS * 256, %cx
1:      addw    %es:(%di), %bx
        addw    $2, %di
        loop    1b
        movw    $sum, %si
        call    say
        movw    $4, %cx
2:      rolw    $4, %bx
        movw    %bx, %ax
        andb    $15, %al
        cmpb    $10, %al
        jb      3f
        addb    $'a' - '0' - 10, %al
3:      addb    $'0', %al
        outb    %al, $0xE9
        loop    2b
        movb    $'\n', %al
        outb    %al, $0xE9
        ret

say:    lodsb
        testb   %al, %al
        jz      4f
        outb    %al, $0xE9
        jmp     say
4:      ret

sum:    .asciz  "sum "
done:   .asciz  "done\n"
failed: .asciz  "INT 13h failed\n"
drive:  .byte   0
        .balign 4
packet: .byte   16, 0
        .word   SECTORS
        .word   0, 0x1000       # offset, segment
        .quad   1               # sector

        .org    510
        .byte   0x55, 0xAA
