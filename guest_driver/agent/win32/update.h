// SPDX-License-Identifier: MIT
//
// A newer driver and agent, from the rig's update disc: docs/guests.md.
#ifndef VQ7_AGENT_UPDATE_H_
#define VQ7_AGENT_UPDATE_H_

#include "win32.h"

// Looks for the disc in each CD drive; where one is, starts its script. *started: it runs, and
// waits for this program to end. 0, or the Windows error that kept it from starting.
DWORD StartUpdate(bool *started);
// Puts the driver of an INF (its path, absolute) under every virtio-pci device, whatever driver
// is there, and removes older packages of ours from the driver store, which Windows could
// choose for a device that it sees for the first time. 0; ERROR_SUCCESS_REBOOT_REQUIRED; or the
// Windows error.
DWORD UpdateDriver(const WCHAR *inf);

#endif // VQ7_AGENT_UPDATE_H_
