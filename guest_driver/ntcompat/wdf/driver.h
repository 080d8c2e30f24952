// SPDX-License-Identifier: MIT
#ifndef NTC_WDF_DRIVER_H_
#define NTC_WDF_DRIVER_H_

#include "object.h"

namespace wdfldr {

class Driver : public Object {
  public:
    static constexpr Type kType = Type::Driver;
    WDF_DRIVER_CONFIG config{};
    PDRIVER_OBJECT driverObject = nullptr;
    LIST_ENTRY devices{};
    ULONG deviceCount = 0;
};

// The driver object, as the default parent; stops where WdfDriverCreate has not run.
Object *DriverObject(Globals *globals);

} // namespace wdfldr

#endif // NTC_WDF_DRIVER_H_
