// SPDX-License-Identifier: MIT
//
// The stopped processor's registers for the debugger. What it writes is loaded when the
// machine goes on.
#include "requests.h"

bool KdpContextSent;
uint64_t KdpSentDr[6];

namespace {

enum : uint64_t { CONTROL_PCR, CONTROL_PRCB, CONTROL_SPECIAL, CONTROL_THREAD };
enum : uint64_t { TASK_BUSY = 1ull << 41 }; // of a descriptor (Intel SDM volume 3A, 7.2.3)
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

bool IsSame(const _KDESCRIPTOR *a, const _KDESCRIPTOR *b) {
    return a->Base == b->Base && a->Limit == b->Limit;
}

// The processor takes no task that is in use, which the one it had is; one that it refuses
// stays in use.
void LoadTask(const _KSPECIAL_REGISTERS *s) {
    const uint64_t at = s->Gdtr.Base + (s->Tr & ~7u);
    uint64_t descriptor, idle;
    if (KdpRead(KdpVirtual, at, &descriptor, sizeof(descriptor)) != sizeof(descriptor))
        return;
    idle = descriptor & ~TASK_BUSY;
    (void)KdpWrite(KdpVirtual, at, &idle, sizeof(idle));
    if (KdpLoadTask(s->Tr) != KD_SUCCESS)
        (void)KdpWrite(KdpVirtual, at, &descriptor, sizeof(descriptor));
}

void LoadTables(const _KSPECIAL_REGISTERS *s) {
    _KDESCRIPTOR gdt, idt;
    USHORT task, local;
    __asm__ volatile("sgdt %0" : "=m"(gdt.Limit), "=m"(gdt.Base));
    __asm__ volatile("sidt %0" : "=m"(idt.Limit), "=m"(idt.Base));
    __asm__ volatile("str %0" : "=m"(task));
    __asm__ volatile("sldt %0" : "=m"(local));
    const bool moved = !IsSame(&gdt, &s->Gdtr) && KdpLoadGdt(&s->Gdtr.Limit) == KD_SUCCESS;
    if (!IsSame(&idt, &s->Idtr))
        (void)KdpLoadIdt(&s->Idtr.Limit);
    if (moved || s->Tr != task)
        LoadTask(s);
    if (s->Ldtr != local)
        (void)KdpLoadLocalTable(s->Ldtr);
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

// The answer has what was written, as on Windows.
void KdpWriteControl(const KDP_REQUEST *r) {
    KD_MEMORY *memory = &r->m->memory;
    const bool good = r->m->processor == 0 && memory->address == CONTROL_SPECIAL;
    memory->actual = good ? KdpLeast(r->length, sizeof(_KSPECIAL_REGISTERS)) : 0;
    __movsb((UCHAR *)Special(), r->data, memory->actual);
    KdpAnswer(r, good ? KD_SUCCESS : KD_UNSUCCESSFUL, KdpEcho(r));
}

void KdpAccessMsr(const KDP_REQUEST *r, bool write) {
    KD_MSR *msr = &r->m->msr;
    uint64_t value = msr->low | (uint64_t)msr->high << 32;
    if (!write)
        value = 0; // of one that isn't there
    const uint32_t status =
        write ? KdpWriteMsr(msr->number, value) : KdpReadMsr(msr->number, &value);
    msr->low = (uint32_t)value;
    msr->high = (uint32_t)(value >> 32);
    KdpAnswer(r, status, KDP_NO_DATA);
}

// CR0, CR3, CR4, the tables of descriptors, and the MSRs among the special registers. What
// pulls the ground from under the machine does so, as on Windows.
void KdpLoadControlRegisters(void) {
    const _KSPECIAL_REGISTERS *s = Special();
    LoadTables(s);
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
