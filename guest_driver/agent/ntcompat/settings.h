// SPDX-License-Identifier: MIT
#ifndef VQ7_AGENT_NTCOMPAT_SETTINGS_H_
#define VQ7_AGENT_NTCOMPAT_SETTINGS_H_

#include "ntc_services.h"

// Is the value `name` of the service's Parameters key the text `text`? PASSIVE_LEVEL.
bool SettingIs(PUNICODE_STRING service, const WCHAR *name, const WCHAR *text);

#endif // VQ7_AGENT_NTCOMPAT_SETTINGS_H_
