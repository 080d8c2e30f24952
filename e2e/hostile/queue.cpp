// SPDX-License-Identifier: MIT
#include "queue.h"

#include <algorithm>
#include <cstdio>

#include <poll.h>

#include "message.h"

namespace hostile {

namespace {

constexpr uint32_t MaxSize = 32768; // 2.7: the largest there is
constexpr milliseconds PollEvery{1};

// Takes what an event descriptor holds, without waiting for it.
bool drain(const Fd &event) {
    pollfd ready{event.get(), POLLIN, 0};
    uint64_t count;

    return poll(&ready, 1, 0) == 1 && read(event.get(), &count, sizeof(count)) > 0;
}

} // namespace

void signalEvent(const Fd &event) {
    uint64_t one = 1;

    // A full counter already says what this would say.
    if (event && write(event.get(), &one, sizeof(one)) < 0 && errno != EAGAIN) {
        systemError("can't signal the front end");
    }
}

Queue::~Queue() {
    abandon();
}

void Queue::setFeatures(bool eventIdx, bool indirect) {
    eventIdx_ = eventIdx;
    indirect_ = indirect;
}

void Queue::setSize(uint32_t size) {
    if (size == 0 || size > MaxSize || (size & (size - 1)) != 0) {
        throw ProtocolError("queue " + std::to_string(index_) + " of size " + std::to_string(size));
    }
    size_ = uint16_t(size);
}

void Queue::setAddresses(const VringAddress &addresses) {
    addresses_ = addresses;
    if (ring_ != nullptr) {
        ring_->moveTo(resolve());
    }
}

void Queue::setBase(uint32_t base) {
    base_ = uint16_t(base);
}

RingParts Queue::resolve() const {
    const GuestMemory &memory = around_.memory;
    RingParts parts;

    parts.size = size_;
    parts.eventIdx = eventIdx_;
    parts.indirect = indirect_;
    parts.descriptors = memory.atUser(addresses_.descriptor, descriptorBytes(size_));
    parts.available = memory.atUser(addresses_.available, availableBytes(size_));
    parts.used = memory.atUser(addresses_.used, usedBytes(size_));
    // The next page may still be the ring's: what is longer for its alignment begins anywhere.
    uint64_t end = (addresses_.used + usedBytes(size_) + Page - 1) / Page * Page;
    parts.behind = memory.atUser(end + Page, sizeof(uint64_t));
    if (size_ == 0 || parts.descriptors == nullptr || parts.available == nullptr ||
        parts.used == nullptr || addresses_.descriptor % 16 != 0 || addresses_.available % 2 != 0 ||
        addresses_.used % 4 != 0) {
        throw RingError("the ring isn't in the guest's memory, or not aligned");
    }
    return parts;
}

void Queue::setKick(Fd kick) {
    close();
    kick_ = std::move(kick);
    if (kick_) {
        around_.loop.watch(kick_.get(), [this] {
            if (drain(kick_)) {
                guarded(&Queue::kicked);
            }
        });
        setEnabled(enabled_);
    } else {
        watchByTime();
    }
}

void Queue::watchByTime() {
    pollTimer_ = around_.loop.at(Loop::Clock::now() + PollEvery, [this] {
        watchByTime();
        guarded(&Queue::serve);
    });
}

void Queue::close() {
    if (kick_) {
        around_.loop.forget(kick_.get());
        kick_.reset();
    }
    around_.loop.cancel(pollTimer_);
}

void Queue::setEnabled(bool enabled) {
    enabled_ = enabled;
    // A ring starts with its first kick, also while it is disabled ("Starting and stopping
    // rings"). But of one that a lost connection has left requests in, the driver has nothing to
    // say any more: it waits.
    if (started_ || ring_ != nullptr || (kick_ && inflight_.any())) {
        guarded(&Queue::serve);
    }
}

void Queue::memoryChanged() {
    if (ring_ == nullptr) {
        return;
    }
    try {
        ring_->moveTo(resolve());
        mapped_ = true;
    } catch (const RingError &) {
        mapped_ = false;
    }
    guarded(&Queue::serve);
}

void Queue::kicked() {
    around_.counters.kicks++;
    started_ = true;
    serve();
}

void Queue::start() {
    ring_ = std::make_unique<Ring>(resolve(), around_.memory, base_);
    seen_.assign(size_, false);
    around_.counters.starts++;
    std::vector<uint16_t> again = inflight_.recover(ring_->usedIndex());
    // What was taken is used or in flight. A front end that has lost its connection doesn't
    // know better, and begins where the used ring ends.
    if (inflight_) {
        ring_->readFrom(uint16_t(ring_->usedIndex() + again.size()));
    }
    for (uint16_t head : again) {
        around_.counters.resubmitted++;
        take(ring_->chainAt(head));
    }
}

void Queue::serve() {
    if (broken_ || !enabled_ || !mapped_) {
        return;
    }
    if (ring_ == nullptr) {
        start();
    }
    serveSome();
    interrupt();
    arm();
}

// At most a ring's worth, so that a busy guest can't keep others from being heard.
void Queue::serveSome() {
    uint32_t budget = ring_->size();

    do {
        while (auto chain = ring_->pop()) {
            take(std::move(*chain));
            if (--budget == 0) {
                around_.loop.cancel(againTimer_);
                againTimer_ =
                    around_.loop.at(Loop::Clock::now(), [this] { guarded(&Queue::serve); });
                return;
            }
        }
    } while (ring_->askForKick(lie_));
}

void Queue::answerDue() {
    if (!mapped_) {
        return; // `serve` comes back to it
    }
    auto now = Loop::Clock::now();
    std::list<Request> due;
    bool newestFirst = std::any_of(requests_.begin(), requests_.end(), [&](const Request &each) {
        return each.due <= now && each.plan.order == Order::NewestFirst;
    });

    for (auto next = requests_.begin(); next != requests_.end();) {
        auto here = next++;
        bool reversed = here->plan.order == Order::NewestFirst;
        if (here->due <= now || (reversed && newestFirst)) {
            due.splice(reversed ? due.begin() : due.end(), requests_, here);
        }
    }
    for (Request &each : due) {
        answer(each);
    }
    interrupt();
    arm();
}

void Queue::answerAll(bool alsoHeld) {
    for (Request &each : requests_) {
        if (!each.plan.forget && (alsoHeld || each.due != Never)) {
            each.due = Loop::Clock::time_point::min();
        }
    }
    answerDue();
}

void Queue::arm() {
    auto next = Never;

    for (const Request &each : requests_) {
        next = std::min(next, each.due);
    }
    around_.loop.cancel(timer_);
    if (next != Never) {
        timer_ = around_.loop.at(next, [this] { guarded(&Queue::answerDue); });
    }
}

void Queue::interrupt() {
    uint16_t used = ring_->usedIndex();

    if (ring_->interruptDue()) {
        if (told_) {
            call();
        }
    } else if (used != lastUsed_) {
        around_.counters.suppressed++;
    }
    told_ = false;
    lastUsed_ = used;
}

uint16_t Queue::stop() {
    if (ring_ != nullptr) {
        if (!broken_ && mapped_) {
            try {
                answerAll(!inflight_);
            } catch (const RingError &bad) {
                broken(bad.what());
            }
        }
        base_ = ring_->nextAvailable();
    }
    abandon();
    return base_;
}

void Queue::abandon() {
    close();
    around_.loop.cancel(timer_);
    around_.loop.cancel(againTimer_);
    endLies();
    around_.counters.forgotten += requests_.size();
    requests_.clear();
    ring_.reset();
    started_ = broken_ = false;
    mapped_ = true;
}

uint64_t Queue::release(uint64_t most) {
    uint64_t count = 0;

    for (Request &each : requests_) {
        if (count < most && each.held()) {
            each.due = Loop::Clock::time_point::min();
            count++;
        }
    }
    if (count != 0) {
        guarded(&Queue::answerDue);
    }
    return count;
}

uint64_t Queue::held() const {
    return uint64_t(std::count_if(requests_.begin(), requests_.end(),
                                  [](const Request &each) { return each.held(); }));
}

void Queue::guarded(void (Queue::*step)()) {
    try {
        (this->*step)();
    } catch (const RingError &bad) {
        broken(bad.what());
    }
}

void Queue::broken(const std::string &why) {
    broken_ = true;
    around_.counters.forgotten += requests_.size();
    requests_.clear();
    around_.loop.cancel(timer_);
    endLies();
    around_.counters.ring_errors++;
    around_.counters.last_error = why;
    fprintf(stderr, "queue %u: %s; it is served no more\n", index_, why.c_str());
    signalEvent(error_);
}

} // namespace hostile
