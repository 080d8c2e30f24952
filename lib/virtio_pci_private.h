/* SPDX-License-Identifier: MIT */
/*
 * Between virtio_pci.cpp and the two transports: register numbers, the
 * operations in which legacy and modern differ, and the capability walk.
 */
#ifndef VIRTIO_PCI_PRIVATE_H_
#define VIRTIO_PCI_PRIVATE_H_

#include "virtio_pci.h"

/* PCI configuration space, as far as the capability walk needs it. */
#define PCI_CFG_VENDOR_ID 0x00
#define PCI_CFG_DEVICE_ID 0x02
#define PCI_CFG_STATUS 0x06
#define PCI_CFG_STATUS_CAP_LIST 0x0010
#define PCI_CFG_REVISION_ID 0x08
#define PCI_CFG_SUBSYSTEM_ID 0x2E
#define PCI_CFG_CAP_POINTER 0x34
#define PCI_CFG_HEADER_LENGTH 0x40
#define PCI_CFG_SPACE_LENGTH 0x100
#define PCI_CAP_ID_VENDOR 0x09

/* struct virtio_pci_cap (4.1.4), offsets and types. */
#define VIRTIO_PCI_CAP_NEXT 1
#define VIRTIO_PCI_CAP_LEN 2
#define VIRTIO_PCI_CAP_CFG_TYPE 3
#define VIRTIO_PCI_CAP_BAR 4
#define VIRTIO_PCI_CAP_OFFSET 8
#define VIRTIO_PCI_CAP_LENGTH 12
#define VIRTIO_PCI_CAP_SIZE 16
#define VIRTIO_PCI_CAP_NOTIFY_MULTIPLIER 16
#define VIRTIO_PCI_CAP_NOTIFY_SIZE 20
#define VIRTIO_PCI_CAP_COMMON_CFG 1
#define VIRTIO_PCI_CAP_NOTIFY_CFG 2
#define VIRTIO_PCI_CAP_ISR_CFG 3
#define VIRTIO_PCI_CAP_DEVICE_CFG 4

/* struct virtio_pci_common_cfg (4.1.4.3). */
#define VIRTIO_PCI_COMMON_DEVICE_FEATURE_SELECT 0
#define VIRTIO_PCI_COMMON_DEVICE_FEATURE 4
#define VIRTIO_PCI_COMMON_DRIVER_FEATURE_SELECT 8
#define VIRTIO_PCI_COMMON_DRIVER_FEATURE 12
#define VIRTIO_PCI_COMMON_CONFIG_VECTOR 16
#define VIRTIO_PCI_COMMON_NUM_QUEUES 18
#define VIRTIO_PCI_COMMON_STATUS 20
#define VIRTIO_PCI_COMMON_GENERATION 21
#define VIRTIO_PCI_COMMON_QUEUE_SELECT 22
#define VIRTIO_PCI_COMMON_QUEUE_SIZE 24
#define VIRTIO_PCI_COMMON_QUEUE_VECTOR 26
#define VIRTIO_PCI_COMMON_QUEUE_ENABLE 28
#define VIRTIO_PCI_COMMON_QUEUE_NOTIFY_OFF 30
#define VIRTIO_PCI_COMMON_QUEUE_DESC 32
#define VIRTIO_PCI_COMMON_QUEUE_DRIVER 40
#define VIRTIO_PCI_COMMON_QUEUE_DEVICE 48
#define VIRTIO_PCI_COMMON_LENGTH 56

/* Legacy registers at the start of BAR0 (4.1.4.10). */
#define VIRTIO_PCI_LEGACY_BAR 0
#define VIRTIO_PCI_LEGACY_DEVICE_FEATURES 0
#define VIRTIO_PCI_LEGACY_DRIVER_FEATURES 4
#define VIRTIO_PCI_LEGACY_QUEUE_PFN 8
#define VIRTIO_PCI_LEGACY_QUEUE_SIZE 12
#define VIRTIO_PCI_LEGACY_QUEUE_SELECT 14
#define VIRTIO_PCI_LEGACY_QUEUE_NOTIFY 16
#define VIRTIO_PCI_LEGACY_STATUS 18
#define VIRTIO_PCI_LEGACY_ISR 19
#define VIRTIO_PCI_LEGACY_CONFIG_VECTOR 20
#define VIRTIO_PCI_LEGACY_QUEUE_VECTOR 22
#define VIRTIO_PCI_LEGACY_CONFIG_NO_MSIX 20
#define VIRTIO_PCI_LEGACY_CONFIG_MSIX 24
#define VIRTIO_PCI_LEGACY_PAGE_SHIFT 12

