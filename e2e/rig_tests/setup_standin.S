// SPDX-License-Identifier: MIT
//
// Behaves like Windows' Setup as far as the rig can see: booted from the ISO it looks for the
// answer disk among the CDs, reads Autounattend.xml, writes to the disk and restarts the
// machine; from the disk it goes through the phases, restarts once more, and turns the machine
// off. `fault` (the byte behind the mark "FAULT=") makes it fail in one way:
//   '-' none   's' says nothing on COM1   'h' hangs in its first phase   'r' restarts for ever
//   'f' a step of the first logon fails   'o' turns the machine off too early
//   'g' hangs in the phase specialize     'l' hangs in the first logon
//   'n' finds no answer file    'e' hasn't the image that is asked for: only number 1
//   'd' finds the disk too small, wanting 1 TiB   'b' its screen is black, and it hangs
// Where Windows' Setup would ask something on its screen it says so there, and waits.
// Real mode, 2048 bytes from the CD; its first 512 become the disk's boot sector.
    .code16
    .globl _start
    .set BUFFER, 0x9000                 // one sector of a CD
    .set STATE, 0x8800                  // the disk's second sector: which start it is
    .set COM1, 0x3F8
    .set CD_FIRST, 0xE0                 // the BIOS's numbers of CDs
    .set CD_LAST, 0xE3

    .section .text, "ax"
_start:
    cli
    xorw %ax, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movw $0x7C00, %sp
    sti
    cld
    ljmp $0, $begin
begin:
    cmpb $0x80, %dl
    je from_disk
    jmp from_cd

// SI: text that ends with 0.
say:
    cmpb $'s', fault
    je 3f
1:  lodsb
    testb %al, %al
    jz 3f
    movb %al, %ah
    movw $(COM1 + 5), %dx
2:  inb %dx, %al
    testb $0x20, %al
    jz 2b
    movb %ah, %al
    movw $COM1, %dx
    outb %al, %dx
    jmp 1b
3:  ret

// AH: 0x42 read, 0x43 write; DL: drive; `packet` says what.
disk_io:
    movw $packet, %si
    int $0x13
    ret

hang:
    hlt
    jmp hang

restart:
    movb $6, %al
    movw $0xCF9, %dx
    outb %al, %dx
    jmp hang

// The i440FX's power management, at SeaBIOS's address: S5.
power_off:
    movw $0x2000, %ax
    movw $0x604, %dx
    outw %ax, %dx
    jmp hang

from_disk:
    movw $STATE, packet_to
    movl $1, packet_block
    movw $0x4200, %ax
    movb $0x80, %dl
    call disk_io
    incb STATE
    movw $0x4300, %ax
    movb $0x80, %dl
    call disk_io
    movw $specialize, %si
    cmpb $'r', fault
    je 1f
    cmpb $1, STATE
    je 1f
    jmp first_logon
1:  call say
    cmpb $'g', fault
    je hang
    jmp restart

first_logon:
    movw $firstlogon, %si
    call say
    cmpb $'f', fault
    je 1f
    cmpb $'o', fault
    je power_off
    cmpb $'l', fault
    je hang
    movw $done, %si
    call say
    jmp power_off
1:  movw $failed, %si
    call say
    jmp hang

packet:
    .byte 16, 0
    .word 1
packet_to:
    .word 0, 0
packet_block:
    .long 0, 0
    .ascii "FAULT="
fault:
    .byte '-'
specialize:
    .asciz "vq7-setup phase=specialize\r\n"
firstlogon:
    .asciz "vq7-setup phase=firstlogon\r\nvq7-setup step=driver\r\n"
failed:
    .asciz "vq7-setup failed step=driver code=5\r\n"
done:
    .asciz "vq7-setup phase=done\r\n"

    .org 510
    .word 0xAA55

// ---- from the CD ------------------------------------------------------------------------

from_cd:
    movw $0x0003, %ax                   // the screen: text, or graphics without a dot
    cmpb $'b', fault
    jne 1f
    movb $0x13, %al
    int $0x10
    jmp hang
