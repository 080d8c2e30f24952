// SPDX-License-Identifier: MIT
#ifndef NTC_WDF_INTERRUPT_H_
#define NTC_WDF_INTERRUPT_H_

#include "device.h"
#include "locks.h"

namespace wdfldr {

class Interrupt : public Object {
  public:
    static constexpr Type kType = Type::Interrupt;
    Device *device = nullptr;
    LIST_ENTRY deviceLink{};
    WDF_INTERRUPT_CONFIG config{};
    WDF_INTERRUPT_INFO info{};
    SpinLock *sharedLock = nullptr; // referenced; NULL: ownLock
    KSPIN_LOCK ownLock = 0;
    KIRQL synchronizeIrql = 0;
    KIRQL lockedIrql = 0; // before WdfInterruptAcquireLock
    bool hasResource = false;
    bool enabled = false;
    PKINTERRUPT kernelInterrupt = nullptr; // non-NULL: connected
    KDPC dpc{};
    CallbackLock *serialization = nullptr; // AutomaticSerialization

    KSPIN_LOCK *Lock() {
        return sharedLock ? &sharedLock->lock : &ownLock;
    }
    // PASSIVE_LEVEL. Connect() enables too; an interrupt without a resource is skipped.
    NTSTATUS Connect();
    NTSTATUS Enable();
    NTSTATUS Disable();
    void Disconnect();
    void OnDelete() override;
    void OnDispose() override;
};

void InitializeInterruptDpc(Interrupt *interrupt);

// Hands the interrupt descriptors of the device's resource lists to its interrupts in
// the order of both, and works out synchronization IRQLs.
NTSTATUS AssignInterruptResources(Device *device);

} // namespace wdfldr

#endif // NTC_WDF_INTERRUPT_H_
