// SPDX-License-Identifier: MIT
//
// Cancellation: the system cancel lock, IoCancelIrp, and cancel-safe queues.
#include "io/iop.h"

static KSPIN_LOCK CancelLock;

extern "C" VOID NTAPI IoAcquireCancelSpinLock(OUT PKIRQL Irql) {
    KeAcquireSpinLock(&CancelLock, Irql);
}

extern "C" VOID NTAPI IoReleaseCancelSpinLock(IN KIRQL Irql) {
    KeReleaseSpinLock(&CancelLock, Irql);
}

extern "C" BOOLEAN NTAPI IoCancelIrp(IN PIRP Irp) {
    IopRequireIrql(DISPATCH_LEVEL, "IoCancelIrp");
    if (Irp->Type != IO_TYPE_IRP)
        KdViolation(IOP_VERIFIER_IO, "IoCancelIrp: not an IRP, or a freed one", 0, (uint64_t)Irp, 0,
                    0);
    KIRQL irql;
    IoAcquireCancelSpinLock(&irql);
    Irp->Cancel = TRUE;
    PDRIVER_CANCEL routine = IoSetCancelRoutine(Irp, nullptr);
    if (!routine) {
        IoReleaseCancelSpinLock(irql);
        return FALSE;
    }
    if (Irp->CurrentLocation > Irp->StackCount + 1)
        KeBugCheckEx(CANCEL_STATE_IN_COMPLETED_IRP, (ULONG_PTR)Irp, (ULONG_PTR)routine, 0, 0);
    Irp->CancelIrql = irql;
    routine(IoGetCurrentIrpStackLocation(Irp)->DeviceObject, Irp);
    if (KeGetCurrentIrql() != irql)
        KdViolation(IOP_VERIFIER_IO, "a cancel routine left the IRQL changed", 0, (uint64_t)routine,
                    irql, KeGetCurrentIrql());
    return TRUE;
}

// ---- cancel-safe queues ---------------------------------------------------------

static void NTAPI CsqCancel(PDEVICE_OBJECT, PIRP irp) {
    IoReleaseCancelSpinLock(irp->CancelIrql);
    PVOID tag = irp->Tail.Overlay.DriverContext[3];
    PIO_CSQ queue;
    PIO_CSQ_IRP_CONTEXT context = (PIO_CSQ_IRP_CONTEXT)tag;
    if (context->Type == IO_TYPE_CSQ_IRP_CONTEXT) {
        queue = context->Csq;
    } else {
        queue = (PIO_CSQ)tag;
        context = nullptr;
    }
    KIRQL irql;
    queue->CsqAcquireLock(queue, &irql);
    queue->CsqRemoveIrp(queue, irp);
    if (context)
        context->Irp = nullptr;
    queue->CsqReleaseLock(queue, irql);
    queue->CsqCompleteCanceledIrp(queue, irp);
}

static void Setup(PIO_CSQ queue, ULONG type, PVOID insert, PIO_CSQ_REMOVE_IRP remove,
                  PIO_CSQ_PEEK_NEXT_IRP peek, PIO_CSQ_ACQUIRE_LOCK acquire,
                  PIO_CSQ_RELEASE_LOCK release, PIO_CSQ_COMPLETE_CANCELED_IRP complete) {
    queue->Type = type;
    queue->CsqInsertIrp = (PIO_CSQ_INSERT_IRP)insert;
    queue->CsqRemoveIrp = remove;
    queue->CsqPeekNextIrp = peek;
    queue->CsqAcquireLock = acquire;
    queue->CsqReleaseLock = release;
    queue->CsqCompleteCanceledIrp = complete;
    queue->ReservePointer = nullptr;
}

extern "C" NTSTATUS NTAPI IoCsqInitialize(IN PIO_CSQ Csq, IN PIO_CSQ_INSERT_IRP CsqInsertIrp,
                                          IN PIO_CSQ_REMOVE_IRP CsqRemoveIrp,
                                          IN PIO_CSQ_PEEK_NEXT_IRP CsqPeekNextIrp,
                                          IN PIO_CSQ_ACQUIRE_LOCK CsqAcquireLock,
                                          IN PIO_CSQ_RELEASE_LOCK CsqReleaseLock,
                                          IN PIO_CSQ_COMPLETE_CANCELED_IRP CsqCompleteCanceledIrp) {
    Setup(Csq, IO_TYPE_CSQ, (PVOID)CsqInsertIrp, CsqRemoveIrp, CsqPeekNextIrp, CsqAcquireLock,
          CsqReleaseLock, CsqCompleteCanceledIrp);
    return STATUS_SUCCESS;
}

