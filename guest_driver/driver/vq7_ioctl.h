/* SPDX-License-Identifier: MIT */
/*
 * What vq7test.sys offers to programs: one device interface for every
 * virtio-pci device it drives, and these IOCTLs. Valid C89 and C++; include
 * <windows.h> and <winioctl.h>, or <ntddk.h>, first.
 *
 * All structures have the same layout on x86 and x64 and start at 8-byte
 * alignment. Every IOCTL completes with an information length, or with
 *   STATUS_INVALID_DEVICE_REQUEST  unknown code, or a blk code on another type
 *   STATUS_BUFFER_TOO_SMALL        an input or output buffer is too short
 *   STATUS_DEVICE_NOT_READY        the device is not in D0, or has failed
 *   STATUS_DEVICE_PROTOCOL_ERROR   the device broke the virtqueue protocol
 */
#ifndef VQ7_IOCTL_H_
#define VQ7_IOCTL_H_

/* {8A6C7F2E-51B0-4D0B-9E43-5B7A3C1D7E07} */
#define VQ7_INTERFACE_GUID_INIT                                                                    \
    {                                                                                              \
        0x8a6c7f2e, 0x51b0, 0x4d0b, {                                                              \
            0x9e, 0x43, 0x5b, 0x7a, 0x3c, 0x1d, 0x7e, 0x07                                         \
        }                                                                                          \
    }

#define VQ7_INTERFACE_VERSION 1

#define VQ7_CTL(function, method, access) CTL_CODE(0x8007u, 0x800 + (function), (method), (access))

/* out: VQ7_DEVICE_INFO */
#define IOCTL_VQ7_GET_DEVICE_INFO VQ7_CTL(0, METHOD_BUFFERED, FILE_READ_ACCESS)
/* out: VQ7_STATS */
#define IOCTL_VQ7_GET_STATS VQ7_CTL(1, METHOD_BUFFERED, FILE_READ_ACCESS)
/* no buffers; sets all counters of VQ7_STATS and VQ7_FAILURES to 0 but in_flight */
#define IOCTL_VQ7_CLEAR_STATS VQ7_CTL(2, METHOD_BUFFERED, FILE_WRITE_ACCESS)
/* out: VQ7_FAILURES */
#define IOCTL_VQ7_GET_FAILURES VQ7_CTL(3, METHOD_BUFFERED, FILE_READ_ACCESS)
/* no buffers. Resets the device and starts it again, also one that has failed. What is at
 * the device is sent again.
 * STATUS_DEVICE_BUSY         another restart is under way
 * STATUS_DEVICE_NOT_READY    the device is losing its power
 * or why it can't be started, as at its first start; it has failed then */
#define IOCTL_VQ7_RESTART VQ7_CTL(4, METHOD_BUFFERED, FILE_WRITE_ACCESS)
/* in: VQ7_TIMEOUT; holds until the device object goes.
 * STATUS_INVALID_PARAMETER   out of the limits that are said there */
#define IOCTL_VQ7_SET_TIMEOUT VQ7_CTL(5, METHOD_BUFFERED, FILE_WRITE_ACCESS)

/* out: VQ7_BLK_INFO */
#define IOCTL_VQ7_BLK_GET_INFO VQ7_CTL(16, METHOD_BUFFERED, FILE_READ_ACCESS)
/* in: VQ7_BLK_TRANSFER; direct output buffer: the data, a multiple of block_size
 * bytes, as is the place on the disk. Information: bytes transferred. What is more
 * than one virtio request can take (max_transfer, max_segments) is sent in parts, in
 * order; the first part that fails gives the status, no further one is sent then, and
 * each of the others that were sent is done whole or not at all.
 * STATUS_INVALID_PARAMETER   length 0, length or place no multiple of block_size,
 *                            sector + length past 2^64, segments > 4096 or more
 *                            than bytes, reserved not 0
 * STATUS_NONEXISTENT_SECTOR is never invented by the driver: a request past
 *   the end goes to the device, whose answer is what the caller gets
 * STATUS_IO_DEVICE_ERROR     the device answered VIRTIO_BLK_S_IOERR
 * STATUS_NOT_SUPPORTED       the device answered VIRTIO_BLK_S_UNSUPP
 * STATUS_MEDIA_WRITE_PROTECTED  a write to a read-only device (RO negotiated)
 * STATUS_DEVICE_PROTOCOL_ERROR  any other status byte, or none
 * STATUS_IO_TIMEOUT          the device did not answer, nor when it was asked again (see
 *                            VQ7_TIMEOUT). Whether it has done the request is not known
 * STATUS_NO_MEMORY           memory whose pieces the device can't take as they lie couldn't be
 *   mapped to be copied */
