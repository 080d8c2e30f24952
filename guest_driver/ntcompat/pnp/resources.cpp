// SPDX-License-Identifier: MIT
//
// From requirements to assigned resources: the filter request, the choice between
// alternative lists, vectors, and the raw and translated lists of START_DEVICE.
#include "pnp/pnp.h"

// ---- requirements ---------------------------------------------------------------------

static NTSTATUS QueryRequirements(PNP_NODE *node, PIO_RESOURCE_REQUIREMENTS_LIST *list) {
    ULONG_PTR information = 0;
    IO_STACK_LOCATION location = {};
    *list = nullptr;
    NTSTATUS status =
        PnpSendIrp(node->pdo, IRP_MN_QUERY_RESOURCE_REQUIREMENTS, &location, &information);
    if (NT_SUCCESS(status))
        *list = (PIO_RESOURCE_REQUIREMENTS_LIST)information;
    if (status != STATUS_NOT_SUPPORTED && !NT_SUCCESS(status))
        return status;
    // Drivers may change it: in place, or by a list of their own in Information.
    location = {};
    location.Parameters.FilterResourceRequirements.IoResourceRequirementList = *list;
    information = (ULONG_PTR)*list;
    status = PnpSendIrp(node->pdo, IRP_MN_FILTER_RESOURCE_REQUIREMENTS, &location, &information);
    if (NT_SUCCESS(status))
        *list = (PIO_RESOURCE_REQUIREMENTS_LIST)information;
    else if (status != STATUS_NOT_SUPPORTED)
        return status;
    return STATUS_SUCCESS;
}

static ULONG CountInterrupts(const IO_RESOURCE_LIST *list, bool *message) {
    ULONG count = 0;
    for (ULONG i = 0; i < list->Count; i++) {
        const IO_RESOURCE_DESCRIPTOR *d = &list->Descriptors[i];
        if (d->Type != CmResourceTypeInterrupt)
            continue;
        *message = (d->Flags & CM_RESOURCE_INTERRUPT_MESSAGE) != 0;
        count++;
    }
    return count;
}

// Messages and lines alike; HAL counts who shares a line.
static void ReleaseVectors(PNP_INTERRUPTS *interrupts) {
    for (ULONG i = 0; i < interrupts->count; i++)
        HalReleaseVectors(interrupts->vector[i], 1);
    interrupts->count = 0;
}

// MSI-X messages need neither neighbouring vectors nor one IRQL.
static NTSTATUS AllocateMessages(PNP_INTERRUPTS *interrupts, ULONG count) {
    if (count > PNP_MAX_MESSAGES || count > HalMessageVectorsLeft())
        return STATUS_INSUFFICIENT_RESOURCES;
    for (ULONG i = 0; i < count; i++) {
        NTSTATUS status =
            HalAllocateMessageVectors(1, &interrupts->vector[i], &interrupts->irql[i]);
        if (!NT_SUCCESS(status)) {
            ReleaseVectors(interrupts);
            return status;
        }
        interrupts->count = i + 1;
        if (interrupts->unified_irql < interrupts->irql[i])
            interrupts->unified_irql = interrupts->irql[i];
    }
    return STATUS_SUCCESS;
}

static NTSTATUS AssignInterrupts(PNP_NODE *node, const IO_RESOURCE_LIST *list) {
    PNP_INTERRUPTS *interrupts = &node->interrupts;
    RtlZeroMemory(interrupts, sizeof(*interrupts));
    ULONG count = CountInterrupts(list, &interrupts->message);
    if (!count)
        return STATUS_SUCCESS;
    if (!interrupts->message) {
        for (ULONG i = 0; i < list->Count; i++) {
            const IO_RESOURCE_DESCRIPTOR *d = &list->Descriptors[i];
            if (d->Type != CmResourceTypeInterrupt)
                continue;
            NTSTATUS status = HalAllocateLineVector(d->u.Interrupt.MinimumVector, TRUE,
                                                    &interrupts->vector[0], &interrupts->irql[0]);
            interrupts->count = NT_SUCCESS(status);
            interrupts->unified_irql = interrupts->irql[0];
            return status;
        }
    }
    return AllocateMessages(interrupts, count);
}

