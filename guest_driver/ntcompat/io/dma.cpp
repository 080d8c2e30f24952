// SPDX-License-Identifier: MIT
//
// DMA adapters of bus masters: common buffers and scatter/gather lists. Device
// addresses are physical addresses, and no page is ever copied: an adapter that
// can't reach a page stops the guest, since bounce buffers would hide it.
//
// With `hal.DmaRemapping=1` on the kernel command line they are other addresses, as where an
// IOMMU translates. There is none: a driver that uses them does so in vain.
#include "cm/cm.h"
#include "io/iop.h"

#define ADAPTER_MAGIC 0x41616D44u
#define LIST_MAGIC 0x4C616D44u

// In front of a common buffer and behind it is a page that nobody may write, neither driver
// nor device.
#define GUARD_PAGES 1
#define GUARD_BYTE 0xB6

struct COMMON_BUFFER {
    LIST_ENTRY links;
    PVOID va;
    uint64_t physical;
    ULONG length;
};

struct ADAPTER {
    DMA_ADAPTER head; // must be first
    LIST_ENTRY links;
    PDEVICE_OBJECT pdo; // null: the driver didn't say
    uint64_t creator;   // code of the driver
    ULONG magic;
    bool address64;
    ULONG map_registers;
    LONG lists; // scatter/gather lists handed out
    LIST_ENTRY buffers;
    KSPIN_LOCK lock;
};

// In front of the list a driver sees.
struct LIST_HEADER {
    ULONG magic;
    bool ours; // from pool; false: in the caller's buffer
    ADAPTER *adapter;
    uint64_t reserved[2];
};

// Bit 30, so that an address keeps to its side of 4 GiB.
static uint64_t Logical(uint64_t physical) {
    static const uint64_t flip = CmpCommandLineDword(L"hal", L"DmaRemapping", 0) ? 1ull << 30 : 0;
    return physical ^ flip;
}

static LIST_ENTRY Adapters = {&Adapters, &Adapters};
static KSPIN_LOCK AdaptersLock;

// Parameter 1 of DRIVER_VERIFIER_DMA_VIOLATION, as documented.
enum {
    DmaFreedTooManyBuffers = 0x03,
    DmaFreedTooManyLists = 0x06,
    DmaBuffersLeft = 0x07,
    DmaListsLeft = 0x0A,
    DmaNotLocked = 0x0E,
    DmaAdapterNotPut = 0x11,
    DmaAdapterReleased = 0x18,
};

static ADAPTER *FromDma(PDMA_ADAPTER dma, const char *function) {
    auto *adapter = (ADAPTER *)dma;
    if (adapter && adapter->magic == ADAPTER_MAGIC)
        return adapter;
    DbgPrint("io: %s got no DMA adapter: %p\n", function, dma);
    KdViolation(DRIVER_VERIFIER_DMA_VIOLATION, "not a DMA adapter, or one put back before",
                DmaAdapterReleased, (uint64_t)dma, 0, 0);
}

static void CheckEmpty(ADAPTER *adapter) {
    if (!IsListEmpty(&adapter->buffers))
        KdViolation(DRIVER_VERIFIER_DMA_VIOLATION, "a DMA adapter's common buffers are not freed",
                    DmaBuffersLeft, (uint64_t)adapter, 0, 0);
    if (adapter->lists)
        KdViolation(DRIVER_VERIFIER_DMA_VIOLATION,
                    "a DMA adapter's scatter/gather lists are not put back", DmaListsLeft,
                    (uint64_t)adapter, (uint64_t)adapter->lists, 0);
}

static void NTAPI PutAdapter(PDMA_ADAPTER dma) {
    ADAPTER *adapter = FromDma(dma, "PutDmaAdapter");
    IopRequireIrql(PASSIVE_LEVEL, "PutDmaAdapter");
    CheckEmpty(adapter);
    KIRQL irql;
    KeAcquireSpinLock(&AdaptersLock, &irql);
    RemoveEntryList(&adapter->links);
    KeReleaseSpinLock(&AdaptersLock, irql);
    adapter->magic = 0;
    ExFreePoolWithTag(adapter, IOP_TAG_DMA);
}

static uint8_t *GuardBefore(const COMMON_BUFFER *buffer) {
    return (uint8_t *)buffer->va - (GUARD_PAGES << PAGE_SHIFT);
}

static uint8_t *GuardBehind(const COMMON_BUFFER *buffer) {
    return (uint8_t *)buffer->va + (BYTES_TO_PAGES(buffer->length) << PAGE_SHIFT);
}