extern "C" NTSTATUS NTAPI
IoCsqInitializeEx(IN PIO_CSQ Csq, IN PIO_CSQ_INSERT_IRP_EX CsqInsertIrp,
                  IN PIO_CSQ_REMOVE_IRP CsqRemoveIrp, IN PIO_CSQ_PEEK_NEXT_IRP CsqPeekNextIrp,
                  IN PIO_CSQ_ACQUIRE_LOCK CsqAcquireLock, IN PIO_CSQ_RELEASE_LOCK CsqReleaseLock,
                  IN PIO_CSQ_COMPLETE_CANCELED_IRP CsqCompleteCanceledIrp) {
    Setup(Csq, IO_TYPE_CSQ_EX, (PVOID)CsqInsertIrp, CsqRemoveIrp, CsqPeekNextIrp, CsqAcquireLock,
          CsqReleaseLock, CsqCompleteCanceledIrp);
    return STATUS_SUCCESS;
}

static NTSTATUS Insert(PIO_CSQ queue, PIRP irp, PVOID insert_context) {
    if (queue->Type == IO_TYPE_CSQ_EX)
        return ((PIO_CSQ_INSERT_IRP_EX)(PVOID)queue->CsqInsertIrp)(queue, irp, insert_context);
    queue->CsqInsertIrp(queue, irp);
    return STATUS_SUCCESS;
}

extern "C" NTSTATUS NTAPI IoCsqInsertIrpEx(IN PIO_CSQ Csq, IN PIRP Irp,
                                           IN PIO_CSQ_IRP_CONTEXT Context OPTIONAL,
                                           IN PVOID InsertContext) {
    if (Context) {
        Context->Type = IO_TYPE_CSQ_IRP_CONTEXT;
        Context->Irp = Irp;
        Context->Csq = Csq;
        Irp->Tail.Overlay.DriverContext[3] = Context;
    } else {
        Irp->Tail.Overlay.DriverContext[3] = Csq;
    }
    KIRQL irql;
    Csq->CsqAcquireLock(Csq, &irql);
    NTSTATUS status = Insert(Csq, Irp, InsertContext);
    if (!NT_SUCCESS(status)) {
        Csq->CsqReleaseLock(Csq, irql);
        return status;
    }
    IoMarkIrpPending(Irp);
    (void)IoSetCancelRoutine(Irp, CsqCancel);
    // Cancelled before there was a routine: nobody else will complete it now,
    // unless the cancel got hold of the routine just set.
    bool cancelled = Irp->Cancel && IoSetCancelRoutine(Irp, nullptr) != nullptr;
    if (cancelled) {
        Csq->CsqRemoveIrp(Csq, Irp);
        if (Context)
            Context->Irp = nullptr;
    }
    Csq->CsqReleaseLock(Csq, irql);
    if (cancelled)
        Csq->CsqCompleteCanceledIrp(Csq, Irp);
    return STATUS_SUCCESS;
}

extern "C" VOID NTAPI IoCsqInsertIrp(IN PIO_CSQ Csq, IN PIRP Irp,
                                     IN PIO_CSQ_IRP_CONTEXT Context OPTIONAL) {
    (void)IoCsqInsertIrpEx(Csq, Irp, Context, nullptr);
}

extern "C" PIRP NTAPI IoCsqRemoveIrp(IN PIO_CSQ Csq, IN PIO_CSQ_IRP_CONTEXT Context) {
    KIRQL irql;
    Csq->CsqAcquireLock(Csq, &irql);
    PIRP irp = Context->Irp;
    if (irp && !IoSetCancelRoutine(irp, nullptr))
        irp = nullptr; // the cancel routine has it
    if (irp) {
        Context->Irp = nullptr;
        Csq->CsqRemoveIrp(Csq, irp);
    }
    Csq->CsqReleaseLock(Csq, irql);
    return irp;
}

extern "C" PIRP NTAPI IoCsqRemoveNextIrp(IN PIO_CSQ Csq, IN PVOID PeekContext OPTIONAL) {
    KIRQL irql;
    Csq->CsqAcquireLock(Csq, &irql);
    PIRP irp = Csq->CsqPeekNextIrp(Csq, nullptr, PeekContext);
    while (irp && !IoSetCancelRoutine(irp, nullptr))
        irp = Csq->CsqPeekNextIrp(Csq, irp, PeekContext);
    if (irp) {
        Csq->CsqRemoveIrp(Csq, irp);
        PIO_CSQ_IRP_CONTEXT context = (PIO_CSQ_IRP_CONTEXT)irp->Tail.Overlay.DriverContext[3];
        if (context->Type == IO_TYPE_CSQ_IRP_CONTEXT)
            context->Irp = nullptr;
    }
    Csq->CsqReleaseLock(Csq, irql);
    return irp;
}
