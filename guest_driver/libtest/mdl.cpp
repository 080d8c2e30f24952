// SPDX-License-Identifier: MIT
//
// Segments from MDLs as the kernel makes them: of nonpaged pool, and of locked pages, at odd
// offsets, alone and in chains. Held against what MmGetPhysicalAddress says of each byte.
#include "peer.h"

// An MDL of a part of a buffer. Null pointer: there was no memory.
class PartMdl {
  public:
    PartMdl(UCHAR *at, ULONG bytes, bool lock)
        : mdl(IoAllocateMdl(at, bytes, FALSE, FALSE, nullptr)), locked_(lock) {
        if (mdl && lock)
            MmProbeAndLockPages(mdl, KernelMode, IoModifyAccess);
        else if (mdl)
            MmBuildMdlForNonPagedPool(mdl);
    }
    ~PartMdl() {
        if (mdl && locked_)
            MmUnlockPages(mdl);
        if (mdl)
            IoFreeMdl(mdl);
    }
    PartMdl(const PartMdl &) = delete;

    const PMDL mdl;

  private:
    bool locked_;
};

enum : USHORT { Cap = 64 };

// Whether the segments are these bytes and no others, from `at` on; leaves `index` and
// `offset` behind the last one.
static bool AreBytes(const VIRTQ_SG *sg, USHORT count, USHORT *index, ULONG *offset,
                     const UCHAR *at, SIZE_T bytes) {
    while (bytes != 0) {
        CHECK(*index < count);
        const SIZE_T in_page = PAGE_SIZE - ((ULONG_PTR)at & (PAGE_SIZE - 1));
        SIZE_T step = sg[*index].len - *offset;
        step = step < in_page ? step : in_page;
        step = step < bytes ? step : bytes;
        CHECK_EQUAL(sg[*index].addr + *offset, MmGetPhysicalAddress((PVOID)at).QuadPart);
        at += step;
        bytes -= step;
        *offset += (ULONG)step;
        if (*offset == sg[*index].len) {
            ++*index;
            *offset = 0;
        }
    }
    return true;
}

static bool PartOf(PMDL mdl, const UCHAR *va, ULONG offset, ULONG bytes, BOOLEAN write) {
    VIRTQ_SG sg[Cap];
    USHORT count = 0, index = 0;
    ULONG at = 0;
    CHECK_STATUS(VirtioSgBuildFromMdl(mdl, offset, bytes, write, sg, Cap, &count), STATUS_SUCCESS);
    CHECK(count <= VirtioSgMaxElemsForMdl(mdl, offset, bytes));
    for (USHORT i = 0; i < count; i++)
        CHECK_EQUAL(sg[i].write, write);
    if (!AreBytes(sg, count, &index, &at, va + offset, bytes))
        return false;
    CHECK(index == count && at == 0);
    return true;
}

static bool Alone() {
    enum : ULONG { Size = 9 * PAGE_SIZE };
    static const ULONG offsets[] = {0, 1, 17, 511, 4095, 4096, 4097, 9000};
    static const ULONG lengths[] = {1, 2, 513, 4095, 4096, 4097, 12289};
    Pool<UCHAR> buffer(Size);
    CHECK(buffer.at);
    for (int lock = 0; lock < 2; lock++)
        for (ULONG start : offsets) {
            PartMdl part(buffer.at + start, 6 * PAGE_SIZE, lock != 0);
            CHECK(part.mdl);
            CHECK_EQUAL(part.mdl->ByteOffset, (ULONG_PTR)(buffer.at + start) & (PAGE_SIZE - 1));
            AtDispatch dispatch;
            for (ULONG offset : offsets)
                for (ULONG length : lengths)
                    if (!PartOf(part.mdl, buffer.at + start, offset, length, (BOOLEAN)(length & 1)))
                        return false;
            if (!PartOf(part.mdl, buffer.at + start, 0, 6 * PAGE_SIZE, TRUE))
                return false;
        }
    return true;
}

// Three MDLs of different buffers, the middle one of locked pages, as one range.
static bool Chained() {
    enum : ULONG { First = 5001, Second = 8193, Third = 700 };
    Pool<UCHAR> a(First + 3), b(Second + 4095), c(Third);
    CHECK(a.at && b.at && c.at);
    PartMdl ma(a.at + 3, First, false), mb(b.at + 4095, Second, true), mc(c.at, Third, false);
    CHECK(ma.mdl && mb.mdl && mc.mdl);
    ma.mdl->Next = mb.mdl;
    mb.mdl->Next = mc.mdl;
    static const ULONG starts[] = {0, 1, 5000, 5001, 5002, 13193, 13194, 13893};
    const ULONG all = First + Second + Third;
    for (ULONG start : starts)
        for (ULONG end = all; end > start; end = end - start > 3000 ? end - 2999 : start) {
            VIRTQ_SG sg[Cap];
            USHORT count = 0, index = 0;
            ULONG at = 0, left = end - start, skip = start;
            CHECK_STATUS(VirtioSgBuildFromMdl(ma.mdl, start, left, TRUE, sg, Cap, &count),
                         STATUS_SUCCESS);
            struct {
                const UCHAR *va;
                ULONG bytes;
            } const parts[] = {{a.at + 3, First}, {b.at + 4095, Second}, {c.at, Third}};
            for (const auto &part : parts) {
                const ULONG gone = skip < part.bytes ? skip : part.bytes;
                const ULONG here = part.bytes - gone < left ? part.bytes - gone : left;
                if (!AreBytes(sg, count, &index, &at, part.va + gone, here))
                    return false;
                skip -= gone;
                left -= here;
            }
            CHECK(index == count && at == 0);
        }
    ma.mdl->Next = mb.mdl->Next = nullptr;
    return true;
}

