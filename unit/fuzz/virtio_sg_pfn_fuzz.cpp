// SPDX-License-Identifier: MIT
//
// Fuzzing of the scatter/gather builder: any page frame numbers, MDL chains, offset
// and length (virtio_sg_pfn_format.h). What comes out is compared, segment by
// segment, with a list of the range's pages joined the plain way.
#include <algorithm>

#include "guarded_memory.h"
#include "reached.h"
#include "virtio_sg_pfn.h"
#include "virtio_sg_pfn_format.h"

namespace fuzz {

namespace {

enum Function : unsigned { kFromPfns, kFromMdl, kFunctions };

const Documented kDocumented[] = {
    {kFromPfns, STATUS_SUCCESS, "BuildFromPfns STATUS_SUCCESS"},
    {kFromPfns, STATUS_BUFFER_TOO_SMALL, "BuildFromPfns STATUS_BUFFER_TOO_SMALL"},
    {kFromPfns, STATUS_INVALID_PARAMETER, "BuildFromPfns STATUS_INVALID_PARAMETER"},
    {kFromMdl, STATUS_SUCCESS, "BuildFromMdl STATUS_SUCCESS"},
    {kFromMdl, STATUS_BUFFER_TOO_SMALL, "BuildFromMdl STATUS_BUFFER_TOO_SMALL"},
    {kFromMdl, STATUS_INVALID_PARAMETER, "BuildFromMdl STATUS_INVALID_PARAMETER"},
};

Reached<kFunctions> reached(kDocumented);

constexpr std::uint64_t kPage = 4096;

// The segments of a range, as they should be.
class Expected {
  public:
    // The part of `bytes` bytes at `offset` of a page that the range holds.
    void Piece(std::uint64_t pfn, std::uint64_t offset, std::uint64_t bytes) {
        std::uint64_t skipped = std::min(skip_, bytes);
        skip_ -= skipped;
        bytes = std::min(bytes - skipped, left_);
        if (bytes == 0) {
            return;
        }
        left_ -= bytes;
        pages++;
        bad |= pfn >> 52 != 0;
        std::uint64_t addr = (pfn << 12) + offset + skipped;
        VIRTQ_SG *last = count == 0 ? nullptr : &sg[count - 1];
        if (last != nullptr && last->addr + last->len == addr && addr != 0) {
            last->len += static_cast<UINT32>(bytes);
            return;
        }
        sg[count++] = {addr, static_cast<UINT32>(bytes), write_};
    }

    Expected(std::uint64_t skip, std::uint64_t length, BOOLEAN write)
        : skip_(skip), left_(length), write_(write), empty_(length == 0) {}

    // What the builder made of it: `out` has room for `room`.
    void Judge(NTSTATUS status, const VIRTQ_SG *out, UINT16 room, UINT16 found,
               bool invalid) const {
        if (empty_ && !invalid) {
            Require(status == STATUS_SUCCESS && found == 0, "nothing of nothing");
            return;
        }
        if (invalid || bad || left_ != 0) {
            Require(status == STATUS_INVALID_PARAMETER && found == 0, "a wrong range is refused");
            return;
        }
        Require(status == (count > room ? STATUS_BUFFER_TOO_SMALL : STATUS_SUCCESS), "room");
        Require(found == count, "how many segments");
        for (UINT16 i = 0; i < std::min(count, room); i++) {
            Require(out[i].addr == sg[i].addr && out[i].len == sg[i].len && out[i].write == write_,
                    "the segment as the pages");
        }
    }

    bool Complete() const {
        return left_ == 0 && !empty_;
    }

    VIRTQ_SG sg[2 * kMaxPages];
    UINT16 count = 0;
    ULONG pages = 0;
    bool bad = false;

  private:
    std::uint64_t skip_, left_;
    BOOLEAN write_;
    bool empty_;
};

struct Input {
    SgHeader header = {};
    std::uint64_t pages[kMaxPages]; // with their flags
    UINT32 count = 0;

    Input(const std::uint8_t *data, std::size_t size) {
        std::size_t n = std::min(size, kSgHeader);
        std::memcpy(&header, data, n);
        count = static_cast<UINT32>(std::min((size - n) / 8, kMaxPages));
        std::memcpy(pages, data + n, 8 * count);
        for (UINT32 i = 1; i < count; i++) {
            if ((pages[i] & kNeighbour) != 0) {
                pages[i] = (pages[i] & ~kPfnBits) | ((pages[i - 1] + 1) & kPfnBits);
            }
        }
        if ((header.shape & 2) == 0) {
            header.offset %= 2 * kPage;
            header.length %= (count + 1) * kPage;
        } else if ((header.shape & 1) != 0) {
            header.length = std::uint64_t{0} - header.offset; // the sum wraps to 0
        }
    }
    std::uint64_t Pfn(UINT32 i) const {
        return pages[i] & kPfnBits;
    }
};

GuardedMemory<32768> memory;
unsigned flushes;
BOOLEAN flush_reads;

VOID CountFlush(PMDL, BOOLEAN read, BOOLEAN dma) {
    flushes++;
    flush_reads = read;
    Require(dma == TRUE, "a flush for DMA");
}

void RunPfns(const Input &in, VIRTQ_SG *out, UINT16 room, BOOLEAN write) {
    std::uint8_t *raw = memory.Take(8 * in.count);
    UINT64 *pfns = reinterpret_cast<UINT64 *>(raw);
    Expected expected(in.header.offset, in.header.length, write);
    for (UINT32 i = 0; i < in.count; i++) {
        pfns[i] = in.Pfn(i);
        expected.Piece(in.Pfn(i), 0, kPage);
    }
    UINT16 found = 1;
    NTSTATUS status =
        reached.Note(kFromPfns, VirtioSgBuildFromPfns(pfns, in.count, in.header.offset,
                                                      in.header.length, write, out, room, &found));
    expected.Judge(status, out, room, found, in.header.offset >= kPage);
}

// A chain of MDLs, and for each how much of it the range touches.
class MdlChain {
  public:
    MdlChain(const Input &in, Expected &expected) {
        for (UINT32 i = 0; i < in.count;) {
            UINT32 n = 1;
            while (i + n < in.count && (in.pages[i + n] & kNewMdl) == 0) {
                n++;
            }
            if ((in.pages[i] & kEmptyMdl) != 0) {
                Append(0, 0, 0);
            }
            AppendPages(in, i, n, expected);
            i += n;
        }
    }

