// SPDX-License-Identifier: MIT
#ifndef VQ7_AGENT_REQUESTS_H_
#define VQ7_AGENT_REQUESTS_H_

#include <ntddk.h>

// Before the first request. PASSIVE_LEVEL.
void RequestsInit();

#endif // VQ7_AGENT_REQUESTS_H_
