// SPDX-License-Identifier: MIT
//
// Stack walks by x64 unwind data (Microsoft: "x64 exception handling"). Used
// where memory may be damaged, so every address is checked to be mapped.
#include "kdp.h"

#include "ldr/ldrp.h"
#include "ldr/pe.h"

extern "C" {

enum {
    UWOP_PUSH_NONVOL,
    UWOP_ALLOC_LARGE,
    UWOP_ALLOC_SMALL,
    UWOP_SET_FPREG,
    UWOP_SAVE_NONVOL,
    UWOP_SAVE_NONVOL_FAR,
    UWOP_SAVE_XMM128 = 8,
    UWOP_SAVE_XMM128_FAR,
    UWOP_PUSH_MACHFRAME
};
enum { UNWIND_CHAINED = 4, KD_RSP = 4 };

struct KD_UNWIND_INFO {
    UCHAR version_flags;
    UCHAR prolog_size;
    UCHAR code_count;
    UCHAR frame_register; // low four bits: register, high: offset / 16
    USHORT codes[1];
};

static bool KdRead(uint64_t address, uint64_t *value) {
    if (address % 8 != 0 || MiPhysicalAddress(address) == 0)
        return false;
    *value = *(const uint64_t *)address;
    return true;
}

// Slots that an operation takes in the array of codes; 0: unknown.
static int KdSlots(USHORT code) {
    UCHAR operation = (code >> 8) & 15, info = (UCHAR)(code >> 12);
    switch (operation) {
    case UWOP_ALLOC_LARGE:
        return info == 0 ? 2 : 3;
    case UWOP_SAVE_NONVOL:
    case UWOP_SAVE_XMM128:
        return 2;
    case UWOP_SAVE_NONVOL_FAR:
    case UWOP_SAVE_XMM128_FAR:
        return 3;
    case UWOP_PUSH_NONVOL:
    case UWOP_ALLOC_SMALL:
    case UWOP_SET_FPREG:
    case UWOP_PUSH_MACHFRAME:
        return 1;
    default:
        return 0;
    }
}

static uint64_t KdOperand(const USHORT *code, int slots) {
    return slots == 3 ? code[1] | (uint64_t)code[2] << 16 : code[1];
}

// Undoes one prolog operation. *done: the return address is already in Rip.
static bool KdUndo(KD_FRAME *f, const KD_UNWIND_INFO *info, const USHORT *code, bool *done) {
    UCHAR operation = (*code >> 8) & 15, argument = (UCHAR)(*code >> 12);
    uint64_t *rsp = &f->Registers[KD_RSP], at;
    int slots = KdSlots(*code);
    switch (operation) {
    case UWOP_PUSH_NONVOL:
        if (!KdRead(*rsp, &f->Registers[argument]))
            return false;
        if (argument != KD_RSP)
            *rsp += 8;
        return true;
    case UWOP_ALLOC_LARGE:
        *rsp += argument == 0 ? KdOperand(code, slots) * 8 : KdOperand(code, slots);
        return true;
    case UWOP_ALLOC_SMALL:
        *rsp += (uint64_t)argument * 8 + 8;
        return true;
    case UWOP_SET_FPREG:
        *rsp = f->Registers[info->frame_register & 15] - (uint64_t)(info->frame_register >> 4) * 16;
        return true;
    case UWOP_SAVE_NONVOL:
    case UWOP_SAVE_NONVOL_FAR:
        return KdRead(*rsp + KdOperand(code, slots) * (slots == 2 ? 8 : 1),
                      &f->Registers[argument]);
    case UWOP_PUSH_MACHFRAME:
        at = *rsp + (argument ? 8 : 0);
        if (!KdRead(at, &f->Rip) || !KdRead(at + 24, rsp))
            return false;
        *done = true;
        return true;
    default: // vector registers do not matter to the walk
        return true;
    }
}

static bool KdUndoProlog(KD_FRAME *f, uint64_t base, const LDR_FUNCTION *function, bool *done) {
    uint64_t offset = f->Rip - base - function->begin;
    for (int chain = 0; chain < 32; chain++) {
        const KD_UNWIND_INFO *info = (const KD_UNWIND_INFO *)(base + function->unwind);
        if (MiPhysicalAddress((uint64_t)info) == 0)
            return false;
        for (int i = 0; i < info->code_count;) {
            int slots = KdSlots(info->codes[i]);
            if (slots == 0)
                return false;
            // Operations of the prolog that have not run yet are not undone.
            bool ran = chain > 0 || (info->codes[i] & 0xFF) <= offset;
            if (ran && !KdUndo(f, info, &info->codes[i], done))
                return false;
            i += slots;
        }
        if (!((info->version_flags >> 3) & UNWIND_CHAINED))
            return true;
        int count = (info->code_count + 1) & ~1;
        function = (const LDR_FUNCTION *)&info->codes[count];
    }
    return false;
}

bool KdUnwind(KD_FRAME *f) {
    uint64_t base;
    const LDR_FUNCTION *function = LdrFindFunction(f->Exact ? f->Rip : f->Rip - 1, &base);
    bool done = false;
    f->Registers[KD_RSP] = f->Rsp;
    if (function && !KdUndoProlog(f, base, function, &done))
        return false;
    // A function without unwind data is a leaf: RSP is at its return address.
    if (!done) {
        if (!KdRead(f->Registers[KD_RSP], &f->Rip))
            return false;
        f->Registers[KD_RSP] += 8;
    }
    f->Exact = done;
    bool deeper = f->Registers[KD_RSP] > f->Rsp || done;
    f->Rsp = f->Registers[KD_RSP];
    return deeper;
}

} // extern "C"
