// SPDX-License-Identifier: MIT
//
// Processor, thread and process as debuggers look for them: fields of these names lie
// where Windows 7 SP1 for x64 has them, since who reads memory from outside knows the
// offsets by heart. What is ours alone stands behind.
#ifndef NTC_KSTRUCT_H_
#define NTC_KSTRUCT_H_

#include "ntc.h"

#pragma pack(push, 2)
struct _KDESCRIPTOR {
    USHORT Pad[3];
    USHORT Limit;
    uint64_t Base;
};
#pragma pack(pop)

struct _KSPECIAL_REGISTERS {
    uint64_t Cr0, Cr2, Cr3, Cr4;
    uint64_t KernelDr0, KernelDr1, KernelDr2, KernelDr3, KernelDr6, KernelDr7;
    _KDESCRIPTOR Gdtr, Idtr;
    USHORT Tr, Ldtr;
    ULONG MxCsr;
    uint64_t DebugControl;
    uint64_t LastBranchToRip, LastBranchFromRip, LastExceptionToRip, LastExceptionFromRip;
    uint64_t Cr8;
    uint64_t MsrGsBase, MsrGsSwap, MsrStar, MsrLStar, MsrCStar, MsrSyscallMask;
};
static_assert(sizeof(_KSPECIAL_REGISTERS) == 0xD8, "debuggers read it as a whole");

struct _KPROCESSOR_STATE {
    _KSPECIAL_REGISTERS SpecialRegisters;
    CONTEXT ContextFrame; // of the last time the debugger, or a bug check, was entered
};
static_assert(sizeof(CONTEXT) == 0x4D0 && offsetof(_KPROCESSOR_STATE, ContextFrame) == 0xE0,
              "debuggers read it as a whole");

struct _KPRCB {
    ULONG MxCsr;
    UCHAR LegacyNumber, ReservedMustBeZero, InterruptRequest, IdleHalt;
    PKTHREAD CurrentThread, NextThread, IdleThread;
    UCHAR NestingLevel, PrcbPad00[3];
    ULONG Number;
    uint64_t RspBase, PrcbLock, PrcbPad01;
    _KPROCESSOR_STATE ProcessorState; // 0x040
    CHAR CpuType, CpuID;              // 0x5F0
    UCHAR CpuStepping, CpuModel;
    ULONG MHz;
    UCHAR Unused1[0x638 - 0x5F8];
    USHORT MinorVersion, MajorVersion; // 0x638
    UCHAR BuildType, CpuVendor;        // of Intel 2, of AMD 1
    UCHAR CoresPerPhysicalProcessor, LogicalProcessorsPerCore;
    UCHAR Unused6[0x660 - 0x640];
    KAFFINITY GroupSetMember; // 0x660
    UCHAR Unused7[0x21DA - 0x668];
    BOOLEAN DpcRoutineActive; // 0x21DA
    UCHAR Unused2[0x4718 - 0x21DB];
    UCHAR DebuggerSavedIRQL; // 0x4718
    UCHAR Unused5[0x4BB8 - 0x4719];
    UCHAR VendorString[13]; // 0x4BB8
    UCHAR Unused3[0x4BD8 - 0x4BC5];
    CONTEXT *Context; // 0x4BD8
    UCHAR Unused4[0x4D00 - 0x4BE0];
};
static_assert(offsetof(_KPRCB, ProcessorState) == 0x40 && offsetof(_KPRCB, MHz) == 0x5F4 &&
                  offsetof(_KPRCB, GroupSetMember) == 0x660 &&
                  offsetof(_KPRCB, DpcRoutineActive) == 0x21DA &&
                  offsetof(_KPRCB, DebuggerSavedIRQL) == 0x4718 &&
                  offsetof(_KPRCB, VendorString) == 0x4BB8 && offsetof(_KPRCB, Context) == 0x4BD8 &&
                  sizeof(_KPRCB) == 0x4D00,
              "Windows 7 SP1");

struct _KAPC_STATE_ {
    LIST_ENTRY ApcListHead[2];
    struct _EPROCESS *Process;
};

