// SPDX-License-Identifier: MIT
//
// Scatter/gather lists of up to PAGES pages: every byte of the range is where the
// pages say, for all frame numbers, offsets, lengths and room for the result.
#include "proof.h"

#include "virtio_sg_pfn.cpp"

#define PAGES PROOF_SIZE
#define FRAME_MAX (~(UINT64)0 >> 12)

UINT64 g_pfns[PAGES];
VIRTQ_SG g_out[PAGES];

// The list has `length` bytes; its byte `at` lies at `address`.
void ProveByte(VIRTQ_SG *out, UINT16 count, UINT64 at, UINT64 address, UINT64 length) {
    UINT64 before = 0;
    UINT64 found = 0;

    for (UINT16 i = 0; i < count; i++) {
        Prove(out[i].len != 0 && out[i].addr <= ~(UINT64)0 - (out[i].len - 1));
        if (at >= before && at - before < out[i].len) {
            found++;
            Prove(out[i].addr + (at - before) == address);
        }
        before += out[i].len;
    }
    Prove(found == 1 && before == length);
}

// Neighbours are joined; no joint is left.
void ProveJoined(VIRTQ_SG *out, UINT16 count) {
    for (UINT16 i = 0; i + 1 < count; i++) {
        Prove(out[i].addr + out[i].len != out[i + 1].addr || out[i + 1].addr == 0);
    }
}

extern "C" void ProofPfns() {
    UINT32 pages = nondet_u32();
    UINT64 *pfns = &g_pfns[0] + (pages <= PAGES ? PAGES - pages : PAGES);
    size_t offset = nondet_size(), length = nondet_size(), at = nondet_size();
    UINT16 cap = nondet_u16(), count = nondet_u16();
    UINT8 write = nondet_u8();

    Assume(pages <= PAGES && cap <= PAGES);
    __CPROVER_havoc_object(&g_pfns[0]);
    VIRTQ_SG *out = &g_out[0] + (PAGES - cap);
    NTSTATUS status = VirtioSgBuildFromPfns(pfns, pages, offset, length, write, out, cap, &count);
    bool fits =
        offset < 4096 && length <= (size_t)pages * 4096 && offset + length <= (size_t)pages * 4096;
    for (UINT32 i = 0; i < pages; i++) {
        if (fits && length != 0 && (size_t)i * 4096 < offset + length) {
            fits = pfns[i] <= FRAME_MAX;
        }
    }
    if (status == STATUS_INVALID_PARAMETER) {
        Reached("refused");
        Prove(count == 0 && (!fits || length == 0));
        return;
    }
    Prove(fits || length == 0);
    Prove(count <= pages && (status == STATUS_SUCCESS) == (count <= cap));
    if (status == STATUS_SUCCESS && at < length) {
        Reached("built");
        size_t page = (offset + at) / 4096;
        ProveByte(out, count, at, pfns[page] * 4096 + (offset + at) % 4096, length);
        ProveJoined(out, count);
        Prove(out[0].write == (write ? 1 : 0));
    }
}

// An MDL and its frame numbers, which end where the object ends.
struct DESCRIBED {
    MDL mdl;
    PFN_NUMBER pfns[2];
};
DESCRIBED g_first, g_second;

UINT32 g_flushes;

void CountFlush(PMDL mdl, BOOLEAN, BOOLEAN) {
    Prove(mdl == &g_first.mdl || mdl == &g_second.mdl);
    g_flushes++;
}

void AnyMdl(DESCRIBED *described, PMDL next) {
    __CPROVER_havoc_object(described);
    described->mdl.Next = next;
    Assume(described->mdl.ByteOffset < 4096);
    Assume(described->mdl.ByteCount <= 2 * 4096 - described->mdl.ByteOffset);
}

UINT64 AddressInMdl(DESCRIBED *described, size_t at) {
    size_t byte = described->mdl.ByteOffset + at;

    return (UINT64)described->pfns[byte / 4096] * 4096 + byte % 4096;
}

extern "C" void ProofMdl() {
    size_t offset = nondet_size(), length = nondet_size(), at = nondet_size();
    UINT16 cap = nondet_u16(), count = nondet_u16();

    AnyMdl(&g_second, NULL);
    AnyMdl(&g_first, nondet_u8() ? &g_second.mdl : NULL);
    Assume(cap <= PAGES);
    g_flushes = 0;
    VirtioHostFlushIoBuffers = CountFlush;
    size_t first = g_first.mdl.ByteCount;
    size_t total = first;
    if (g_first.mdl.Next != NULL) {
        total += g_second.mdl.ByteCount;
    }
    VIRTQ_SG *out = &g_out[0] + (PAGES - cap);
    NTSTATUS status = VirtioSgBuildFromMdl(&g_first.mdl, offset, length, TRUE, out, cap, &count);
    bool fits = length == 0 || (offset <= total && length <= total - offset);
    ULONG most = VirtioSgMaxElemsForMdl(&g_first.mdl, offset, length);
    Prove(fits || (status == STATUS_INVALID_PARAMETER && most == 0));
    Prove(status == STATUS_INVALID_PARAMETER || count <= most);
    Prove((g_flushes != 0) == (status == STATUS_SUCCESS && length != 0));
    if (status == STATUS_SUCCESS && at < length) {
        Reached("built");
        size_t byte = offset + at;
        UINT64 address =
            byte < first ? AddressInMdl(&g_first, byte) : AddressInMdl(&g_second, byte - first);
        ProveByte(out, count, at, address, length);
    }
}
