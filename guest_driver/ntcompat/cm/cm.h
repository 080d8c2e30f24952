// SPDX-License-Identifier: MIT
//
// The registry in memory, as pnp and io see it beside the exported ZwXxx functions.
// PASSIVE_LEVEL throughout. Paths are absolute (\Registry\Machine\...) and
// CurrentControlSet is a plain key.
#ifndef NTC_CM_H_
#define NTC_CM_H_

#include "ntc.h"

#ifdef __cplusplus
extern "C" {
#endif

#define CM_SERVICES L"\\Registry\\Machine\\System\\CurrentControlSet\\Services\\"
#define CM_ENUM L"\\Registry\\Machine\\System\\CurrentControlSet\\Enum\\"
#define CM_CLASS L"\\Registry\\Machine\\System\\CurrentControlSet\\Control\\Class\\"
#define CM_DEVICE_CLASSES                                                                          \
    L"\\Registry\\Machine\\System\\CurrentControlSet\\Control\\DeviceClasses\\"

// Makes the key and every missing key above it. Keys made this way are kept for ever.
NTSTATUS CmpCreatePath(const WCHAR *path);
// Sets a value, making the key when it is missing. `type` is REG_SZ...
NTSTATUS CmpSetValue(const WCHAR *path, const WCHAR *name, ULONG type, const void *data,
                     ULONG length);
NTSTATUS CmpSetString(const WCHAR *path, const WCHAR *name, const WCHAR *text);
NTSTATUS CmpSetDword(const WCHAR *path, const WCHAR *name, ULONG value);
// Copies a value. *length: room in, length of the value out (also on
// STATUS_BUFFER_TOO_SMALL). STATUS_OBJECT_NAME_NOT_FOUND without key or value.
NTSTATUS CmpQueryValue(const WCHAR *path, const WCHAR *name, ULONG *type, void *data,
                       ULONG *length);
// A REG_DWORD, or `otherwise` when there is none (of that type).
ULONG CmpQueryDword(const WCHAR *path, const WCHAR *name, ULONG otherwise);
// Makes (if missing) and opens a key by path: a kernel handle, closed by ZwClose.
NTSTATUS CmpOpenPath(const WCHAR *path, BOOLEAN create, ACCESS_MASK access, HANDLE *key);
// The command line's `service.Value=text`: a dword (text "dword:0x10" or a plain number), or
// `otherwise`; for MSISupported and MessageNumberLimit.
ULONG CmpCommandLineDword(const WCHAR *service, const WCHAR *name, ULONG otherwise);

#ifdef __cplusplus
}
#endif

#endif // NTC_CM_H_