    PMDL First() const {
        return first_;
    }

    unsigned touched = 0;

  private:
    PMDL Append(UINT32 pages, ULONG offset, ULONG bytes) {
        std::uint8_t *raw = memory.Take(sizeof(MDL) + sizeof(PFN_NUMBER) * pages);
        PMDL mdl = reinterpret_cast<PMDL>(raw);
        *mdl = {};
        mdl->ByteOffset = offset;
        mdl->ByteCount = bytes;
        (last_ == nullptr ? first_ : last_->Next) = mdl;
        last_ = mdl;
        number_++;
        return mdl;
    }

    void AppendPages(const Input &in, UINT32 first, UINT32 count, Expected &expected) {
        std::uint64_t start = number_ % 2 != 0 ? 512 : 0;
        std::uint64_t end =
            count * kPage - ((in.pages[first + count - 1] & kShortMdl) != 0 ? 256 : 0);
        PMDL mdl = Append(count, static_cast<ULONG>(start), static_cast<ULONG>(end - start));
        ULONG before = expected.pages;
        for (UINT32 i = 0; i < count; i++) {
            MmGetMdlPfnArray(mdl)[i] = in.Pfn(first + i);
            std::uint64_t from = i == 0 ? start : 0;
            std::uint64_t to = i + 1 < count ? kPage : end - (count - 1) * kPage;
            expected.Piece(in.Pfn(first + i), from, to - from);
        }
        touched += expected.pages != before;
    }

    PMDL first_ = nullptr, last_ = nullptr;
    unsigned number_ = 0;
};

void RunMdl(const Input &in, VIRTQ_SG *out, UINT16 room, BOOLEAN write) {
    Expected expected(in.header.offset, in.header.length, write);
    MdlChain chain(in, expected);
    UINT16 found = 1;
    flushes = 0;
    VirtioHostFlushIoBuffers = CountFlush;
    NTSTATUS status =
        reached.Note(kFromMdl, VirtioSgBuildFromMdl(chain.First(), in.header.offset,
                                                    in.header.length, write, out, room, &found));
    expected.Judge(status, out, room, found, false);
    Require(flushes == (NT_SUCCESS(status) ? chain.touched : 0), "one flush an MDL, on success");
    Require(flushes == 0 || flush_reads == write, "the direction of the flush");
    ULONG most = VirtioSgMaxElemsForMdl(chain.First(), in.header.offset, in.header.length);
    Require(most == (expected.Complete() ? expected.pages : 0), "an upper bound");
}

void CheckNullArguments() {
    const NTSTATUS refused = STATUS_INVALID_PARAMETER;
    UINT64 pfn = 1;
    UINT16 found = 1;
    bool right = VirtioSgBuildFromPfns(&pfn, 1, 0, 1, TRUE, nullptr, 1, &found) == refused &&
                 VirtioSgBuildFromPfns(nullptr, 1, 0, 1, TRUE, nullptr, 0, &found) == refused &&
                 VirtioSgBuildFromPfns(&pfn, 1, 0, 1, TRUE, nullptr, 0, nullptr) == refused &&
                 VirtioSgBuildFromMdl(nullptr, 0, 1, TRUE, nullptr, 1, &found) == refused &&
                 VirtioSgBuildFromMdl(nullptr, 0, 1, TRUE, nullptr, 0, nullptr) == refused;
    Require(right && found == 0, "null arguments are refused");
}

} // namespace

} // namespace fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    fuzz::Input in(data, size);
    fuzz::memory.Begin();
    UINT16 room = (in.header.shape & 8) != 0 ? UINT16{0} : UINT16{in.header.room} % 40;
    BOOLEAN write = (in.header.shape & 4) != 0;
    VIRTQ_SG *out = nullptr;
    if (room != 0) {
        out = reinterpret_cast<VIRTQ_SG *>(fuzz::memory.Take(sizeof(VIRTQ_SG) * room));
    }
    fuzz::RunPfns(in, out, room, write);
    fuzz::RunMdl(in, out, room, write);
    fuzz::CheckNullArguments();
    fuzz::memory.Check();
    return 0;
}
