// SPDX-License-Identifier: MIT
#ifndef VQ7_AGENT_SERIAL_CONSOLE_H_
#define VQ7_AGENT_SERIAL_CONSOLE_H_

#include <ntifs.h>

// Opens COM1 and starts the thread that reads it. PASSIVE_LEVEL; once. An error is
// the open's, or that of making an event or the thread.
NTSTATUS SerialConsoleStart();

#endif // VQ7_AGENT_SERIAL_CONSOLE_H_
