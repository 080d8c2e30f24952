/* SPDX-License-Identifier: MIT
 *
 * Included before each source of the queue when it is compiled for the host tests of the
 * driver: at a full barrier, which is where the driver and the device may cross, the test
 * may let the device do something. */
#pragma once

#include "virtio_osdep.h"

#ifdef __cplusplus
extern "C"
#endif
    void
    VqHostBarrier(void);

#undef VIRTIO_MB
#define VIRTIO_MB() VqHostBarrier()
