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

#include "ntc.h"

// Dispatcher object types, as in the header's Type field.
enum {
    KI_EVENT_NOTIFICATION = 0,
    KI_EVENT_SYNCHRONIZATION = 1,
    KI_MUTANT = 2,
    KI_QUEUE = 4,
    KI_SEMAPHORE = 5,
    KI_THREAD = 6,
    KI_TIMER_NOTIFICATION = 8,
    KI_TIMER_SYNCHRONIZATION = 9,
    KI_DPC = 19,
    KI_INTERRUPT = 22,
    KI_DPC_THREADED = 26,
};

enum { KI_READY, KI_RUNNING, KI_WAITING, KI_TERMINATED, KI_INITIALIZED };

enum {
    KI_VECTOR_APC = 0x1F,
    KI_VECTOR_DPC = 0x2F,
    KI_VECTOR_CLOCK = 0xD1,
    KI_VECTOR_SPURIOUS = 0xFF,
    KI_IRQL_CLOCK = 13,
    KI_IRQL_HIGH = 15,
    KI_PRIORITIES = 32,
    KI_QUANTUM_TICKS = 20,    // of 1 ms
    KI_TICK_100NS = 10000,    // length of a clock tick
    KI_DPC_LIMIT_TICKS = 5000 // a DPC that runs longer is stuck
};

// struct _KTHREAD is opaque to drivers but for its being a dispatcher object.
struct _KTHREAD {
    DISPATCHER_HEADER Header; // KI_THREAD; signaled when terminated
    uint64_t KernelStack;     // saved RSP while not running
    uint64_t StackTop;
    uint64_t StackLimit;
    LIST_ENTRY QueueEntry; // ready queue
    UCHAR State;
    CHAR Priority;
    CHAR BasePriority;
    BOOLEAN SystemThread;
    LONG Quantum;
    NTSTATUS WaitStatus;
    PKWAIT_BLOCK WaitBlocks; // chain of the current wait, NULL: none
    KWAIT_BLOCK WaitBlock[THREAD_WAIT_OBJECTS + 1];
    KWAIT_BLOCK TimerBlock;
    KTIMER Timer;
    LIST_ENTRY MutantList; // mutexes owned
    SHORT KernelApcDisable;
    SHORT SpecialApcDisable;
    ULONG Id;
    NTSTATUS ExitStatus;
    PKSTART_ROUTINE StartRoutine;
    PVOID StartContext;
    LIST_ENTRY ThreadEntry; // all threads
    uint64_t SwitchCount;
    PVOID Suspect; // kd's: innermost KD_SUSPECT
};

typedef struct _KTHREAD KTHREAD;

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
    UCHAR Reserved[0x12F];
    ULONG MxCsr; // 0x180: PRCB
    USHORT Number;
    USHORT Padding;
    PKTHREAD CurrentThread; // 0x188
    PKTHREAD NextThread;
    PKTHREAD IdleThread;
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
static_assert(offsetof(KI_PCR, Irql) == 0x50 && offsetof(KI_PCR, MxCsr) == 0x180 &&
                  offsetof(KI_PCR, Number) == 0x184 && offsetof(KI_PCR, CurrentThread) == 0x188,
              "DDK inline functions read these by offset");

// What KiTrapCommon (trap.S) leaves on the stack.
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
extern volatile uint64_t KiTickCount;
extern KI_TRAP_FRAME *KiBugCheckFrame; // registers to print; NULL: the caller's

#define KiSharedData ((KUSER_SHARED_DATA *)0xFFFFF78000000000ull)

// ---- processor (cpu.cpp, trap.S)
void KiInitializeProcessor(void);
void KiTrapDispatch(KI_TRAP_FRAME *frame);
void KiSwapContext(PKTHREAD from, PKTHREAD to);
void KiThreadStartup(void);
// The gate's stack for vectors that must not use the current one: TSS IST.
void KiDispatchException(KI_TRAP_FRAME *frame);

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
void KiInitializeTimers(void);
void KiExpireTimers(void);            // at DISPATCH_LEVEL
extern volatile uint64_t KiNextTimer; // due time of the first timer
void KiInsertTimer(PKTIMER timer, LARGE_INTEGER due, ULONG period_ms, PKDPC dpc);
BOOLEAN KiRemoveTimer(PKTIMER timer);

// ---- HAL.dll, for the kernel alone
void HalInitializeHardware(void);
void HalStartClock(ULONG vector, ULONG period_100ns);
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
