// SPDX-License-Identifier: MIT
#include "inflight.h"

#include <algorithm>
#include <atomic>

#include <sys/mman.h>
#include <sys/stat.h>

#include "message.h"

namespace hostile {

struct InflightRegion::Head {
    uint64_t features;
    uint16_t version;
    uint16_t count;
    uint16_t lastBatchHead;
    uint16_t usedIdx;
};

struct InflightRegion::State {
    uint8_t inflight;
    uint8_t padding[5];
    uint16_t next;
    uint64_t counter;
};

namespace {

constexpr uint16_t SplitVersion = 1;
constexpr uint64_t Alignment = 64; // of a queue's region; ours to choose

// What another process reads after this one has died must be stored in this order.
void inOrder() {
    std::atomic_signal_fence(std::memory_order_seq_cst);
}

} // namespace

uint64_t InflightRegion::bytes(uint16_t queueSize) {
    static_assert(sizeof(Head) == 16 && sizeof(State) == 16);
    uint64_t all = sizeof(Head) + sizeof(State) * queueSize;
    return (all + Alignment - 1) / Alignment * Alignment;
}

InflightRegion::InflightRegion(uint8_t *start, uint16_t queueSize)
    : start_(start), size_(queueSize) {
    Head *head = region();
    if (head->version == 0) {
        head->version = SplitVersion;
        head->count = size_;
    }
}

InflightRegion::Head *InflightRegion::region() const {
    return reinterpret_cast<Head *>(start_);
}

InflightRegion::State *InflightRegion::state(uint16_t head) const {
    return reinterpret_cast<State *>(start_ + sizeof(Head)) + head;
}

bool InflightRegion::any() const {
    for (uint16_t i = 0; start_ != nullptr && i < size_; i++) {
        if (state(i)->inflight != 0) {
            return true;
        }
    }
    return false;
}

std::vector<uint16_t> InflightRegion::recover(uint16_t used) {
    std::vector<uint16_t> again;

    if (start_ == nullptr) {
        return again;
    }
    Head *head = region();
    // Batches are of one here: the last one was given back, and not yet struck off.
    if (head->usedIdx != used && head->lastBatchHead < size_) {
        state(head->lastBatchHead)->inflight = 0;
    }
    head->usedIdx = used;
    for (uint16_t i = 0; i < size_; i++) {
        counter_ = std::max(counter_, state(i)->counter + 1);
        if (state(i)->inflight != 0) {
            again.push_back(i);
        }
    }
    std::sort(again.begin(), again.end(),
              [this](uint16_t a, uint16_t b) { return state(a)->counter < state(b)->counter; });
    return again;
}

void InflightRegion::taken(uint16_t head) {
    if (start_ != nullptr && head < size_) {
        state(head)->counter = counter_++;
        inOrder();
        state(head)->inflight = 1;
        inOrder();
    }
}

void InflightRegion::finishing(uint16_t head) {
    if (start_ != nullptr && head < size_) {
        state(head)->next = region()->lastBatchHead;
        inOrder();
        region()->lastBatchHead = head;
        inOrder();
    }
}

void InflightRegion::finished(uint16_t head, uint16_t used) {
    if (start_ != nullptr && head < size_) {
        inOrder();
        state(head)->inflight = 0;
        inOrder();
        region()->usedIdx = used;
    }
}

InflightMapping::~InflightMapping() {
    if (mapping_ != nullptr) {
        munmap(mapping_, length_);
    }
}

Fd InflightMapping::create(uint64_t bytes) {
    Fd fd(memfd_create("vhost-user in flight", MFD_CLOEXEC));
    if (!fd || ftruncate(fd.get(), off_t(bytes)) != 0) {
        systemError("can't make a memory file of " + std::to_string(bytes) + " bytes");
    }
    return fd;
}

void InflightMapping::map(const Fd &fd, uint64_t offset, uint64_t bytes, uint16_t queues,
                          uint16_t queueSize) {
    struct stat file;

    if (fstat(fd.get(), &file) != 0 || offset + bytes < offset ||
        uint64_t(file.st_size) < offset + bytes || queueSize == 0 ||
        bytes < InflightRegion::bytes(queueSize) * queues) {
        throw ProtocolError("an area for requests in flight that is too small");
    }
    void *mapping = mmap(nullptr, offset + bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
    if (mapping == MAP_FAILED) {
        throw ProtocolError(std::string("can't map the area for requests in flight: ") +
                            strerror(errno));
    }
    if (mapping_ != nullptr) {
        munmap(mapping_, length_);
    }
    mapping_ = mapping;
    length_ = offset + bytes;
    offset_ = offset;
    queues_ = queues;
    queueSize_ = queueSize;
}

InflightRegion InflightMapping::region(uint16_t queue) const {
    if (mapping_ == nullptr || queue >= queues_) {
        return {};
    }
    auto *start = static_cast<uint8_t *>(mapping_) + offset_;
    return {start + InflightRegion::bytes(queueSize_) * queue, queueSize_};
}

} // namespace hostile