static void FillGuards(const COMMON_BUFFER *buffer) {
    RtlFillMemory(GuardBefore(buffer), GUARD_PAGES << PAGE_SHIFT, GUARD_BYTE);
    RtlFillMemory(GuardBehind(buffer), GUARD_PAGES << PAGE_SHIFT, GUARD_BYTE);
}

static void CheckGuard(const COMMON_BUFFER *buffer, const uint8_t *guard) {
    for (size_t i = 0; i < GUARD_PAGES << PAGE_SHIFT; i++)
        if (guard[i] != GUARD_BYTE)
            KdViolation(DRIVER_VERIFIER_DMA_VIOLATION,
                        "memory before or behind a common buffer was written, by the driver or "
                        "by its device",
                        0, (uint64_t)&guard[i], (uint64_t)buffer->va, buffer->length);
}

static void CheckGuards(const COMMON_BUFFER *buffer) {
    CheckGuard(buffer, GuardBefore(buffer));
    CheckGuard(buffer, GuardBehind(buffer));
}

static PVOID NTAPI AllocateCommon(PDMA_ADAPTER dma, ULONG length, PPHYSICAL_ADDRESS logical,
                                  BOOLEAN cached) {
    (void)cached; // PC memory is coherent
    ADAPTER *adapter = FromDma(dma, "AllocateCommonBuffer");
    IopRequireIrql(PASSIVE_LEVEL, "AllocateCommonBuffer");
    if (!length)
        return nullptr;
    size_t pages = BYTES_TO_PAGES(length);
    auto *record =
        (COMMON_BUFFER *)ExAllocatePoolWithTag(NonPagedPool, sizeof(COMMON_BUFFER), IOP_TAG_DMA);
    if (!record)
        return nullptr;
    uint64_t highest = adapter->address64 ? ~0ull >> PAGE_SHIFT : 0xFFFFF;
    uint64_t pfn = MiAllocateContiguousPages(pages + 2 * GUARD_PAGES, highest, 0);
    if (!pfn) {
        ExFreePoolWithTag(record, IOP_TAG_DMA);
        return nullptr;
    }
    record->physical = (pfn + GUARD_PAGES) << PAGE_SHIFT;
    record->va = (PVOID)(NTC_DIRECT_MAP_BASE + record->physical);
    record->length = length;
    FillGuards(record);
    // Nobody promises zeroes.
    RtlFillMemory(record->va, pages << PAGE_SHIFT, 0xCD);
    KIRQL irql;
    KeAcquireSpinLock(&adapter->lock, &irql);
    InsertTailList(&adapter->buffers, &record->links);
    KeReleaseSpinLock(&adapter->lock, irql);
    logical->QuadPart = (LONGLONG)Logical(record->physical);
    return record->va;
}

static void NTAPI FreeCommon(PDMA_ADAPTER dma, ULONG length, PHYSICAL_ADDRESS logical, PVOID va,
                             BOOLEAN cached) {
    (void)cached;
    ADAPTER *adapter = FromDma(dma, "FreeCommonBuffer");
    IopRequireIrql(PASSIVE_LEVEL, "FreeCommonBuffer");
    COMMON_BUFFER *found = nullptr;
    KIRQL irql;
    KeAcquireSpinLock(&adapter->lock, &irql);
    for (PLIST_ENTRY e = adapter->buffers.Flink; e != &adapter->buffers && !found; e = e->Flink) {
        auto *record = CONTAINING_RECORD(e, COMMON_BUFFER, links);
        if (record->va == va)
            found = record;
    }
    if (found)
        RemoveEntryList(&found->links);
    KeReleaseSpinLock(&adapter->lock, irql);
    if (!found || found->length != length || Logical(found->physical) != (uint64_t)logical.QuadPart)
        KdViolation(DRIVER_VERIFIER_DMA_VIOLATION,
                    "FreeCommonBuffer: not an address and length that were allocated",
                    DmaFreedTooManyBuffers, (uint64_t)va, length, (uint64_t)logical.QuadPart);
    CheckGuards(found);
    // Whoever still uses it finds no sense in it.
    RtlFillMemory(va, BYTES_TO_PAGES(length) << PAGE_SHIFT, 0xDD);
    MiFreePages((found->physical >> PAGE_SHIFT) - GUARD_PAGES,
                BYTES_TO_PAGES(length) + 2 * GUARD_PAGES);
    ExFreePoolWithTag(found, IOP_TAG_DMA);
}

