// SPDX-License-Identifier: MIT
#ifndef NTC_RULES_CASE_NAME_H_
#define NTC_RULES_CASE_NAME_H_

#include <ntddk.h>

// Reads the value Case of the service's Parameters key into `name`, cut to `size`
// bytes. PASSIVE_LEVEL. Returns what ZwOpenKey or ZwQueryValueKey returns.
NTSTATUS ReadCase(PUNICODE_STRING registry_path, char *name, ULONG size);

#endif // NTC_RULES_CASE_NAME_H_
