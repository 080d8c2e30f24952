// SPDX-License-Identifier: MIT
// WDFTIMER.
#include "serialize.h"

namespace wdfldr {

class Timer : public Object {
  public:
    static constexpr Type kType = Type::Timer;
    WDF_TIMER_CONFIG config{};
    KTIMER timer{};
    KDPC dpc{};
    CallbackLock *serialization = nullptr;

    void OnDelete() override {
        KeCancelTimer(&timer);
        KeFlushQueuedDpcs(); // a callback that was under way must end first
    }
};

static VOID NTAPI TimerRoutine(PKDPC, PVOID context, PVOID, PVOID) {
    auto *timer = static_cast<Timer *>(context);
    CallbackGuard guard(timer->serialization);
    timer->config.EvtTimerFunc(timer->HandleAs<WDFTIMER>());
}

} // namespace wdfldr

using namespace wdfldr;

WDF_API(NTSTATUS, WdfTimerCreate,
        (PWDF_DRIVER_GLOBALS pub, PWDF_TIMER_CONFIG config, PWDF_OBJECT_ATTRIBUTES attributes,
         WDFTIMER *out)) {
    WDF_ENTER(WdfTimerCreate, DISPATCH_LEVEL);
    CheckNotNull(config, kName, "Config");
    CheckNotNull(out, kName, "Timer");
    *out = nullptr;
    // TolerableDelay came with 1.9.
    if (config->Size != sizeof(*config) &&
        config->Size != FIELD_OFFSET(WDF_TIMER_CONFIG, TolerableDelay))
        return Refuse(STATUS_INFO_LENGTH_MISMATCH, kName, "WDF_TIMER_CONFIG has the wrong size");
    if (!config->EvtTimerFunc || config->Period > 0x7FFFFFFF)
        return Refuse(STATUS_INVALID_PARAMETER, kName, "EvtTimerFunc or Period");
    NTSTATUS status = CheckAttributes(globals, attributes, kParentRequired | kLevelsAllowed);
    if (!NT_SUCCESS(status))
        return Refuse(status, kName, "attributes");
    if (attributes->ExecutionLevel == WdfExecutionLevelPassive)
        Stop(kFatalError, nullptr, 0, "%s: passive-level timers are not implemented", kName);
    Object *parent = ParentOf(globals, attributes, nullptr);
    if (!DeviceOf(parent))
        return Refuse(STATUS_INVALID_DEVICE_REQUEST, kName, "the parent isn't below a device");
    CallbackLock *lock = nullptr;
    if (config->AutomaticSerialization) {
        status = SerializeWith(parent, false, &lock);
        if (!NT_SUCCESS(status))
            return Refuse(status, kName, "automatic serialization with a passive-level parent");
    }
    auto *timer = New<Timer>(globals, Type::Timer);
    if (!timer)
        return STATUS_INSUFFICIENT_RESOURCES;
    RtlCopyMemory(&timer->config, config, config->Size);
    timer->serialization = lock;
    timer->passiveDelete = true;
    KeInitializeTimerEx(&timer->timer, NotificationTimer);
    KeInitializeDpc(&timer->dpc, &TimerRoutine, timer);
    status = FinishCreate(globals, timer, parent, attributes);
    if (NT_SUCCESS(status))
        *out = timer->HandleAs<WDFTIMER>();
    return status;
}

WDF_API(BOOLEAN, WdfTimerStart, (PWDF_DRIVER_GLOBALS pub, WDFTIMER handle, LONGLONG dueTime)) {
    WDF_ENTER(WdfTimerStart, DISPATCH_LEVEL);
    auto *timer = From<Timer>(globals, handle, kName);
    if (timer->disposed)
        Stop(kObjectError, handle, 0, "%s: timer %p is being deleted", kName, handle);
    LARGE_INTEGER due;
    due.QuadPart = dueTime;
    return KeSetTimerEx(&timer->timer, due, static_cast<LONG>(timer->config.Period), &timer->dpc);
}

WDF_API(BOOLEAN, WdfTimerStop, (PWDF_DRIVER_GLOBALS pub, WDFTIMER handle, BOOLEAN wait)) {
    WDF_ENTER(WdfTimerStop, wait ? PASSIVE_LEVEL : DISPATCH_LEVEL);
    auto *timer = From<Timer>(globals, handle, kName);
    BOOLEAN queued = KeCancelTimer(&timer->timer);
    if (wait)
        KeFlushQueuedDpcs();
    return queued;
}

WDF_API(WDFOBJECT, WdfTimerGetParentObject, (PWDF_DRIVER_GLOBALS pub, WDFTIMER handle)) {
    WDF_ENTER(WdfTimerGetParentObject, DISPATCH_LEVEL);
    return From<Timer>(globals, handle, kName)->parent->Handle();
}
