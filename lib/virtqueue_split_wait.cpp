// SPDX-License-Identifier: MIT
//
// Split virtqueue: other ways to wait for the device, and to wake it.

#include "virtqueue_split_private.h"

BOOLEAN VirtqSplitEnableInterruptsDelayed(VIRTQ_SPLIT *vq) {
    if (VIRTIO_UNLIKELY(VirtqCannotWait(vq))) {
        return TRUE;
    }
    UINT16 after = 0;
    if (vq->event_idx) {
        after = (UINT16)((UINT32)VirtqInFlight(vq) * 3 / 4);
    }
    return (BOOLEAN)(VirtqEnableAfter(vq, after) <= after);
}

UINT16 VirtqSplitPrepareWait(VIRTQ_SPLIT *vq) {
    if (VIRTIO_UNLIKELY(VirtqCannotWait(vq))) {
        return 0;
    }
    (void)VirtqEnableAfter(vq, 0);
    return vq->last_used_idx;
}

BOOLEAN VirtqSplitPoll(const VIRTQ_SPLIT *vq, UINT16 position) {
    if (VIRTIO_UNLIKELY(VirtqCannotWait(vq))) {
        return FALSE;
    }
    return (BOOLEAN)(VirtioLoadAcquireU16(&vq->used->idx) != position); // pair C
}

VOID VirtqSplitSetKickWhenFull(VIRTQ_SPLIT *vq, BOOLEAN on) {
    if (vq != NULL) {
        vq->kick_when_full = (BOOLEAN)(on ? TRUE : FALSE);
    }
}