// ---- lists ----------------------------------------------------------------------------

static void FillInterrupt(const PNP_INTERRUPTS *interrupts, const IO_RESOURCE_DESCRIPTOR *d,
                          ULONG message, CM_PARTIAL_RESOURCE_DESCRIPTOR *raw,
                          CM_PARTIAL_RESOURCE_DESCRIPTOR *translated) {
    if (interrupts->message) {
        raw->u.MessageInterrupt.Raw.MessageCount = 1;
        raw->u.MessageInterrupt.Raw.Vector = interrupts->vector[message];
        raw->u.MessageInterrupt.Raw.Affinity = 1;
        translated->u.MessageInterrupt.Translated.Level = interrupts->irql[message];
        translated->u.MessageInterrupt.Translated.Vector = interrupts->vector[message];
        translated->u.MessageInterrupt.Translated.Affinity = 1;
        return;
    }
    raw->u.Interrupt.Level = d->u.Interrupt.MinimumVector;
    raw->u.Interrupt.Vector = d->u.Interrupt.MinimumVector;
    raw->u.Interrupt.Affinity = (KAFFINITY)-1;
    translated->u.Interrupt.Level = interrupts->irql[0];
    translated->u.Interrupt.Vector = interrupts->vector[0];
    translated->u.Interrupt.Affinity = 1;
}

static void FillOne(const PNP_INTERRUPTS *interrupts, const IO_RESOURCE_DESCRIPTOR *d,
                    ULONG *message, CM_PARTIAL_RESOURCE_DESCRIPTOR *raw,
                    CM_PARTIAL_RESOURCE_DESCRIPTOR *translated) {
    raw->Type = translated->Type = d->Type;
    raw->ShareDisposition = translated->ShareDisposition = d->ShareDisposition;
    raw->Flags = translated->Flags = d->Flags;
    switch (d->Type) {
    case CmResourceTypePort:
    case CmResourceTypeMemory:
    case CmResourceTypeMemoryLarge: // of the same layout
        raw->u.Memory.Start = translated->u.Memory.Start = d->u.Memory.MinimumAddress;
        raw->u.Memory.Length = translated->u.Memory.Length = d->u.Memory.Length;
        break;
    case CmResourceTypeDevicePrivate:
        for (int i = 0; i < 3; i++)
            raw->u.DevicePrivate.Data[i] = translated->u.DevicePrivate.Data[i] =
                d->u.DevicePrivate.Data[i];
        break;
    case CmResourceTypeInterrupt:
        FillInterrupt(interrupts, d, *message, raw, translated);
        (*message)++;
        break;
    default:
        KdUnimplemented("a resource type other than port, memory, interrupt, device private");
    }
}

static PCM_RESOURCE_LIST NewList(const IO_RESOURCE_REQUIREMENTS_LIST *requirements, ULONG count,
                                 ULONG *size) {
    *size = (ULONG)(FIELD_OFFSET(CM_RESOURCE_LIST, List[0].PartialResourceList.PartialDescriptors) +
                    count * sizeof(CM_PARTIAL_RESOURCE_DESCRIPTOR));
    auto *list = (PCM_RESOURCE_LIST)ExAllocatePoolWithTag(PagedPool, *size, IOP_TAG_PNP);
    if (!list)
        return nullptr;
    RtlZeroMemory(list, *size);
    list->Count = 1;
    list->List[0].InterfaceType = requirements->InterfaceType;
    list->List[0].BusNumber = requirements->BusNumber;
    list->List[0].PartialResourceList.Version = 1;
    list->List[0].PartialResourceList.Revision = 1;
    list->List[0].PartialResourceList.Count = count;
    return list;
}

static NTSTATUS BuildLists(PNP_NODE *node, const IO_RESOURCE_REQUIREMENTS_LIST *requirements,
                           const IO_RESOURCE_LIST *chosen) {
    node->raw = NewList(requirements, chosen->Count, &node->list_size);
    node->translated = NewList(requirements, chosen->Count, &node->list_size);
    if (!node->raw || !node->translated)
        return STATUS_INSUFFICIENT_RESOURCES;
    ULONG message = 0;
    for (ULONG i = 0; i < chosen->Count; i++)
        FillOne(&node->interrupts, &chosen->Descriptors[i], &message,
                &node->raw->List[0].PartialResourceList.PartialDescriptors[i],
                &node->translated->List[0].PartialResourceList.PartialDescriptors[i]);
    return STATUS_SUCCESS;
}

