// SPDX-License-Identifier: MIT
//
// COM1: \Device\Serial0, \DosDevices\COM1. A 16550 at 0x3F8, IRQ 4. Bytes are
// taken by the interrupt service routine into a ring, and handed out by the DPC.
//
// IRP_MJ_READ   buffered; completes with 1 or more bytes, or STATUS_CANCELLED.
// IRP_MJ_WRITE  buffered; completes when all bytes are in the transmitter.
// After a bug check kd writes to the port itself; nothing here runs any more.
#include "io/iop.h"

#define UART_BASE 0x3F8
#define UART_IRQ 4

enum UART_REGISTER {
    UartData = 0,            // divisor low with DLAB
    UartInterruptEnable = 1, // divisor high with DLAB
    UartInterruptId = 2,     // read; FIFO control when written
    UartLineControl = 3,
    UartModemControl = 4,
    UartLineStatus = 5,
};

enum UART_BITS {
    LineDataReady = 0x01,
    LineOverrun = 0x02,
    LineTransmitEmpty = 0x20,
    FifoEnable = 0x01,
    FifoClear = 0x06,
    FifoTrigger8 = 0x80,
    InterruptReceive = 0x01,
    InterruptLineStatus = 0x04,
    ModemDtrRtsOut2 = 0x0B, // OUT2 gates the interrupt line
    LineControl8n1 = 0x03,
    LineControlDlab = 0x80,
};

static const ULONG RingSize = 65536; // a power of two
static const ULONG FifoDepth = 16;

struct SERIAL {
    PDEVICE_OBJECT device;
    PKINTERRUPT interrupt;
    KDPC dpc;
    // Written by the service routine (head) and the DPC (tail), both free-running.
    volatile ULONG head;
    volatile ULONG tail;
    volatile ULONG hardware_overruns; // the UART lost bytes
    volatile ULONG ring_overruns;     // the ring was full
    ULONG reported;                   // overruns said in the log
    IO_CSQ reads;
    LIST_ENTRY read_list;
    KSPIN_LOCK read_lock;
    KMUTEX write_lock;
    UCHAR *ring;
};

static UCHAR In(int reg) {
    return __inbyte((USHORT)(UART_BASE + reg));
}

static void Out(int reg, UCHAR value) {
    __outbyte((USHORT)(UART_BASE + reg), value);
}

// ---- receive -----------------------------------------------------------------------

// At the interrupt's IRQL, its lock held. Reading the line status clears the overrun
// bit, so everyone who reads it counts.
static UCHAR LineStatus(SERIAL *serial) {
    UCHAR status = In(UartLineStatus);
    if (status & LineOverrun)
        serial->hardware_overruns = serial->hardware_overruns + 1;
    return status;
}

// Takes what the FIFO holds.
static void Drain(SERIAL *serial) {
    for (;;) {
        UCHAR status = LineStatus(serial);
        if (!(status & LineDataReady) || status == 0xFF)
            return;
        UCHAR byte = In(UartData);
        if (serial->head - serial->tail == RingSize) {
            serial->ring_overruns = serial->ring_overruns + 1;
            continue;
        }
        serial->ring[serial->head % RingSize] = byte;
        serial->head = serial->head + 1;
    }
}

static BOOLEAN NTAPI Isr(PKINTERRUPT, PVOID context) {
    auto *serial = (SERIAL *)context;
    bool claimed = false;
    // Bit 0 clear: an interrupt is pending.
    while (!(In(UartInterruptId) & 1)) {
        Drain(serial);
        claimed = true;
    }
    if (claimed)
        KeInsertQueueDpc(&serial->dpc, nullptr, nullptr);
    return claimed;
}

static void CompleteRead(SERIAL *serial, PIRP irp) {
    PIO_STACK_LOCATION location = IoGetCurrentIrpStackLocation(irp);
    auto *out = (UCHAR *)irp->AssociatedIrp.SystemBuffer;
    ULONG done = 0;
    while (done < location->Parameters.Read.Length && serial->tail != serial->head) {
        out[done++] = serial->ring[serial->tail % RingSize];
        serial->tail = serial->tail + 1;
    }
    irp->IoStatus.Status = STATUS_SUCCESS;
    irp->IoStatus.Information = done;
    IofCompleteRequest(irp, IO_SERIAL_INCREMENT);
}

