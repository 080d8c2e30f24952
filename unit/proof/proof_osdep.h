/* SPDX-License-Identifier: MIT */
/*
 * Included before the library's sources, which a proof then includes as they
 * are. What differs from a compiler's view of them, all of it here:
 *
 *   - CBMC's C++ front end knows neither unnamed namespaces nor `const` behind a
 *     pointer in all places, so both words are taken away: names of a namespace
 *     become names of the program, and nothing else changes.
 *   - CBMC's C++ structures have no padding: their sizes and offsets agree with
 *     each other, but not always with a compiler's.
 *   - The shared words. What __atomic_load_n reads is what a device may have
 *     written there by now: any value, another one at each read. The address is
 *     still checked. Stores go to memory as written. Everything else that lies in
 *     shared memory may change at each such read, too (ProofDeviceWrites).
 *   - VirtioZeroMemory has another name, by which prove.py bounds its loop.
 *   - Fences do nothing: the driver runs alone here, and the device's part is
 *     taken by "any value". What fences are for is shown by unit/model_check/.
 */
#ifndef VQ7_PROOF_OSDEP_H_
#define VQ7_PROOF_OSDEP_H_

#include <stddef.h>
#undef offsetof
#define offsetof(type, member) ((size_t) & ((type *)0)->member)
#define namespace extern "C++"
#define const

extern "C" unsigned long long ProofLoad(volatile void *address, size_t size);
#define __atomic_load_n(p, order) ProofLoad((p), sizeof(*(p)))
#define __atomic_store_n(p, v, order) (*(p) = (v))
#define __atomic_thread_fence(order) ((void)0)

#define VirtioZeroMemory VirtioZeroMemoryByBytes
#include "virtio_osdep.h"
#undef VirtioZeroMemory
#define VirtioZeroMemory(dst, len) ProofZeroMemory((dst), (len))
/* A function of its own, so that its loops have bounds of their own (prove.py); by
 * words first, which CBMC is much quicker with. */
extern "C" void ProofZeroMemory(void *dst, size_t len) {
    size_t words = len / 8;

    for (size_t i = 0; i < words; i++) {
        ((UINT64 *)dst)[i] = 0;
    }
    for (size_t i = 8 * words; i < len; i++) {
        ((UINT8 *)dst)[i] = 0;
    }
}

#undef VIRTIO_MB
#define VIRTIO_MB() ((void)0)

#endif /* VQ7_PROOF_OSDEP_H_ */
