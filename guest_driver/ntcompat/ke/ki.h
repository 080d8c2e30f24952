// SPDX-License-Identifier: MIT
//
// The kernel core's own declarations: processor block, threads, dispatcher.
//
// One processor. The dispatcher database (objects, wait lists, ready queues,
// timers, the DPC queue) is protected by IRQL alone: whoever touches it is at
// DISPATCH_LEVEL or above, and interrupt routines touch only the DPC queue and
// the time, with interrupts disabled.
#ifndef NTC_KI_H_
#define NTC_KI_H_

#include "kstruct.h"

// Dispatcher object types, as in the header's Type field.
enum {
    KI_EVENT_NOTIFICATION = 0,
    KI_EVENT_SYNCHRONIZATION = 1,
    KI_MUTANT = 2,
    KI_PROCESS = 3,
    KI_QUEUE = 4,
    KI_SEMAPHORE = 5,
    KI_THREAD = 6,
    KI_TIMER_NOTIFICATION = 8,
    KI_TIMER_SYNCHRONIZATION = 9,
    KI_DPC = 19,
    KI_INTERRUPT = 22,
    KI_DPC_THREADED = 26,
};

// KTHREAD.State, numbered as debuggers know them.
enum { KI_INITIALIZED, KI_READY, KI_RUNNING, KI_STANDBY, KI_TERMINATED, KI_WAITING };

enum {
    KI_VECTOR_APC = 0x1F,
    KI_VECTOR_DPC = 0x2F,
    KI_VECTOR_CLOCK = 0xD1,
    KI_VECTOR_DEBUGGER = 0xF1, // the clock, while the machine is in the debugger
    KI_VECTOR_SPURIOUS = 0xFF,
    KI_IRQL_CLOCK = 13,
    KI_IRQL_HIGH = 15,
    KI_PRIORITIES = 32,
    KI_QUANTUM_TICKS = 20,    // of 1 ms
    KI_TICK_100NS = 10000,    // length of a clock tick
    KI_DPC_LIMIT_TICKS = 5000 // a DPC that runs longer is stuck
};

// What GS points at: the public head of NT's KPCR, and its PRCB with the fields
// that inlined functions of the DDK read.
struct KI_PCR {
    void *GdtBase; // 0x000
    void *TssBase;
    uint64_t UserRsp;
    KI_PCR *Self; // 0x018
    void *CurrentPrcb;
    void *LockArray;
    void *UsedSelf;
    void *IdtBase; // 0x038
    uint64_t Unused[2];
    KIRQL Irql; // 0x050, unused on x64: CR8 is the IRQL
    UCHAR Unused0[0xF];
    USHORT MajorVersion, MinorVersion; // 0x060
    UCHAR Unused1[0x108 - 0x64];
    void *KdVersionBlock; // 0x108
    UCHAR Unused2[0x180 - 0x110];
    struct _KPRCB Prcb; // 0x180
    // ours
    LIST_ENTRY DpcQueue;
    ULONG DpcDepth;
    PKDPC RunningDpc;
    uint64_t DpcStartTick;
    BOOLEAN InDispatchInterrupt;
    BOOLEAN QuantumEnd;
    ULONG InterruptNesting;
    ULONG ReadySummary;
    LIST_ENTRY Ready[KI_PRIORITIES];
};
static_assert(offsetof(KI_PCR, Irql) == 0x50 && offsetof(KI_PCR, KdVersionBlock) == 0x108 &&
                  offsetof(KI_PCR, Prcb) == 0x180 && offsetof(KI_PCR, DpcQueue) == 0x4E80,
              "DDK inline functions and debuggers read these by offset");

// What the entries of trap.S leave on the stack.
struct KI_TRAP_FRAME {
    uint64_t Home[4];
    M128A Xmm[6];
    uint64_t MxCsr;
    uint64_t Unused;
    uint64_t R15, R14, R13, R12, R11, R10, R9, R8;
    uint64_t Rdi, Rsi, Rbp, Rbx, Rdx, Rcx, Rax;
    uint64_t Vector;
    uint64_t ErrorCode;
    uint64_t Rip, Cs, Rflags, Rsp, Ss;
};

