// SPDX-License-Identifier: MIT
//
// What debuggers read first: the version block, and the block of addresses and offsets
// behind it (KDDEBUGGER_DATA64 of Windows 7). What ntcompat lacks is 0.
#include "debugger.h"

#include "ldr/ldrp.h"
#include "mm/mi.h"

struct _KDDEBUGGER_DATA64 {
    LIST_ENTRY List;
    char OwnerTag[4]; // "KDBG"
    ULONG Size;
    uint64_t KernBase;             // 0x018
    uint64_t BreakpointWithStatus; // 0x020
    uint64_t SavedContext;
    USHORT ThCallbackStack, NextCallback, FramePointer;
    USHORT PaeEnabled; // bit 0
    uint64_t KiCallUserMode, KeUserCallbackDispatcher;
    uint64_t PsLoadedModuleList, PsActiveProcessHead, PspCidTable; // 0x048
    uint64_t ExpSystemResourcesList, ExpPagedPoolDescriptor, ExpNumberOfPagedPools;
    uint64_t KeTimeIncrement, KeBugCheckCallbackListHead, KiBugcheckData; // 0x078
    uint64_t IopErrorLogListHead, ObpRootDirectoryObject, ObpTypeObjectType;
    uint64_t MmSystemCacheStart, MmSystemCacheEnd, MmSystemCacheWs; // 0x0A8
    uint64_t MmPfnDatabase, MmSystemPtesStart, MmSystemPtesEnd, MmSubsectionBase;
    uint64_t MmNumberOfPagingFiles;
    uint64_t MmLowestPhysicalPage, MmHighestPhysicalPage, MmNumberOfPhysicalPages; // 0x0E8
    uint64_t MmMaximumNonPagedPoolInBytes, MmNonPagedSystemStart;
    uint64_t MmNonPagedPoolStart, MmNonPagedPoolEnd; // 0x110
    uint64_t MmPagedPoolStart, MmPagedPoolEnd, MmPagedPoolPage;
    uint64_t MmPageSize; // 0x138
    uint64_t Unused2[17];
    uint64_t MmHighestUserAddress, MmSystemRangeStart, MmUserProbeAddress; // 0x1C8
    uint64_t KdPrintCircularBuffer, KdPrintCircularBufferEnd, KdPrintWritePointer;
    uint64_t KdPrintRolloverCount, MmLoadedUserImageList;
    uint64_t NtBuildLab, KiNormalSystemCall;
    uint64_t KiProcessorBlock; // 0x218
    uint64_t MmUnloadedDrivers, MmLastUnloadedDrivers;
    uint64_t MmTriageActionTaken, MmSpecialPoolTag, KernelVerifier, MmVerifierData;
    uint64_t MmAllocatedNonPagedPool, MmPeakCommitment, MmTotalCommitLimitMaximum;
    uint64_t CmNtCSDVersion; // 0x268
    uint64_t MmPhysicalMemoryBlock, MmSessionBase, MmSessionSize, MmSystemParentTablePage;
    uint64_t MmVirtualTranslationBase;
    USHORT OffsetKThreadNextProcessor, OffsetKThreadTeb, OffsetKThreadKernelStack; // 0x298
    USHORT OffsetKThreadInitialStack, OffsetKThreadApcProcess, OffsetKThreadState;
    USHORT OffsetKThreadBStore, OffsetKThreadBStoreLimit;
    USHORT SizeEProcess, OffsetEprocessPeb, OffsetEprocessParentCID;
    USHORT OffsetEprocessDirectoryTableBase;
    USHORT SizePrcb, OffsetPrcbDpcRoutine, OffsetPrcbCurrentThread, OffsetPrcbMhz; // 0x2B0
    USHORT OffsetPrcbCpuType, OffsetPrcbVendorString, OffsetPrcbProcStateContext;
    USHORT OffsetPrcbNumber;
    USHORT SizeEThread; // 0x2C0
    uint64_t KdPrintCircularBufferPtr, KdPrintBufferSize, KeLoaderBlock;
    USHORT SizePcr, OffsetPcrSelfPcr, OffsetPcrCurrentPrcb, OffsetPcrContainedPrcb; // 0x2E0
    USHORT Unused4[5];
    USHORT OffsetPrcbProcStateSpecialReg;
    USHORT GdtR0Code, GdtR0Data, GdtR0Pcr, GdtR3Code, GdtR3Data, GdtR3Teb, GdtLdt, GdtTss;
    USHORT Gdt64R3CmCode, Gdt64R3CmTeb;
    uint64_t Unused5[6];
    USHORT OffsetPrcbContext; // 0x338
    USHORT Unused6[3];
};
#define KD_AT(field, offset)                                                                       \
    static_assert(offsetof(_KDDEBUGGER_DATA64, field) == offset, "Windows 7")