// The only consumer of the ring: runs as the DPC, so it doesn't race with itself.
static void NTAPI Deliver(PKDPC, PVOID context, PVOID, PVOID) {
    auto *serial = (SERIAL *)context;
    while (serial->tail != serial->head) {
        PIRP irp = IoCsqRemoveNextIrp(&serial->reads, nullptr);
        if (!irp)
            break;
        CompleteRead(serial, irp);
    }
    ULONG overruns = serial->hardware_overruns + serial->ring_overruns;
    if (overruns != serial->reported) {
        serial->reported = overruns;
        DbgPrint("serial: COM1 lost received bytes: %u UART overruns, %u ring overruns\n",
                 serial->hardware_overruns, serial->ring_overruns);
    }
}

static void NTAPI CsqInsert(PIO_CSQ csq, PIRP irp) {
    SERIAL *serial = CONTAINING_RECORD(csq, SERIAL, reads);
    InsertTailList(&serial->read_list, &irp->Tail.Overlay.ListEntry);
}
static void NTAPI CsqRemove(PIO_CSQ, PIRP irp) {
    RemoveEntryList(&irp->Tail.Overlay.ListEntry);
}
static PIRP NTAPI CsqPeek(PIO_CSQ csq, PIRP irp, PVOID) {
    SERIAL *serial = CONTAINING_RECORD(csq, SERIAL, reads);
    PLIST_ENTRY next = irp ? irp->Tail.Overlay.ListEntry.Flink : serial->read_list.Flink;
    return next == &serial->read_list ? nullptr
                                      : CONTAINING_RECORD(next, IRP, Tail.Overlay.ListEntry);
}
static void NTAPI CsqAcquire(PIO_CSQ csq, PKIRQL irql) {
    KeAcquireSpinLock(&CONTAINING_RECORD(csq, SERIAL, reads)->read_lock, irql);
}
static void NTAPI CsqRelease(PIO_CSQ csq, KIRQL irql) {
    KeReleaseSpinLock(&CONTAINING_RECORD(csq, SERIAL, reads)->read_lock, irql);
}
static void NTAPI CsqCancelled(PIO_CSQ, PIRP irp) {
    irp->IoStatus.Status = STATUS_CANCELLED;
    irp->IoStatus.Information = 0;
    IofCompleteRequest(irp, IO_NO_INCREMENT);
}

// ---- transmit ----------------------------------------------------------------------

struct BURST {
    SERIAL *serial;
    const UCHAR *bytes;
    ULONG length;
    ULONG sent;
};

// One FIFO's worth, when the transmitter is empty. Under the interrupt lock, as
// it reads the line status, which the service routine does too. What has been received
// stays for that one: it would be called for nothing.
static BOOLEAN NTAPI SendBurst(PVOID context) {
    auto *burst = (BURST *)context;
    burst->sent = 0;
    if (!(LineStatus(burst->serial) & LineTransmitEmpty))
        return FALSE;
    while (burst->sent < burst->length && burst->sent < FifoDepth)
        Out(UartData, burst->bytes[burst->sent++]);
    return TRUE;
}

static void WriteAll(SERIAL *serial, const UCHAR *bytes, ULONG length) {
    BURST burst = {serial, bytes, length, 0};
    ULONG idle = 0;
    while (burst.length) {
        if (KeSynchronizeExecution(serial->interrupt, SendBurst, &burst)) {
            burst.bytes += burst.sent;
            burst.length -= burst.sent;
            idle = 0;
        } else if (++idle > 1000) {
            // The other side doesn't read: let everything else run.
            LARGE_INTEGER millisecond;
            millisecond.QuadPart = -10000;
            KeDelayExecutionThread(KernelMode, FALSE, &millisecond);
        }
    }
}

// ---- dispatch ----------------------------------------------------------------------

static NTSTATUS Complete(PIRP irp, NTSTATUS status, ULONG_PTR information) {
    irp->IoStatus.Status = status;
    irp->IoStatus.Information = information;
    IofCompleteRequest(irp, IO_NO_INCREMENT);
    return status;
}

static SERIAL *Context(PDEVICE_OBJECT device) {
    return (SERIAL *)device->DeviceExtension;
}

static NTSTATUS NTAPI DispatchOpen(PDEVICE_OBJECT, PIRP irp) {
    return Complete(irp, STATUS_SUCCESS, 0);
}

static NTSTATUS NTAPI DispatchCleanup(PDEVICE_OBJECT device, PIRP irp) {
    SERIAL *serial = Context(device);
    // Nobody is left to want these bytes.
    for (PIRP read; (read = IoCsqRemoveNextIrp(&serial->reads, nullptr)) != nullptr;)
        CsqCancelled(&serial->reads, read);
    return Complete(irp, STATUS_SUCCESS, 0);
}

