// SPDX-License-Identifier: MIT
//
// The device's half of the stress test (Virtio 1.2, 2.7.6-2.7.10), with its own
// layout arithmetic and its own fences.
#include "shared.h"

#include <atomic>
#include <cstring>

namespace stress {

namespace {

class Device {
  public:
    Device(Shared *shared, const Options &options) : s_(shared), o_(options) {
        // 2.7.2 with an alignment of 4096 for the used ring.
        desc_ = s_->ring;
        avail_ = desc_ + 16 * o_.size;
        used_ = desc_ + ((16 * o_.size + 6 + 2 * o_.size + 4095) & ~4095u);
    }

    void run() {
        while (!s_->stop.load(std::memory_order_relaxed)) {
            uint32_t seen = s_->kick.count.load(std::memory_order_acquire);
            if (drain()) {
                continue;
            }
            wantNotification(true);
            // 2.7.13.4.1's other half: ask first, then look once more.
            std::atomic_thread_fence(std::memory_order_seq_cst);
            if (availIdx() != last_) {
                wantNotification(false);
                continue;
            }
            s_->kick.wait(seen, o_.spins, std::chrono::milliseconds(100), s_->stop);
            // A wait without a ring goes back to the same question but does not
            // look: only a kick may wake the device.
            while (s_->kick.count.load(std::memory_order_acquire) == seen && !s_->stop.load()) {
                s_->kick.wait(seen, 0, std::chrono::milliseconds(100), s_->stop);
            }
            wantNotification(false);
        }
    }

  private:
    std::atomic_ref<uint16_t> word(uint8_t *base, size_t offset) {
        return std::atomic_ref<uint16_t>(*reinterpret_cast<uint16_t *>(base + offset));
    }
    uint16_t availIdx() {
        return word(avail_, 2).load(std::memory_order_acquire);
    }

    void wantNotification(bool on) {
        if (o_.eventIdx) {
            // avail_event stands behind the used ring (2.7.8). "Off" leaves it
            // where it was: behind the driver's index, so no kick comes.
            if (on) {
                word(used_, 4 + 8 * o_.size).store(last_, std::memory_order_relaxed);
            }
        } else {
            word(used_, 0).store(on ? 0 : 1, std::memory_order_relaxed);
        }
    }

    bool drain() {
        uint16_t idx = availIdx();
        if (idx == last_) {
            return false;
        }
        if (uint16_t(idx - last_) > o_.size) {
            s_->deviceError = __LINE__;
        }
        uint16_t before = usedIdx_;
        while (last_ != idx) {
            uint16_t head = word(avail_, 4 + 2 * (last_ % o_.size)).load(std::memory_order_relaxed);
            complete(head);
            last_++;
            if (o_.interruptsOn) {
                // So that the driver drains while more are being completed.
                notifyDriver(before);
                before = usedIdx_;
            }
        }
        if (!o_.interruptsOn) {
            notifyDriver(before);
        }
        return true;
    }

    struct Descriptor { // 2.7.5
        uint64_t address;
        uint32_t length;
        uint16_t flags, next;
    };

    // The payload's address, at the end of the chain.
    uint64_t walk(uint16_t index) {
        Descriptor chain[kMaxSegments];
        for (unsigned i = 0; i < o_.segments; i++) {
            if (index >= o_.size) {
                s_->deviceError = __LINE__;
                return 0;
            }
            memcpy(&chain[i], desc_ + 16 * index, sizeof(chain[i]));
            index = chain[i].next;
        }
        const Descriptor &payload = chain[o_.segments - 1];
        if (payload.flags != 2) { // writable, and the last one
            s_->deviceError = __LINE__;
        }
        for (unsigned i = 0; i + 1 < o_.segments; i++) {
            if (chain[i].flags != 1 || chain[i].address != segmentFor(payload.address, i) ||
                chain[i].length != segmentLengthFor(payload.address, i)) {
                s_->deviceError = __LINE__;
            }
        }
        return payload.address;
    }

    void complete(uint16_t head) {
        uint64_t address = walk(head);
        answer(address);
        uint8_t *entry = used_ + 4 + 8 * (usedIdx_ % o_.size);
        uint32_t id = head;
        uint32_t length = lengthFor(address);
        memcpy(entry, &id, 4);
        memcpy(entry + 4, &length, 4);
        usedIdx_++;
        word(used_, 2).store(usedIdx_, std::memory_order_release);
        s_->processed.fetch_add(1, std::memory_order_relaxed);
    }

    void answer(uint64_t address) {
        Payload &payload = s_->payloadOf(address);
        for (unsigned i = 0; i < kLines; i++) {
            if (payload.lines[i].word != questionFor(address, i)) {
                s_->deviceError = __LINE__;
            }
            payload.lines[i].word = ~questionFor(address, i);
        }
    }

    void notifyDriver(uint16_t before) {
        std::atomic_thread_fence(std::memory_order_seq_cst);
        bool wanted;
        if (o_.eventIdx) {
            uint16_t event = word(avail_, 4 + 2 * o_.size).load(std::memory_order_relaxed);
            wanted = uint16_t(usedIdx_ - event - 1) < uint16_t(usedIdx_ - before);
        } else {
            wanted = !(word(avail_, 0).load(std::memory_order_relaxed) & 1);
        }
        if (wanted) {
            s_->interrupt.ring();
        }
    }

    Shared *s_;
    const Options &o_;
    uint8_t *desc_, *avail_, *used_;
    uint16_t last_ = 0, usedIdx_ = 0;
};

} // namespace

void deviceMain(Shared *shared, const Options &options) {
    Device(shared, options).run();
}

} // namespace stress
