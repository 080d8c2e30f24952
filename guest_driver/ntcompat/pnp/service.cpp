// SPDX-License-Identifier: MIT
//
// Services: a driver and its devices, loaded, removed and loaded again; and the
// start of io and pnp themselves.
#include "pnp/power.h"

struct SERVICE {
    LIST_ENTRY links;
    WCHAR name[32];
    PDRIVER_OBJECT driver; // null: not loaded
    bool disabled;         // by NtcDisableService
};

static LIST_ENTRY Services = {&Services, &Services};
static KMUTEX ServiceLock;

void PnpLockServices(void) {
    KeWaitForSingleObject(&ServiceLock, Executive, KernelMode, FALSE, nullptr);
}

void PnpUnlockServices(void) {
    KeReleaseMutex(&ServiceLock, FALSE);
}

static SERVICE *FindService(const WCHAR *name) {
    for (PLIST_ENTRY e = Services.Flink; e != &Services; e = e->Flink) {
        auto *service = CONTAINING_RECORD(e, SERVICE, links);
        if (IopSameText(service->name, name))
            return service;
    }
    return nullptr;
}

static SERVICE *AddService(const WCHAR *name) {
    SERVICE *service = FindService(name);
    if (service)
        return service;
    service = (SERVICE *)ExAllocatePoolWithTag(PagedPool, sizeof(SERVICE), IOP_TAG_PNP);
    if (!service)
        return nullptr;
    RtlZeroMemory(service, sizeof(*service));
    IopCopy(service->name, 32, name);
    InsertTailList(&Services, &service->links);
    return service;
}

static NTSTATUS StartDevices(SERVICE *service) {
    NTSTATUS result = STATUS_SUCCESS;
    for (PLIST_ENTRY e = PnpNodes.Flink; e != &PnpNodes; e = e->Flink) {
        auto *node = CONTAINING_RECORD(e, PNP_NODE, links);
        if (!IopSameText(node->service, service->name) || node->state == PnpStateStarted ||
            node->state == PnpStateSurpriseRemoved)
            continue;
        node->driver = service->driver;
        NTSTATUS status = PnpStartNode(node);
        if (!NT_SUCCESS(status))
            result = status;
    }
    return result;
}

static NTSTATUS Enable(SERVICE *service) {
    service->disabled = false;
    if (!service->driver) {
        NTSTATUS status = IopLoadDriver(service->name, &service->driver);
        if (!NT_SUCCESS(status)) {
            service->driver = nullptr;
            return status;
        }
        DbgPrint("io: service %ws is loaded\n", service->name);
    }
    return StartDevices(service);
}

static NTSTATUS Disable(SERVICE *service) {
    NTSTATUS status;
    PnpFinishRemovals();
    for (PLIST_ENTRY e = PnpNodes.Flink; e != &PnpNodes; e = e->Flink) {
        auto *node = CONTAINING_RECORD(e, PNP_NODE, links);
        if (!IopSameText(node->service, service->name))
            continue;
        status =
            node->state == PnpStateSurpriseRemoved ? STATUS_DEVICE_BUSY : PnpRemoveNode(node, true);
        if (!NT_SUCCESS(status)) {
            // Those removed before it come back.
            (void)StartDevices(service);
            return status;
        }
        node->driver = nullptr;
    }
    if (!service->driver)
        return STATUS_SUCCESS;
    status = IopUnloadDriver(service->driver);
    if (NT_SUCCESS(status)) {
        service->driver = nullptr;
        service->disabled = true;
        DbgPrint("io: service %ws is unloaded\n", service->name);
    }
    return status;
}

static NTSTATUS WithService(const WCHAR *name, NTSTATUS (*routine)(SERVICE *)) {
    IopRequireIrql(PASSIVE_LEVEL, "NtcEnableService or NtcDisableService");
    PnpLockServices();
    SERVICE *service = FindService(name);
    NTSTATUS status = service ? routine(service) : STATUS_OBJECT_NAME_NOT_FOUND;
    PnpUnlockServices();
    return status;
}

extern "C" NTSTATUS NtcDisableService(const WCHAR *service) {
    return WithService(service, Disable);
}

extern "C" NTSTATUS NtcEnableService(const WCHAR *service) {
    return WithService(service, Enable);
}

