// SPDX-License-Identifier: MIT
//
// WDFDEVICE: a function device object in a PnP stack, its PnP and power life.
#ifndef NTC_WDF_DEVICE_H_
#define NTC_WDF_DEVICE_H_

#include "driver.h"

namespace wdfldr {

class Queue;
class Request;
class CmResList;

enum class PnpState {
    Added,         // WdfDeviceCreate .. start
    Started,       // in D0 or a low-power state of a running system
    StopPending,   // query-stop succeeded
    Stopped,       // stop
    RemovePending, // query-remove succeeded
    SurpriseRemoved,
    StartFailed,
    Removed,
};

struct DeviceInterface {
    LIST_ENTRY links;
    GUID classGuid;
    UNICODE_STRING link;      // from IoRegisterDeviceInterface
    UNICODE_STRING reference; // Buffer NULL: none
    bool wanted;              // WdfDeviceSetDeviceInterfaceState; on unless told otherwise
    bool enabled;
};

class Device : public Object {
  public:
    static constexpr Type kType = Type::Device;

    Driver *driver = nullptr;
    LIST_ENTRY driverLink{};
    PDEVICE_OBJECT deviceObject = nullptr;
    PDEVICE_OBJECT attached = nullptr; // next lower
    PDEVICE_OBJECT physical = nullptr; // PDO
    WDF_PNPPOWER_EVENT_CALLBACKS callbacks{};
    WDF_OBJECT_ATTRIBUTES requestAttributes{};
    bool hasRequestAttributes = false;
    WDF_FILEOBJECT_CONFIG fileConfig{};
    WDF_OBJECT_ATTRIBUTES fileAttributes{};
    bool hasFileAttributes = false;
    bool hasFileConfig = false;
    CallbackLock callbackLock;

    // Written at PASSIVE_LEVEL by PnP and power IRPs, which do not overlap.
    PnpState pnpState = PnpState::Added;
    WDF_POWER_DEVICE_STATE powerState = WdfPowerDeviceD3Final;
    SYSTEM_POWER_STATE systemState = PowerSystemWorking;
    bool selfManagedStarted = false;
    bool hardwarePrepared = false;
    bool failed = false; // WdfDeviceSetFailed
    bool failedRestart = false;
    WDF_DEVICE_PNP_CAPABILITIES pnpCapabilities{};
    bool hasPnpCapabilities = false;
    DEVICE_CAPABILITIES capabilities{}; // as the stack below reports them
    CmResList *resourcesRaw = nullptr;
    CmResList *resourcesTranslated = nullptr;
    PIO_WORKITEM powerWork = nullptr;
    PIRP powerIrp = nullptr; // the D-IRP that powerWork handles

    // I/O.
    KSPIN_LOCK lock = 0; // lists below, ioCount
    LIST_ENTRY queues{};
    LIST_ENTRY interrupts{};
    LIST_ENTRY dmaEnablers{};
    LIST_ENTRY interfaces{};
    LIST_ENTRY files{};
    Queue *defaultQueue = nullptr;
    Queue *dispatch[IRP_MJ_MAXIMUM_FUNCTION + 1] = {};
    bool acceptIo = true;
    LONG ioCount = 0; // requests between arrival and completion
    KEVENT ioIdle{};

    CallbackLock *ScopeLock() {
        return synchronizationScope == WdfSynchronizationScopeDevice ? &callbackLock : nullptr;
    }
    bool EnterIo();
    void LeaveIo();
    void OnDelete() override;
    void OnDispose() override;
};

Driver *FindDriver(PDRIVER_OBJECT driverObject);
inline Device *ToDevice(PDEVICE_OBJECT deviceObject) {
    return *static_cast<Device **>(deviceObject->DeviceExtension);
}

DRIVER_ADD_DEVICE AddDevice;
DRIVER_DISPATCH Dispatch;
NTSTATUS NTAPI DispatchPnp(PDEVICE_OBJECT deviceObject, PIRP irp);
NTSTATUS NTAPI DispatchPower(PDEVICE_OBJECT deviceObject, PIRP irp);
NTSTATUS NTAPI DispatchIo(PDEVICE_OBJECT deviceObject, PIRP irp);

// IRP helpers (irp.cpp).
NTSTATUS CompleteIrp(PIRP irp, NTSTATUS status, ULONG_PTR information = 0);
NTSTATUS PassDown(Device *device, PIRP irp);
// The same for an IRP that was marked pending: it keeps our stack location, which
// carries the mark, and the next driver gets its own.
void PassDownPended(Device *device, PIRP irp);
// PASSIVE_LEVEL: sends the IRP down and waits for it; the caller completes it.
NTSTATUS PassDownAndWait(Device *device, PIRP irp);
// PASSIVE_LEVEL: a PnP IRP of our own to the stack; fills `stack` in.
NTSTATUS SendPnpIrp(PDEVICE_OBJECT target, const IO_STACK_LOCATION *stack, ULONG_PTR *information);

// Power-up and power-down sequences (powerup.cpp); PASSIVE_LEVEL.
NTSTATUS PowerUp(Device *device);
NTSTATUS PowerDown(Device *device, WDF_POWER_DEVICE_STATE target);

// Device interfaces (interface.cpp).
void EnableInterfaces(Device *device);
void DisableInterfaces(Device *device);
void FreeInterfaces(Device *device);

// Deletes the WDFDEVICE and its device object. PASSIVE_LEVEL.
void DestroyDevice(Device *device);

} // namespace wdfldr

#endif // NTC_WDF_DEVICE_H_
