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
};

extern const WdfCase ObjectCases[];
extern const WdfCase RequestCases[];

// The case that was asked for.
extern const WdfCase *Current;

// Creates the device of a case that has `request` and sends it one when it starts.
NTSTATUS NTAPI EvtDeviceAdd(WDFDRIVER driver, PWDFDEVICE_INIT init);

#endif // NTC_RULES_WDFRULES_H_
