// SPDX-License-Identifier: MIT
//
// Private to pnp and io: device nodes, and what the PCI bus driver and the PnP
// manager tell each other.
#ifndef NTC_PNP_H_
#define NTC_PNP_H_

#include "io/iop.h"

// As many as there are vectors for devices: 16 of each IRQL from 3 to 11.
#define PNP_MAX_MESSAGES 144

// Interrupt resources of a started device.
typedef struct _PNP_INTERRUPTS {
    bool message; // one entry a message; else a single line
    ULONG count;
    KIRQL unified_irql; // the highest
    KIRQL irql[PNP_MAX_MESSAGES];
    ULONG vector[PNP_MAX_MESSAGES];
} PNP_INTERRUPTS;

typedef enum _PNP_STATE {
    PnpStateNoDriver, // enumerated; no service matches, or it is disabled
    PnpStateAdded,    // AddDevice succeeded
    PnpStateStarted,
    PnpStateFailed,          // start or AddDevice failed
    PnpStateSurpriseRemoved, // its stack goes with the last handle
} PNP_STATE;

// A device the PnP manager knows, found by its PDO.
typedef struct _PNP_NODE {
    LIST_ENTRY links;
    PDEVICE_OBJECT pdo;
    PNP_STATE state;
    PDRIVER_OBJECT driver;
    WCHAR service[32];   // empty: none matches
    WCHAR instance[128]; // PCI\VEN_...\3&267a616a&0&20
    WCHAR class_key[80]; // {guid}\0000, below Control\Class
    DEVICE_CAPABILITIES capabilities;
    PCM_RESOURCE_LIST raw; // assigned; null: none
    PCM_RESOURCE_LIST translated;
    ULONG list_size;
    PNP_INTERRUPTS interrupts;
    volatile LONG power_requests; // PoRequestPowerIrp on this PDO, not yet done
    NTSTATUS power_status;        // of the last one
    volatile LONG invalidated;    // IoInvalidateDeviceState
} PNP_NODE;

extern LIST_ENTRY PnpNodes;
// Null when the device object is no PDO.
PNP_NODE *PnpNodeOf(PDEVICE_OBJECT pdo);

bool PnpGetInterrupts(PDEVICE_OBJECT pdo, PNP_INTERRUPTS *interrupts);
// Unmasks or masks the message of this vector; nothing for lines.
void PnpEnableMessage(PDEVICE_OBJECT pdo, ULONG vector, bool enable);

// devnode.cpp
PNP_NODE *PnpAddNode(PDEVICE_OBJECT pdo);
NTSTATUS PnpStartNode(PNP_NODE *node);
NTSTATUS PnpRemoveNode(PNP_NODE *node, bool query);
// Its driver says that it failed, or it is gone: surprise removal. What is left ends
// with PnpFinishRemoval, once nobody has a handle. False: somebody has.
void PnpSurpriseRemove(PNP_NODE *node);
bool PnpFinishRemoval(PNP_NODE *node);
// The device is gone and has no driver's stack any more: PDO and node end.
void PnpDeleteNode(PNP_NODE *node);
void PnpCheckState(PNP_NODE *node);
NTSTATUS PnpSendIrp(PDEVICE_OBJECT device, UCHAR minor, IO_STACK_LOCATION *location,
                    ULONG_PTR *information);
// QUERY_ID into a fresh paged-pool string (or multi-string); null on error.
WCHAR *PnpQueryId(PDEVICE_OBJECT pdo, BUS_QUERY_ID_TYPE type);

// resources.cpp
NTSTATUS PnpAssignResources(PNP_NODE *node);
void PnpReleaseResources(PNP_NODE *node);
void PnpPrintResources(const PNP_NODE *node);

// match.cpp: which service drives a device.
void PnpInitMatching(void);
// `ids` is a multi-string. Copies the service's name; false: none.
bool PnpMatchService(const WCHAR *ids, WCHAR service[32]);
// Values of the INF's AddReg under the device's hardware key.
ULONG PnpInfDword(const WCHAR *service, const WCHAR *name, ULONG otherwise);

// iface.cpp
void PnpDisableInterfaces(PDEVICE_OBJECT pdo);
void PnpForgetInterfaces(PDEVICE_OBJECT pdo);

// events.cpp: what happens to devices by itself.
void PnpStartEvents(void);
void PnpNotifyEvents(void); // something is to be looked at; <= DISPATCH_LEVEL
// Ends what only waited for its last handle. ServiceLock held.
void PnpFinishRemovals(void);

// service.cpp
void PnpLockServices(void);
void PnpUnlockServices(void);
// Starts a new device, unless its service is disabled. ServiceLock held.
void PnpStartArrival(PNP_NODE *node);

// pci.cpp: the bus driver.
void PciInit(void);
void PciEnumerate(void);
// Looks for functions that were not there before.
void PciRescan(void);
bool PciIsPresent(PDEVICE_OBJECT pdo);
void PciMarkMissing(PDEVICE_OBJECT pdo);
bool PciIsInSlot(PDEVICE_OBJECT pdo, ULONG bridge, ULONG slot); // as HAL names the bus

#endif // NTC_PNP_H_
