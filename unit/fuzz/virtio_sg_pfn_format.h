// SPDX-License-Identifier: MIT
//
// Input of virtio_sg_pfn_fuzz: pages, and a range of them. Any byte string is legal;
// missing bytes are 0, pages beyond kMaxPages are ignored.
//
//   header, 18 bytes, little-endian
//     offset   8 bytes   of the range
//     length   8 bytes   of the range
//     shape    1 byte    bits 0-1: offset and length modulo 2 pages and all pages
//                        (0, 1), as they are (2), length to the end (3);
//                        2 the device writes; 3 no output, only a count
//     room     1 byte    segments of room, % 40
//   page, 8 bytes: a page frame number in the low 60 bits (52 are legal), and
//     bit 60     neighbour of the page before, whatever the number says
//     bit 61     a new MDL begins here
//     bit 62     an empty MDL comes before this page
//     bit 63     this MDL ends 256 bytes before the end of its last page
//   MDLs of an odd number begin 512 bytes into their first page.
#pragma once

#include <cstddef>
#include <cstdint>

namespace fuzz {

struct SgHeader {
    std::uint64_t offset, length;
    std::uint8_t shape, room;
};

constexpr std::size_t kSgHeader = 18; // without padding
constexpr std::size_t kMaxPages = 32;
constexpr std::uint64_t kPfnBits = (std::uint64_t{1} << 60) - 1;
constexpr std::uint64_t kNeighbour = std::uint64_t{1} << 60;
constexpr std::uint64_t kNewMdl = std::uint64_t{1} << 61;
constexpr std::uint64_t kEmptyMdl = std::uint64_t{1} << 62;
constexpr std::uint64_t kShortMdl = std::uint64_t{1} << 63;

} // namespace fuzz
