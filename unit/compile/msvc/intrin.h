/* SPDX-License-Identifier: MIT */
/*
 * Stands for Microsoft's header of this name: what virtio_osdep.h takes from it
 * in user mode. Clang's own wants more of Microsoft's headers than are here.
 */
#ifndef VQ7_COMPILE_INTRIN_H_
#define VQ7_COMPILE_INTRIN_H_

#ifdef __cplusplus
extern "C"
#endif
    void
    _mm_mfence(void);

#endif
