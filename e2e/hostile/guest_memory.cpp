// SPDX-License-Identifier: MIT
#include "guest_memory.h"

#include <algorithm>

#include <sys/mman.h>
#include <sys/stat.h>

#include "message.h"

namespace hostile {

namespace {

// Is [address, address + bytes) within [start, start + size)? No sum that could wrap.
bool within(uint64_t address, uint64_t bytes, uint64_t start, uint64_t size) {
    return address >= start && address - start <= size && bytes <= size - (address - start);
}

bool overlap(uint64_t a, uint64_t aSize, uint64_t b, uint64_t bSize) {
    return a < b ? b - a < aSize : a - b < bSize;
}

} // namespace

GuestMemory::~GuestMemory() {
    clear();
}

void GuestMemory::add(const Region &region, const Fd &fd) {
    struct stat file;

    if (regions_.size() == MaxRegions) {
        throw ProtocolError("more than " + std::to_string(MaxRegions) + " memory regions");
    }
    if (region.size == 0 || region.guest + region.size < region.guest ||
        region.user + region.size < region.user || region.offset + region.size < region.offset) {
        throw ProtocolError("a memory region of an impossible size");
    }
    for (const Mapped &other : regions_) {
        if (overlap(region.guest, region.size, other.region.guest, other.region.size)) {
            throw ProtocolError("memory regions overlap");
        }
    }
    if (fstat(fd.get(), &file) != 0) {
        throw ProtocolError("a memory region without a file");
    }
    // A file that is shorter would end this process at the first access.
    if (uint64_t(file.st_size) < region.offset + region.size) {
        throw ProtocolError("a memory region longer than its file");
    }
    // From the file's start: an offset must be a multiple of its page size, whatever that is.
    size_t length = size_t(region.offset + region.size);
    void *mapping = mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
    if (mapping == MAP_FAILED) {
        throw ProtocolError(std::string("can't map a memory region: ") + strerror(errno));
    }
    regions_.push_back({region, mapping, length});
}

void GuestMemory::remove(const Region &region) {
    auto found = std::find_if(regions_.begin(), regions_.end(), [&](const Mapped &each) {
        return each.region.guest == region.guest && each.region.user == region.user &&
               each.region.size == region.size;
    });
    if (found == regions_.end()) {
        throw ProtocolError("no such memory region to remove");
    }
    munmap(found->mapping, found->length);
    regions_.erase(found);
}

void GuestMemory::clear() {
    for (const Mapped &each : regions_) {
        munmap(each.mapping, each.length);
    }
    regions_.clear();
}

uint8_t *GuestMemory::atUser(uint64_t address, uint64_t bytes) const {
    for (const Mapped &each : regions_) {
        if (within(address, bytes, each.region.user, each.region.size)) {
            return each.start() + (address - each.region.user);
        }
    }
    return nullptr;
}

bool GuestMemory::pieces(uint64_t address, uint64_t bytes, std::vector<iovec> &into) const {
    while (bytes != 0) {
        auto found = std::find_if(regions_.begin(), regions_.end(), [&](const Mapped &each) {
            return within(address, 1, each.region.guest, each.region.size);
        });
        if (found == regions_.end()) {
            return false;
        }
        uint64_t from = address - found->region.guest;
        uint64_t here = std::min(bytes, found->region.size - from);
        into.push_back({found->start() + from, size_t(here)});
        address += here;
        bytes -= here;
    }
    return true;
}

bool GuestMemory::copyFrom(uint64_t address, void *into, size_t bytes) const {
    std::vector<iovec> parts;
    auto *to = static_cast<uint8_t *>(into);

    if (!pieces(address, bytes, parts)) {
        return false;
    }
    for (const iovec &part : parts) {
        memcpy(to, part.iov_base, part.iov_len);
        to += part.iov_len;
    }
    return true;
}

uint64_t bytesOf(const std::vector<Segment> &segments) {
    uint64_t bytes = 0;

    for (const Segment &each : segments) {
        bytes += each.length;
    }
    return bytes;
}

bool slice(const GuestMemory &memory, const std::vector<Segment> &segments, uint64_t offset,
           uint64_t bytes, std::vector<iovec> &into) {
    for (const Segment &each : segments) {
        if (bytes == 0) {
            break;
        }
        if (offset >= each.length) {
            offset -= each.length;
            continue;
        }
        uint64_t here = std::min<uint64_t>(bytes, each.length - offset);
        if (!memory.pieces(each.address + offset, here, into)) {
            return false;
        }
        bytes -= here;
        offset = 0;
    }
    return bytes == 0;
}

} // namespace hostile
