// SPDX-License-Identifier: MIT
//
// The stopped processor's registers for the debugger. What it writes is loaded when the
// machine goes on.
#include "requests.h"

bool KdpContextSent;
uint64_t KdpSentDr[6];

namespace {

enum : uint64_t { CONTROL_PCR, CONTROL_PRCB, CONTROL_SPECIAL, CONTROL_THREAD };
enum : uint32_t {
    MSR_STAR = 0xC0000081,
    MSR_LSTAR = 0xC0000082,
    MSR_CSTAR = 0xC0000083,
    MSR_SYSCALL_MASK = 0xC0000084,
    MSR_GS_BASE = 0xC0000101,
    MSR_GS_SWAP = 0xC0000102
};

CONTEXT *Context() {
    return &KiPcr.Prcb.ProcessorState.ContextFrame;
}

_KSPECIAL_REGISTERS *Special() {
    return &KiPcr.Prcb.ProcessorState.SpecialRegisters;
}

bool IsInContext(const KDP_REQUEST *r) {
    const KD_CONTEXT_EX *part = &r->m->context;
    return r->m->processor == 0 && (uint64_t)part->offset + part->count <= sizeof(CONTEXT);
}

// What the processor refuses stays as it was.
void LoadMsr(uint32_t number, uint64_t value) {
    if (__readmsr(number) != value)
        (void)KdpWriteMsr(number, value);
}

} // namespace

void KdpGetContext(const KDP_REQUEST *r) {
    if (r->m->processor != 0)
        return KdpAnswer(r, KD_UNSUCCESSFUL, KDP_NO_DATA);
    KdpContextSent = true;
    KdpAnswer(r, KD_SUCCESS, {Context(), sizeof(CONTEXT)});
}

// A debugger may leave out the end, as on Windows, where it stays as it was sent.
void KdpSetContext(const KDP_REQUEST *r) {
    if (r->m->processor != 0 || !KdpContextSent)
        return KdpAnswer(r, KD_UNSUCCESSFUL, KDP_NO_DATA);
    __movsb((UCHAR *)Context(), r->data, KdpLeast(r->length, sizeof(CONTEXT)));
    KdpAnswer(r, KD_SUCCESS, KDP_NO_DATA);
}

void KdpGetContextPart(const KDP_REQUEST *r) {
    KD_CONTEXT_EX *part = &r->m->context;
    const bool good = IsInContext(r);
    part->copied = good ? part->count : 0;
    if (good)
        KdpContextSent = true;
    KdpAnswer(r, good ? KD_SUCCESS : KD_UNSUCCESSFUL,
              {(UCHAR *)Context() + part->offset, part->copied});
}

void KdpSetContextPart(const KDP_REQUEST *r) {
    KD_CONTEXT_EX *part = &r->m->context;
    const bool good = IsInContext(r) && KdpContextSent && part->count <= r->length;
    part->copied = good ? part->count : 0;
    if (good)
        __movsb((UCHAR *)Context() + part->offset, r->data, part->count);
    KdpAnswer(r, good ? KD_SUCCESS : KD_UNSUCCESSFUL, KDP_NO_DATA);
}

void KdpReadControl(const KDP_REQUEST *r) {
    KD_MEMORY *memory = &r->m->memory;
    const uint64_t pointers[4] = {(uint64_t)&KiPcr, (uint64_t)&KiPcr.Prcb, 0,
                                  (uint64_t)KiCurrent()};
    KD_SPAN data = KDP_NO_DATA;
    if (r->m->processor == 0 && memory->address == CONTROL_SPECIAL)
        data = {Special(), sizeof(_KSPECIAL_REGISTERS)};
    else if (r->m->processor == 0 && memory->address <= CONTROL_THREAD)
        data = {&pointers[memory->address], sizeof(uint64_t)};
    const uint32_t status = data.bytes ? KD_SUCCESS : KD_UNSUCCESSFUL;
    data.length = KdpLeast(memory->count, data.length);
    memory->actual = (uint32_t)data.length;
    KdpAnswer(r, status, data);
}

void KdpWriteControl(const KDP_REQUEST *r) {
    KD_MEMORY *memory = &r->m->memory;
    memory->actual = 0;
    if (r->m->processor != 0 || memory->address != CONTROL_SPECIAL)
        return KdpAnswer(r, KD_UNSUCCESSFUL, KDP_NO_DATA);
    memory->actual = KdpLeast(r->length, sizeof(_KSPECIAL_REGISTERS));
    __movsb((UCHAR *)Special(), r->data, memory->actual);
    KdpAnswer(r, KD_SUCCESS, KDP_NO_DATA);
}

void KdpAccessMsr(const KDP_REQUEST *r, bool write) {
    KD_MSR *msr = &r->m->msr;
    uint64_t value = msr->low | (uint64_t)msr->high << 32;
    const uint32_t status =
        write ? KdpWriteMsr(msr->number, value) : KdpReadMsr(msr->number, &value);
    msr->low = (uint32_t)value;
    msr->high = (uint32_t)(value >> 32);
    KdpAnswer(r, status, KDP_NO_DATA);
}

// CR0, CR3, CR4 and the MSRs among the special registers. What pulls the ground from under
// the machine does so, as on Windows.
void KdpLoadControlRegisters(void) {
    const _KSPECIAL_REGISTERS *s = Special();
    if (s->Cr4 != __readcr4())
        (void)KdpWriteCr4(s->Cr4);
    if (s->Cr0 != __readcr0())
        (void)KdpWriteCr0(s->Cr0);
    if (s->Cr3 != __readcr3())
        (void)KdpWriteCr3(s->Cr3);
    LoadMsr(MSR_GS_SWAP, s->MsrGsSwap);
    LoadMsr(MSR_STAR, s->MsrStar);
    LoadMsr(MSR_LSTAR, s->MsrLStar);
    LoadMsr(MSR_CSTAR, s->MsrCStar);
    LoadMsr(MSR_SYSCALL_MASK, s->MsrSyscallMask);
    LoadMsr(MSR_GS_BASE, s->MsrGsBase);
}
