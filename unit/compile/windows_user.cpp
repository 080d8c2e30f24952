// SPDX-License-Identifier: MIT
// A program on Windows that includes <windows.h>, too, before or after the library.
#ifdef WINDOWS_FIRST
#include <windows.h>
#endif
#include "virtio_sg_pfn.h"
#ifndef WINDOWS_FIRST
#include <windows.h>
#endif

BOOLEAN IsFine(const VIRTQ_SPLIT *vq, HANDLE event) {
    return (BOOLEAN)(!VirtqSplitIsBroken(vq) && event != INVALID_HANDLE_VALUE);
}
