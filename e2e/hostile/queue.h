// SPDX-License-Identifier: MIT
// One virtqueue of a connection: its state as the protocol has it ("Ring states"), the
// requests that the device has taken, and when each of them is answered.
#pragma once

#include <functional>
#include <list>
#include <memory>

#include "behaviour.h"
#include "counters.h"
#include "device.h"
#include "inflight.h"
#include "loop.h"
#include "ring.h"

namespace hostile {

// Tells whoever waits for an event. Throws Error.
void signalEvent(const Fd &event);

constexpr uint64_t Page = 4096;
constexpr auto Never = Loop::Clock::time_point::max();

struct Surroundings {
    Loop &loop;
    const GuestMemory &memory;
    Device &device;
    Behaviour &behaviour;
    Counters &counters;
    // Ends the connection, when what now runs has returned, and takes none for a while.
    std::function<void(milliseconds)> hangUp;
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

    // From now on correct again, also in what goes on after a request.
    void behave();
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

        bool held() const {
            return due == Never && !plan.forget;
        }
    };

    RingParts resolve() const;
    void kicked();
    void watchByTime();
    void start();
    void serve();
    void serveSome();
    void answerDue();
    void answerAll(bool alsoHeld);
    void arm();
    void interrupt();
    void call();
    void guarded(void (Queue::*step)());
    void broken(const std::string &why);
    void close();

    // queue_answer.cpp
    void take(Chain chain);
    void arrive(const Request &request);
    void answer(Request &request);
    void addFacts(const Chain &chain, Plan &plan) const;
    void giveBack(const Request &request);
    void scribble(const Chain &chain, unsigned where, uint64_t seed);
    void writeOutside(const Chain &chain, uint32_t bytes, uint64_t seed);
    void writeLater(const Request &request, std::vector<uint8_t> data);
    void tick();
    void endLies();

    Surroundings around_;
    unsigned index_;
    bool enabled_ = false, broken_ = false, mapped_ = true, eventIdx_ = false, indirect_ = false;
    bool started_ = false; // by its first kick, be it enabled or not
    uint16_t size_ = 0, base_ = 0;
    VringAddress addresses_{};
    Fd kick_, call_, error_;
    InflightRegion inflight_;
    std::unique_ptr<Ring> ring_;  // while started
    std::list<Request> requests_; // that are not answered at once, as they came
    uint16_t lastUsed_ = 0;
    uint64_t timer_ = 0, pollTimer_ = 0, againTimer_ = 0;

    // Misbehaviour that goes on after its request.
    EventLie lie_;
    bool told_ = false;      // the driver is to hear of what was given back
    std::vector<bool> seen_; // descriptors that were ever in a chain
    unsigned storm_ = 0;     // interrupts still to come
    Loop::Clock::time_point flickerUntil_{}, pollUntil_{};
    uint64_t tickTimer_ = 0, ticks_ = 0;
    std::vector<uint64_t> lateTimers_;
};

} // namespace hostile
