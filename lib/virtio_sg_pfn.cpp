// SPDX-License-Identifier: MIT
//
// Scatter/gather lists from page frame numbers and MDL chains.

#include "virtio_sg_pfn.h"

#if !VIRTIO_OSDEP_KERNEL_MODE
VIRTIO_HOST_FLUSH_HOOK VirtioHostFlushIoBuffers = NULL;
#endif

namespace {

const UINT32 SEGMENT_MAX = 0xFFFFFFFFu;
const UINT64 PFN_MAX = ~(UINT64)0 >> PAGE_SHIFT;
const UINT16 COUNT_MAX = 0xFFFF;
// More MDLs than a chain of at most COUNT_MAX segments needs, unless its pages join:
// a chain that ends in a ring of empty MDLs must not hang us.
const UINT32 MDL_MAX = 2u * 0x10000u;

// Joins pieces into segments. The last one stays in `addr_`, `len_` until it is
// known that it cannot grow, so `out` is written once, and never read.
class Builder {
  public:
    Builder(BOOLEAN write, VIRTQ_SG *out, UINT16 cap)
        : out_(out), addr_(0), len_(0), cap_(cap), count_(0), write_(write) {}

    // A piece inside one page. FALSE: too many segments, or no such address.
    BOOLEAN AddPage(UINT64 pfn, UINT32 offset, UINT32 bytes) {
        if (pfn > PFN_MAX) {
            return FALSE;
        }
        UINT64 addr = (pfn << PAGE_SHIFT) + offset;
        if (len_ != 0 && addr == addr_ + len_ && addr != 0) {
            UINT32 room = SEGMENT_MAX - len_;
            if (bytes <= room) {
                len_ += bytes;
                return TRUE;
            }
            len_ += room;
            addr += room;
            bytes -= room;
        }
        return StartSegment(addr, bytes);
    }

    NTSTATUS Finish(UINT16 *count_out) {
        if (len_ != 0) {
            Store();
        }
        *count_out = count_;
        return count_ > cap_ ? STATUS_BUFFER_TOO_SMALL : STATUS_SUCCESS;
    }

  private:
    BOOLEAN StartSegment(UINT64 addr, UINT32 bytes) {
        if (len_ != 0) {
            Store();
        }
        if (count_ == COUNT_MAX) {
            return FALSE;
        }
        addr_ = addr;
        len_ = bytes;
        count_++;
        return TRUE;
    }

    VOID Store() {
        if (count_ <= cap_) {
            VIRTQ_SG *segment = &out_[count_ - 1];
            segment->addr = addr_;
            segment->len = len_;
            segment->write = write_;
        }
    }

    VIRTQ_SG *out_;
    UINT64 addr_;
    UINT32 len_; // 0: no segment begun
    UINT16 cap_;
    UINT16 count_; // segments begun
    BOOLEAN write_;
};

inline size_t Least(size_t a, size_t b) {
    return a < b ? a : b;
}

inline BOOLEAN AreValidOutputs(const VIRTQ_SG *out, UINT16 out_cap) {
    return (BOOLEAN)(out != NULL || out_cap == 0);
}

// One MDL of a chain that a range touches, and which of its bytes.
struct MdlPiece {
    PMDL mdl;
    UINT64 offset; // from the start of the MDL's first page; up to 4 GiB and a page
    size_t bytes;
};

// Walks a range of an MDL chain, MDL by MDL.
class MdlWalk {
  public:
    MdlWalk(PMDL mdl, size_t skip, size_t length)
        : mdl_(mdl), skip_(skip), left_(length), steps_(0) {}

    // The next piece. FALSE: the range is done, or the chain is; see Complete.
    BOOLEAN Next(MdlPiece *piece) {
        while (left_ != 0 && mdl_ != NULL && steps_ < MDL_MAX) {
            PMDL mdl = mdl_;
            size_t bytes = MmGetMdlByteCount(mdl);

            mdl_ = mdl->Next;
            steps_++;
            if (skip_ >= bytes) {
                skip_ -= bytes;
                continue;
            }
            piece->mdl = mdl;
            piece->offset = (UINT64)MmGetMdlByteOffset(mdl) + skip_;
            piece->bytes = Least(bytes - skip_, left_);
            left_ -= piece->bytes;
            skip_ = 0;
            return TRUE;
        }
        return FALSE;
    }

    BOOLEAN Complete() const {
        return (BOOLEAN)(left_ == 0);
    }

