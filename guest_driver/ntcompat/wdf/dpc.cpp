// SPDX-License-Identifier: MIT
// WDFDPC.
#include "serialize.h"

namespace wdfldr {

class Dpc : public Object {
  public:
    static constexpr Type kType = Type::Dpc;
    WDF_DPC_CONFIG config{};
    KDPC dpc{};
    CallbackLock *serialization = nullptr;

    void OnDelete() override {
        KeRemoveQueueDpc(&dpc);
        KeFlushQueuedDpcs();
    }
};

static VOID NTAPI DpcRoutine(PKDPC, PVOID context, PVOID, PVOID) {
    auto *dpc = static_cast<Dpc *>(context);
    CallbackGuard guard(dpc->serialization);
    dpc->config.EvtDpcFunc(dpc->HandleAs<WDFDPC>());
}

} // namespace wdfldr

using namespace wdfldr;

WDF_API(NTSTATUS, WdfDpcCreate,
        (PWDF_DRIVER_GLOBALS pub, PWDF_DPC_CONFIG config, PWDF_OBJECT_ATTRIBUTES attributes,
         WDFDPC *out)) {
    WDF_ENTER(WdfDpcCreate, DISPATCH_LEVEL);
    CheckNotNull(config, kName, "Config");
    CheckNotNull(out, kName, "Dpc");
    *out = nullptr;
    if (config->Size != sizeof(*config))
        return Refuse(STATUS_INFO_LENGTH_MISMATCH, kName, "WDF_DPC_CONFIG has the wrong size");
    if (!config->EvtDpcFunc)
        return Refuse(STATUS_INVALID_PARAMETER, kName, "EvtDpcFunc is NULL");
    NTSTATUS status = CheckAttributes(globals, attributes, kParentRequired);
    if (!NT_SUCCESS(status))
        return Refuse(status, kName, "attributes");
    Object *parent = ParentOf(globals, attributes, nullptr);
    if (!DeviceOf(parent))
        return Refuse(STATUS_INVALID_DEVICE_REQUEST, kName, "the parent isn't below a device");
    CallbackLock *lock = nullptr;
    if (config->AutomaticSerialization) {
        status = SerializeWith(parent, false, &lock);
        if (!NT_SUCCESS(status))
            return Refuse(status, kName, "automatic serialization with a passive-level parent");
    }
    auto *dpc = New<Dpc>(globals, Type::Dpc);
    if (!dpc)
        return STATUS_INSUFFICIENT_RESOURCES;
    dpc->config = *config;
    dpc->serialization = lock;
    dpc->passiveDelete = true;
    KeInitializeDpc(&dpc->dpc, &DpcRoutine, dpc);
    status = FinishCreate(globals, dpc, parent, attributes);
    if (NT_SUCCESS(status))
        *out = dpc->HandleAs<WDFDPC>();
    return status;
}

WDF_API(BOOLEAN, WdfDpcEnqueue, (PWDF_DRIVER_GLOBALS pub, WDFDPC handle)) {
    WDF_ENTER(WdfDpcEnqueue, HIGH_LEVEL);
    return KeInsertQueueDpc(&From<Dpc>(globals, handle, kName)->dpc, nullptr, nullptr);
}

WDF_API(BOOLEAN, WdfDpcCancel, (PWDF_DRIVER_GLOBALS pub, WDFDPC handle, BOOLEAN wait)) {
    WDF_ENTER(WdfDpcCancel, wait ? PASSIVE_LEVEL : HIGH_LEVEL);
    BOOLEAN removed = KeRemoveQueueDpc(&From<Dpc>(globals, handle, kName)->dpc);
    if (wait)
        KeFlushQueuedDpcs();
    return removed;
}

WDF_API(WDFOBJECT, WdfDpcGetParentObject, (PWDF_DRIVER_GLOBALS pub, WDFDPC handle)) {
    WDF_ENTER(WdfDpcGetParentObject, HIGH_LEVEL);
    return From<Dpc>(globals, handle, kName)->parent->Handle();
}

WDF_API(PKDPC, WdfDpcWdmGetDpc, (PWDF_DRIVER_GLOBALS pub, WDFDPC handle)) {
    WDF_ENTER(WdfDpcWdmGetDpc, HIGH_LEVEL);
    return &From<Dpc>(globals, handle, kName)->dpc;
}
