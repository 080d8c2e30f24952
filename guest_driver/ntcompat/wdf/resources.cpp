// SPDX-License-Identifier: MIT
// WDFCMRESLIST.
#include "resources.h"

namespace wdfldr {

CmResList *CmResList::Create(Device *device) {
    auto *list = New<CmResList>(device->globals, Type::CmResList);
    if (!list)
        return nullptr;
    list->noDelete = true;
    return NT_SUCCESS(FinishCreate(device->globals, list, device, nullptr)) ? list : nullptr;
}

void CmResList::OnDispose() {
    if (descriptors)
        Free(globals, descriptors);
    descriptors = nullptr;
    count = 0;
}

NTSTATUS CmResList::Assign(const CM_RESOURCE_LIST *list) {
    OnDispose();
    if (!list || list->Count == 0)
        return STATUS_SUCCESS;
    // Every bus of today uses one full descriptor; the rest would need walking over
    // device-specific data.
    if (list->Count != 1)
        return STATUS_NOT_IMPLEMENTED;
    const CM_PARTIAL_RESOURCE_LIST *partial = &list->List[0].PartialResourceList;
    if (partial->Count == 0)
        return STATUS_SUCCESS;
    size_t size = partial->Count * sizeof(*descriptors);
    descriptors = static_cast<CM_PARTIAL_RESOURCE_DESCRIPTOR *>(Allocate(globals, size));
    if (!descriptors)
        return STATUS_INSUFFICIENT_RESOURCES;
    RtlCopyMemory(descriptors, partial->PartialDescriptors, size);
    count = partial->Count;
    return STATUS_SUCCESS;
}

} // namespace wdfldr

using namespace wdfldr;

WDF_API(ULONG, WdfCmResourceListGetCount, (PWDF_DRIVER_GLOBALS pub, WDFCMRESLIST handle)) {
    WDF_ENTER(WdfCmResourceListGetCount, DISPATCH_LEVEL);
    return From<CmResList>(globals, handle, kName)->count;
}

WDF_API(PCM_PARTIAL_RESOURCE_DESCRIPTOR, WdfCmResourceListGetDescriptor,
        (PWDF_DRIVER_GLOBALS pub, WDFCMRESLIST handle, ULONG index)) {
    WDF_ENTER(WdfCmResourceListGetDescriptor, DISPATCH_LEVEL);
    auto *list = From<CmResList>(globals, handle, kName);
    return index < list->count ? &list->descriptors[index] : nullptr;
}
