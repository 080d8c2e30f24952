// SPDX-License-Identifier: MIT
// One virtqueue of a connection: its state as the protocol has it ("Ring states"), the
// requests that the device has taken, and when each of them is answered.
#pragma once

#include <list>
#include <memory>

#include "behaviour.h"
#include "counters.h"
#include "device.h"
#include "inflight.h"
#include "loop.h"
#include "ring.h"

namespace hostile {

struct Surroundings {
    Loop &loop;
    const GuestMemory &memory;
    Device &device;
    Behaviour &behaviour;
    Counters &counters;
};

class Queue {
  public:
    Queue(const Surroundings &around, unsigned index) : around_(around), index_(index) {}
    ~Queue();
    Queue(const Queue &) = delete;
    Queue &operator=(const Queue &) = delete;

    // What the front end says, before the ring starts.
    void setFeatures(bool eventIdx, bool indirect);
    void setSize(uint32_t size);
    void setAddresses(const VringAddress &addresses);
    void setBase(uint32_t base);
    void setInflight(InflightRegion region) {
        inflight_ = region;
    }
    // No descriptor: the ring is looked at from time to time instead.
    void setKick(Fd kick);
    void setCall(Fd call) {
        call_ = std::move(call);
    }
    void setError(Fd error) {
        error_ = std::move(error);
    }
    void setEnabled(bool enabled);

    // The memory table has changed. A ring that isn't in it rests until it is again.
    void memoryChanged();
    // Stops the ring; returns where it would be read on. What is slow is answered now; what
    // is held is left to the front end's record, or, without one, answered, too.
    uint16_t stop();
    // Stops the ring and answers nothing.
    void abandon();

    // Answers the oldest of the held requests. Returns how many those were.
    uint64_t release(uint64_t most);
    uint64_t held() const;
    uint64_t pending() const {
        return requests_.size();
    }

  private:
    struct Request {
        Chain chain;
        Hits hits;
        Plan plan;
        Loop::Clock::time_point due;
    };

    RingParts resolve() const;
    void kicked();
    void watchByTime();
    void start();
    void serve();
    void serveSome();
    void take(Chain chain);
    void answer(Request &request);
    void answerDue();
    void answerAll(bool alsoHeld);
    void arm();
    void interrupt();
    void guarded(void (Queue::*step)());
    void broken(const std::string &why);
    void close();

    Surroundings around_;
    unsigned index_;
    bool enabled_ = false, broken_ = false, mapped_ = true, eventIdx_ = false, indirect_ = false;
    uint16_t size_ = 0, base_ = 0;
    VringAddress addresses_{};
    Fd kick_, call_, error_;
    InflightRegion inflight_;
    std::unique_ptr<Ring> ring_;  // while started
    std::list<Request> requests_; // that are not answered at once, as they came
    uint16_t lastUsed_ = 0;
    uint64_t timer_ = 0, pollTimer_ = 0, againTimer_ = 0;
};

} // namespace hostile