static bool Refused() {
    Pool<UCHAR> a(3 * PAGE_SIZE);
    CHECK(a.at);
    PartMdl part(a.at, 3 * PAGE_SIZE, false);
    CHECK(part.mdl);
    VIRTQ_SG sg[Cap];
    USHORT count = 9;
    const NTSTATUS bad = STATUS_INVALID_PARAMETER;
    CHECK_STATUS(VirtioSgBuildFromMdl(part.mdl, 0, 1, FALSE, sg, Cap, nullptr), bad);
    CHECK_STATUS(VirtioSgBuildFromMdl(part.mdl, 0, 1, FALSE, nullptr, Cap, &count), bad);
    CHECK_EQUAL(count, 0);
    CHECK_STATUS(VirtioSgBuildFromMdl(nullptr, 0, 1, FALSE, sg, Cap, &count), bad);
    CHECK_STATUS(VirtioSgBuildFromMdl(part.mdl, 1, 3 * PAGE_SIZE, FALSE, sg, Cap, &count), bad);
    CHECK_EQUAL(count, 0);
    CHECK_STATUS(VirtioSgBuildFromMdl(part.mdl, 0, 0, FALSE, nullptr, 0, &count), STATUS_SUCCESS);
    CHECK_STATUS(VirtioSgBuildFromMdl(part.mdl, 7, 3, FALSE, nullptr, 0, &count),
                 STATUS_BUFFER_TOO_SMALL);
    CHECK_EQUAL(count, 1);
    CHECK_EQUAL(VirtioSgMaxElemsForMdl(part.mdl, 0, 0), 0);
    CHECK_EQUAL(VirtioSgMaxElemsForMdl(nullptr, 0, 1), 0);
    CHECK_EQUAL(VirtioSgMaxElemsForMdl(part.mdl, 0, 3 * PAGE_SIZE + 1), 0);
    CHECK_EQUAL(VirtioSgMaxElemsForMdl(part.mdl, 1, 3 * PAGE_SIZE - 1), 3);
    return true;
}

// Chains that end nowhere, and addresses that are none, in an MDL made by hand: no driver
// below would build one.
struct HandMade {
    MDL mdl;
    PFN_NUMBER pfns[4];
};

static bool HandMadeMdls() {
    HandMade ring = {}, big = {};
    VIRTQ_SG sg[4];
    USHORT count;
    ring.mdl.Next = &ring.mdl; // an empty one that follows itself
    CHECK_STATUS(VirtioSgBuildFromMdl(&ring.mdl, 0, 1, FALSE, sg, 4, &count),
                 STATUS_INVALID_PARAMETER);
    CHECK_EQUAL(VirtioSgMaxElemsForMdl(&ring.mdl, 0, 1), 0);
    big.mdl.ByteCount = 2 * PAGE_SIZE;
    big.pfns[0] = 1;
    big.pfns[1] = (PFN_NUMBER)((~0ull >> PAGE_SHIFT) + 1);
    CHECK_STATUS(VirtioSgBuildFromMdl(&big.mdl, 0, 2 * PAGE_SIZE, FALSE, sg, 4, &count),
                 STATUS_INVALID_PARAMETER);
    // More pages than a ULONG counts: MDLs of 4 GiB that follow each other in a ring.
    big.mdl.ByteCount = 0xFFFFFFFF;
    big.mdl.Next = &big.mdl;
    CHECK_EQUAL(VirtioSgMaxElemsForMdl(&big.mdl, 0, 4097ull << 32), 0);
    return true;
}

// From a buffer to the device and back by way of a ring, in indirect tables, too.
static bool ThroughARing() {
    Pool<UCHAR> buffer(8 * PAGE_SIZE);
    CHECK(buffer.at);
    PartMdl part(buffer.at + 77, 7 * PAGE_SIZE, true);
    CHECK(part.mdl);
    for (int tables = NoTables; tables <= OwnTables; tables++) {
        Queue q(16, true, (Tables)tables, 2);
        VIRTQ_SG sg[Cap];
        Chain chain;
        USHORT count, done, index = 0;
        ULONG at = 0;
        VIRTQ_COMPLETION out;
        CHECK(q.Ready());
        CHECK_STATUS(VirtioSgBuildFromMdl(part.mdl, 5, 6 * PAGE_SIZE, TRUE, sg, Cap, &count),
                     STATUS_SUCCESS);
        const VIRTQ_BUFFER b = {sg, count, buffer.at};
        CHECK_STATUS(VirtqSplitSubmitBatch(q.vq, &b, 1, &done), STATUS_SUCCESS);
        CHECK(q.peer.Take(&chain) && SamePieces(chain, sg, count));
        if (!AreBytes(sg, count, &index, &at, buffer.at + 82, 6 * PAGE_SIZE))
            return false;
        q.peer.Use(chain.head, 6 * PAGE_SIZE);
        CHECK_STATUS(VirtqSplitGetUsedBatch(q.vq, &out, 1, &done), STATUS_SUCCESS);
        CHECK(out.cookie == buffer.at && out.len == 6 * PAGE_SIZE);
    }
    return true;
}

const LibCase MdlCases[] = {
    {"mdl-alone", Alone},
    {"mdl-chained", Chained},
    {"mdl-refused", Refused},
    {"mdl-hand-made", HandMadeMdls},
    {"mdl-through-a-ring", ThroughARing},
    {nullptr, nullptr},
};