#define VIRTIO_PCI_MAX_QUEUE_SIZE 32768
/* Bytes of device configuration that are looked at, at most. */
#define VIRTIO_PCI_MAX_CONFIG 0x1000
/* queue_notify_offset of a queue that isn't set up. */
#define VIRTIO_PCI_NOTIFY_NONE 0xFFFFFFFFu

/* Where the transports differ. Arguments have been checked by virtio_pci.cpp. */
struct _VIRTIO_PCI_OPS {
    UINT8 (*GetStatus)(VIRTIO_PCI_DEVICE *device);
    VOID (*SetStatus)(VIRTIO_PCI_DEVICE *device, UINT8 status);
    UINT64 (*GetFeatures)(VIRTIO_PCI_DEVICE *device);
    VOID (*SetFeatures)(VIRTIO_PCI_DEVICE *device, UINT64 features);
    UINT16 (*CountQueues)(VIRTIO_PCI_DEVICE *device);
    /* Selects the queue and gives its size; 0: there is none. */
    UINT16 (*SelectQueue)(VIRTIO_PCI_DEVICE *device, UINT16 queue);
    NTSTATUS(*EnableQueue)
    (VIRTIO_PCI_DEVICE *device, UINT16 queue, UINT16 size, UINT64 desc_pa, UINT64 avail_pa,
     UINT64 used_pa, UINT16 vector);
    NTSTATUS (*SetConfigVector)(VIRTIO_PCI_DEVICE *device, UINT16 vector);
    /* 0 where the transport has no generation (legacy). */
    UINT8 (*ConfigGeneration)(VIRTIO_PCI_DEVICE *device);
};
typedef struct _VIRTIO_PCI_OPS VIRTIO_PCI_OPS;

/* Fill in `device` from configuration space; statuses as VirtioPciInit. */
NTSTATUS VirtioPciModernInit(VIRTIO_PCI_DEVICE *device);
NTSTATUS VirtioPciLegacyInit(VIRTIO_PCI_DEVICE *device);

/*
 * Finds the structures of a modern device. STATUS_NOT_FOUND: there is no
 * complete set of virtio capabilities; STATUS_DEVICE_CONFIGURATION_ERROR: the
 * list, or a structure in it, is malformed.
 */
NTSTATUS VirtioPciFindCapabilities(VIRTIO_PCI_DEVICE *device);

/* Nothing found so far is believed, nor reached by any call. */
static __inline VOID VirtioPciForgetRegions(VIRTIO_PCI_DEVICE *d) {
    VirtioZeroMemory(&d->common, sizeof(d->common));
    VirtioZeroMemory(&d->notify, sizeof(d->notify));
    VirtioZeroMemory(&d->isr, sizeof(d->isr));
    VirtioZeroMemory(&d->config, sizeof(d->config));
}

/* Register access at `offset` of a region; the caller keeps it inside. */
static __inline UINT8 VirtioPciRegionRead8(VIRTIO_PCI_DEVICE *d, const VIRTIO_PCI_REGION *r,
                                           UINT32 offset) {
    return d->io->Read8(d->io_context, r->bar, r->offset + offset);
}

static __inline UINT16 VirtioPciRegionRead16(VIRTIO_PCI_DEVICE *d, const VIRTIO_PCI_REGION *r,
                                             UINT32 offset) {
    return d->io->Read16(d->io_context, r->bar, r->offset + offset);
}

static __inline UINT32 VirtioPciRegionRead32(VIRTIO_PCI_DEVICE *d, const VIRTIO_PCI_REGION *r,
                                             UINT32 offset) {
    return d->io->Read32(d->io_context, r->bar, r->offset + offset);
}

static __inline VOID VirtioPciRegionWrite8(VIRTIO_PCI_DEVICE *d, const VIRTIO_PCI_REGION *r,
                                           UINT32 offset, UINT8 value) {
    d->io->Write8(d->io_context, r->bar, r->offset + offset, value);
}

static __inline VOID VirtioPciRegionWrite16(VIRTIO_PCI_DEVICE *d, const VIRTIO_PCI_REGION *r,
                                            UINT32 offset, UINT16 value) {
    d->io->Write16(d->io_context, r->bar, r->offset + offset, value);
}

static __inline VOID VirtioPciRegionWrite32(VIRTIO_PCI_DEVICE *d, const VIRTIO_PCI_REGION *r,
                                            UINT32 offset, UINT32 value) {
    d->io->Write32(d->io_context, r->bar, r->offset + offset, value);
}

#endif /* VIRTIO_PCI_PRIVATE_H_ */
