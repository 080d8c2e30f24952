// SPDX-License-Identifier: MIT
#ifndef NTC_WDF_LOCKS_H_
#define NTC_WDF_LOCKS_H_

#include "driver.h"

namespace wdfldr {

class SpinLock : public Object {
  public:
    static constexpr Type kType = Type::SpinLock;
    KSPIN_LOCK lock = 0;
    KIRQL previous = 0;
    PKTHREAD volatile owner = nullptr;
    bool interruptLock = false; // given to a WDFINTERRUPT: taken at DIRQL only
};

class WaitLock : public Object {
  public:
    static constexpr Type kType = Type::WaitLock;
    KEVENT available{};
    PKTHREAD volatile owner = nullptr;
    bool region = false; // the owner entered a critical region
};

} // namespace wdfldr

#endif // NTC_WDF_LOCKS_H_
