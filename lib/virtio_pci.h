/* SPDX-License-Identifier: MIT */
/*
 * virtio-pci transports (legacy and modern) behind one interface.
 *
 * Nothing here knows the driver framework, maps memory or allocates: every
 * register access goes through VIRTIO_PCI_IO, a table of functions that the
 * caller supplies. The same code therefore runs in a KMDF driver, in a unit
 * test against a device model, and in a host process against QEMU.
 *
 * Call order (Virtio 1.2, 3.1.1):
 *
 *   VirtioPciInit
 *   VirtioPciReset
 *   VirtioPciNegotiate            ACKNOWLEDGE, DRIVER, features, FEATURES_OK
 *   VirtioPciSetConfigVector      when MSI-X is in use
 *   VirtioPciQueueMaxSize, VirtioPciQueueSetup    for each queue
 *   VirtioPciDriverOk
 *   VirtioPciNotify, VirtioPciReadIsr, VirtioPciReadConfig ...
 *   VirtioPciReset                before the memory of the queues is freed
 *
 * IRQL: Notify, ReadIsr, GetStatus at any IRQL at which the register table may
 * be called; the others at <= DISPATCH_LEVEL. Reset stalls, a millisecond at a
 * time, and ReadConfig may read many times over: best at PASSIVE_LEVEL. Calls on
 * one device are serialized by the caller, except Notify and ReadIsr.
 */
#ifndef VIRTIO_PCI_H_
#define VIRTIO_PCI_H_

#include "virtio_osdep.h"