KD_AT(BreakpointWithStatus, 0x20);
KD_AT(PaeEnabled, 0x36);
KD_AT(PsLoadedModuleList, 0x48);
KD_AT(PsActiveProcessHead, 0x50);
KD_AT(KiBugcheckData, 0x88);
KD_AT(MmNonPagedPoolStart, 0x110);
KD_AT(MmPageSize, 0x138);
KD_AT(MmHighestUserAddress, 0x1C8);
KD_AT(KiProcessorBlock, 0x218);
KD_AT(MmUnloadedDrivers, 0x220);
KD_AT(CmNtCSDVersion, 0x268);
KD_AT(MmPhysicalMemoryBlock, 0x270);
KD_AT(OffsetKThreadNextProcessor, 0x298);
KD_AT(SizeEThread, 0x2C0);
KD_AT(SizePcr, 0x2E0);
KD_AT(OffsetPrcbProcStateSpecialReg, 0x2F2);
KD_AT(OffsetPrcbContext, 0x338);
static_assert(sizeof(_KDDEBUGGER_DATA64) == 0x340, "Windows 7");

KD_VERSION KdVersionBlock;

extern "C" {

extern char KdPrintDefaultCircularBuffer[], *KdPrintCircularBuffer, *KdPrintWritePointer;
extern ULONG KdPrintBufferSize, KdPrintRolloverCount;
extern const uint8_t RtlpBreakWithStatusInstruction[];

// PHYSICAL_MEMORY_DESCRIPTOR: what tools for dumps read of RAM.
struct _PHYSICAL_MEMORY_DESCRIPTOR {
    ULONG NumberOfRuns;
    uint64_t NumberOfPages;
    struct {
        uint64_t BasePage, PageCount;
    } Run[NTC_MAX_RANGES];
};

_KDDEBUGGER_DATA64 KdDebuggerDataBlock;
LIST_ENTRY KdpDebuggerDataListHead;
_KPRCB *KiProcessorBlock[64];
uint64_t KiBugCheckData[5];
ULONG CmNtCSDVersion = 0x100; // service pack 1
ULONG KeTimeIncrement = KI_TICK_100NS;
char NtBuildLab[] = "7601.ntcompat";
uint64_t MmLowestPhysicalPage, MmHighestPhysicalPage, MmNumberOfPhysicalPages;
PVOID MmHighestUserAddress = (PVOID)0x7FFFFFEFFFF;
ULONG_PTR MmUserProbeAddress = 0x7FFFFFF0000;
PVOID MmSystemRangeStart = (PVOID)0xFFFF080000000000;
PVOID MmNonPagedPoolStart = (PVOID)NTC_POOL_BASE;
PVOID MmNonPagedPoolEnd = (PVOID)(MI_LARGE_POOL_BASE + MI_LARGE_POOL_PAGES * MI_PAGE_SIZE);
ULONG MmNumberOfPagingFiles;
_PHYSICAL_MEMORY_DESCRIPTOR MmPhysicalMemory;
_PHYSICAL_MEMORY_DESCRIPTOR *MmPhysicalMemoryBlock = &MmPhysicalMemory;

} // extern "C"

