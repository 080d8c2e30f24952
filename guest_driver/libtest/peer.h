// SPDX-License-Identifier: MIT
//
// The device's side of a split ring, in memory, and a queue of the library across from it.
// Written from Virtio 1.2, 2.7, with offsets of its own: nothing of virtio_ring.h.
#ifndef VQ7_LIBTEST_PEER_H_
#define VQ7_LIBTEST_PEER_H_

#include "libtest.h"

// A piece of a buffer as the device finds it.
struct Piece {
    ULONG64 addr;
    ULONG len;
    bool write;
};

struct Chain {
    USHORT head;
    USHORT count;
    bool indirect;
    Piece pieces[64];
};

// The device. Its functions say FALSE where the driver broke the specification.
class Peer {
  public:
    void Attach(UCHAR *desc, UCHAR *avail, UCHAR *used, USHORT size, const Contiguous *tables);

    // Takes the next buffer that was made available; FALSE: there is none, or it is wrong.
    bool Take(Chain *chain);
    // Finishes a buffer (2.7.8).
    void Use(ULONG id, ULONG len);
    // An entry of the used ring `ahead` of the index, which stays.
    void PutUsed(USHORT ahead, ULONG id, ULONG len);
    void MoveUsed(LONG by);

    USHORT available() const; // made available and not taken
    USHORT used_index() const {
        return used_index_;
    }
    void SetNoNotify(bool on);     // 2.7.8
    void SetAvailEvent(USHORT at); // 2.7.10
    USHORT UsedEvent() const;      // 2.7.7
    USHORT AvailFlags() const;
    USHORT AvailIndex() const;

  private:
    bool Read(const UCHAR *table, USHORT entries, USHORT first, bool inside, Chain *chain);

    UCHAR *desc_, *avail_, *used_;
    const Contiguous *tables_;
    USHORT size_, taken_, used_index_;
};

enum Tables { NoTables, FewTables, OwnTables };

enum : USHORT { TableLength = 12, FewCount = 3 };

// A queue with its memory and its device. Ready() FALSE: there was no memory.
class Queue {
  public:
    Queue(USHORT size, bool event_idx, Tables tables, USHORT threshold = 8);

    bool Ready() const {
        return ready_;
    }
    // The library's and the peer's state as after a device reset.
    NTSTATUS Init();

    Peer peer;
    VIRTQ_SPLIT *vq;
    const USHORT size;
    const bool event_idx;
    const Tables tables;

  private:
    Pool<UCHAR> state_;
    Contiguous ring_, pool_;
    USHORT threshold_;
    bool ready_;
};

// `count` pieces, the last `written` of them for the device to write; of different lengths.
void MakePieces(VIRTQ_SG *sg, USHORT count, USHORT written, ULONG64 seed);
// Whether the device found what was added.
bool SamePieces(const Chain &chain, const VIRTQ_SG *sg, USHORT count);
ULONG WritableBytes(const VIRTQ_SG *sg, USHORT count);

inline void *Cookie(ULONG_PTR number) {
    return (void *)(0x1000 + number);
}

#endif // VQ7_LIBTEST_PEER_H_
