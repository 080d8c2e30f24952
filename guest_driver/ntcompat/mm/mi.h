// SPDX-License-Identifier: MIT
//
// Inside mm (and ex/pool): locks, address ranges, pool records. Nothing here
// needs the dispatcher, so that all of it works before KiInitSystem.
#ifndef NTC_MI_H_
#define NTC_MI_H_

#include "ntc.h"

#define MI_SMALL_POOL_BASE NTC_POOL_BASE
#define MI_SMALL_POOL_PAGES 0x10000u // 256 MiB
#define MI_LARGE_POOL_BASE (NTC_POOL_BASE + 0x4000000000ull)
#define MI_LARGE_POOL_PAGES 0x40000u // 1 GiB of addresses
#define MI_SYSTEM_PTE_PAGES 0x20000u // 512 MiB of addresses

#define MI_PAGE_SIZE 0x1000ull
#define MI_FILL_ALLOCATED 0xCB // fresh memory: not zero, not a valid pointer
#define MI_FILL_FREED 0xDF

// A lock that is taken with interrupts off: pool and page functions are called at any
// IRQL up to DISPATCH_LEVEL and, by bug checks and faults, above.
typedef struct _MI_LOCK {
    volatile long held;
} MI_LOCK;

class MiLockGuard {
  public:
    explicit MiLockGuard(MI_LOCK *lock) : lock_(lock), flags_(__readeflags()) {
        _disable();
        while (__atomic_exchange_n(&lock_->held, 1, __ATOMIC_ACQUIRE))
            _mm_pause();
    }
    ~MiLockGuard() {
        __atomic_store_n(&lock_->held, 0, __ATOMIC_RELEASE);
        if (flags_ & 0x200)
            _enable();
    }
    MiLockGuard(const MiLockGuard &) = delete;
    MiLockGuard &operator=(const MiLockGuard &) = delete;

  private:
    MI_LOCK *lock_;
    uint64_t flags_;
};

// A range of addresses handed out page by page, going round, so that addresses
// just released stay unused (and unmapped) as long as possible.
struct MI_VA_SPACE {
    uint64_t base;
    uint32_t pages;
    uint32_t cursor;
    uint64_t *used; // one bit a page
    MI_LOCK lock;
};

// 0: no room.
uint64_t MiReserveVa(MI_VA_SPACE *space, size_t pages);
// Stops when a page of the range isn't reserved.
void MiReleaseVa(MI_VA_SPACE *space, uint64_t va, size_t pages);

inline void *MiDirectMap(uint64_t physical) {
    return reinterpret_cast<void *>(NTC_DIRECT_MAP_BASE + physical);
}

// ---- physical.cpp

void MiInitializePhysicalMemory(NTC_LOADER_BLOCK *block);
// A page from the other end of memory than MiAllocatePage's; taking turns gives
// neighbours in virtual memory that are none in physical memory.
uint64_t MiAllocatePageHigh(void);
uint64_t MiAllocateContiguousRange(size_t count, uint64_t lowest_pfn, uint64_t highest_pfn,
                                   uint64_t boundary_pages);
// RAM that the page allocator owns.
bool MiIsRam(uint64_t pfn);
uint64_t MiFreePageCount(void);
uint64_t MiHighestPfn(void);
// Locks for I/O, counted by page. MiUnlockPage stops when the page isn't locked.
void MiLockPage(uint64_t pfn);
void MiUnlockPage(uint64_t pfn, PMDL mdl);
bool MiIsPageLocked(uint64_t pfn);

// ---- pagetable.cpp

void MiInitializePageTables(NTC_LOADER_BLOCK *block);
bool MiIsWritable(uint64_t va);

// ---- for the debugger, which may have stopped anybody: no locks

struct MI_PAGE_INFO {
    uint64_t physical; // of the address, not of its page
    bool writable;
};
// False: not mapped.
bool MiQueryPage(uint64_t va, MI_PAGE_INFO *info);
void MiInitializeDebugWindow(void);
// Maps the page of this physical address until the next call; nullptr: impossible.
void *MiMapDebugWindow(uint64_t physical);
// Backs `pages` pages at va with pages that are not neighbours; false: memory is
// short, and nothing is left mapped.
bool MiMapScattered(uint64_t va, size_t pages);
// Unmaps and frees what MiMapScattered mapped.
void MiUnmapAndFree(uint64_t va, size_t pages);

