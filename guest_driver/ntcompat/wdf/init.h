// SPDX-License-Identifier: MIT
#ifndef NTC_WDF_INIT_H_
#define NTC_WDF_INIT_H_

#include "driver.h"

// What a driver sets up before WdfDeviceCreate.
struct WDFDEVICE_INIT {
    static constexpr ULONG kSignature = 'inIW';
    ULONG signature;
    wdfldr::Driver *driver;
    PDEVICE_OBJECT physicalDevice;
    WDF_PNPPOWER_EVENT_CALLBACKS pnpPower;
    WDF_DEVICE_IO_TYPE ioType;
    BOOLEAN exclusive;
    BOOLEAN filter;
    BOOLEAN powerNotPageable;
    DEVICE_TYPE deviceType;
    ULONG characteristics;
    BOOLEAN hasRequestAttributes;
    WDF_OBJECT_ATTRIBUTES requestAttributes;
    BOOLEAN hasFileConfig;
    WDF_FILEOBJECT_CONFIG fileConfig;
    WDF_OBJECT_ATTRIBUTES fileAttributes;
    BOOLEAN hasFileAttributes;
    UNICODE_STRING name;
    WCHAR nameBuffer[64];
    wdfldr::Object *created; // the device, once WdfDeviceCreate has succeeded
};

#endif // NTC_WDF_INIT_H_
