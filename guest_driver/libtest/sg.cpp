// SPDX-License-Identifier: MIT
//
// Segments from page frame numbers.
#include "libtest.h"

static bool Joined() {
    // Pages 7, 8, 9 are neighbours, 11 and 5 are not.
    static const UINT64 pfns[] = {7, 8, 9, 11, 5};
    VIRTQ_SG sg[5];
    USHORT count;
    for (int write = 0; write < 2; write++) {
        CHECK_STATUS(
            VirtioSgBuildFromPfns(pfns, 5, 100, 4 * PAGE_SIZE, (BOOLEAN)write, sg, 5, &count),
            STATUS_SUCCESS);
        CHECK_EQUAL(count, 3);
        const VIRTQ_SG expected[] = {{7 * PAGE_SIZE + 100, 3 * PAGE_SIZE - 100, 0},
                                     {11 * PAGE_SIZE, PAGE_SIZE, 0},
                                     {5 * PAGE_SIZE, 100, 0}};
        for (int i = 0; i < 3; i++) {
            CHECK_EQUAL(sg[i].addr, expected[i].addr);
            CHECK_EQUAL(sg[i].len, expected[i].len);
            CHECK_EQUAL(sg[i].write, write);
        }
    }
    // A sizing call, and one whose room does not do.
    CHECK_STATUS(VirtioSgBuildFromPfns(pfns, 5, 100, 4 * PAGE_SIZE, FALSE, nullptr, 0, &count),
                 STATUS_BUFFER_TOO_SMALL);
    CHECK_EQUAL(count, 3);
    sg[2].len = 77;
    CHECK_STATUS(VirtioSgBuildFromPfns(pfns, 5, 100, 4 * PAGE_SIZE, FALSE, sg, 2, &count),
                 STATUS_BUFFER_TOO_SMALL);
    CHECK(count == 3 && sg[1].addr == 11 * PAGE_SIZE && sg[2].len == 77);
    CHECK_STATUS(VirtioSgBuildFromPfns(nullptr, 0, 0, 0, FALSE, nullptr, 0, &count),
                 STATUS_SUCCESS);
    CHECK_EQUAL(count, 0);
    return true;
}

static bool Refused() {
    static const UINT64 pfns[] = {7, 8, ~0ull >> PAGE_SHIFT, (~0ull >> PAGE_SHIFT) + 1, 0};
    VIRTQ_SG sg[5];
    USHORT count = 9;
    const NTSTATUS bad = STATUS_INVALID_PARAMETER;
    CHECK_STATUS(VirtioSgBuildFromPfns(pfns, 1, 0, 1, FALSE, sg, 5, nullptr), bad);
    CHECK_STATUS(VirtioSgBuildFromPfns(pfns, 1, 0, 1, FALSE, nullptr, 5, &count), bad);
    CHECK_EQUAL(count, 0);
    CHECK_STATUS(VirtioSgBuildFromPfns(nullptr, 1, 0, 1, FALSE, sg, 5, &count), bad);
    CHECK_STATUS(VirtioSgBuildFromPfns(pfns, 1, PAGE_SIZE, 1, FALSE, sg, 5, &count), bad);
    CHECK_STATUS(VirtioSgBuildFromPfns(pfns, 1, 1, PAGE_SIZE, FALSE, sg, 5, &count), bad);
    CHECK_STATUS(VirtioSgBuildFromPfns(pfns, 2, 4095, ~(SIZE_T)0, FALSE, sg, 5, &count), bad);
    CHECK_STATUS(VirtioSgBuildFromPfns(pfns + 3, 1, 0, 1, FALSE, sg, 5, &count), bad);
    CHECK_EQUAL(count, 0);
    // The last page of all addresses, and the first: no neighbours.
    const UINT64 round[] = {~0ull >> PAGE_SHIFT, 0};
    CHECK_STATUS(VirtioSgBuildFromPfns(round, 2, 0, 2 * PAGE_SIZE, FALSE, sg, 5, &count),
                 STATUS_SUCCESS);
    CHECK_EQUAL(count, 2);
    return true;
}

// 65,535 segments, and one more; then one of 4 GiB, which is cut.
static bool Many() {
    enum : ULONG { Pages = 0x100001 };
    Pool<UINT64> pfns(Pages);
    VIRTQ_SG sg[2];
    USHORT count;
    CHECK(pfns.at);
    for (ULONG i = 0; i < Pages; i++)
        pfns.at[i] = 2ull * i;
    CHECK_STATUS(
        VirtioSgBuildFromPfns(pfns.at, Pages, 0, 65535ull * PAGE_SIZE, FALSE, nullptr, 0, &count),
        STATUS_BUFFER_TOO_SMALL);
    CHECK_EQUAL(count, 65535);
    CHECK_STATUS(
        VirtioSgBuildFromPfns(pfns.at, Pages, 0, 65536ull * PAGE_SIZE, FALSE, nullptr, 0, &count),
        STATUS_INVALID_PARAMETER);
    for (ULONG i = 0; i < Pages; i++)
        pfns.at[i] = 16 + i;
    CHECK_STATUS(
        VirtioSgBuildFromPfns(pfns.at, Pages, 0, (ULONG64)Pages * PAGE_SIZE, TRUE, sg, 2, &count),
        STATUS_SUCCESS);
    CHECK_EQUAL(count, 2);
    CHECK_EQUAL(sg[0].len, 0xFFFFFFFF);
    CHECK_EQUAL(sg[1].addr, 16 * PAGE_SIZE + 0xFFFFFFFFull);
    CHECK_EQUAL(sg[1].len, PAGE_SIZE + 1);
    return true;
}

const LibCase SgCases[] = {
    {"pfns-joined", Joined}, {"pfns-refused", Refused}, {"pfns-many", Many}, {nullptr, nullptr}};
