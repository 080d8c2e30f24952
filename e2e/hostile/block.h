// SPDX-License-Identifier: MIT
// virtio-blk (Virtio 1.2, 5.2), its data in a file.
#pragma once

#include "cache.h"
#include "device.h"

namespace hostile {

struct Range;

class Block : public Device {
  public:
    // The capacity is the file's. Throws Error when it can't be opened.
    explicit Block(const std::string &file);

    std::string_view name() const override {
        return "blk";
    }
    unsigned queues() const override {
        return unsigned(properties_.queues);
    }
    uint64_t features() const override;
    void negotiated(uint64_t features) override {
        negotiated_ = features;
    }
    std::vector<uint8_t> config() const override;
    bool writeConfig(uint32_t offset, const std::vector<uint8_t> &bytes) override;
    const std::vector<std::string_view> &kinds() const override;
    std::string_view kindOf(const Chain &chain, const GuestMemory &memory) const override;
    Answer perform(const Chain &chain, const GuestMemory &memory) override;
    Answer pretend(const Chain &chain) const override;
    uint64_t dataBytes(const Chain &chain) const override {
        return bytesOf(chain.writable) - 1;
    }
    void writeStatus(const Chain &chain, const GuestMemory &memory, uint8_t status) override;
    bool set(const std::string &name, const std::string &value) override;
    Words properties() const override;
    std::map<std::string, uint64_t> counters() const override;
    std::string cutPower(uint64_t seed) override;

    // What `set` sets. A value of 0 takes the feature away where there is one.
    struct Properties {
        uint64_t capacity = 0; // sectors
        uint64_t sizeMax = 0;
        uint64_t segMax = 126;
        uint64_t blkSize = 512;
        uint64_t queues = 1;
        uint64_t readOnly = 0;
        uint64_t flush = 1;
        uint64_t configWce = 0;
        uint64_t discard = 0;     // sectors of a range
        uint64_t writeZeroes = 0; // the same
        uint64_t cache = 0;       // what is written is in memory until it is flushed
        uint64_t without = 0;     // feature bits that are not offered
        uint64_t with = 0;        // those that are, whatever their fields hold
    };

  private:
    struct Header {
        uint32_t type;
        uint32_t reserved;
        uint64_t sector;
    };
    struct Request;

    Header headerOf(const Chain &chain, const GuestMemory &memory) const;
    bool withinLimits(const Request &request);
    uint64_t unit() const; // sectors of a block
    bool inRange(uint64_t sector, uint64_t sectors) const;
    bool transfer(const Request &request, bool read);
    bool cached() const;
    bool flushFile();
    bool answerId(const Request &request);
    // block_zeroes.cpp: of ranges of at most so many sectors, with flags among these.
    uint8_t makeZeros(const Request &request, uint64_t most, uint32_t flags);
    uint8_t checkRange(const Range &range, uint64_t most, uint32_t flags);
    bool zero(const Range &range, bool unmap);
    uint8_t statusOf(const Request &request);

    Fd file_;
    Cache cache_;
    Properties properties_;
    std::string serial_ = "VQ7-DISK-0";
    uint8_t writeback_ = 1;
    uint64_t negotiated_ = 0;
    std::map<std::string, uint64_t> counters_{
        {"failed", 0}, {"limits_exceeded", 0}, {"most_segments", 0}};
};

} // namespace hostile
