// SPDX-License-Identifier: MIT
//
// Reads of a device's registers that give another value than the device (pnp/liar.cpp says
// which). Memory: the page isn't there, the instruction is let through alone, and the
// register that it has filled is changed. Ports: the processor stops behind an IN or OUT
// that a debug register names (I/O breakpoints, Intel SDM volume 3, 17.2.4).
#include "ki.h"
#include "liar.h"

extern "C" {

enum {
    KI_FLAG_TRAP = 0x100,
    KI_FLAG_INTERRUPTS = 0x200,
    KI_CR4_DEBUG_EXTENSIONS = 8,
    KI_PORTS = 4
};

// What an instruction moves between device memory and a register.
struct KI_MOVE {
    bool read;
    bool whole;       // the rest of the register becomes 0
    UCHAR width;      // in memory
    UCHAR shift;      // where in the register: 8 for AH and the like
    uint64_t *target; // null: none
};

// The instruction that is let through; address 0: none. One processor, interrupts disabled.
static struct {
    uint64_t address, physical;
    bool interrupts;
    KI_MOVE move;
} KiLied;

static USHORT KiLiedPorts[KI_PORTS];
static ULONG KiLiedPortCount;

static uint64_t *KiRegister(KI_TRAP_FRAME *f, unsigned number) {
    uint64_t *const all[16] = {&f->Rax, &f->Rcx, &f->Rdx, &f->Rbx, &f->Rsp, &f->Rbp,
                               &f->Rsi, &f->Rdi, &f->R8,  &f->R9,  &f->R10, &f->R11,
                               &f->R12, &f->R13, &f->R14, &f->R15};
    return all[number & 15];
}

// MOV and MOVZX in their common encodings: what READ_REGISTER_xxx and WRITE_REGISTER_xxx are.
static KI_MOVE KiDecodeMove(KI_TRAP_FRAME *frame) {
    const UCHAR *at = (const UCHAR *)frame->Rip;
    bool narrow = false;
    UCHAR rex = 0;
    if (*at == 0x66) {
        narrow = true;
        at++;
    }
    if ((*at & 0xF0) == 0x40)
        rex = *at++;
    const UCHAR size = rex & 8 ? 8 : narrow ? 2 : 4;
    const bool extends = *at == 0x0F && (at[1] == 0xB6 || at[1] == 0xB7);
    const UCHAR opcode = extends ? at[1] : at[0];
    const unsigned number = ((at[extends ? 2 : 1] >> 3) & 7) | (rex & 4 ? 8 : 0);
    uint64_t *target = KiRegister(frame, number);
    if (extends)
        return {true, !narrow, (UCHAR)(opcode == 0xB6 ? 1 : 2), 0, target};
    switch (opcode) {
    case 0x8A:
        if (!rex && number >= 4) // AH, CH, DH, BH
            return {true, false, 1, 8, KiRegister(frame, number - 4)};
        return {true, false, 1, 0, target};
    case 0x8B:
        return {true, size >= 4, size, 0, target};
    case 0x88:
    case 0x89:
    case 0xC6:
    case 0xC7:
        return {false, false, 0, 0, nullptr};
    default:
        KdUnimplemented("an access to watched device memory by another instruction than MOV");
    }
}

static void KiSetMoved(const KI_MOVE *move, uint64_t value) {
    const uint64_t mask = (move->width == 8 ? ~0ull : (1ull << 8 * move->width) - 1);
    if (move->whole)
        *move->target = value & mask;
    else
        *move->target = (*move->target & ~(mask << move->shift)) | (value & mask) << move->shift;
}

bool KiBeginLiedAccess(KI_TRAP_FRAME *frame) {
    const uint64_t address = __readcr2();
    uint64_t physical;
    if ((frame->ErrorCode & 1) || !MiIsWatched(address, &physical))
        return false;
    if (KiLied.address)
        KdUnimplemented("one instruction that touches two watched pages");
    KiLied.address = address;
    KiLied.physical = physical;
    KiLied.interrupts = (frame->Rflags & KI_FLAG_INTERRUPTS) != 0;
    KiLied.move = KiDecodeMove(frame);
    frame->Rflags = (frame->Rflags & ~(uint64_t)KI_FLAG_INTERRUPTS) | KI_FLAG_TRAP;
    MiBeginWatchedAccess(address);
    return true;
}

static bool KiEndLiedAccess(KI_TRAP_FRAME *frame) {
    if (!KiLied.address)
        return false;
    MiEndWatchedAccess(KiLied.address);
    KiLied.address = 0;
    frame->Rflags &= ~(uint64_t)KI_FLAG_TRAP;
    if (KiLied.interrupts)
        frame->Rflags |= KI_FLAG_INTERRUPTS;
    const KI_MOVE *move = &KiLied.move;
    if (move->read) {
        // In the frame of this trap; it lies where that of the fault lay, or elsewhere.
        uint64_t truth = *move->target >> move->shift;
        KiSetMoved(move, PnpLieAboutMemory(KiLied.physical, move->width, truth));
    }
    return true;
}

// ---- ports -------------------------------------------------------------------------

#define KI_READ_DR(n)                                                                              \
    ([] {                                                                                          \
        uint64_t value;                                                                            \
        __asm__ volatile("movq %%db" #n ", %0" : "=r"(value));                                     \
        return value;                                                                              \
    }())
#define KI_WRITE_DR(n, value) __asm__ volatile("movq %0, %%db" #n : : "r"((uint64_t)(value)))

NTSTATUS KiWatchPort(USHORT port, ULONG width) {
    const ULONG i = KiLiedPortCount;
    if (i == KI_PORTS || (width != 1 && width != 2 && width != 4))
        return STATUS_INSUFFICIENT_RESOURCES;
    KiLiedPorts[i] = port;
    KiLiedPortCount++;
    switch (i) {
    case 0:
        KI_WRITE_DR(0, port);
        break;
    case 1:
        KI_WRITE_DR(1, port);
        break;
    case 2:
        KI_WRITE_DR(2, port);
        break;
    default:
        KI_WRITE_DR(3, port);
        break;
    }
    const uint64_t what = 2 | (uint64_t)(width - 1) << 2; // I/O; its length
    __writecr4(__readcr4() | KI_CR4_DEBUG_EXTENSIONS);
    KI_WRITE_DR(7, KI_READ_DR(7) | 2ull << 2 * i | what << (16 + 4 * i));
    return STATUS_SUCCESS;
}

void KiUnwatchPorts(void) {
    if (!KiLiedPortCount)
        return;
    KiLiedPortCount = 0;
    KI_WRITE_DR(7, 0x400);
}

// Behind the instruction, IN or OUT with the port in DX, whose bytes are before RIP.
static bool KiEndPortAccess(KI_TRAP_FRAME *frame) {
    const uint64_t hit = KI_READ_DR(6) & 15;
    if (!KiLiedPortCount || !hit)
        return false;
    KI_WRITE_DR(6, 0);
    // QEMU's emulation gives flags that are none here, NT among them. Code doesn't rely on
    // them behind an IN or OUT of a driver's, which runs with interrupts.
    frame->Rflags = KI_FLAG_INTERRUPTS | 2;
    const UCHAR *behind = (const UCHAR *)frame->Rip;
    ULONG width;
    if (behind[-1] == 0xEC)
        width = 1;
    else if (behind[-1] == 0xED)
        width = behind[-2] == 0x66 ? 2 : 4;
    else
        return true; // OUT
    const ULONG truth = (ULONG)frame->Rax;
    const ULONG told = PnpLieAboutPort((USHORT)frame->Rdx, width, truth);
    const uint64_t mask = (1ull << 8 * width) - 1;
    if (width == 4)
        frame->Rax = told;
    else
        frame->Rax = (frame->Rax & ~mask) | (told & mask);
    return true;
}

bool KiEndLie(KI_TRAP_FRAME *frame) {
    return KiEndLiedAccess(frame) || KiEndPortAccess(frame);
}

} // extern "C"