#define IOCTL_VQ7_BLK_READ VQ7_CTL(17, METHOD_OUT_DIRECT, FILE_READ_ACCESS)
#define IOCTL_VQ7_BLK_WRITE VQ7_CTL(18, METHOD_IN_DIRECT, FILE_WRITE_ACCESS)
/* no buffers. STATUS_NOT_SUPPORTED: VIRTIO_BLK_F_FLUSH was not negotiated. */
#define IOCTL_VQ7_BLK_FLUSH VQ7_CTL(19, METHOD_BUFFERED, FILE_WRITE_ACCESS)
/* out: VQ7_BLK_ID */
#define IOCTL_VQ7_BLK_GET_ID VQ7_CTL(20, METHOD_BUFFERED, FILE_READ_ACCESS)

#define VQ7_MAX_QUEUES_REPORTED 16

#define VQ7_TRANSPORT_LEGACY 1
#define VQ7_TRANSPORT_MODERN 2

#define VQ7_STATE_STOPPED 0
#define VQ7_STATE_RUNNING 1
#define VQ7_STATE_FAILED 2     /* until it is started again */
#define VQ7_STATE_RECOVERING 3 /* is being reset and started again */

#define VQ7_INTERRUPT_NONE 0
#define VQ7_INTERRUPT_LINE 1
#define VQ7_INTERRUPT_MESSAGE 2

typedef struct _VQ7_QUEUE_INFO {
    unsigned short size;     /* descriptors in use */
    unsigned short max_size; /* what the device allows */
    unsigned short vector;   /* message number, 0xFFFF: none */
    unsigned char broken;    /* the device broke the protocol */
    unsigned char reserved;
    unsigned int last_error; /* NTSTATUS that broke it */
    unsigned int reserved2;
} VQ7_QUEUE_INFO;

typedef struct _VQ7_DEVICE_INFO {
    unsigned int size;    /* sizeof(VQ7_DEVICE_INFO) */
    unsigned int version; /* VQ7_INTERFACE_VERSION */
    unsigned short pci_vendor;
    unsigned short pci_device;
    unsigned short pci_subsystem_vendor;
    unsigned short pci_subsystem;
    unsigned char pci_revision;
    unsigned char pci_bus;
    unsigned char pci_slot; /* device number */
    unsigned char pci_function;
    unsigned int virtio_type;    /* 2: block */
    unsigned int transport;      /* VQ7_TRANSPORT_* */
    unsigned int interrupt_mode; /* VQ7_INTERRUPT_* */
    unsigned int vectors;        /* interrupts connected; 1 for a line */
    unsigned int queue_count;    /* queues set up; entries valid in queue[] */
    unsigned int device_status;  /* virtio device status byte, read now */
    unsigned char state;         /* VQ7_STATE_* */
    unsigned char last_failure;  /* VQ7_FAILURE_*, also after it works again */
    unsigned short reserved;
    unsigned __int64 device_features; /* offered */
    unsigned __int64 driver_features; /* accepted */
    VQ7_QUEUE_INFO queue[VQ7_MAX_QUEUES_REPORTED];
} VQ7_DEVICE_INFO;

/* Counters since the driver was loaded, or since CLEAR_STATS; all queues. */
typedef struct _VQ7_STATS {
    unsigned int size;          /* sizeof(VQ7_STATS) */
    unsigned int in_flight;     /* requests now at the device */
    unsigned __int64 submitted; /* virtqueue buffers published */
    unsigned __int64 completed; /* buffers taken back from the used ring */
    unsigned __int64 errors;    /* completed with an error status */
    unsigned __int64 bytes_read;
    unsigned __int64 bytes_written;
    unsigned __int64 notifications;       /* notify register written */
    unsigned __int64 suppressed;          /* not written: the device asked for none */
    unsigned __int64 interrupts;          /* taken by our ISR as ours */
    unsigned __int64 interrupts_not_ours; /* shared line, ISR status 0 */
    unsigned __int64 config_changes;
    unsigned __int64 dpcs;
    unsigned __int64 ring_full; /* a request had to wait for descriptors */
    unsigned __int64 indirect;  /* buffers sent as indirect tables */
    unsigned __int64 max_in_flight;
    unsigned __int64 odd_lengths; /* used lengths that a successful request can't have */
    unsigned __int64 bounced;     /* buffers sent through memory of the driver */
} VQ7_STATS;

