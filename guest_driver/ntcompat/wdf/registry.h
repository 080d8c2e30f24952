// SPDX-License-Identifier: MIT
#ifndef NTC_WDF_REGISTRY_H_
#define NTC_WDF_REGISTRY_H_

#include "driver.h"

namespace wdfldr {

class Key : public Object {
  public:
    static constexpr Type kType = Type::Key;
    HANDLE handle = nullptr;
    void OnDispose() override;
};

class String : public Object {
  public:
    static constexpr Type kType = Type::String;
    UNICODE_STRING text{};
    // Replaces the text; NULL: empty.
    NTSTATUS Assign(PCUNICODE_STRING from);
    void OnDestroy() override;
};

} // namespace wdfldr

#endif // NTC_WDF_REGISTRY_H_
