// SPDX-License-Identifier: MIT
//
// Calls with arguments that the headers refuse, and what they must say: none of
// them changes anything.
#pragma once

#include <cstring>

#include "require.h"
#include "virtqueue_split_shared.h"

namespace fuzz {

inline void CheckNullArguments(VIRTQ_SPLIT *vq) {
    const NTSTATUS refused = STATUS_INVALID_PARAMETER;
    VIRTQ_SG sg = {0x1000, 8, TRUE};
    VIRTQ_BUFFER buffer = {&sg, 1, nullptr};
    VIRTQ_COMPLETION out[1];
    UINT16 number = 0;
    UINT32 len;
    void *cookie;
    bool right = VirtqSplitAddBuffer(nullptr, &sg, 1, nullptr, &number) == refused &&
                 VirtqSplitAddBatch(vq, nullptr, 1, &number, &number) == refused &&
                 VirtqSplitAddBatch(vq, &buffer, 1, &number, nullptr) == refused &&
                 VirtqSplitSubmitBatch(nullptr, &buffer, 1, &number) == refused &&
                 VirtqSplitSubmitBatch(vq, nullptr, 1, &number) == refused &&
                 VirtqSplitSubmitBatch(vq, &buffer, 1, nullptr) == refused &&
                 VirtqSplitPublishChecked(nullptr, 0) == refused &&
                 VirtqSplitPublishBatch(nullptr, &number, 1) == refused &&
                 VirtqSplitGetUsed(nullptr, &cookie, &len) == refused &&
                 VirtqSplitGetUsed(vq, nullptr, &len) == refused &&
                 VirtqSplitGetUsed(vq, &cookie, nullptr) == refused &&
                 VirtqSplitGetUsedBatch(vq, nullptr, 1, &number) == refused &&
                 VirtqSplitGetUsedBatch(vq, out, 1, nullptr) == refused &&
                 VirtqSplitDetachUnused(vq, nullptr) == refused &&
                 VirtqSplitDetachUnused(nullptr, &cookie) == refused &&
                 VirtqSplitResetChecked(nullptr) == refused && !VirtqSplitKickPrepare(nullptr) &&
                 !VirtqSplitKick(nullptr) && !VirtqSplitHasUsed(nullptr) &&
                 VirtqSplitQueueSize(nullptr) == 0 &&
                 VirtqSplitMaxChain(vq) == VirtqSplitQueueSize(vq);
    Require(right, "null arguments are refused");
    unsigned lines = 0;
    VirtqSplitDump(
        nullptr, [](const char *, void *context) { ++*static_cast<unsigned *>(context); }, &lines);
    Require(lines == 1, "a dump of no queue");
    VirtqSplitDump(vq, nullptr, nullptr);
    VirtqSplitPublish(nullptr, 0);
    VirtqSplitKickCommit(nullptr);
    VirtqSplitReset(nullptr);
    VirtqSplitDisableInterrupts(nullptr);
    (void)VirtqSplitEnableInterrupts(nullptr);
}

// Sizes against the table of 2.7, for any numbers.
inline void CheckSizes(UINT16 qsz, UINT32 align) {
    bool valid = qsz != 0 && (qsz & (qsz - 1)) == 0; // 32768 is the largest in 16 bits
    std::size_t desc = valid ? std::size_t{16} * qsz : 0;
    std::size_t avail = valid ? std::size_t{2} * qsz + 6 : 0;
    std::size_t used = valid ? std::size_t{8} * qsz + 6 : 0;
    bool aligned = align >= 4 && (align & (align - 1)) == 0;
    std::size_t ring =
        valid && aligned ? (desc + avail + align - 1) / align * align + used : std::size_t{0};
    Require(VirtqSplitDescAreaSize(qsz) == desc && VirtqSplitAvailAreaSize(qsz) == avail &&
                VirtqSplitUsedAreaSize(qsz) == used &&
                VirtqSplitRingMemSize(qsz, align, FALSE) == ring &&
                (VirtqSplitStateSize(qsz) != 0) == valid,
            "sizes as in 2.7");
}

// One wrong parameter of VirtqSplitInitAreas, on a queue that is in use.
inline void CheckBadAreas(VIRTQ_SPLIT *vq, const SharedRing &ring, UINT16 qsz, unsigned what) {
    VIRTQ_SPLIT_AREAS areas = ring.Addresses();
    UINT16 most = qsz;
    std::uint64_t pool_pa = SharedRing::kPoolAddress;
    UINT16 tables = 1, entries = 1;
    std::uint8_t *pool = ring.area[0].bytes; // any aligned memory: it is not touched
    switch (what % 14) {
    case 0:
        most = static_cast<UINT16>(qsz - 1);
        break;
    case 1:
        areas.desc_va = nullptr;
        break;
    case 2:
        areas.avail_va = nullptr;
        break;
    case 3:
        areas.used_va = nullptr;
        break;
    case 4:
        areas.desc_pa += 8;
        break;
    case 5:
        areas.avail_pa += 1;
        break;
    case 6:
        areas.used_pa += 2;
        break;
    case 7:
        areas.used_pa = ~std::uint64_t{3};
        break; // wraps
    case 8:
        areas.avail_pa = areas.desc_pa + 16u * qsz - 2;
        break; // overlaps
    case 9:
        tables = 0;
        break;
    case 10:
        entries = 0;
        break;
    case 11:
        pool_pa += 8;
        break;
    case 12:
        pool_pa = ~std::uint64_t{15};
        entries = 2;
        break; // wraps
    default:
        pool += 8;
    }
    Require(VirtqSplitInitAreas(vq, qsz, most, TRUE, TRUE, &areas, pool, pool_pa, tables,
                                entries) == STATUS_INVALID_PARAMETER,
            "wrong areas are refused");
}

// The same for VirtqSplitInit.
inline void CheckBadInit(VIRTQ_SPLIT *vq, const SharedRing &ring, UINT16 qsz, unsigned what) {
    std::uint8_t *va = ring.area[0].bytes;
    std::uint64_t pa = SharedRing::kRingAddress;
    UINT32 align = 16;
    switch (what % 7) {
    case 0:
        qsz = 0;
        break;
    case 1:
        qsz = 3;
        break;
    case 2:
        align = 2;
        break;
    case 3:
        align = 24;
        break;
    case 4:
        va = nullptr;
        break;
    case 5:
        pa += 4;
        break;
    default:
        pa = ~std::uint64_t{15}; // wraps
    }
    Require(VirtqSplitInit(vq, qsz, TRUE, FALSE, va, pa, align, nullptr, 0, 0, 0) ==
                STATUS_INVALID_PARAMETER,
            "wrong parameters are refused");
}

} // namespace fuzz
