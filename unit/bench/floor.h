// SPDX-License-Identifier: MIT
//
// The least that a driver can do (Virtio 1.2, 2.7.13 and 2.7.14), with nothing
// checked: what the library's time is measured against. README.md lists what
// is in it and why. Compiled on its own, so that a call costs what a call of
// the library costs.
#pragma once

#include "rig.h"

namespace bench {

class Floor {
  public:
    Floor(const Queue &queue, bool indirect);

    // One call a buffer.
    UINT16 Add(const VIRTQ_SG *sg, UINT16 count, void *cookie);
    void Publish(UINT16 head);
    bool Kick();
    bool Get(void **cookie, UINT32 *length);

    // One call a batch: one store to avail->idx, one to used_event.
    void Submit(const VIRTQ_BUFFER *buffers, UINT16 count);
    UINT16 GetBatch(VIRTQ_COMPLETION *out, UINT16 cap);

  private:
    // What a driver must remember of a request, and the free list.
    struct Chain {
        void *cookie;
        UINT16 next;
        UINT16 last;
    };

    UINT16 Describe(const VIRTQ_SG *sg, UINT16 count, void *cookie);
    UINT16 Waiting();
    void Take(void **cookie, UINT32 *length);

    VIRTQ_DESC *desc_;
    UINT16 *avail_ring_;
    VIRTQ_USED_ELEM *used_ring_;
    volatile UINT16 *avail_idx_at_;
    volatile UINT16 *used_idx_at_;
    volatile UINT16 *used_event_at_;
    volatile UINT16 *avail_event_at_;
    VIRTQ_DESC *pool_;
    UINT16 mask_;
    bool indirect_;
    UINT16 free_head_ = 0;
    UINT16 avail_idx_ = 0;
    UINT16 kicked_ = 0;
    UINT16 used_idx_ = 0;
    UINT16 fenced_ = 0; // used_idx_ at the last fence before sleep
    Chain chains_[kSize];
};

} // namespace bench
