// SPDX-License-Identifier: MIT
//
// Descriptor tables, control registers and the start of the system.
#include "ki.h"

#include "kd/kdp.h"

extern "C" {

KI_PCR KiPcr;
volatile uint8_t *KiEndOfInterrupt; // the local APIC's register, for trap.S
NTC_LOADER_BLOCK *KeLoaderBlock;
extern uint8_t KiVectorStubs[256][16]; // trap.S

enum { KI_IST_DOUBLE_FAULT = 1, KI_IST_NMI = 2, KI_IST_MACHINE_CHECK = 3, KI_IST_COUNT = 3 };
enum {
    KI_IST_SIZE = 12288,
    KI_CODE_SELECTOR = 0x10,
    KI_DATA_SELECTOR = 0x18,
    KI_TSS_SELECTOR = 0x40
};

struct KI_IDT_ENTRY {
    uint16_t offset_low;
    uint16_t selector;
    uint16_t type; // present, interrupt gate, IST number
    uint16_t offset_middle;
    uint32_t offset_high;
    uint32_t reserved;
};
#pragma pack(push, 1)
struct KI_TSS {
    uint32_t reserved;
    uint64_t rsp[3];
    uint64_t reserved2;
    uint64_t ist[7];
    uint64_t reserved3;
    uint16_t reserved4;
    uint16_t io_map;
};
struct KI_TABLE_POINTER {
    uint16_t limit;
    uint64_t base;
};
#pragma pack(pop)
static_assert(sizeof(KI_TSS) == 104 && sizeof(KI_IDT_ENTRY) == 16, "architecture");

static uint64_t KiGdt[10];
static KI_IDT_ENTRY KiIdt[256];
static KI_TSS KiTss;
alignas(16) static uint8_t KiIstStacks[KI_IST_COUNT][KI_IST_SIZE];

static void KiLoadDescriptors(void) {
    uint64_t tss = (uint64_t)&KiTss;
    KiGdt[KI_CODE_SELECTOR / 8] = 0x00209B0000000000ull;
    KiGdt[KI_DATA_SELECTOR / 8] = 0x0000930000000000ull;
    KiGdt[KI_TSS_SELECTOR / 8] = (sizeof(KiTss) - 1) | (tss & 0xFFFFFF) << 16 |
                                 0x0000890000000000ull | (tss >> 24 & 0xFF) << 56;
    KiGdt[KI_TSS_SELECTOR / 8 + 1] = tss >> 32;
    KI_TABLE_POINTER gdt = {sizeof(KiGdt) - 1, (uint64_t)KiGdt};
    __asm__ volatile("lgdt %0\n\t"
                     "pushq %1\n\t"
                     "leaq 1f(%%rip), %%rax\n\t"
                     "pushq %%rax\n\t"
                     "lretq\n"
                     "1: movl %2, %%eax\n\t"
                     "movw %%ax, %%ds\n\t"
                     "movw %%ax, %%es\n\t"
                     "movw %%ax, %%ss\n\t"
                     "movl %3, %%eax\n\t"
                     "ltr %%ax"
                     :
                     : "m"(gdt), "i"(KI_CODE_SELECTOR), "i"(KI_DATA_SELECTOR), "i"(KI_TSS_SELECTOR)
                     : "rax", "memory");
}

static void KiLoadInterruptTable(void) {
    for (int i = 0; i < KI_IST_COUNT; i++)
        KiTss.ist[i] = (uint64_t)KiIstStacks[i] + KI_IST_SIZE;
    KiTss.io_map = sizeof(KiTss);
    for (int v = 0; v < 256; v++) {
        uint64_t stub =
            v == KI_VECTOR_DEBUGGER ? (uint64_t)KiDebuggerTick : (uint64_t)KiVectorStubs[v];
        uint16_t ist = v == 8    ? KI_IST_DOUBLE_FAULT
                       : v == 2  ? KI_IST_NMI
                       : v == 18 ? KI_IST_MACHINE_CHECK
                                 : 0;
        KiIdt[v] = {(uint16_t)stub,         KI_CODE_SELECTOR,       (uint16_t)(0x8E00 | ist),
                    (uint16_t)(stub >> 16), (uint32_t)(stub >> 32), 0};
    }
    KI_TABLE_POINTER idt = {sizeof(KiIdt) - 1, (uint64_t)KiIdt};
    __asm__ volatile("lidt %0" : : "m"(idt));
}

// Faults are reported from here on; nothing but kd is needed for it.
void KiInitializeProcessor(void) {
    const ULONG gs_base = 0xC0000101, efer = 0xC0000080;
    KiPcr.Self = &KiPcr;
    KiPcr.GdtBase = KiGdt;
    KiPcr.IdtBase = KiIdt;
    KiPcr.TssBase = &KiTss;
    KiPcr.CurrentPrcb = &KiPcr.Prcb;
    KiPcr.Prcb.MxCsr = 0x1F80; // all SSE exceptions masked
    KiLoadDescriptors();
    KiLoadInterruptTable();
    __asm__ volatile("xorl %%eax, %%eax; movw %%ax, %%fs; movw %%ax, %%gs" : : : "eax");
    __writemsr(gs_base, (uint64_t)&KiPcr);
    __writemsr(efer, __readmsr(efer) | 0x801); // SCE as on Windows; NXE
    __asm__ volatile("ldmxcsr %0; fninit" : : "m"(KiPcr.Prcb.MxCsr));
}

static void KiPhase1(PVOID context) {
    IoInitSystem((NTC_LOADER_BLOCK *)context);
    PsTerminateSystemThread(STATUS_SUCCESS);
}

// The shared user data page that DDK macros read (KeQuerySystemTime ...); here
// it is kernel memory only, since there is no user mode.
static void KiMapSharedData(void) {
    uint64_t pfn = MiAllocatePage();
    if (pfn == 0)
        KeBugCheckEx(INSTALL_MORE_MEMORY, 0, 0, 0, 0);
    MiMapPage((uint64_t)KiSharedData, pfn, TRUE, FALSE, MmCached);
    __stosb((UCHAR *)KiSharedData, 0, PAGE_SIZE);
    KiSharedData->ImageNumberLow = KiSharedData->ImageNumberHigh = 0x8664;
    const WCHAR root[] = L"C:\\Windows";
    __movsb((UCHAR *)KiSharedData->NtSystemRoot, (const UCHAR *)root, sizeof(root));
    KiSharedData->NtMajorVersion = 6;
    KiSharedData->NtMinorVersion = 1;
    KiSharedData->NtProductType = NtProductWinNt;
    KiSharedData->ProductTypeIsValid = TRUE;
}

void KiInitSystem(NTC_LOADER_BLOCK *block) {
    // The loader's identity map: from here on a null pointer faults.
    uint64_t *root = (uint64_t *)(NTC_DIRECT_MAP_BASE + (__readcr3() & ~0xFFFull));
    root[0] = 0;
    __writecr3(__readcr3());
    KiMapSharedData();
    HalInitializeHardware();
    KiEndOfInterrupt = HalEndOfInterruptRegister();
    KiInitializeTimers();
    KiInitializeClock(block);
    KdStartDebugger();
    __asm__ volatile("sti");
}

// The image's entry point, on the loader's stack, which becomes the idle
// thread's; interrupts are off until KiInitSystem returns.
DECLSPEC_NORETURN void KiSystemStartup(NTC_LOADER_BLOCK *block) {
    KeLoaderBlock = block;
    KdInitSystem(block);
    KiInitializeProcessor();
    KiInitializeScheduler();
    KiInitializeDpcs();
    MmInitSystem(block);
    LdrInitSystem(block);
    KiInitSystem(block);
    ObInitSystem();
    CmInitSystem(block);
    HANDLE thread;
    NTSTATUS status = PsCreateSystemThread(&thread, THREAD_ALL_ACCESS, nullptr, nullptr, nullptr,
                                           KiPhase1, block);
    if (!NT_SUCCESS(status))
        KeBugCheckEx(PHASE1_INITIALIZATION_FAILED, (ULONG_PTR)status, 0, 0, 0);
    ZwClose(thread);
    for (;;) {
        if (__readcr8() != PASSIVE_LEVEL)
            KdViolation(IRQL_NOT_LESS_OR_EQUAL, "idle thread above PASSIVE_LEVEL", __readcr8(), 0,
                        0, 0);
        KiReapThreads();
        __asm__ volatile("sti; hlt");
    }
}

} // extern "C"
