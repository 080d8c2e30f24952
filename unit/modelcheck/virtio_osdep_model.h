/* SPDX-License-Identifier: MIT */
/* The library's memory primitives, as steps of the model in explorer.h. */
#ifndef VIRTIO_OSDEP_MODEL_H_
#define VIRTIO_OSDEP_MODEL_H_

extern "C" {
UINT32 ModelLoad(const volatile void *p, unsigned size);
VOID ModelStore(volatile void *p, UINT32 v, unsigned size, int release);
VOID ModelFence(const char *file, int line);
}

#define VIRTIO_MB() ModelFence(__FILE__, __LINE__)
#define VIRTIO_RMB() ((void)0) /* loads are in order in this model */
#define VIRTIO_WMB() ModelFence(__FILE__, __LINE__)

static inline UINT16 VirtioLoadAcquireU16(const volatile UINT16 *p) {
    return (UINT16)ModelLoad(p, 2);
}
static inline VOID VirtioStoreReleaseU16(volatile UINT16 *p, UINT16 v) {
    ModelStore(p, v, 2, 1);
}
static inline UINT16 VirtioReadU16(const volatile UINT16 *p) {
    return (UINT16)ModelLoad(p, 2);
}
static inline VOID VirtioWriteU16(volatile UINT16 *p, UINT16 v) {
    ModelStore(p, v, 2, 0);
}
static inline UINT32 VirtioReadU32(const volatile UINT32 *p) {
    return ModelLoad(p, 4);
}
static inline VOID VirtioWriteU32(volatile UINT32 *p, UINT32 v) {
    ModelStore(p, v, 4, 0);
}

#endif /* VIRTIO_OSDEP_MODEL_H_ */
