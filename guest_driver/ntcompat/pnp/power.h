// SPDX-License-Identifier: MIT
#ifndef NTC_PNP_POWER_H_
#define NTC_PNP_POWER_H_

#include "pnp/pnp.h"

// IRP_MN_SET_POWER for a system state, to the top of the device's stack. PASSIVE_LEVEL.
NTSTATUS PopSendSystemPower(PDEVICE_OBJECT pdo, SYSTEM_POWER_STATE state, POWER_ACTION action);

// What going to S3 and coming back means for one started device. PASSIVE_LEVEL.
// Both return when the device requests that its driver made of it are done.
NTSTATUS PopSleep(PNP_NODE *node);
NTSTATUS PopWake(PNP_NODE *node);

#endif // NTC_PNP_POWER_H_
