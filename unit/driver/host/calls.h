// SPDX-License-Identifier: MIT
//
// What the functions of the framework share that the driver calls (calls_*.cpp), and how
// they get into the table.
#pragma once

#include "framework.h"

namespace vq7::host {

void FillDeviceCalls();
void FillHardwareCalls();
void FillRequestCalls();

#define VQ7_ENTRY(name, function)                                                                  \
    WdfFunctions[name##TableIndex] = reinterpret_cast<WDFFUNC>(function)

using Globals = PWDF_DRIVER_GLOBALS;

template <typename T> T *Of(const void *handle) {
    Object *object = static_cast<Object *>(const_cast<void *>(handle));
    if (object == nullptr || !object->alive) {
        kernel->Wrong("a handle of no object");
        static T nothing;
        return &nothing;
    }
    return static_cast<T *>(object);
}

template <typename H> H HandleOf(Object *object) {
    return reinterpret_cast<H>(object);
}

// Makes an object for the driver, unless the kernel says that this call fails. `made` (may
// be null) is told of it before the driver is.
template <typename T, typename H>
NTSTATUS Create(const char *what, PWDF_OBJECT_ATTRIBUTES attributes, H *handle,
                const std::function<void(T *)> &made = nullptr) {
    if (handle != nullptr) {
        *handle = nullptr;
    }
    if (kernel->Fails(what)) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    T *object = framework->Make<T>();
    object->parent = framework->device;
    if (attributes != nullptr) {
        kernel->Need(attributes->Size == sizeof(*attributes), "attributes of a wrong size");
        if (attributes->ParentObject != nullptr) {
            object->parent = Of<Object>(attributes->ParentObject);
        }
        object->cleanup = attributes->EvtCleanupCallback;
        if (attributes->ContextTypeInfo != nullptr) {
            object->AddContext(attributes->ContextTypeInfo);
        }
    }
    if (made) {
        made(object);
    }
    if (handle != nullptr) {
        *handle = HandleOf<H>(object);
    }
    return STATUS_SUCCESS;
}

// One that has a configuration, and stands in a list.
template <typename T, typename C, typename H>
NTSTATUS CreateConfigured(const char *what, const C *config, PWDF_OBJECT_ATTRIBUTES attributes,
                          std::vector<T *> &all, H *handle) {
    kernel->Need(config->Size == sizeof(*config), std::string(what) + ": a wrong size");
    return Create<T>(what, attributes, handle, [&](T *made) {
        made->config = *config;
        all.push_back(made);
    });
}

} // namespace vq7::host