static ULONG NTAPI Alignment(PDMA_ADAPTER dma) {
    (void)FromDma(dma, "GetDmaAlignment");
    return 1; // bytes; any
}

// ---- scatter/gather -----------------------------------------------------------------

// Walks `length` bytes from `va` in the MDL chain. Without `list` it only counts.
static NTSTATUS Walk(ADAPTER *adapter, PMDL mdl, PVOID va, ULONG length, SCATTER_GATHER_LIST *list,
                     ULONG *count) {
    uint64_t offset = (uint64_t)va - (uint64_t)MmGetMdlVirtualAddress(mdl);
    *count = 0;
    while (length) {
        while (mdl && offset >= MmGetMdlByteCount(mdl)) {
            offset -= MmGetMdlByteCount(mdl);
            mdl = mdl->Next;
        }
        if (!mdl)
            return STATUS_INVALID_PARAMETER; // the MDLs end before the transfer does
        if (!(mdl->MdlFlags & (MDL_PAGES_LOCKED | MDL_SOURCE_IS_NONPAGED_POOL | MDL_PARTIAL)))
            KdViolation(DRIVER_VERIFIER_DMA_VIOLATION, "DMA with an MDL whose pages aren't locked",
                        DmaNotLocked, (uint64_t)mdl, 0, 0);
        uint64_t at = offset + MmGetMdlByteOffset(mdl);
        uint64_t pfn = MmGetMdlPfnArray(mdl)[at >> PAGE_SHIFT];
        uint64_t address = Logical((pfn << PAGE_SHIFT) + (at & (PAGE_SIZE - 1)));
        uint64_t run = PAGE_SIZE - (at & (PAGE_SIZE - 1));
        if (run > MmGetMdlByteCount(mdl) - offset)
            run = MmGetMdlByteCount(mdl) - offset;
        if (run > length)
            run = length;
        if (!adapter->address64 && address + run > 0x100000000ull)
            KdUnimplemented("DMA bounce buffers: a 32-bit adapter and a page above 4 GiB");
        SCATTER_GATHER_ELEMENT *last = list && *count ? &list->Elements[*count - 1] : nullptr;
        if (last && (uint64_t)last->Address.QuadPart + last->Length == address) {
            last->Length += (ULONG)run;
        } else {
            if (list) {
                list->Elements[*count].Address.QuadPart = (LONGLONG)address;
                list->Elements[*count].Length = (ULONG)run;
                list->Elements[*count].Reserved = 0;
            }
            (*count)++;
        }
        offset += run;
        length -= (ULONG)run;
    }
    return STATUS_SUCCESS;
}

static size_t ListBytes(ULONG elements) {
    return sizeof(LIST_HEADER) + FIELD_OFFSET(SCATTER_GATHER_LIST, Elements) +
           elements * sizeof(SCATTER_GATHER_ELEMENT);
}

static NTSTATUS CheckTransfer(ADAPTER *adapter, PVOID va, ULONG length) {
    if (ADDRESS_AND_SIZE_TO_SPAN_PAGES(va, length) > adapter->map_registers)
        return STATUS_INSUFFICIENT_RESOURCES;
    return STATUS_SUCCESS;
}

static NTSTATUS RunList(ADAPTER *adapter, LIST_HEADER *header, PDEVICE_OBJECT device, PMDL mdl,
                        PVOID va, ULONG length, PDRIVER_LIST_CONTROL routine, PVOID context) {
    auto *list = (SCATTER_GATHER_LIST *)(header + 1);
    ULONG count;
    NTSTATUS status = Walk(adapter, mdl, va, length, list, &count);
    if (!NT_SUCCESS(status))
        return status;
    list->NumberOfElements = count;
    list->Reserved = 0;
    header->magic = LIST_MAGIC;
    header->adapter = adapter;
    InterlockedIncrement(&adapter->lists);
    routine(device, device->CurrentIrp, list, context);
    IopRequireIrqlAfter(DISPATCH_LEVEL, (PVOID)routine,
                        "an AdapterListControl routine changed the IRQL");
    return STATUS_SUCCESS;
}

static void RequireDispatch(const char *function) {
    if (KeGetCurrentIrql() != DISPATCH_LEVEL) {
        DbgPrint("io: %s at IRQL %u, DISPATCH_LEVEL is demanded\n", function, KeGetCurrentIrql());
        KdViolation(DRIVER_VERIFIER_DMA_VIOLATION, "a DMA routine was called at the wrong IRQL",
                    0x13, KeGetCurrentIrql(), 0, 0);
    }
}