static NTSTATUS NTAPI DispatchRead(PDEVICE_OBJECT device, PIRP irp) {
    SERIAL *serial = Context(device);
    if (IoGetCurrentIrpStackLocation(irp)->Parameters.Read.Length == 0)
        return Complete(irp, STATUS_SUCCESS, 0);
    IoCsqInsertIrp(&serial->reads, irp, nullptr);
    KeInsertQueueDpc(&serial->dpc, nullptr, nullptr);
    return STATUS_PENDING;
}

static NTSTATUS NTAPI DispatchWrite(PDEVICE_OBJECT device, PIRP irp) {
    SERIAL *serial = Context(device);
    ULONG length = IoGetCurrentIrpStackLocation(irp)->Parameters.Write.Length;
    if (KeGetCurrentIrql() > PASSIVE_LEVEL)
        KdUnimplemented("a write to COM1 above PASSIVE_LEVEL");
    KeWaitForSingleObject(&serial->write_lock, Executive, KernelMode, FALSE, nullptr);
    WriteAll(serial, (const UCHAR *)irp->AssociatedIrp.SystemBuffer, length);
    KeReleaseMutex(&serial->write_lock, FALSE);
    return Complete(irp, STATUS_SUCCESS, length);
}

// ---- start -------------------------------------------------------------------------

static void Program(void) {
    Out(UartInterruptEnable, 0);
    Out(UartLineControl, LineControlDlab | LineControl8n1);
    Out(UartData, 1); // 115200
    Out(UartInterruptEnable, 0);
    Out(UartLineControl, LineControl8n1);
    // The FIFO is not cleared: what was typed while we booted is not lost.
    Out(UartInterruptId, FifoEnable | FifoTrigger8);
    Out(UartModemControl, ModemDtrRtsOut2);
    Out(UartInterruptEnable, InterruptReceive | InterruptLineStatus);
}

static NTSTATUS Connect(SERIAL *serial) {
    ULONG vector;
    KIRQL irql;
    NTSTATUS status = HalAllocateLineVector(UART_IRQ, FALSE, &vector, &irql);
    if (!NT_SUCCESS(status))
        return status;
    return IoConnectInterrupt(&serial->interrupt, Isr, serial, nullptr, vector, irql, irql, Latched,
                              FALSE, 1, FALSE);
}

static NTSTATUS NTAPI SerialEntry(PDRIVER_OBJECT driver, PUNICODE_STRING) {
    driver->MajorFunction[IRP_MJ_CREATE] = DispatchOpen;
    driver->MajorFunction[IRP_MJ_CLOSE] = DispatchOpen;
    driver->MajorFunction[IRP_MJ_CLEANUP] = DispatchCleanup;
    driver->MajorFunction[IRP_MJ_READ] = DispatchRead;
    driver->MajorFunction[IRP_MJ_WRITE] = DispatchWrite;
    UNICODE_STRING name, link;
    RtlInitUnicodeString(&name, L"\\Device\\Serial0");
    RtlInitUnicodeString(&link, L"\\DosDevices\\COM1");
    PDEVICE_OBJECT device;
    NTSTATUS status =
        IoCreateDevice(driver, sizeof(SERIAL), &name, FILE_DEVICE_SERIAL_PORT, 0, TRUE, &device);
    if (!NT_SUCCESS(status))
        return status;
    device->Flags |= DO_BUFFERED_IO;
    SERIAL *serial = Context(device);
    serial->device = device;
    serial->ring = (UCHAR *)ExAllocatePoolWithTag(NonPagedPool, RingSize, IOP_TAG_BUFFER);
    if (!serial->ring)
        return STATUS_INSUFFICIENT_RESOURCES;
    KeInitializeDpc(&serial->dpc, Deliver, serial);
    KeInitializeMutex(&serial->write_lock, 0);
    InitializeListHead(&serial->read_list);
    IoCsqInitialize(&serial->reads, CsqInsert, CsqRemove, CsqPeek, CsqAcquire, CsqRelease,
                    CsqCancelled);
    status = Connect(serial);
    if (NT_SUCCESS(status))
        status = IoCreateSymbolicLink(&link, &name);
    if (NT_SUCCESS(status))
        Program();
    return status;
}

void IopInitSerial(void) {
    PDRIVER_OBJECT driver;
    NTSTATUS status = IopCreateDriver(L"Serial", nullptr, SerialEntry, &driver);
    if (!NT_SUCCESS(status))
        KdViolation(IOP_VERIFIER, "the serial port driver doesn't start", 0,
                    (uint64_t)(ULONG)status, 0, 0);
    DbgPrint("serial: COM1 at 0x%x, IRQ %u\n", UART_BASE, UART_IRQ);
}
