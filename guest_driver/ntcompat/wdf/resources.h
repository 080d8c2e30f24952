// SPDX-License-Identifier: MIT
#ifndef NTC_WDF_RESOURCES_H_
#define NTC_WDF_RESOURCES_H_

#include "device.h"

namespace wdfldr {

// WDFCMRESLIST: a copy of the partial descriptors of one start.
class CmResList : public Object {
  public:
    static constexpr Type kType = Type::CmResList;
    ULONG count = 0;
    CM_PARTIAL_RESOURCE_DESCRIPTOR *descriptors = nullptr;

    static CmResList *Create(Device *device);
    // NULL: no resources. STATUS_INSUFFICIENT_RESOURCES.
    NTSTATUS Assign(const CM_RESOURCE_LIST *list);
    void OnDispose() override;
};

} // namespace wdfldr

#endif // NTC_WDF_RESOURCES_H_