static NTSTATUS NTAPI GetList(PDMA_ADAPTER dma, PDEVICE_OBJECT device, PMDL mdl, PVOID va,
                              ULONG length, PDRIVER_LIST_CONTROL routine, PVOID context,
                              BOOLEAN write) {
    (void)write;
    ADAPTER *adapter = FromDma(dma, "GetScatterGatherList");
    RequireDispatch("GetScatterGatherList");
    NTSTATUS status = CheckTransfer(adapter, va, length);
    ULONG count = 0;
    if (NT_SUCCESS(status))
        status = Walk(adapter, mdl, va, length, nullptr, &count);
    if (!NT_SUCCESS(status))
        return status;
    auto *header =
        (LIST_HEADER *)ExAllocatePoolWithTag(NonPagedPool, ListBytes(count), IOP_TAG_DMA);
    if (!header)
        return STATUS_INSUFFICIENT_RESOURCES;
    header->ours = true;
    return RunList(adapter, header, device, mdl, va, length, routine, context);
}

static NTSTATUS NTAPI BuildList(PDMA_ADAPTER dma, PDEVICE_OBJECT device, PMDL mdl, PVOID va,
                                ULONG length, PDRIVER_LIST_CONTROL routine, PVOID context,
                                BOOLEAN write, PVOID buffer, ULONG buffer_length) {
    (void)write;
    ADAPTER *adapter = FromDma(dma, "BuildScatterGatherList");
    RequireDispatch("BuildScatterGatherList");
    NTSTATUS status = CheckTransfer(adapter, va, length);
    ULONG count = 0;
    if (NT_SUCCESS(status))
        status = Walk(adapter, mdl, va, length, nullptr, &count);
    if (!NT_SUCCESS(status))
        return status;
    if (ListBytes(count) > buffer_length)
        return STATUS_BUFFER_TOO_SMALL;
    auto *header = (LIST_HEADER *)buffer;
    header->ours = false;
    return RunList(adapter, header, device, mdl, va, length, routine, context);
}

static void NTAPI PutList(PDMA_ADAPTER dma, PSCATTER_GATHER_LIST list, BOOLEAN write) {
    (void)write;
    ADAPTER *adapter = FromDma(dma, "PutScatterGatherList");
    RequireDispatch("PutScatterGatherList");
    auto *header = (LIST_HEADER *)list - 1;
    if (header->magic != LIST_MAGIC || header->adapter != adapter)
        KdViolation(DRIVER_VERIFIER_DMA_VIOLATION,
                    "PutScatterGatherList: not a list of this adapter, or put back before",
                    DmaFreedTooManyLists, (uint64_t)list, 0, 0);
    header->magic = 0;
    InterlockedDecrement(&adapter->lists);
    if (header->ours)
        ExFreePoolWithTag(header, IOP_TAG_DMA);
}

static NTSTATUS NTAPI ListSize(PDMA_ADAPTER dma, PMDL mdl, PVOID va, ULONG length, PULONG size,
                               PULONG map_registers) {
    (void)FromDma(dma, "CalculateScatterGatherList");
    ULONG pages = 0;
    if (mdl)
        for (PMDL m = mdl; m; m = m->Next)
            pages += (ULONG)ADDRESS_AND_SIZE_TO_SPAN_PAGES(MmGetMdlVirtualAddress(m),
                                                           MmGetMdlByteCount(m));
    else
        pages = (ULONG)ADDRESS_AND_SIZE_TO_SPAN_PAGES(va, length);
    *size = (ULONG)ListBytes(pages);
    if (map_registers)
        *map_registers = pages;
    return STATUS_SUCCESS;
}

static NTSTATUS NTAPI AllocateChannel(PDMA_ADAPTER, PDEVICE_OBJECT, ULONG, PDRIVER_CONTROL, PVOID) {
    KdUnimplemented("DMA_OPERATIONS.AllocateAdapterChannel");
}
static BOOLEAN NTAPI FlushBuffers(PDMA_ADAPTER, PMDL, PVOID, PVOID, ULONG, BOOLEAN) {
    KdUnimplemented("DMA_OPERATIONS.FlushAdapterBuffers");
}
static VOID NTAPI FreeChannel(PDMA_ADAPTER) {
    KdUnimplemented("DMA_OPERATIONS.FreeAdapterChannel");
}
static VOID NTAPI FreeRegisters(PDMA_ADAPTER, PVOID, ULONG) {
    KdUnimplemented("DMA_OPERATIONS.FreeMapRegisters");
}
static PHYSICAL_ADDRESS NTAPI Map(PDMA_ADAPTER, PMDL, PVOID, PVOID, PULONG, BOOLEAN) {
    KdUnimplemented("DMA_OPERATIONS.MapTransfer");
}
static ULONG NTAPI ReadCounter(PDMA_ADAPTER) {
    KdUnimplemented("DMA_OPERATIONS.ReadDmaCounter");
}
static NTSTATUS NTAPI BuildMdl(PDMA_ADAPTER, PSCATTER_GATHER_LIST, PMDL, PMDL *) {
    KdUnimplemented("DMA_OPERATIONS.BuildMdlFromScatterGatherList");
}

