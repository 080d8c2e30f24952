// SPDX-License-Identifier: MIT
#ifndef VQ7_AGENT_REQUESTS_H_
#define VQ7_AGENT_REQUESTS_H_

#include <ntifs.h>

// Before the first request. PASSIVE_LEVEL.
NTSTATUS RequestsInit();

#endif // VQ7_AGENT_REQUESTS_H_