#ifdef __cplusplus
extern "C" {
#endif

/* PCI identity (4.1.2): vendor, and the two device id ranges. */
#define VIRTIO_PCI_VENDOR_ID 0x1AF4
#define VIRTIO_PCI_DEVICE_ID_TRANSITIONAL_FIRST 0x1000
#define VIRTIO_PCI_DEVICE_ID_TRANSITIONAL_LAST 0x103F
#define VIRTIO_PCI_DEVICE_ID_MODERN_FIRST 0x1040
#define VIRTIO_PCI_DEVICE_ID_MODERN_LAST 0x107F

/* Device status bits (2.1). */
#define VIRTIO_STATUS_ACKNOWLEDGE 0x01
#define VIRTIO_STATUS_DRIVER 0x02
#define VIRTIO_STATUS_DRIVER_OK 0x04
#define VIRTIO_STATUS_FEATURES_OK 0x08
#define VIRTIO_STATUS_DEVICE_NEEDS_RESET 0x40
#define VIRTIO_STATUS_FAILED 0x80

/* Device-independent feature bits (6). */
#define VIRTIO_F_NOTIFY_ON_EMPTY_BIT 24
#define VIRTIO_F_ANY_LAYOUT_BIT 27
#define VIRTIO_F_RING_INDIRECT_DESC_BIT 28
#define VIRTIO_F_RING_EVENT_IDX_BIT 29
#define VIRTIO_F_VERSION_1_BIT 32
#define VIRTIO_F_ACCESS_PLATFORM_BIT 33
#define VIRTIO_F_ORDER_PLATFORM_BIT 36
#define VIRTIO_FEATURE(bit) ((UINT64)1 << (bit))

/* ISR status bits (4.1.4.5). */
#define VIRTIO_PCI_ISR_QUEUE 0x01
#define VIRTIO_PCI_ISR_CONFIG 0x02

#define VIRTIO_PCI_NO_VECTOR 0xFFFF

#define VIRTIO_PCI_BAR_COUNT 6
#define VIRTIO_PCI_MAX_QUEUES 64

/* Which transport to use on a device that offers a choice. */
typedef enum _VIRTIO_PCI_MODE {
    VirtioPciModeAuto = 0, /* modern where the device has it in working order, else legacy */
    VirtioPciModeLegacy = 1,
    VirtioPciModeModern = 2
} VIRTIO_PCI_MODE;

/*
 * Register access, supplied by the caller. `bar` is the PCI BAR number, 0..5;
 * `offset` is in bytes from the start of that BAR. Registers are accessed with
 * exactly the width named (4.1.3.1). BarLength gives 0 for a BAR that is
 * absent or can't be reached; the library never touches a byte outside it, and only those
 * that VirtioPciGetRegion and VirtioPciGetNotifyRegion name: a caller may map these alone.
 * ConfigRead* read PCI configuration space and are called from VirtioPciInit
 * alone (at the caller's IRQL, PASSIVE_LEVEL in a WDF driver).
 *
 * A write to a register comes after all stores to memory that were made before the
 * call: WRITE_REGISTER_* and WRITE_PORT_* see to that. Where a plain volatile store
 * does not (weakly ordered CPUs), Write* needs a barrier of its own.
 */
typedef struct _VIRTIO_PCI_IO {
    UINT8 (*ConfigRead8)(void *context, UINT16 offset);
    UINT16 (*ConfigRead16)(void *context, UINT16 offset);
    UINT32 (*ConfigRead32)(void *context, UINT16 offset);
    UINT64 (*BarLength)(void *context, UINT8 bar);
    UINT8 (*Read8)(void *context, UINT8 bar, UINT32 offset);
    UINT16 (*Read16)(void *context, UINT8 bar, UINT32 offset);
    UINT32 (*Read32)(void *context, UINT8 bar, UINT32 offset);
    VOID (*Write8)(void *context, UINT8 bar, UINT32 offset, UINT8 value);
    VOID (*Write16)(void *context, UINT8 bar, UINT32 offset, UINT16 value);
    VOID (*Write32)(void *context, UINT8 bar, UINT32 offset, UINT32 value);
    /* Waits at least this many microseconds (at most 1000 are asked for). */
    VOID (*Stall)(void *context, UINT32 microseconds);
} VIRTIO_PCI_IO;

/* A part of a BAR: inside it, checked at Init. */
typedef struct _VIRTIO_PCI_REGION {
    UINT8 bar;
    BOOLEAN present;
    UINT32 offset;
    UINT32 length;
} VIRTIO_PCI_REGION;

struct _VIRTIO_PCI_OPS; /* virtio_pci_private.h */

/* A device. Opaque but for the fields marked readable. */
typedef struct _VIRTIO_PCI_DEVICE {
    /* readable */
    BOOLEAN modern;   /* transport in use */
    BOOLEAN msix;     /* MSI-X capability enabled, as the caller said */
    UINT16 vendor_id; /* PCI config space */
    UINT16 pci_device_id;
    UINT16 device_type;     /* virtio device type (5), e.g. 2 = block */
    UINT16 num_queues;      /* set by Negotiate: as the device says, bounded by
                               MAX_QUEUES; legacy: counted */
    UINT64 device_features; /* set by Negotiate: what the device offered */
    UINT64 driver_features; /* set by Negotiate: what was accepted */
    NTSTATUS modern_status; /* set by Init: why the modern interface can't be used, or
                               STATUS_SUCCESS: it can, or was not looked at */
    /* private */
    const struct _VIRTIO_PCI_OPS *ops;
    const VIRTIO_PCI_IO *io;
    void *io_context;
    VIRTIO_PCI_REGION common;
    VIRTIO_PCI_REGION notify;
    VIRTIO_PCI_REGION isr;
    VIRTIO_PCI_REGION config;
    UINT32 notify_off_multiplier;
    UINT32 queue_notify_offset[VIRTIO_PCI_MAX_QUEUES];
} VIRTIO_PCI_DEVICE;

/*
 * Finds the transport and its registers. Reads configuration space and
 * BarLength only; no device register is touched.
 *
 *   msix   whether MSI-X is enabled in the device's capability: it moves the
 *          legacy device configuration (4.1.4.10) and allows vectors.
 *
 * STATUS_SUCCESS
 * STATUS_INVALID_PARAMETER      a null argument or unknown mode
 * STATUS_NOT_SUPPORTED          not a virtio-pci device (vendor, device id)
 * STATUS_DEVICE_CONFIGURATION_ERROR  modern asked for or needed, and the
 *                               capability list is malformed (loop, out of
 *                               range, region outside its BAR, short region,
 *                               misaligned, bad multiplier). In mode auto a device that
 *                               has a legacy interface is driven by that: modern_status
 *                               says why
 * STATUS_NOT_FOUND              the transport asked for is not offered
 * After an error, and where *device is zeroed memory, the other functions do
 * nothing, or give STATUS_INVALID_DEVICE_STATE, STATUS_NOT_FOUND or
 * STATUS_BUFFER_OVERFLOW.
 */
NTSTATUS VirtioPciInit(VIRTIO_PCI_DEVICE *device, const VIRTIO_PCI_IO *io, void *io_context,
                       VIRTIO_PCI_MODE mode, BOOLEAN msix);

/*
 * Which parts of BARs the device's registers are in: index 0, 1, ... until
 * STATUS_NO_MORE_ENTRIES. They may overlap. Of a structure that is longer than anything the
 * library reads in it, the part that is read. The notify registers of the modern interface,
 * whose structure may be megabytes long, are not among them: VirtioPciGetNotifyRegion.
 * Reads private memory only; any IRQL.
 * STATUS_INVALID_DEVICE_STATE    VirtioPciInit has not succeeded
 */
NTSTATUS VirtioPciGetRegion(const VIRTIO_PCI_DEVICE *device, UINT32 index,
                            VIRTIO_PCI_REGION *region);

/*
 * Where VirtioPciNotify writes for this queue (4.1.4.4); after VirtioPciQueueSetup of it, and
 * before the first VirtioPciNotify. Reads private memory only; any IRQL.
 * STATUS_INVALID_DEVICE_STATE    VirtioPciInit has not succeeded
 * STATUS_NOT_FOUND               the queue is not set up
 */
NTSTATUS VirtioPciGetNotifyRegion(const VIRTIO_PCI_DEVICE *device, UINT16 queue,
                                  VIRTIO_PCI_REGION *region);

/*
 * Writes 0 to the status and waits until it reads back 0 (4.1.4.3.2), for at
 * most timeout_ms milliseconds. All queues are forgotten: Notify does nothing
 * until they are set up again.
 * STATUS_INVALID_DEVICE_STATE    VirtioPciInit has not succeeded
 * STATUS_IO_TIMEOUT              the device still owns its queues, whose memory
 *                                must not be reused
 * STATUS_DEVICE_DOES_NOT_EXIST   reads give all ones: it was removed, or says
 *                                that it was. As after a timeout, its memory must
 *                                not be reused before bus mastering is off
 */
NTSTATUS VirtioPciReset(VIRTIO_PCI_DEVICE *device, UINT32 timeout_ms);

/*
 * ACKNOWLEDGE, DRIVER, feature selection, FEATURES_OK and its re-read (3.1.1
 * steps 2-6). Accepts what is offered and wanted or required; VERSION_1 is added
 * for modern, and transport features which this library has no code for (packed
 * ring, in-order, notification data, queue reset ...) are left out. Call it once
 * after each VirtioPciReset.
 * STATUS_INVALID_DEVICE_STATE    VirtioPciInit has not succeeded
 * STATUS_NOT_SUPPORTED           a bit of `required` isn't offered (or left out
 *                                as above), or the device did not keep
 *                                FEATURES_OK; FAILED is set in the status
 * STATUS_DEVICE_DOES_NOT_EXIST   reads give all ones
 * After an error num_queues is 0, so that no queue can be set up.
 */
NTSTATUS VirtioPciNegotiate(VIRTIO_PCI_DEVICE *device, UINT64 wanted, UINT64 required);

/*
 * The device status (2.1). Before VirtioPciInit has succeeded nothing is set, and
 * the status is 0.
 */
VOID VirtioPciDriverOk(VIRTIO_PCI_DEVICE *device);
VOID VirtioPciFail(VIRTIO_PCI_DEVICE *device);
UINT8 VirtioPciGetStatus(VIRTIO_PCI_DEVICE *device);

/*
 * Largest size of a queue; for legacy it is the only size. STATUS_NOT_FOUND:
 * the queue does not exist (size 0); STATUS_DEVICE_CONFIGURATION_ERROR: not
 * a power of two on legacy, or above 32768.
 */
NTSTATUS VirtioPciQueueMaxSize(VIRTIO_PCI_DEVICE *device, UINT16 queue, UINT16 *size);

/*
 * Gives the device the queue's memory and vector, and enables it. Legacy
 * takes desc_pa alone: 4096-aligned, contiguous layout with ring_align 4096,
 * page frame number within 32 bits.
 * STATUS_INVALID_PARAMETER       size (a power of two, at most the maximum;
 *                                legacy: the maximum), address 0 or misaligned,
 *                                vector without MSI-X, legacy layout
 * STATUS_NOT_FOUND               no such queue
 * STATUS_DEVICE_BUSY             already enabled
 * STATUS_INSUFFICIENT_RESOURCES  the device refused the vector (4.1.5.1.2.1); try
 *                                again with another, or VIRTIO_PCI_NO_VECTOR
 * STATUS_DEVICE_CONFIGURATION_ERROR  notify offset outside its region, a maximum
 *                                above 32768, or the size not taken
 */
NTSTATUS VirtioPciQueueSetup(VIRTIO_PCI_DEVICE *device, UINT16 queue, UINT16 size, UINT64 desc_pa,
                             UINT64 avail_pa, UINT64 used_pa, UINT16 vector);

/*
 * Vector of configuration change interrupts (4.1.5.1.2).
 * STATUS_INVALID_DEVICE_STATE    VirtioPciInit has not succeeded
 * STATUS_INVALID_PARAMETER       a vector without MSI-X
 * STATUS_INSUFFICIENT_RESOURCES  refused by the device
 */
NTSTATUS VirtioPciSetConfigVector(VIRTIO_PCI_DEVICE *device, UINT16 vector);

/* Available buffer notification (4.1.5.2). Does nothing for a queue not set up. */
VOID VirtioPciNotify(VIRTIO_PCI_DEVICE *device, UINT16 queue);

/*
 * Reads and so acknowledges the ISR status; INTx only (4.1.4.5). 0 before
 * VirtioPciInit has succeeded.
 */
UINT8 VirtioPciReadIsr(VIRTIO_PCI_DEVICE *device);

/*
 * Device configuration, `length` bytes at `offset`, read again until the
 * generation holds still (2.5.1; legacy, 2.5.4: until two readings agree), a
 * bounded number of times. One field a call: 2, 4 and 8 bytes at their natural
 * alignment are read by width (8 as two halves), all else byte by byte (4.1.3.1).
 * STATUS_BUFFER_OVERFLOW         outside the region, nothing read
 * STATUS_DEVICE_DATA_ERROR       it never held still; the buffer is zeroed
 */
NTSTATUS VirtioPciReadConfig(VIRTIO_PCI_DEVICE *device, UINT32 offset, void *buffer, UINT32 length);
NTSTATUS VirtioPciWriteConfig(VIRTIO_PCI_DEVICE *device, UINT32 offset, const void *buffer,
                              UINT32 length);

#ifdef __cplusplus
}
#endif

#endif /* VIRTIO_PCI_H_ */