// ---- blocks of a page and more: pool, contiguous memory, I/O space

enum MI_RECORD_KIND : uint32_t {
    MiRecordPool,
    MiRecordContiguous,
    MiRecordNonCached,
    MiRecordIoSpace
};

struct MI_RECORD {
    MI_RECORD *next; // of the hash chain
    uint64_t va;     // first byte, as the caller got it
    size_t size;     // bytes, as asked for
    size_t pages;
    uint64_t caller;
    uint32_t tag;
    uint16_t pool_type;
    uint16_t kind;
    uint64_t first_pfn; // contiguous memory
};

// false: no memory for the record.
bool MiInsertRecord(const MI_RECORD *record);
// Copies; false: no record starts at va.
bool MiFindRecord(uint64_t va, MI_RECORD *record);
bool MiRemoveRecord(uint64_t va, MI_RECORD *record);
// Calls visit for each record; it must not allocate.
void MiForEachRecord(void (*visit)(const MI_RECORD *record, void *context), void *context);

// ---- mappings of devices that are gone, gone.cpp

// MmUnmapIoSpace: these pages need no unmapping; the room may be given to others.
void MiForgetGone(uint64_t va, size_t pages);

// ---- watched device memory, watch.cpp (ke/liar.h has the rest)

void MiWatchMapping(const MI_RECORD *record);
void MiForgetWatched(uint64_t va, size_t pages);

// ---- allocations that fail on demand, lack.cpp

// Counts an allocation; true: this one fails. `what` is kept.
bool MiFailsForLack(const char *what);

// ---- small pool (below a page), pool_small.cpp

void MiInitializeSmallPool(void);
// nullptr: no memory. `hidden` blocks are mm's own and appear in no account.
void *MiAllocateSmall(size_t size, uint32_t tag, uint16_t pool_type, uint64_t caller, bool hidden);
// Checks everything about the block; tag 0: any. Stops when something's wrong.
void MiFreeSmall(void *block, uint32_t tag);
bool MiIsSmallPoolAddress(uint64_t va);

struct MI_BLOCK_INFO {
    uint64_t va;
    size_t size;
    uint64_t caller;
    uint32_t tag;
    uint16_t pool_type;
};
void MiForEachSmall(void (*visit)(const MI_BLOCK_INFO *block, void *context), void *context);

// ---- large pool

void *MiAllocateLarge(size_t size, uint32_t tag, uint16_t pool_type, uint64_t caller);
void MiFreeLarge(void *block, uint32_t tag);

// What ExAllocatePoolWithTag does, for `caller`.
void *ExpAllocatePool(POOL_TYPE type, size_t size, ULONG tag, uint64_t caller);
void ExpFreePool(void *block, ULONG tag, uint64_t caller);

// For functions documented for PASSIVE_LEVEL or APC_LEVEL; PAGED_CODE of the headers
// is gone in release builds.
inline void MiPagedCode(const char *function) {
    if (KeGetCurrentIrql() <= APC_LEVEL)
        return;
    // The number of the compliance rule: IrqlZwPassive, IrqlRtlPassive, IrqlMmApcLte,
    // IrqlObPassive.
    const char first = function[0];
    const ULONG rule = first == 'Z'   ? 0x2001F
                       : first == 'R' ? 0x2001E
                       : first == 'M' ? 0x20019
                                      : 0x2001B;
    KdViolation(0xC4, function, rule, KeGetCurrentIrql(), 0, 0);
}

// ex: the worker threads behind ExQueueWorkItem. Called by ObInitSystem, whose
// deferred deletion needs them.
void ExInitializeWorkers(void);

#define MI_CALLER() (reinterpret_cast<uint64_t>(__builtin_return_address(0)))

#endif // NTC_MI_H_
