// SPDX-License-Identifier: MIT
#ifndef NTC_WDF_MEMORY_H_
#define NTC_WDF_MEMORY_H_

#include "driver.h"

namespace wdfldr {

class Memory : public Object {
  public:
    static constexpr Type kType = Type::Memory;
    void *buffer = nullptr;
    size_t size = 0;
    ULONG tag = 0; // 0: the buffer isn't ours to free
    void OnDestroy() override;
};

} // namespace wdfldr

#endif // NTC_WDF_MEMORY_H_
