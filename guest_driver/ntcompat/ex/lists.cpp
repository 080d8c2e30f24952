// SPDX-License-Identifier: MIT
//
// Interlocked lists. The locked ones may be used at any IRQL, so the lock is held
// with interrupts off and is not taken by the spin lock functions. The SLists have
// Windows' x64 header (16 bytes: depth and sequence, then the first entry).
#include "mm/mi.h"

#undef ExQueryDepthSList
#undef InitializeSListHead

namespace {

// The caller's KSPIN_LOCK with interrupts off.
class AnyIrqlGuard {
  public:
    explicit AnyIrqlGuard(PKSPIN_LOCK lock) : lock_(lock), flags_(__readeflags()) {
        _disable();
        while (__atomic_exchange_n(lock_, 1, __ATOMIC_ACQUIRE))
            _mm_pause();
    }
    ~AnyIrqlGuard() {
        __atomic_store_n(lock_, 0, __ATOMIC_RELEASE);
        if (flags_ & 0x200)
            _enable();
    }

  private:
    PKSPIN_LOCK lock_;
    uint64_t flags_;
};

struct SListValue {
    uint64_t low;  // depth 16, sequence 48
    uint64_t high; // header type 1, reserved 3, first entry's address / 16
};

SListValue Load(PSLIST_HEADER head) {
    return {__atomic_load_n(&head->Alignment, __ATOMIC_RELAXED),
            __atomic_load_n(&head->Region, __ATOMIC_RELAXED)};
}

bool Exchange(PSLIST_HEADER head, const SListValue &old_value, uint16_t depth, PSLIST_ENTRY first) {
    const uint64_t sequence = (old_value.low >> 16) + 1;
    const LONG64 low = static_cast<LONG64>(sequence << 16 | depth);
    const LONG64 high = static_cast<LONG64>((reinterpret_cast<uint64_t>(first) & ~15ull) | 1);
    LONG64 expected[2] = {static_cast<LONG64>(old_value.low), static_cast<LONG64>(old_value.high)};
    char done;
    __asm__ __volatile__("lock cmpxchg16b %[target]\n\tsete %[done]"
                         : [target] "+m"(*reinterpret_cast<__int128 *>(head)), [done] "=q"(done),
                           "+a"(expected[0]), "+d"(expected[1])
                         : "b"(low), "c"(high)
                         : "cc", "memory");
    return done;
}

PSLIST_ENTRY First(const SListValue &value) {
    return reinterpret_cast<PSLIST_ENTRY>(value.high & ~15ull);
}

void CheckAligned(const void *pointer, const char *what) {
    if (reinterpret_cast<uint64_t>(pointer) & 15)
        KdViolation(0xC4, what, 0x16, reinterpret_cast<uintptr_t>(pointer), 0, 0);
}

} // namespace

NTC_EXPORT VOID InitializeSListHead(PSLIST_HEADER head) {
    CheckAligned(head, "an SList header that isn't 16-byte aligned");
    head->Alignment = 0;
    head->Region = 1;
}

NTC_EXPORT USHORT ExQueryDepthSList(PSLIST_HEADER head) {
    return static_cast<USHORT>(head->Alignment);
}

NTC_EXPORT PSLIST_ENTRY ExpInterlockedPushEntrySList(PSLIST_HEADER head, PSLIST_ENTRY entry) {
    CheckAligned(entry, "an SList entry that isn't 16-byte aligned");
    for (;;) {
        const SListValue value = Load(head);
        entry->Next = First(value);
        if (Exchange(head, value, static_cast<uint16_t>(value.low + 1), entry))
            return First(value);
    }
}

NTC_EXPORT PSLIST_ENTRY ExpInterlockedPopEntrySList(PSLIST_HEADER head) {
    // Interrupts stay off between reading the first entry and the exchange: with one
    // processor the entry can't be freed in between.
    const uint64_t flags = __readeflags();
    _disable();
    PSLIST_ENTRY entry;
    for (;;) {
        const SListValue value = Load(head);
        entry = First(value);
        if (!entry || Exchange(head, value, static_cast<uint16_t>(value.low - 1), entry->Next))
            break;
    }
    if (flags & 0x200)
        _enable();
    return entry;
}

NTC_EXPORT PSLIST_ENTRY ExpInterlockedFlushSList(PSLIST_HEADER head) {
    for (;;) {
        const SListValue value = Load(head);
        if (Exchange(head, value, 0, nullptr))
            return First(value);
    }
}

PLIST_ENTRY FASTCALL ExInterlockedInsertHeadList(PLIST_ENTRY head, PLIST_ENTRY entry,
                                                 PKSPIN_LOCK lock) {
    AnyIrqlGuard guard(lock);
    PLIST_ENTRY first = IsListEmpty(head) ? nullptr : head->Flink;
    InsertHeadList(head, entry);
    return first;
}

PLIST_ENTRY FASTCALL ExInterlockedInsertTailList(PLIST_ENTRY head, PLIST_ENTRY entry,
                                                 PKSPIN_LOCK lock) {
    AnyIrqlGuard guard(lock);
    PLIST_ENTRY last = IsListEmpty(head) ? nullptr : head->Blink;
    InsertTailList(head, entry);
    return last;
}

PLIST_ENTRY FASTCALL ExInterlockedRemoveHeadList(PLIST_ENTRY head, PKSPIN_LOCK lock) {
    AnyIrqlGuard guard(lock);
    return IsListEmpty(head) ? nullptr : RemoveHeadList(head);
}

PSINGLE_LIST_ENTRY FASTCALL ExInterlockedPushEntryList(PSINGLE_LIST_ENTRY head,
                                                       PSINGLE_LIST_ENTRY entry, PKSPIN_LOCK lock) {
    AnyIrqlGuard guard(lock);
    PSINGLE_LIST_ENTRY first = head->Next;
    entry->Next = first;
    head->Next = entry;
    return first;
}

PSINGLE_LIST_ENTRY FASTCALL ExInterlockedPopEntryList(PSINGLE_LIST_ENTRY head, PKSPIN_LOCK lock) {
    AnyIrqlGuard guard(lock);
    PSINGLE_LIST_ENTRY first = head->Next;
    if (first)
        head->Next = first->Next;
    return first;
}

LARGE_INTEGER NTAPI ExInterlockedAddLargeInteger(PLARGE_INTEGER addend, LARGE_INTEGER increment,
                                                 PKSPIN_LOCK lock) {
    AnyIrqlGuard guard(lock);
    const LARGE_INTEGER old_value = *addend;
    addend->QuadPart += increment.QuadPart;
    return old_value;
}

ULONG FASTCALL ExInterlockedAddUlong(PULONG addend, ULONG increment, PKSPIN_LOCK lock) {
    AnyIrqlGuard guard(lock);
    const ULONG old_value = *addend;
    *addend += increment;
    return old_value;
}