  private:
    PMDL mdl_;
    size_t skip_;
    size_t left_;
    UINT32 steps_;
};

BOOLEAN AddMdlPiece(Builder &builder, const MdlPiece &piece) {
    const PFN_NUMBER *pfns = MmGetMdlPfnArray(piece.mdl);
    size_t page = (size_t)(piece.offset >> PAGE_SHIFT);
    size_t offset = (size_t)piece.offset & (PAGE_SIZE - 1);
    size_t left = piece.bytes;

    while (left != 0) {
        size_t bytes = Least(PAGE_SIZE - offset, left);
        if (!builder.AddPage(pfns[page], (UINT32)offset, (UINT32)bytes)) {
            return FALSE;
        }
        left -= bytes;
        offset = 0;
        page++;
    }
    return TRUE;
}

// DMA that the device writes is a read operation (KeFlushIoBuffers).
VOID FlushRange(PMDL mdl, size_t offset, size_t length, BOOLEAN device_write) {
    MdlWalk walk(mdl, offset, length);
    MdlPiece piece;

    (void)device_write; // unused where the WDK defines the call away
    while (walk.Next(&piece)) {
        KeFlushIoBuffers(piece.mdl, device_write, TRUE);
    }
}

} // namespace

NTSTATUS VirtioSgBuildFromPfns(const UINT64 *pfns, UINT32 pfn_count, size_t first_page_offset,
                               size_t byte_length, BOOLEAN device_write, VIRTQ_SG *out,
                               UINT16 out_cap, UINT16 *out_count) {
    if (out_count == NULL) {
        return STATUS_INVALID_PARAMETER;
    }
    *out_count = 0;
    if (!AreValidOutputs(out, out_cap) || first_page_offset >= PAGE_SIZE) {
        return STATUS_INVALID_PARAMETER;
    }
    if (byte_length == 0) {
        return STATUS_SUCCESS;
    }
    // Written so that offset + length, which may overflow, is never computed.
    size_t more = byte_length - Least(byte_length, PAGE_SIZE - first_page_offset);
    size_t pages = 1 + (more >> PAGE_SHIFT) + ((more & (PAGE_SIZE - 1)) != 0 ? 1 : 0);
    if (pfns == NULL || pages > pfn_count) {
        return STATUS_INVALID_PARAMETER;
    }
    Builder builder((BOOLEAN)(device_write ? TRUE : FALSE), out, out_cap);
    size_t offset = first_page_offset;
    for (size_t page = 0; page < pages; page++) {
        size_t bytes = Least(PAGE_SIZE - offset, byte_length);
        if (!builder.AddPage(pfns[page], (UINT32)offset, (UINT32)bytes)) {
            return STATUS_INVALID_PARAMETER;
        }
        byte_length -= bytes;
        offset = 0;
    }
    return builder.Finish(out_count);
}

ULONG VirtioSgMaxElemsForMdl(PMDL Mdl, size_t ByteOffset, size_t ByteLength) {
    MdlWalk walk(Mdl, ByteOffset, ByteLength);
    MdlPiece piece;
    ULONG pages = 0;

    while (walk.Next(&piece)) {
        UINT64 first = piece.offset >> PAGE_SHIFT;
        UINT64 last = (piece.offset + (piece.bytes - 1)) >> PAGE_SHIFT;
        UINT64 span = last - first + 1;
        if (span > 0xFFFFFFFFu - pages) {
            return 0;
        }
        pages += (ULONG)span;
    }
    return walk.Complete() ? pages : 0;
}

NTSTATUS VirtioSgBuildFromMdl(PMDL Mdl, size_t ByteOffset, size_t ByteLength, BOOLEAN device_write,
                              VIRTQ_SG *out, UINT16 out_cap, UINT16 *out_count) {
    if (out_count == NULL) {
        return STATUS_INVALID_PARAMETER;
    }
    *out_count = 0;
    if (!AreValidOutputs(out, out_cap)) {
        return STATUS_INVALID_PARAMETER;
    }
    BOOLEAN write = (BOOLEAN)(device_write ? TRUE : FALSE);
    Builder builder(write, out, out_cap);
    MdlWalk walk(Mdl, ByteOffset, ByteLength);
    MdlPiece piece;
    while (walk.Next(&piece)) {
        if (!AddMdlPiece(builder, piece)) {
            return STATUS_INVALID_PARAMETER;
        }
    }
    if (!walk.Complete()) {
        return STATUS_INVALID_PARAMETER;
    }
    NTSTATUS status = builder.Finish(out_count);
    if (NT_SUCCESS(status)) {
        FlushRange(Mdl, ByteOffset, ByteLength, write);
    }
    return status;
}