static void PrintRefusal(const PNP_NODE *node, const IO_RESOURCE_LIST *list, NTSTATUS status,
                         bool more) {
    bool message = false;
    ULONG count = CountInterrupts(list, &message);
    DbgPrint("pnp: %ws: %u %s can't be had (0x%08x), %u vectors are left for messages; %s\n",
             node->instance, count, message ? "message(s)" : "line", status,
             HalMessageVectorsLeft(), more ? "the next choice is tried" : "no choice is left");
}

NTSTATUS PnpAssignResources(PNP_NODE *node) {
    PIO_RESOURCE_REQUIREMENTS_LIST requirements;
    NTSTATUS status = QueryRequirements(node, &requirements);
    if (!NT_SUCCESS(status) || !requirements)
        return status;
    const IO_RESOURCE_LIST *list = requirements->List;
    status = STATUS_CONFLICTING_ADDRESSES;
    for (ULONG i = 0; i < requirements->AlternativeLists; i++) {
        status = AssignInterrupts(node, list);
        if (NT_SUCCESS(status)) {
            status = BuildLists(node, requirements, list);
            break;
        }
        PrintRefusal(node, list, status, i + 1 < requirements->AlternativeLists);
        list = (const IO_RESOURCE_LIST *)(list->Descriptors + list->Count);
    }
    ExFreePool(requirements);
    if (!NT_SUCCESS(status))
        PnpReleaseResources(node);
    return status;
}

void PnpReleaseResources(PNP_NODE *node) {
    if (node->raw)
        ExFreePoolWithTag(node->raw, IOP_TAG_PNP);
    if (node->translated)
        ExFreePoolWithTag(node->translated, IOP_TAG_PNP);
    node->raw = node->translated = nullptr;
    ReleaseVectors(&node->interrupts);
    RtlZeroMemory(&node->interrupts, sizeof(node->interrupts));
}

static void PrintOne(const CM_PARTIAL_RESOURCE_DESCRIPTOR *raw,
                     const CM_PARTIAL_RESOURCE_DESCRIPTOR *d) {
    switch (d->Type) {
    case CmResourceTypePort:
    case CmResourceTypeMemory:
    case CmResourceTypeMemoryLarge:
        DbgPrint("pnp:   %s 0x%llx length 0x%x flags 0x%x\n",
                 d->Type == CmResourceTypePort ? "port" : "memory", d->u.Memory.Start.QuadPart,
                 d->u.Memory.Length, d->Flags);
        break;
    case CmResourceTypeInterrupt:
        if (d->Flags & CM_RESOURCE_INTERRUPT_MESSAGE)
            DbgPrint("pnp:   message vector 0x%x level %u\n",
                     d->u.MessageInterrupt.Translated.Vector,
                     d->u.MessageInterrupt.Translated.Level);
        else
            DbgPrint("pnp:   line %u vector 0x%x level %u\n", raw->u.Interrupt.Vector,
                     d->u.Interrupt.Vector, d->u.Interrupt.Level);
        break;
    default:
        DbgPrint("pnp:   type 0x%x {%u, %u, %u}\n", d->Type, d->u.DevicePrivate.Data[0],
                 d->u.DevicePrivate.Data[1], d->u.DevicePrivate.Data[2]);
    }
}

void PnpPrintResources(const PNP_NODE *node) {
    DbgPrint("pnp: %ws: resources%s\n", node->instance, node->raw ? "" : ": none");
    if (!node->raw)
        return;
    const CM_PARTIAL_RESOURCE_LIST *raw = &node->raw->List[0].PartialResourceList;
    const CM_PARTIAL_RESOURCE_LIST *list = &node->translated->List[0].PartialResourceList;
    for (ULONG i = 0; i < list->Count; i++)
        PrintOne(&raw->PartialDescriptors[i], &list->PartialDescriptors[i]);
}
