// SPDX-License-Identifier: MIT
//
// wdfrules.sys: like ntcrules.sys, for the rules of the framework.
#ifndef NTC_RULES_WDFRULES_H_
#define NTC_RULES_WDFRULES_H_

#include <ntddk.h>
#include <wdf.h>

struct WdfCase {
    const char *name;
    // In DriverEntry, after WdfDriverCreate. STATUS_SUCCESS from a legal case.
    NTSTATUS (*run)(WDFDRIVER driver);
    // Instead: with a request that a queue of a started device has delivered, which
    // the case completes.
    void (*request)(WDFQUEUE queue, WDFREQUEST request);
    // Instead: with a new device, which is started and stays until it is removed.
    NTSTATUS (*add)(WDFDEVICE device) = nullptr;
    // With `request`: EvtIoStop of the queue.
    void (*stop)(WDFREQUEST request, ULONG flags) = nullptr;
    // Instead: EvtDriverDeviceAdd of a case that has a device of its own kind.
    PFN_WDF_DRIVER_DEVICE_ADD add_device = nullptr;
};

extern const WdfCase ObjectCases[];
extern const WdfCase RequestCases[];
extern const WdfCase UnloadCases[];
extern const WdfCase PowerCases[];

// The case that was asked for.
extern const WdfCase *Current;

// Creates the device of a case that has `request` or `add`; the former's is sent a request
// when it starts.
NTSTATUS NTAPI EvtDeviceAdd(WDFDRIVER driver, PWDFDEVICE_INIT init);

// WdfObjectCreate: the headers of kmdf/ have no wrapper, vq7test.sys doesn't need one.
NTSTATUS CreateObject(PWDF_OBJECT_ATTRIBUTES attributes, WDFOBJECT *object);

#endif // NTC_RULES_WDFRULES_H_
