/* SPDX-License-Identifier: MIT */
/*
 * Included before everything else (-include) when the library is compiled for
 * the model checker: the library's own virtio_osdep.h for the types and status
 * codes, with its memory primitives put aside, and others of the same names
 * that report every access. The library's sources stay as they are.
 */
#ifndef VQ7_MODEL_OSDEP_H_
#define VQ7_MODEL_OSDEP_H_

#define VirtioReadU16 VirtioNativeReadU16
#define VirtioWriteU16 VirtioNativeWriteU16
#define VirtioReadU32 VirtioNativeReadU32
#define VirtioWriteU32 VirtioNativeWriteU32
#define VirtioReadU64 VirtioNativeReadU64
#define VirtioWriteU64 VirtioNativeWriteU64
#define VirtioLoadAcquireU16 VirtioNativeLoadAcquireU16
#define VirtioStoreReleaseU16 VirtioNativeStoreReleaseU16
#include "virtio_osdep.h"
#undef VirtioReadU16
#undef VirtioWriteU16
#undef VirtioReadU32
#undef VirtioWriteU32
#undef VirtioReadU64
#undef VirtioWriteU64
#undef VirtioLoadAcquireU16
#undef VirtioStoreReleaseU16
#undef VIRTIO_MB
#undef VIRTIO_RMB
#undef VIRTIO_WMB

/* Defined in driver_hooks.cpp. VirtioReadU64 is missing on purpose: there is
 * nothing of 64 bits for a driver to read in a ring. */
extern "C" {
UINT32 ModelLoad(const volatile void *address, UINT32 size, BOOLEAN acquire);
VOID ModelStore(volatile void *address, UINT32 size, UINT64 value, BOOLEAN release);
VOID ModelFullFence(void);
VOID ModelReadFence(void);
VOID ModelWriteFence(void);
}

#define VIRTIO_MB() ModelFullFence()
#define VIRTIO_RMB() ModelReadFence()
#define VIRTIO_WMB() ModelWriteFence()

static inline UINT16 VirtioLoadAcquireU16(const volatile UINT16 *p) {
    return (UINT16)ModelLoad(p, 2, TRUE);
}

static inline VOID VirtioStoreReleaseU16(volatile UINT16 *p, UINT16 v) {
    ModelStore(p, 2, v, TRUE);
}

static inline UINT16 VirtioReadU16(const volatile UINT16 *p) {
    return (UINT16)ModelLoad(p, 2, FALSE);
}

static inline VOID VirtioWriteU16(volatile UINT16 *p, UINT16 v) {
    ModelStore(p, 2, v, FALSE);
}

static inline UINT32 VirtioReadU32(const volatile UINT32 *p) {
    return ModelLoad(p, 4, FALSE);
}

static inline VOID VirtioWriteU32(volatile UINT32 *p, UINT32 v) {
    ModelStore(p, 4, v, FALSE);
}

static inline VOID VirtioWriteU64(volatile UINT64 *p, UINT64 v) {
    ModelStore(p, 8, v, FALSE);
}

#endif /* VQ7_MODEL_OSDEP_H_ */