static NTSTATUS WithDevice(PDEVICE_OBJECT device, NTSTATUS (*routine)(PNP_NODE *)) {
    IopRequireIrql(PASSIVE_LEVEL, "NtcSleepDevice or NtcWakeDevice");
    PnpLockServices();
    PDEVICE_OBJECT pdo = IoGetDeviceAttachmentBaseRef(device);
    PNP_NODE *node = PnpNodeOf(pdo);
    NTSTATUS status = STATUS_INVALID_DEVICE_STATE;
    if (node && node->state == PnpStateStarted)
        status = routine(node);
    ObDereferenceObject(pdo);
    PnpUnlockServices();
    return status;
}

extern "C" NTSTATUS NtcSleepDevice(PDEVICE_OBJECT device) {
    return WithDevice(device, PopSleep);
}

extern "C" NTSTATUS NtcWakeDevice(PDEVICE_OBJECT device) {
    return WithDevice(device, PopWake);
}

extern "C" NTSTATUS NtcShutdown(BOOLEAN reboot) {
    IopRequireIrql(PASSIVE_LEVEL, "NtcShutdown");
    POWER_ACTION action = reboot ? PowerActionShutdownReset : PowerActionShutdownOff;
    for (PLIST_ENTRY e = PnpNodes.Blink; e != &PnpNodes; e = e->Blink) {
        auto *node = CONTAINING_RECORD(e, PNP_NODE, links);
        if (node->state != PnpStateStarted)
            continue;
        NTSTATUS status = PopSendSystemPower(node->pdo, PowerSystemShutdown, action);
        if (!NT_SUCCESS(status))
            DbgPrint("pnp: %ws: shutdown power request: 0x%08x\n", node->instance, status);
    }
    DbgPrint("pnp: %s\n", reboot ? "restarting" : "powering off");
    if (reboot)
        HalRebootMachine();
    HalPowerOffMachine();
}

// ---- start ----------------------------------------------------------------------------

void PnpStartArrival(PNP_NODE *node) {
    if (!node->service[0] || node->state == PnpStateStarted)
        return;
    SERVICE *service = AddService(node->service);
    if (!service || service->disabled)
        return;
    NTSTATUS status = STATUS_SUCCESS;
    node->driver = service->driver;
    if (service->driver)
        (void)PnpStartNode(node); // says itself what is wrong
    else
        status = Enable(service);
    if (!NT_SUCCESS(status))
        DbgPrint("io: service %ws: 0x%08x\n", node->service, status);
}

static void LoadMatchedServices(void) {
    for (PLIST_ENTRY e = PnpNodes.Flink; e != &PnpNodes; e = e->Flink) {
        auto *node = CONTAINING_RECORD(e, PNP_NODE, links);
        if (!node->service[0] || FindService(node->service))
            continue;
        SERVICE *service = AddService(node->service);
        NTSTATUS status = service ? Enable(service) : STATUS_INSUFFICIENT_RESOURCES;
        if (!NT_SUCCESS(status))
            DbgPrint("io: service %ws: 0x%08x\n", node->service, status);
    }
}

// The console agent has no device: a legacy driver, the last to be loaded.
static void LoadAgent(void) {
    const void *data;
    size_t size;
    if (!LdrFindFile("vq7agent.sys", &data, &size)) {
        DbgPrint("io: no vq7agent.sys in the archive\n");
        return;
    }
    SERVICE *service = AddService(L"vq7agent");
    NTSTATUS status =
        service ? IopLoadDriver(L"vq7agent", &service->driver) : STATUS_INSUFFICIENT_RESOURCES;
    if (!NT_SUCCESS(status))
        DbgPrint("io: vq7agent: 0x%08x\n", status);
}

extern "C" void IoInitSystem(NTC_LOADER_BLOCK *block) {
    (void)block; // the command line is in the registry already
    IopRequireIrql(PASSIVE_LEVEL, "IoInitSystem");
    KeInitializeMutex(&ServiceLock, 0);
    IopInitDrivers();
    IopInitFiles();
    IopInitWorkers();
    IopInitSerial();
    PnpInitMatching();
    PciInit();
    PciEnumerate();
    LoadMatchedServices();
    PnpStartEvents();
    LoadAgent();
}