/* Why a device failed. Each is counted in VQ7_FAILURES. */
#define VQ7_FAILURE_NONE 0
#define VQ7_FAILURE_USED_ID 1      /* a used id out of range */
#define VQ7_FAILURE_USED_INDEX 2   /* used->idx where it can't be */
#define VQ7_FAILURE_NOT_ISSUED 3   /* a used id that the device didn't have */
#define VQ7_FAILURE_MID_CHAIN 4    /* a used id inside a chain */
#define VQ7_FAILURE_USED_TWICE 5   /* a used id once more */
#define VQ7_FAILURE_USED_LENGTH 6  /* more written than there was room for */
#define VQ7_FAILURE_PROTOCOL 7     /* anything else in a ring */
#define VQ7_FAILURE_NEEDS_RESET 8  /* DEVICE_NEEDS_RESET */
#define VQ7_FAILURE_TIME_OUT 9     /* a request was not answered in time */
#define VQ7_FAILURE_RESET_STUCK 10 /* a reset did not end */
#define VQ7_FAILURE_GONE 11        /* the registers read as all ones */
#define VQ7_FAILURE_START 12       /* it could not be started again */
#define VQ7_FAILURE_ROOM 16

/* Since the driver was loaded, or since CLEAR_STATS. */
typedef struct _VQ7_FAILURES {
    unsigned int size;         /* sizeof(VQ7_FAILURES) */
    unsigned int state;        /* VQ7_STATE_* */
    unsigned int last_failure; /* VQ7_FAILURE_* */
    unsigned int timeout_ms;   /* as in VQ7_TIMEOUT */
    unsigned int retries;
    unsigned int reserved;
    unsigned __int64 restarts;        /* starts after a time-out, or asked for */
    unsigned __int64 resent;          /* requests sent again after a time-out */
    unsigned __int64 timed_out;       /* requests that failed with STATUS_IO_TIMEOUT */
    unsigned __int64 lost_interrupts; /* finished buffers that nobody told of */
    unsigned __int64 count[VQ7_FAILURE_ROOM];
} VQ7_FAILURES;

/* How long a virtio request may stay unanswered, in time that the system has seen: a
 * machine that stands still has none. Then the device is reset and what it had is sent
 * again, each request so many times; the rest fails with STATUS_IO_TIMEOUT. */
#define VQ7_TIMEOUT_OFF 0
#define VQ7_TIMEOUT_MIN 100
#define VQ7_TIMEOUT_MAX 3600000
#define VQ7_TIMEOUT_DEFAULT 60000
#define VQ7_RETRIES_MAX 16
#define VQ7_RETRIES_DEFAULT 1

typedef struct _VQ7_TIMEOUT {
    unsigned int timeout_ms; /* VQ7_TIMEOUT_OFF, or from VQ7_TIMEOUT_MIN to _MAX */
    unsigned int retries;    /* at most VQ7_RETRIES_MAX */
} VQ7_TIMEOUT;

typedef struct _VQ7_BLK_INFO {
    unsigned int size;         /* sizeof(VQ7_BLK_INFO) */
    unsigned int block_size;   /* BLK_SIZE, or 512 */
    unsigned __int64 capacity; /* 512-byte sectors */
    unsigned int seg_max;      /* SEG_MAX, or 0: not offered */
    unsigned int size_max;     /* SIZE_MAX, or 0 */
    unsigned int max_segments; /* data segments this driver puts in one request */
    unsigned int max_transfer; /* bytes of one virtio request; longer IOCTLs are split */
    unsigned int read_only;
    unsigned int flush;       /* FLUSH negotiated */
    unsigned int write_cache; /* 1 writeback, 0 writethrough or unknown */
    unsigned int reserved;
} VQ7_BLK_INFO;

/* Input of BLK_READ and BLK_WRITE. */
typedef struct _VQ7_BLK_TRANSFER {
    unsigned __int64 sector; /* first 512-byte sector */
    unsigned int segments;   /* cut the data into at least so many scatter/gather
                                elements, as even as can be; 0: as memory lies */
    unsigned int reserved;   /* 0 */
} VQ7_BLK_TRANSFER;

typedef struct _VQ7_BLK_ID {
    char id[24]; /* 20 bytes of GET_ID, then NULs */
} VQ7_BLK_ID;

#endif /* VQ7_IOCTL_H_ */