namespace {

enum : USHORT { CODE_SELECTOR = 0x10, DATA_SELECTOR = 0x18, TSS_SELECTOR = 0x40 };

void CountPages() {
    const NTC_LOADER_BLOCK *block = KeLoaderBlock;
    MmLowestPhysicalPage = ~0ull;
    for (uint32_t i = 0; i < block->range_count; i++) {
        const uint64_t first = block->ranges[i].base / PAGE_SIZE;
        const uint64_t pages = block->ranges[i].length / PAGE_SIZE;
        MmNumberOfPhysicalPages += pages;
        MmPhysicalMemory.Run[i] = {first, pages};
        if (first < MmLowestPhysicalPage)
            MmLowestPhysicalPage = first;
        if (first + pages > MmHighestPhysicalPage + 1)
            MmHighestPhysicalPage = first + pages - 1;
    }
    MmPhysicalMemory.NumberOfRuns = block->range_count;
    MmPhysicalMemory.NumberOfPages = MmNumberOfPhysicalPages;
}

void FillProcessor() {
    int registers[4];
    _KPRCB *prcb = &KiPcr.Prcb;
    __cpuid(registers, 0);
    for (int i = 0; i < 4; i++) {
        prcb->VendorString[i] = (UCHAR)(registers[1] >> (8 * i));
        prcb->VendorString[4 + i] = (UCHAR)(registers[3] >> (8 * i));
        prcb->VendorString[8 + i] = (UCHAR)(registers[2] >> (8 * i));
    }
    __cpuid(registers, 1);
    const unsigned signature = (unsigned)registers[0];
    prcb->CpuID = TRUE;
    prcb->CpuType = (CHAR)((signature >> 8 & 0xF) + (signature >> 20 & 0xFF));
    prcb->CpuModel = (UCHAR)((signature >> 4 & 0xF) | (signature >> 12 & 0xF0));
    prcb->CpuStepping = (UCHAR)(signature & 0xF);
    LARGE_INTEGER frequency;
    (void)KeQueryPerformanceCounter(&frequency);
    prcb->MHz = (ULONG)(frequency.QuadPart / 1000000);
    prcb->CpuVendor = prcb->VendorString[0] == 'G' ? 2 : prcb->VendorString[0] == 'A' ? 1 : 0;
    prcb->CoresPerPhysicalProcessor = prcb->LogicalProcessorsPerCore = 1;
    prcb->GroupSetMember = 1;
    prcb->MajorVersion = prcb->MinorVersion = 1;
    prcb->Context = &prcb->ProcessorState.ContextFrame;
    KiProcessorBlock[0] = prcb;
    KiPcr.MajorVersion = KiPcr.MinorVersion = 1;
    KiPcr.KdVersionBlock = &KdVersionBlock;
}

void FillAddresses(_KDDEBUGGER_DATA64 *d) {
    d->KernBase = KeLoaderBlock->modules[0].base;
    d->BreakpointWithStatus = (uint64_t)RtlpBreakWithStatusInstruction;
    d->PaeEnabled = 1;
    d->PsLoadedModuleList = (uint64_t)&PsLoadedModuleList;
    d->PsActiveProcessHead = (uint64_t)&PsActiveProcessHead;
    d->KeTimeIncrement = (uint64_t)&KeTimeIncrement;
    d->KeBugCheckCallbackListHead = (uint64_t)&KeBugCheckCallbackListHead;
    d->KiBugcheckData = (uint64_t)KiBugCheckData;
    d->MmLowestPhysicalPage = (uint64_t)&MmLowestPhysicalPage;
    d->MmHighestPhysicalPage = (uint64_t)&MmHighestPhysicalPage;
    d->MmNumberOfPhysicalPages = (uint64_t)&MmNumberOfPhysicalPages;
    d->MmNumberOfPagingFiles = (uint64_t)&MmNumberOfPagingFiles;
    d->MmNonPagedPoolStart = (uint64_t)&MmNonPagedPoolStart;
    d->MmNonPagedPoolEnd = (uint64_t)&MmNonPagedPoolEnd;
    d->MmPhysicalMemoryBlock = (uint64_t)&MmPhysicalMemoryBlock;
    d->MmUnloadedDrivers = (uint64_t)&MmUnloadedDrivers;
    d->MmLastUnloadedDrivers = (uint64_t)&MmLastUnloadedDrivers;
    d->MmPageSize = PAGE_SIZE;
    d->MmHighestUserAddress = (uint64_t)&MmHighestUserAddress;
    d->MmSystemRangeStart = (uint64_t)&MmSystemRangeStart;
    d->MmUserProbeAddress = (uint64_t)&MmUserProbeAddress;
    d->KdPrintCircularBuffer = (uint64_t)KdPrintDefaultCircularBuffer;
    d->KdPrintCircularBufferEnd = d->KdPrintCircularBuffer + KdPrintBufferSize;
    d->KdPrintWritePointer = (uint64_t)&KdPrintWritePointer;
    d->KdPrintRolloverCount = (uint64_t)&KdPrintRolloverCount;
    d->KdPrintCircularBufferPtr = (uint64_t)&KdPrintCircularBuffer;
    d->KdPrintBufferSize = (uint64_t)&KdPrintBufferSize;
    d->NtBuildLab = (uint64_t)NtBuildLab;
    d->KiProcessorBlock = (uint64_t)KiProcessorBlock;
    d->CmNtCSDVersion = (uint64_t)&CmNtCSDVersion;
    d->KeLoaderBlock = (uint64_t)&KeLoaderBlock;
}

void FillOffsets(_KDDEBUGGER_DATA64 *d) {
    d->OffsetKThreadNextProcessor = offsetof(_KTHREAD, NextProcessor);
    d->OffsetKThreadTeb = offsetof(_KTHREAD, Teb);
    d->OffsetKThreadKernelStack = offsetof(_KTHREAD, KernelStack);
    d->OffsetKThreadInitialStack = offsetof(_KTHREAD, InitialStack);
    d->OffsetKThreadApcProcess = offsetof(_KTHREAD, ApcState.Process);
    d->OffsetKThreadState = offsetof(_KTHREAD, State);
    d->SizeEProcess = sizeof(_EPROCESS);
    d->OffsetEprocessPeb = offsetof(_EPROCESS, Peb);
    d->OffsetEprocessParentCID = offsetof(_EPROCESS, InheritedFromUniqueProcessId);
    d->OffsetEprocessDirectoryTableBase = offsetof(_EPROCESS, DirectoryTableBase);
    d->SizePrcb = sizeof(_KPRCB);
    d->OffsetPrcbDpcRoutine = offsetof(_KPRCB, DpcRoutineActive);
    d->OffsetPrcbCurrentThread = offsetof(_KPRCB, CurrentThread);
    d->OffsetPrcbMhz = offsetof(_KPRCB, MHz);
    d->OffsetPrcbCpuType = offsetof(_KPRCB, CpuType);
    d->OffsetPrcbVendorString = offsetof(_KPRCB, VendorString);
    d->OffsetPrcbProcStateContext = offsetof(_KPRCB, ProcessorState.ContextFrame);
    d->OffsetPrcbProcStateSpecialReg = offsetof(_KPRCB, ProcessorState.SpecialRegisters);
    d->OffsetPrcbNumber = offsetof(_KPRCB, Number);
    d->OffsetPrcbContext = offsetof(_KPRCB, Context);
    d->SizeEThread = offsetof(_KTHREAD, QueueEntry);
    d->SizePcr = offsetof(KI_PCR, Prcb) + sizeof(_KPRCB);
    d->OffsetPcrSelfPcr = offsetof(KI_PCR, Self);
    d->OffsetPcrCurrentPrcb = offsetof(KI_PCR, CurrentPrcb);
    d->OffsetPcrContainedPrcb = offsetof(KI_PCR, Prcb);
    d->GdtR0Code = CODE_SELECTOR;
    d->GdtR0Data = DATA_SELECTOR;
    d->GdtTss = TSS_SELECTOR;
}

void FillVersion() {
    KD_VERSION *v = &KdVersionBlock;
    v->major = 0xF; // a free build
    v->minor = 7601;
    v->protocol = 6;
    v->secondary = 2;
    v->flags = KD_VERSION_DATA | KD_VERSION_PTR64;
    v->machine = 0x8664;
    v->max_packet_type = 12;
    v->max_state_change = 3;
    v->max_manipulate = KdApiLimit - KdApiReadVirtual;
    v->kernel_base = KeLoaderBlock->modules[0].base;
    v->modules = (uint64_t)&PsLoadedModuleList;
    v->debugger_data = (uint64_t)&KdpDebuggerDataListHead;
}

} // namespace

void KdpInitializeData(void) {
    _KDDEBUGGER_DATA64 *d = &KdDebuggerDataBlock;
    CountPages();
    FillProcessor();
    FillAddresses(d);
    FillOffsets(d);
    FillVersion();
    const char tag[4] = {'K', 'D', 'B', 'G'};
    for (int i = 0; i < 4; i++)
        d->OwnerTag[i] = tag[i];
    d->Size = sizeof(*d);
    InitializeListHead(&KdpDebuggerDataListHead);
    InsertTailList(&KdpDebuggerDataListHead, &d->List);
}