static DMA_OPERATIONS Operations = {sizeof(DMA_OPERATIONS),
                                    PutAdapter,
                                    AllocateCommon,
                                    FreeCommon,
                                    AllocateChannel,
                                    FlushBuffers,
                                    FreeChannel,
                                    FreeRegisters,
                                    Map,
                                    Alignment,
                                    ReadCounter,
                                    GetList,
                                    PutList,
                                    ListSize,
                                    BuildList,
                                    BuildMdl};

// The adapters that a device's driver, or an image, has not put back.
template <class F> static void CheckAdapters(F concerns) {
    ADAPTER *left = nullptr;
    KIRQL irql;
    KeAcquireSpinLock(&AdaptersLock, &irql);
    for (PLIST_ENTRY e = Adapters.Flink; e != &Adapters && !left; e = e->Flink) {
        auto *adapter = CONTAINING_RECORD(e, ADAPTER, links);
        if (concerns(adapter))
            left = adapter;
    }
    KeReleaseSpinLock(&AdaptersLock, irql);
    if (!left)
        return;
    CheckEmpty(left);
    KdViolation(DRIVER_VERIFIER_DMA_VIOLATION, "a DMA adapter is not put back", DmaAdapterNotPut,
                (uint64_t)left, left->creator, 0);
}

void IopCheckAdaptersOfDevice(PDEVICE_OBJECT pdo) {
    CheckAdapters([=](const ADAPTER *adapter) { return adapter->pdo == pdo; });
}

void IopCheckAdaptersOfImage(uint64_t base, uint64_t size) {
    CheckAdapters([=](const ADAPTER *adapter) { return adapter->creator - base < size; });
}

static PDMA_ADAPTER CreateAdapter(PDEVICE_OBJECT pdo, const DEVICE_DESCRIPTION *description,
                                  PULONG map_registers) {
    IopRequireIrql(PASSIVE_LEVEL, "IoGetDmaAdapter");
    if (description->Version > DEVICE_DESCRIPTION_VERSION2)
        return nullptr;
    if (!description->Master)
        KdUnimplemented("IoGetDmaAdapter for a device that is no bus master");
    auto *adapter = (ADAPTER *)ExAllocatePoolWithTag(NonPagedPool, sizeof(ADAPTER), IOP_TAG_DMA);
    if (!adapter)
        return nullptr;
    RtlZeroMemory(adapter, sizeof(*adapter));
    adapter->magic = ADAPTER_MAGIC;
    adapter->head.Version = 1;
    adapter->head.Size = sizeof(ADAPTER);
    adapter->head.DmaOperations = &Operations;
    adapter->address64 = description->Dma64BitAddresses;
    // One more than whole pages: a transfer need not start on a page.
    uint64_t registers = ((uint64_t)description->MaximumLength + PAGE_SIZE - 1) / PAGE_SIZE + 1;
    adapter->map_registers = (ULONG)registers;
    InitializeListHead(&adapter->buffers);
    adapter->pdo = pdo;
    adapter->creator = KdCaller();
    KIRQL irql;
    KeAcquireSpinLock(&AdaptersLock, &irql);
    InsertTailList(&Adapters, &adapter->links);
    KeReleaseSpinLock(&AdaptersLock, irql);
    *map_registers = adapter->map_registers;
    return &adapter->head;
}

extern "C" PDMA_ADAPTER NTAPI IoGetDmaAdapter(IN PDEVICE_OBJECT PhysicalDeviceObject OPTIONAL,
                                              IN PDEVICE_DESCRIPTION DeviceDescription,
                                              IN OUT PULONG NumberOfMapRegisters) {
    if (PhysicalDeviceObject)
        IopRequireDevice(PhysicalDeviceObject, "IoGetDmaAdapter");
    return CreateAdapter(PhysicalDeviceObject, DeviceDescription, NumberOfMapRegisters);
}
