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
