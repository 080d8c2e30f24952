// SPDX-License-Identifier: MIT
//
// The PnP manager's own thread: devices that come, that are to go, that are gone, and
// those whose drivers report a failure.
#include "pnp/pnp.h"

static const int IntervalMs = 50; // between looks at the hot-plug registers and slots
static KEVENT Wake;

void PnpNotifyEvents(void) {
    KeSetEvent(&Wake, IO_NO_INCREMENT, FALSE);
}

static PNP_NODE *NodeAt(PLIST_ENTRY entry) {
    return CONTAINING_RECORD(entry, PNP_NODE, links);
}

void PnpFinishRemovals(void) {
    PLIST_ENTRY next;
    for (PLIST_ENTRY e = PnpNodes.Flink; e != &PnpNodes; e = next) {
        next = e->Flink;
        PNP_NODE *node = NodeAt(e);
        bool has_stack = node->state == PnpStateStarted || node->state == PnpStateAdded;
        if (has_stack || !PnpFinishRemoval(node) || PciIsPresent(node->pdo))
            continue;
        PciMarkMissing(node->pdo);
        PnpDeleteNode(node);
    }
}

// Devices that don't answer any more were pulled out.
static void FindMissing(void) {
    bool any = false;
    for (PLIST_ENTRY e = PnpNodes.Flink; e != &PnpNodes; e = e->Flink) {
        PNP_NODE *node = NodeAt(e);
        any |= node->state == PnpStateSurpriseRemoved;
        if (PciIsPresent(node->pdo))
            continue;
        any = true;
        PciMarkMissing(node->pdo);
        PnpSurpriseRemove(node);
    }
    if (any)
        PnpFinishRemovals();
}

static void FindArrivals(void) {
    PLIST_ENTRY last = PnpNodes.Blink;
    PciRescan();
    for (PLIST_ENTRY e = last->Flink; e != &PnpNodes; e = e->Flink)
        PnpStartArrival(NodeAt(e));
}

// ---- ejection ---------------------------------------------------------------------------

struct SLOT {
    ULONG bridge;
    ULONG number;
};

template <class F> static void ForEachIn(const SLOT &slot, F use) {
    for (PLIST_ENTRY e = PnpNodes.Flink; e != &PnpNodes; e = e->Flink)
        if (PciIsInSlot(NodeAt(e)->pdo, slot.bridge, slot.number))
            use(NodeAt(e));
}

// All functions of the slot go, or none does.
static void Eject(const SLOT &slot) {
    PNP_NODE *any = nullptr;
    bool refused = false;
    ForEachIn(slot, [&](PNP_NODE *node) {
        any = node;
        refused = refused || !NT_SUCCESS(PnpRemoveNode(node, true));
    });
    if (!any)
        return;
    if (refused) {
        // Those that were removed before it come back.
        ForEachIn(slot, [](PNP_NODE *node) { PnpStartArrival(node); });
        return;
    }
    DbgPrint("pnp: %ws: ejected\n", any->instance);
    IO_STACK_LOCATION location = {};
    (void)PnpSendIrp(any->pdo, IRP_MN_EJECT, &location, nullptr);
}

static void EjectWanted(void) {
    for (ULONG i = 0; i < HalHotplugBuses(); i++) {
        SLOT slot = {};
        ULONG wanted = HalHotplugRemovals(i, &slot.bridge);
        for (; slot.number < 32; slot.number++)
            if (wanted & 1u << slot.number)
                Eject(slot);
    }
}

// ---- the thread -------------------------------------------------------------------------

static void CheckStates(void) {
    for (PLIST_ENTRY e = PnpNodes.Flink; e != &PnpNodes; e = e->Flink)
        if (InterlockedExchange(&NodeAt(e)->invalidated, 0))
            PnpCheckState(NodeAt(e));
}

static void NTAPI EventThread(PVOID) {
    for (;;) {
        LARGE_INTEGER interval;
        interval.QuadPart = -10000ll * IntervalMs;
        KeWaitForSingleObject(&Wake, Executive, KernelMode, FALSE, &interval);
        bool event = HalHotplugEvent() != FALSE;
        PnpLockServices();
        CheckStates();
        if (event)
            EjectWanted();
        FindMissing();
        if (event)
            FindArrivals();
        PnpUnlockServices();
    }
}

void PnpStartEvents(void) {
    KeInitializeEvent(&Wake, SynchronizationEvent, FALSE);
    HANDLE thread;
    NTSTATUS status = PsCreateSystemThread(&thread, THREAD_ALL_ACCESS, nullptr, nullptr, nullptr,
                                           EventThread, nullptr);
    if (!NT_SUCCESS(status))
        KdViolation(IOP_VERIFIER, "no thread for PnP events", 0, (uint64_t)(ULONG)status, 0, 0);
    ZwClose(thread);
}