// KTHREAD and, from 0x360, ETHREAD. Opaque to drivers but for its being a dispatcher object.
struct _KTHREAD {
    DISPATCHER_HEADER Header; // KI_THREAD; signaled when terminated
    uint64_t CycleTime, QuantumTarget;
    uint64_t InitialStack; // 0x028
    uint64_t StackLimit;
    uint64_t KernelStack; // 0x038: saved RSP while not running
    uint64_t Unused1[2];
    _KAPC_STATE_ ApcState; // 0x050
    UCHAR Unused2[3];
    CHAR Priority; // 0x07B
    ULONG NextProcessor;
    UCHAR Unused3[0x90 - 0x80];
    NTSTATUS WaitStatus; // 0x090
    UCHAR Unused4[0xB8 - 0x94];
    PVOID Teb; // 0x0B8
    UCHAR Unused5[0x164 - 0xC0];
    UCHAR State; // 0x164
    UCHAR NpxState;
    KIRQL WaitIrql;
    KPROCESSOR_MODE WaitMode;
    UCHAR Unused6[0x1C4 - 0x168];
    SHORT KernelApcDisable; // 0x1C4
    SHORT SpecialApcDisable;
    UCHAR Unused7[0x1D8 - 0x1C8];
    PVOID TrapFrame; // 0x1D8
    UCHAR Unused8[0x210 - 0x1E0];
    struct _EPROCESS *Process; // 0x210
    UCHAR Unused9[0x278 - 0x218];
    uint64_t StackBase; // 0x278
    UCHAR Unused10[0x2F8 - 0x280];
    LIST_ENTRY TcbListEntry; // 0x2F8: in _KPROCESS
    UCHAR Unused11[0x388 - 0x308];
    PKSTART_ROUTINE StartAddress; // 0x388
    UCHAR Unused12[0x3B0 - 0x390];
    CLIENT_ID Cid; // 0x3B0
    UCHAR Unused13[0x410 - 0x3C0];
    PKSTART_ROUTINE Win32StartAddress; // 0x410
    UCHAR Unused14[0x420 - 0x418];
    LIST_ENTRY ThreadListEntry; // 0x420: in _EPROCESS
    UCHAR Unused15[0x498 - 0x430];
    // ours
    LIST_ENTRY QueueEntry; // ready queue
    CHAR BasePriority;
    BOOLEAN SystemThread;
    LONG Quantum;
    PKWAIT_BLOCK WaitBlocks; // chain of the current wait, NULL: none
    KWAIT_BLOCK WaitBlock[THREAD_WAIT_OBJECTS + 1];
    KWAIT_BLOCK TimerBlock;
    KTIMER Timer;
    LIST_ENTRY MutantList; // mutexes owned
    NTSTATUS ExitStatus;
    PVOID StartContext;
    uint64_t SwitchCount;
    PVOID Suspect; // kd's: innermost KD_SUSPECT
};
static_assert(offsetof(_KTHREAD, KernelStack) == 0x38 && offsetof(_KTHREAD, ApcState) == 0x50 &&
                  offsetof(_KTHREAD, Priority) == 0x7B && offsetof(_KTHREAD, State) == 0x164 &&
                  offsetof(_KTHREAD, TrapFrame) == 0x1D8 && offsetof(_KTHREAD, Process) == 0x210 &&
                  offsetof(_KTHREAD, StackBase) == 0x278 &&
                  offsetof(_KTHREAD, StartAddress) == 0x388 && offsetof(_KTHREAD, Cid) == 0x3B0 &&
                  offsetof(_KTHREAD, Win32StartAddress) == 0x410 &&
                  offsetof(_KTHREAD, ThreadListEntry) == 0x420 &&
                  offsetof(_KTHREAD, QueueEntry) == 0x498,
              "Windows 7 SP1");
typedef struct _KTHREAD KTHREAD;

// KPROCESS and, from 0x160, EPROCESS. There are two: System, and the idle thread's.
struct _EPROCESS {
    DISPATCHER_HEADER Header;
    LIST_ENTRY ProfileListHead;
    uint64_t DirectoryTableBase; // 0x028
    LIST_ENTRY TcbListHead;      // 0x030
    UCHAR Unused1[0x180 - 0x40];
    HANDLE UniqueProcessId;        // 0x180
    LIST_ENTRY ActiveProcessLinks; // 0x188
    UCHAR Unused2[0x290 - 0x198];
    HANDLE InheritedFromUniqueProcessId; // 0x290
    UCHAR Unused3[0x2E0 - 0x298];
    CHAR ImageFileName[15]; // 0x2E0
    UCHAR PriorityClass;
    UCHAR Unused4[0x308 - 0x2F0];
    LIST_ENTRY ThreadListHead; // 0x308
    UCHAR Unused5[0x328 - 0x318];
    ULONG ActiveThreads; // 0x328
    UCHAR Unused6[0x338 - 0x32C];
    PVOID Peb; // 0x338
    UCHAR Unused7[0x448 - 0x340];
    uint64_t VadRoot; // 0x448
    UCHAR Unused8[0x4D0 - 0x450];
};
static_assert(offsetof(_EPROCESS, DirectoryTableBase) == 0x28 &&
                  offsetof(_EPROCESS, ActiveProcessLinks) == 0x188 &&
                  offsetof(_EPROCESS, ImageFileName) == 0x2E0 &&
                  offsetof(_EPROCESS, ThreadListHead) == 0x308 &&
                  offsetof(_EPROCESS, Peb) == 0x338 && offsetof(_EPROCESS, VadRoot) == 0x448 &&
                  sizeof(_EPROCESS) == 0x4D0,
              "Windows 7 SP1");
typedef struct _EPROCESS EPROCESS;

#endif // NTC_KSTRUCT_H_