1:  int $0x10
    movw $BUFFER, packet_to
    movb $CD_FIRST, drive
next_cd:
    movl $16, packet_block              // ECMA-119: the primary volume descriptor
    call read_cd
    jc 1f
    movw $(BUFFER + 40), %si            // its volume identifier
    movw $answer, %di
    movw $answer_size, %cx
    repe cmpsb
    je found_cd
1:  incb drive
    cmpb $CD_LAST, drive
    jbe next_cd
    jmp no_answer                       // as Setup: it asks on its screen, and says nothing

read_cd:
    movw $0x4200, %ax
    movb drive, %dl
    jmp disk_io

found_cd:
    movl BUFFER + 158, %eax             // the root folder's extent
    movl %eax, packet_block
    call read_cd
    jc no_answer
    movw $BUFFER, %bx
1:  movzbw (%bx), %cx                   // length of this entry
    testw %cx, %cx
    jz no_answer
    leaw 33(%bx), %si
    movw $file, %di
    pushw %cx
    movw $file_size, %cx
    repe cmpsb
    popw %cx
    je found_file
    addw %cx, %bx
    jmp 1b

// Look for the value of /IMAGE/INDEX in the file, sector by sector.
found_file:
    cmpb $'n', fault
    je no_answer
    movl 2(%bx), %eax
    movl %eax, packet_block
    movw $3, sectors
1:  call read_cd
    jc no_answer
    movw $BUFFER, %bx
2:  movw %bx, %si
    movw $key, %di
    movw $key_size, %cx
    repe cmpsb
    je found_key
    incw %bx
    cmpw $(BUFFER + 2048 - 64), %bx
    jb 2b
    incl packet_block
    decw sectors
    jnz 1b
    jmp no_answer

// The digit behind the next '>' whose next character is one.
found_key:
1:  lodsb
    cmpb $'>', %al
    jne 1b
    movb (%si), %al
    subb $'0', %al
    cmpb $9, %al
    ja 1b
    movb (%si), %al
    movb %al, index
    movw $windowspe, %si
    call say
    cmpb $'h', fault
    je hang
    cmpb $'e', fault
    jne 1f
    cmpb $'1', index
    jne no_image
1:  cmpb $'d', fault
    je small_disk

// "Formats" the disk: this program becomes its boot sector, and its next start is the first.
    movb $0, STATE
    movl $0, packet_block
    movw $0x7C00, packet_to
    movw $0x4300, %ax
    movb $0x80, %dl
    call disk_io
    jc no_disk
    movl $1, packet_block
    movw $STATE, packet_to
    movw $0x4300, %ax
    movb $0x80, %dl
    call disk_io
    jc no_disk
    jmp restart

// Drive parameters: the number of sectors, against that of 1 TiB.
small_disk:
    movw $0x4800, %ax
    movb $0x80, %dl
    movw $BUFFER, %si
    movw $30, (%si)
    int $0x13
    jc no_disk
    cmpl $0, BUFFER + 20
    jne restart
    cmpl $0x80000000, BUFFER + 16
    jae restart
no_disk:
    movw $disk_text, %si
    jmp ask
no_image:
    movw $image_text, %si
    jmp ask
no_answer:
    movw $answer_text, %si
ask:
    lodsb
    testb %al, %al
    jz hang
    movb $0x0E, %ah
    movw $7, %bx
    int $0x10
    jmp ask

answer_text:
    .asciz "Language to install: English"
image_text:
    .asciz "Windows cannot find the image that the answer file names"
disk_text:
    .asciz "Windows is unable to install to the selected location"

drive:
    .byte 0
sectors:
    .word 0
answer:
    .ascii "VQ7_ANSWER"
    .set answer_size, . - answer
file:
    .ascii "AUTOUNAT.XML"
    .set file_size, . - file
key:
    .ascii "/IMAGE/INDEX"
    .set key_size, . - key
windowspe:
    .ascii "stand-in: image "
index:
    .asciz "?\r\nvq7-setup phase=windowspe\r\n"

    .org 2048
