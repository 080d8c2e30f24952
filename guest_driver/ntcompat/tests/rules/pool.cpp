// SPDX-License-Identifier: MIT
//
// Pool: writing outside of a block, freeing wrongly, freeing not at all.
#include "rules.h"

static UCHAR *Block(SIZE_T size) {
    auto *block = (UCHAR *)RulesAllocate(size);
    if (!block)
        DbgPrint("ntcrules: no pool\n");
    return Opaque(block);
}

static NTSTATUS OverrunOf(SIZE_T size) {
    UCHAR *block = Block(size);
    block[size] = 0x5A;
    ExFreePoolWithTag(Opaque(block), RULES_TAG);
    return STATUS_SUCCESS;
}

static NTSTATUS Overrun(PDRIVER_OBJECT) {
    return OverrunOf(100);
}

static NTSTATUS OverrunLarge(PDRIVER_OBJECT) {
    return OverrunOf(2 * PAGE_SIZE + 8);
}

static NTSTATUS Underrun(PDRIVER_OBJECT) {
    UCHAR *block = Block(100);
    *(volatile ULONG *)(block - 4) = 0x5A5A5A5A;
    ExFreePoolWithTag(Opaque(block), RULES_TAG);
    return STATUS_SUCCESS;
}

static NTSTATUS BeyondPages(PDRIVER_OBJECT) {
    UCHAR *block = Block(2 * PAGE_SIZE);
    *(volatile UCHAR *)(block + 2 * PAGE_SIZE) = 0x5A;
    return STATUS_SUCCESS;
}

static NTSTATUS FreedTwice(SIZE_T size) {
    UCHAR *block = Block(size);
    ExFreePoolWithTag(block, RULES_TAG);
    ExFreePoolWithTag(Opaque(block), RULES_TAG);
    return STATUS_SUCCESS;
}

static NTSTATUS DoubleFree(PDRIVER_OBJECT) {
    return FreedTwice(64);
}

static NTSTATUS DoubleFreeLarge(PDRIVER_OBJECT) {
    return FreedTwice(3 * PAGE_SIZE);
}

static NTSTATUS WrongTag(PDRIVER_OBJECT) {
    ExFreePoolWithTag(Block(64), 'rehO');
    return STATUS_SUCCESS;
}

static NTSTATUS FreeInside(PDRIVER_OBJECT) {
    ExFreePoolWithTag(Block(256) + 64, RULES_TAG);
    return STATUS_SUCCESS;
}

static NTSTATUS FreeStack(PDRIVER_OBJECT) {
    UCHAR local[64];
    ExFreePoolWithTag(Opaque(&local[0]), RULES_TAG);
    return STATUS_SUCCESS;
}

// Seen when the block comes into use again.
static NTSTATUS UseAfterFree(PDRIVER_OBJECT) {
    UCHAR *block = Block(64);
    ExFreePoolWithTag(block, RULES_TAG);
    *(volatile UCHAR *)(Opaque(block) + 8) = 0x5A;
    for (int i = 0; i < 1000; i++)
        ExFreePoolWithTag(Block(64), RULES_TAG);
    return STATUS_SUCCESS;
}

static NTSTATUS UseAfterFreeLarge(PDRIVER_OBJECT) {
    UCHAR *block = Block(2 * PAGE_SIZE);
    ExFreePoolWithTag(block, RULES_TAG);
    *(volatile UCHAR *)(Opaque(block) + 8) = 0x5A;
    return STATUS_SUCCESS;
}

static NTSTATUS Leak(PDRIVER_OBJECT) {
    Block(64);
    return STATUS_SUCCESS;
}

static NTSTATUS LeakLarge(PDRIVER_OBJECT) {
    Block(5 * PAGE_SIZE);
    return STATUS_SUCCESS;
}

static NTSTATUS ZeroBytes(PDRIVER_OBJECT) {
    Block(0);
    return STATUS_SUCCESS;
}

static NTSTATUS PagedHigh(PDRIVER_OBJECT) {
    KIRQL irql;
    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    Opaque(ExAllocatePoolWithTag(PagedPool, 64, RULES_TAG));
    return STATUS_SUCCESS;
}

static NTSTATUS NonPagedHigh(PDRIVER_OBJECT) {
    KIRQL irql;
    KeRaiseIrql(DISPATCH_LEVEL + 1, &irql);
    Block(64);
    return STATUS_SUCCESS;
}

const RuleCase PoolCases[] = {
    {"pool-overrun", Overrun},
    {"pool-overrun-large", OverrunLarge},
    {"pool-underrun", Underrun},
    {"pool-beyond-pages", BeyondPages},
    {"pool-double-free", DoubleFree},
    {"pool-double-free-large", DoubleFreeLarge},
    {"pool-wrong-tag", WrongTag},
    {"pool-free-inside", FreeInside},
    {"pool-free-stack", FreeStack},
    {"pool-use-after-free", UseAfterFree},
    {"pool-use-after-free-large", UseAfterFreeLarge},
    {"pool-leak", Leak},
    {"pool-leak-large", LeakLarge},
    {"pool-zero-bytes", ZeroBytes},
    {"pool-paged-high", PagedHigh},
    {"pool-nonpaged-high", NonPagedHigh},
    {nullptr, nullptr},
};
