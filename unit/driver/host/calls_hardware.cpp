// SPDX-License-Identifier: MIT
//
// The framework's functions of interrupts, DMA, locks and work items.
#include "calls.h"

#include <algorithm>
#include <utility>

namespace vq7::host {

namespace {

NTSTATUS InterruptCreate(Globals, WDFDEVICE, PWDF_INTERRUPT_CONFIG config,
                         PWDF_OBJECT_ATTRIBUTES attributes, WDFINTERRUPT *handle) {
    return CreateConfigured("WdfInterruptCreate", config, attributes, framework->interrupts,
                            handle);
}

BOOLEAN QueueDpc(Globals, WDFINTERRUPT handle) {
    bool was = std::exchange(Of<Interrupt>(handle)->queued, true);
    return BOOLEAN(!was);
}

VOID InterruptInfo(Globals, WDFINTERRUPT handle, PWDF_INTERRUPT_INFO info) {
    const auto &all = framework->interrupts;
    const auto number = std::find(all.begin(), all.end(), Of<Interrupt>(handle)) - all.begin();
    kernel->Need(info->Size == sizeof(*info), "interrupt information of a wrong size");
    // Of one that got no resource there is nothing to say.
    info->MessageSignaled = BOOLEAN(number < framework->messages);
}

WDFDEVICE InterruptDevice(Globals, WDFINTERRUPT handle) {
    return HandleOf<WDFDEVICE>(Of<Interrupt>(handle)->parent);
}

VOID InterruptLock(Globals, WDFINTERRUPT handle) {
    kernel->Need(!std::exchange(Of<Interrupt>(handle)->held, true), "interrupt lock taken twice");
    Of<Interrupt>(handle)->locked++;
}

VOID InterruptUnlock(Globals, WDFINTERRUPT handle) {
    kernel->Need(std::exchange(Of<Interrupt>(handle)->held, false), "interrupt lock not held");
}

NTSTATUS DmaEnablerCreate(Globals, WDFDEVICE, PWDF_DMA_ENABLER_CONFIG config,
                          PWDF_OBJECT_ATTRIBUTES attributes, WDFDMAENABLER *handle) {
    kernel->Need(config->Size == sizeof(*config), "DMA configuration of a wrong size");
    framework->dma_length = config->MaximumLength;
    framework->dma_profile = config->Profile;
    return Create<Object>("WdfDmaEnablerCreate", attributes, handle);
}

NTSTATUS CommonBufferCreate(Globals, WDFDMAENABLER enabler, size_t length,
                            PWDF_COMMON_BUFFER_CONFIG config, PWDF_OBJECT_ATTRIBUTES attributes,
                            WDFCOMMONBUFFER *handle) {
    Of<Object>(enabler);
    kernel->Need(kernel->irql == PASSIVE_LEVEL, "a common buffer made above PASSIVE_LEVEL");
    NTSTATUS status =
        Create<Buffer>("WdfCommonBufferCreateWithConfig", attributes, handle, [&](Buffer *made) {
            made->length = length;
            made->pa = kernel->memory.Allocate(length, config->AlignmentRequirement + 1);
            memset(kernel->memory.Host(made->pa, length), kUnset, length);
        });
    if (!NT_SUCCESS(status)) { // nobody said what the handle is then
        *handle = reinterpret_cast<WDFCOMMONBUFFER>(~ULONG_PTR(0));
    }
    return status;
}

PVOID CommonBufferVa(Globals, WDFCOMMONBUFFER handle) {
    Buffer *buffer = Of<Buffer>(handle);
    return kernel->memory.Host(buffer->pa, buffer->length);
}

PHYSICAL_ADDRESS CommonBufferPa(Globals, WDFCOMMONBUFFER handle) {
    PHYSICAL_ADDRESS address;
    address.QuadPart = LONGLONG(Of<Buffer>(handle)->pa) ^ (framework->iommu ? 1LL << 40 : 0);
    return address;
}

NTSTATUS SpinLockCreate(Globals, PWDF_OBJECT_ATTRIBUTES attributes, WDFSPINLOCK *handle) {
    kernel->Need(attributes->ParentObject != nullptr, "a lock without a parent");
    return Create<Lock>("WdfSpinLockCreate", attributes, handle,
                        [](Lock *made) { framework->spin_locks.push_back(made); });
}

VOID SpinLockAcquire(Globals, WDFSPINLOCK handle) {
    Lock *lock = Of<Lock>(handle);
    if (framework->in_lock) {
        framework->in_lock(lock);
    }
    lock->locked++;
    kernel->Need(!framework->LocksHeld(), "two spin locks at once");
    kernel->Need(kernel->irql <= DISPATCH_LEVEL, "a spin lock above DISPATCH_LEVEL");
    lock->held = true;
    lock->irql_before = std::exchange(kernel->irql, KIRQL(DISPATCH_LEVEL));
}

VOID SpinLockRelease(Globals, WDFSPINLOCK handle) {
    Lock *lock = Of<Lock>(handle);
    kernel->Need(lock->held, "a spin lock released that is not held");
    lock->held = false;
    kernel->irql = lock->irql_before;
}

NTSTATUS WaitLockCreate(Globals, PWDF_OBJECT_ATTRIBUTES attributes, WDFWAITLOCK *handle) {
    kernel->Need(attributes->ParentObject != nullptr, "a lock without a parent");
    return Create<Lock>("WdfWaitLockCreate", attributes, handle);
}

NTSTATUS WaitLockAcquire(Globals, WDFWAITLOCK handle, PLONGLONG) {
    Lock *lock = Of<Lock>(handle);
    kernel->Need(kernel->irql == PASSIVE_LEVEL, "a wait above PASSIVE_LEVEL");
    kernel->Need(!std::exchange(lock->held, true), "a wait lock is taken twice");
    return STATUS_SUCCESS;
}

VOID WaitLockRelease(Globals, WDFWAITLOCK handle) {
    kernel->Need(std::exchange(Of<Lock>(handle)->held, false), "a wait lock is not held");
}

NTSTATUS WorkItemCreate(Globals, PWDF_WORKITEM_CONFIG config, PWDF_OBJECT_ATTRIBUTES attributes,
                        WDFWORKITEM *handle) {
    kernel->Need(attributes->ParentObject != nullptr, "a work item without a parent");
    kernel->Need(!config->AutomaticSerialization, "a passive work item of a device whose "
                                                  "callbacks run at DISPATCH_LEVEL");
    return CreateConfigured("WdfWorkItemCreate", config, attributes, framework->work_items, handle);
}

VOID WorkItemEnqueue(Globals, WDFWORKITEM handle) {
    Of<WorkItem>(handle)->queued = true;
}

VOID WorkItemFlush(Globals, WDFWORKITEM handle) {
    Of<WorkItem>(handle);
    kernel->Need(kernel->irql == PASSIVE_LEVEL, "a wait above PASSIVE_LEVEL");
    framework->RunWork();
}

WDFOBJECT WorkItemParent(Globals, WDFWORKITEM handle) {
    return Of<WorkItem>(handle)->parent;
}

NTSTATUS TimerCreate(Globals, PWDF_TIMER_CONFIG config, PWDF_OBJECT_ATTRIBUTES attributes,
                     WDFTIMER *handle) {
    kernel->Need(attributes->ParentObject != nullptr, "a timer without a parent");
    kernel->Need(config->Period == 0, "a timer that repeats itself");
    return CreateConfigured("WdfTimerCreate", config, attributes, framework->timers, handle);
}

BOOLEAN TimerStart(Globals, WDFTIMER handle, LONGLONG due) {
    Timer *timer = Of<Timer>(handle);
    kernel->Need(due < 0, "a timer set to a moment of the calendar");
    timer->due_ms = unsigned(-due / 10000);
    return BOOLEAN(std::exchange(timer->armed, true));
}

BOOLEAN TimerStop(Globals, WDFTIMER handle, BOOLEAN wait) {
    kernel->Need(!wait || kernel->irql == PASSIVE_LEVEL, "a wait above PASSIVE_LEVEL");
    Of<Timer>(handle)->waits += wait != FALSE;
    return BOOLEAN(std::exchange(Of<Timer>(handle)->armed, false));
}

WDFOBJECT TimerParent(Globals, WDFTIMER handle) {
    return Of<Timer>(handle)->parent;
}

} // namespace

void FillHardwareCalls() {
    VQ7_ENTRY(WdfInterruptCreate, InterruptCreate);
    VQ7_ENTRY(WdfInterruptQueueDpcForIsr, QueueDpc);
    VQ7_ENTRY(WdfInterruptGetInfo, InterruptInfo);
    VQ7_ENTRY(WdfInterruptGetDevice, InterruptDevice);
    VQ7_ENTRY(WdfInterruptAcquireLock, InterruptLock);
    VQ7_ENTRY(WdfInterruptReleaseLock, InterruptUnlock);
    VQ7_ENTRY(WdfDmaEnablerCreate, DmaEnablerCreate);
    VQ7_ENTRY(WdfCommonBufferCreateWithConfig, CommonBufferCreate);
    VQ7_ENTRY(WdfCommonBufferGetAlignedVirtualAddress, CommonBufferVa);
    VQ7_ENTRY(WdfCommonBufferGetAlignedLogicalAddress, CommonBufferPa);
    VQ7_ENTRY(WdfSpinLockCreate, SpinLockCreate);
    VQ7_ENTRY(WdfSpinLockAcquire, SpinLockAcquire);
    VQ7_ENTRY(WdfSpinLockRelease, SpinLockRelease);
    VQ7_ENTRY(WdfWaitLockCreate, WaitLockCreate);
    VQ7_ENTRY(WdfWaitLockAcquire, WaitLockAcquire);
    VQ7_ENTRY(WdfWaitLockRelease, WaitLockRelease);
    VQ7_ENTRY(WdfTimerCreate, TimerCreate);
    VQ7_ENTRY(WdfTimerStart, TimerStart);
    VQ7_ENTRY(WdfTimerStop, TimerStop);
    VQ7_ENTRY(WdfTimerGetParentObject, TimerParent);
    VQ7_ENTRY(WdfWorkItemCreate, WorkItemCreate);
    VQ7_ENTRY(WdfWorkItemEnqueue, WorkItemEnqueue);
    VQ7_ENTRY(WdfWorkItemFlush, WorkItemFlush);
    VQ7_ENTRY(WdfWorkItemGetParentObject, WorkItemParent);
}

} // namespace vq7::host
