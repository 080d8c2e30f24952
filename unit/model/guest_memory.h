// SPDX-License-Identifier: MIT
//
// Memory that driver and device share, in a test: bytes at a guest physical
// address that is not the host's, so that one taken for the other is noticed.
// Every access of the device is checked against its bounds.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>

namespace vq7::model {

class GuestMemory {
  public:
    // Above 4 GiB, so that a truncated address is noticed too.
    static constexpr std::uint64_t kBase = 0x1'2340'0000;

    explicit GuestMemory(std::size_t size)
        : size_(RoundUp(size, kPage)),
          bytes_(static_cast<std::uint8_t *>(std::aligned_alloc(kPage, size_)), &std::free) {
        if (!bytes_) {
            throw std::bad_alloc();
        }
        std::memset(bytes_.get(), 0xA5, size_); // nothing starts out as zero
    }

    // Guest physical address of a new piece.
    std::uint64_t Allocate(std::size_t size, std::size_t align) {
        std::size_t start = RoundUp(next_, align);
        if (start + size > size_) {
            throw std::length_error("guest memory is full");
        }
        next_ = start + size;
        return kBase + start;
    }

    std::uint8_t *Host(std::uint64_t address, std::size_t length) {
        std::uint64_t offset = address - kBase;
        if (address < kBase || offset > size_ || length > size_ - offset) {
            throw std::out_of_range("no guest memory at " + std::to_string(address));
        }
        return bytes_.get() + offset;
    }

    std::uint16_t Load16(std::uint64_t address) {
        return __atomic_load_n(At<std::uint16_t>(address), __ATOMIC_ACQUIRE);
    }
    std::uint32_t Load32(std::uint64_t address) {
        return __atomic_load_n(At<std::uint32_t>(address), __ATOMIC_RELAXED);
    }
    std::uint64_t Load64(std::uint64_t address) {
        return __atomic_load_n(At<std::uint64_t>(address), __ATOMIC_RELAXED);
    }
    void Store16(std::uint64_t address, std::uint16_t value) {
        __atomic_store_n(At<std::uint16_t>(address), value, __ATOMIC_RELEASE);
    }
    void Store32(std::uint64_t address, std::uint32_t value) {
        __atomic_store_n(At<std::uint32_t>(address), value, __ATOMIC_RELAXED);
    }

  private:
    static constexpr std::size_t kPage = 4096;

    static std::size_t RoundUp(std::size_t value, std::size_t align) {
        return (value + align - 1) / align * align;
    }

    template <typename T> T *At(std::uint64_t address) {
        return reinterpret_cast<T *>(Host(address, sizeof(T)));
    }

    std::size_t size_;
    std::size_t next_ = 0;
    std::unique_ptr<std::uint8_t, decltype(&std::free)> bytes_;
};

} // namespace vq7::model
