// SPDX-License-Identifier: MIT
#ifndef NTC_WDF_FILE_H_
#define NTC_WDF_FILE_H_

#include "device.h"

namespace wdfldr {

class FileObject : public Object {
  public:
    static constexpr Type kType = Type::FileObject;
    Device *device = nullptr;
    LIST_ENTRY deviceLink{};
    PFILE_OBJECT file = nullptr;
    void OnDispose() override;
};

// The WDFFILEOBJECT of an open file; NULL where the device keeps none.
FileObject *FindFile(Device *device, PFILE_OBJECT file);

} // namespace wdfldr

#endif // NTC_WDF_FILE_H_
