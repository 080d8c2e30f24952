/* SPDX-License-Identifier: MIT */
/*
 * Scatter/gather lists from page frame numbers and from MDL chains.
 *
 * The addresses are CPU physical addresses, which is what a virtio device takes
 * unless VIRTIO_F_ACCESS_PLATFORM was negotiated (Virtio 1.2, 6.2); with it,
 * get device addresses from the DMA framework instead.
 *
 * Nothing here allocates or waits; IRQL <= DISPATCH_LEVEL.
 */
#ifndef VIRTIO_SG_PFN_H_
#define VIRTIO_SG_PFN_H_

#include "virtqueue_split.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Turns the bytes [first_page_offset, first_page_offset + byte_length) of the
 * pages pfns[0..pfn_count) into segments. Neighbours in physical memory are
 * joined; no segment is longer than 0xFFFFFFFF bytes.
 *
 *   first_page_offset  below PAGE_SIZE
 *   device_write       goes into each segment's `write`
 *   out, out_cap       room for that many segments; null and 0: only count
 *   out_count          segments written, or needed
 *
 * STATUS_SUCCESS            (byte_length 0 gives 0 segments)
 * STATUS_BUFFER_TOO_SMALL   *out_count segments are needed; the first out_cap
 *                           are in out[]. So does a sizing call end.
 * STATUS_INVALID_PARAMETER  null arguments, offset not inside a page, fewer
 *                           pages than bytes, overflow of an address or of the
 *                           sum, more than 65,535 segments; *out_count is 0
 */
NTSTATUS VirtioSgBuildFromPfns(const UINT64 *pfns, UINT32 pfn_count, size_t first_page_offset,
                               size_t byte_length, BOOLEAN device_write, VIRTQ_SG *out,
                               UINT16 out_cap, UINT16 *out_count);

/*
 * Upper bound of the segments of a range of an MDL chain: the pages it touches.
 * 0: the range is empty, or not inside the first 131,072 MDLs of the chain.
 */
ULONG VirtioSgMaxElemsForMdl(PMDL Mdl, size_t ByteOffset, size_t ByteLength);

/*
 * The same as VirtioSgBuildFromPfns for ByteLength bytes, ByteOffset bytes into
 * an MDL chain whose pages are locked (MmProbeAndLockPages) or nonpaged
 * (MmBuildMdlForNonPagedPool). On success, and only then, calls
 * KeFlushIoBuffers for each MDL that the range touches.
 *
 * Statuses as above; STATUS_INVALID_PARAMETER also where the chain is shorter
 * than the range, which ends within its first 131,072 MDLs.
 */
NTSTATUS VirtioSgBuildFromMdl(PMDL Mdl, size_t ByteOffset, size_t ByteLength, BOOLEAN device_write,
                              VIRTQ_SG *out, UINT16 out_cap, UINT16 *out_count);

#ifdef __cplusplus
}
#endif

#endif /* VIRTIO_SG_PFN_H_ */