extern "C" {

extern KI_PCR KiPcr;
extern EPROCESS KiSystemProcess, KiIdleProcess;
extern LIST_ENTRY PsActiveProcessHead;
extern volatile uint64_t KiTickCount;
extern LIST_ENTRY KeBugCheckCallbackListHead;
extern LONG KiBugCheckActive;          // not 0: only the debugger is still served
extern uint64_t KiBugCheckData[5];     // code and parameters of the bug check
extern KI_TRAP_FRAME *KiBugCheckFrame; // registers to print; NULL: the caller's

#define KiSharedData ((KUSER_SHARED_DATA *)0xFFFFF78000000000ull)

// ---- processor (cpu.cpp, trap.S)
void KiInitializeProcessor(void);
void KiSwapContext(PKTHREAD from, PKTHREAD to);
void KiThreadStartup(void);
void KiDebuggerTick(void); // the gate of KI_VECTOR_DEBUGGER
// `xmm6_to_15`: the ten nonvolatile vector registers, loaded again on the way back.
void KiDispatchException(KI_TRAP_FRAME *frame, M128A *xmm6_to_15);

// ---- state for debuggers (context.cpp). Special registers: from and to the PRCB; after
// saving no hardware breakpoint is on, and CR0, CR3 and CR4 are not loaded again.
void KiSaveSpecialRegisters(void);
void KiRestoreSpecialRegisters(void);
void KiContextFromFrame(CONTEXT *context, const KI_TRAP_FRAME *frame, const M128A *xmm6_to_15);
void KiContextToFrame(const CONTEXT *context, KI_TRAP_FRAME *frame, M128A *xmm6_to_15);

// ---- interrupts (interrupt.cpp)
void KiDispatchInterruptVector(KI_TRAP_FRAME *frame);

// ---- DPCs (dpc.cpp)
void KiInitializeDpcs(void);
void KiRetireDpcs(void); // at DISPATCH_LEVEL, interrupts enabled
void KiCheckDpcTime(void);

// ---- dispatcher (dispatch.cpp, wait.cpp, thread.cpp)
void KiInitializeScheduler(void);
KIRQL KiLockDispatcher(void);
// Leaves the dispatcher; switches to a thread of higher priority when the old IRQL allows it.
void KiUnlockDispatcher(KIRQL old_irql);
void KiAddThread(PKTHREAD thread, EPROCESS *process, ULONG id);
void KiReadyThread(PKTHREAD thread, KPRIORITY increment);
// Gives the processor to the best ready thread; the current one has been queued
// or is waiting. Returns when it runs again, at DISPATCH_LEVEL.
void KiSwapThread(void);
// Called in the dispatch interrupt after the DPCs.
void KiDispatchRequested(void);
// The object's state changed: wakes whoever can go on.
void KiWaitTest(DISPATCHER_HEADER *object, KPRIORITY increment);
void KiUnwaitThread(PKTHREAD thread, NTSTATUS status, KPRIORITY increment);
void KiAbandonMutexes(PKTHREAD thread);
void KiReapThreads(void); // frees ended threads; on the idle thread
void KiCheckIrql(const char *function, KIRQL highest);

// ---- time (clock.cpp, timer.cpp)
void KiInitializeClock(NTC_LOADER_BLOCK *block);
void KiClockInterrupt(void);
uint64_t KiInterruptTime(void); // 100 ns since start
uint64_t KiSystemTime(void);    // 100 ns since 1601
// The machine has stood still for so many ticks of the performance counter: interrupt time
// has not passed.
void KiSkipTime(uint64_t ticks);
void KiInitializeTimers(void);
void KiExpireTimers(void);            // at DISPATCH_LEVEL
extern volatile uint64_t KiNextTimer; // due time of the first timer
void KiInsertTimer(PKTIMER timer, LARGE_INTEGER due, ULONG period_ms, PKDPC dpc);
BOOLEAN KiRemoveTimer(PKTIMER timer);

// ---- HAL.dll, for the kernel alone
void HalInitializeHardware(void);
void HalStartClock(ULONG vector, ULONG period_100ns);
void HalSetClockVector(ULONG vector);
volatile uint8_t *HalEndOfInterruptRegister(void);
void HalEndOfInterrupt(void);
BOOLEAN HalIsLevelTriggered(ULONG vector);
void HalRequestSoftwareInterrupt(KIRQL irql);
uint64_t HalBootTime(void); // 100 ns since 1601, from the CMOS clock
} // extern "C"

static inline KIRQL KiRaise(KIRQL irql) {
    KIRQL old = (KIRQL)__readcr8();
    __writecr8(irql);
    return old;
}

static inline bool KiDisableInterrupts(void) {
    uint64_t flags;
    __asm__ volatile("pushfq; popq %0; cli" : "=r"(flags) : : "memory");
    return (flags & 0x200) != 0;
}

static inline void KiRestoreInterrupts(bool enabled) {
    if (enabled)
        __asm__ volatile("sti" : : : "memory");
}

static inline PKTHREAD KiCurrent(void) {
    return KeGetCurrentThread();
}

#endif // NTC_KI_H_
