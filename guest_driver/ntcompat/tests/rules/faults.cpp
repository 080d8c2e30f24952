// SPDX-License-Identifier: MIT
//
// Processor exceptions, and what the system lacks.
#include "rules.h"

// A page of system address space that has just been unmapped.
static volatile UCHAR *Unmapped(void) {
    PHYSICAL_ADDRESS address;
    address.QuadPart = 0xFEE00000;
    PVOID va = MmMapIoSpace(address, PAGE_SIZE, MmNonCached);
    MmUnmapIoSpace(va, PAGE_SIZE);
    return (volatile UCHAR *)Opaque(va);
}

static NTSTATUS ReadPassive(PDRIVER_OBJECT) {
    return *Unmapped();
}

static NTSTATUS WritePassive(PDRIVER_OBJECT) {
    *Unmapped() = 1;
    return STATUS_SUCCESS;
}

static NTSTATUS ReadDispatch(PDRIVER_OBJECT) {
    volatile UCHAR *at = Unmapped();
    KIRQL irql;
    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    return *at;
}

static NTSTATUS ReadNull(PDRIVER_OBJECT) {
    return *(volatile UCHAR *)Opaque((UCHAR *)8);
}

static NTSTATUS NullDispatch(PDRIVER_OBJECT) {
    KIRQL irql;
    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    return *(volatile UCHAR *)Opaque((UCHAR *)8);
}

static NTSTATUS CopyUnmapped(PDRIVER_OBJECT) {
    UCHAR local[64];
    RtlCopyMemory(local, (const void *)Unmapped(), sizeof(local));
    return Opaque(&local[0])[0];
}

static NTSTATUS NonCanonical(PDRIVER_OBJECT) {
    return *(volatile UCHAR *)Opaque((UCHAR *)0x0123456789ABCDEF);
}

static NTSTATUS WriteCode(PDRIVER_OBJECT) {
    *(volatile UCHAR *)Opaque((UCHAR *)&ReadNull) = 0xCC;
    return STATUS_SUCCESS;
}

static const volatile ULONG Constant = 7;

static NTSTATUS WriteConstant(PDRIVER_OBJECT) {
    *(volatile ULONG *)Opaque((ULONG *)&Constant) = 8;
    return STATUS_SUCCESS;
}

static UCHAR Returns[] = {0xC3};

static NTSTATUS ExecuteData(PDRIVER_OBJECT) {
    Opaque((void (*)(void)) & Returns[0])();
    return STATUS_SUCCESS;
}

static NTSTATUS ExecutePool(PDRIVER_OBJECT) {
    auto *block = (UCHAR *)RulesAllocate(64);
    if (!block)
        return STATUS_INSUFFICIENT_RESOURCES;
    block[0] = 0xC3;
    Opaque((void (*)(void))block)();
    return STATUS_SUCCESS;
}

static NTSTATUS CallNull(PDRIVER_OBJECT) {
    Opaque((void (*)(void)) nullptr)();
    return STATUS_SUCCESS;
}

static NTSTATUS Divide(PDRIVER_OBJECT) {
    return (NTSTATUS)(Opaque(100) / Opaque(0));
}

static NTSTATUS InvalidOpcode(PDRIVER_OBJECT) {
    __asm__ volatile("ud2");
    return STATUS_SUCCESS;
}

static NTSTATUS Breakpoint(PDRIVER_OBJECT) {
    DbgBreakPoint();
    return STATUS_SUCCESS;
}

// What ASSERT calls, in a checked build.
static NTSTATUS Assertion(PDRIVER_OBJECT) {
    char text[] = "1 == 2", file[] = "faults.cpp";
    RtlAssert(text, file, __LINE__, nullptr);
    return STATUS_SUCCESS;
}

// What NT_ASSERT executes.
static NTSTATUS NtAssertion(PDRIVER_OBJECT) {
    __asm__ volatile("int $0x2C");
    return STATUS_SUCCESS;
}

static NTSTATUS FastFail(PDRIVER_OBJECT) {
    __asm__ volatile("int $0x29" : : "c"(2));
    return STATUS_SUCCESS;
}

static ULONG __attribute__((noinline)) Recurse(ULONG depth) {
    volatile UCHAR frame[256];
    frame[depth % 256] = (UCHAR)depth;
    ULONG below = Recurse(Opaque(depth) + 1);
    return below + frame[below % 256];
}

static NTSTATUS Recursion(PDRIVER_OBJECT) {
    return (NTSTATUS)Recurse(Opaque(0u));
}

// In mingw-w64's import library and on Windows, not in ntcompat.
static NTSTATUS MissingImport(PDRIVER_OBJECT) {
    UUID uuid;
    return ExUuidCreate(&uuid);
}

static NTSTATUS Crash(PDRIVER_OBJECT) {
    KeBugCheckEx(0xE2, 1, 2, 3, 4);
}

const RuleCase FaultCases[] = {
    {"fault-read-passive", ReadPassive},
    {"fault-write-passive", WritePassive},
    {"fault-read-dispatch", ReadDispatch},
    {"fault-read-null", ReadNull},
    {"fault-null-dispatch", NullDispatch},
    {"fault-copy-unmapped", CopyUnmapped},
    {"fault-non-canonical", NonCanonical},
    {"fault-write-code", WriteCode},
    {"fault-write-constant", WriteConstant},
    {"fault-execute-data", ExecuteData},
    {"fault-execute-pool", ExecutePool},
    {"fault-call-null", CallNull},
    {"fault-divide", Divide},
    {"fault-invalid-opcode", InvalidOpcode},
    {"fault-breakpoint", Breakpoint},
    {"fault-assert", Assertion},
    {"fault-nt-assert", NtAssertion},
    {"fault-fast-fail", FastFail},
    {"fault-recursion", Recursion},
    {"missing-import", MissingImport},
    {"bug-check", Crash},
    {nullptr, nullptr},
};
