/* SPDX-License-Identifier: MIT */
/*
 * Included before everything else (-include) to break the library's memory order
 * in one place, for programs that must be caught at it:
 *
 *   VQ7_PLANT_PUBLISH   avail->idx is stored without release
 *   VQ7_PLANT_USED      used->idx is loaded without acquire
 *   VQ7_PLANT_FENCE     the full fence of this function of the library, a string, is a
 *                       compiler barrier
 */
#define VirtioStoreReleaseU16 VirtioNativeStoreReleaseU16
#define VirtioLoadAcquireU16 VirtioNativeLoadAcquireU16
#include "virtio_osdep.h"
#undef VirtioStoreReleaseU16
#undef VirtioLoadAcquireU16

static __inline VOID VirtioStoreReleaseU16(volatile UINT16 *p, UINT16 v) {
#ifdef VQ7_PLANT_PUBLISH
    VirtioWriteU16(p, v);
#else
    VirtioNativeStoreReleaseU16(p, v);
#endif
}

static __inline UINT16 VirtioLoadAcquireU16(const volatile UINT16 *p) {
#ifdef VQ7_PLANT_USED
    return VirtioReadU16(p);
#else
    return VirtioNativeLoadAcquireU16(p);
#endif
}

#ifdef VQ7_PLANT_FENCE
static __inline void VirtioPlantedFence(const char *function) {
    if (__builtin_strcmp(function, VQ7_PLANT_FENCE) == 0) {
        __asm__ __volatile__("" : : : "memory");
    } else {
        VIRTIO_MB();
    }
}
#undef VIRTIO_MB
#define VIRTIO_MB() VirtioPlantedFence(__func__)
#endif
