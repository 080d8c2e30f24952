// SPDX-License-Identifier: MIT
// What a queue does with a request, rightly or as its plan has it.
#include <algorithm>

#include "garbage.h"
#include "queue.h"

namespace hostile {

namespace {

constexpr std::chrono::microseconds TickEvery{200};

// The first `bytes` bytes of what the segments hold.
std::vector<uint8_t> contents(const GuestMemory &memory, const std::vector<Segment> &segments,
                              uint64_t bytes) {
    std::vector<iovec> parts;
    std::vector<uint8_t> all;

    if (slice(memory, segments, 0, bytes, parts)) {
        for (const iovec &part : parts) {
            auto *from = static_cast<uint8_t *>(part.iov_base);
            all.insert(all.end(), from, from + part.iov_len);
        }
    }
    return all;
}

void store(const GuestMemory &memory, const std::vector<Segment> &segments,
           const std::vector<uint8_t> &bytes) {
    std::vector<iovec> parts;
    const uint8_t *from = bytes.data();

    if (slice(memory, segments, 0, bytes.size(), parts)) {
        for (const iovec &part : parts) {
            memcpy(part.iov_base, from, part.iov_len);
            from += part.iov_len;
        }
    }
}

} // namespace

void Queue::take(Chain chain) {
    std::string_view kind = around_.device.kindOf(chain, around_.memory);
    Request request{std::move(chain), around_.behaviour.decide(kind), {}, {}};
    Plan &plan = request.plan;

    around_.counters.requests++;
    around_.counters.kinds[std::string(kind)]++;
    inflight_.taken(request.chain.head);
    for (uint16_t index : request.chain.descriptors) {
        seen_[index] = true;
    }
    apply(request.hits, Moment::Arrival, plan);
    arrive(request);
    bool never = plan.hold || plan.forget;
    if (!never && plan.delay.count() == 0) {
        answer(request);
        return;
    }
    request.due = never ? Never : Loop::Clock::now() + plan.delay;
    requests_.push_back(std::move(request));
}

// What begins with a request, and isn't about its buffer.
void Queue::arrive(const Request &request) {
    const Plan &plan = request.plan;
    auto now = Loop::Clock::now();

    lie_ = {plan.eventOffset.value_or(0), plan.noNotify};
    flickerUntil_ = std::max(flickerUntil_, now + plan.flicker);
    pollUntil_ = std::max(pollUntil_, now + plan.polling);
    if (plan.flicker.count() != 0 || plan.polling.count() != 0) {
        tick();
    }
    if (plan.early) {
        call();
    }
    if (plan.hangUp) {
        around_.hangUp(*plan.hangUp);
    }
}

void Queue::addFacts(const Chain &chain, Plan &plan) const {
    plan.writable = uint32_t(bytesOf(chain.writable));
    plan.queueSize = size_;
    if (chain.descriptors.size() > 1) {
        plan.inside = chain.descriptors[1];
    }
    for (uint16_t index = 0; index < size_; index++) {
        if (!seen_[index]) {
            plan.unissued = index;
        }
    }
}

void Queue::answer(Request &request) {
    Device &device = around_.device;
    const Chain &chain = request.chain;
    Plan &plan = request.plan;
    bool lateData = plan.late && plan.late->data, lateStatus = plan.late && plan.late->status;
    uint64_t bytes = device.dataBytes(chain);
    std::vector<uint8_t> data;

    if (lateData) {
        data = contents(around_.memory, chain.writable, bytes);
    }
    Answer right = plan.pretend ? device.pretend(chain) : device.perform(chain, around_.memory);
    if (lateData) {
        std::vector<uint8_t> before = std::move(data);
        data = contents(around_.memory, chain.writable, bytes);
        store(around_.memory, chain.writable, before);
    }
    plan.status = right.status;
    plan.usedId = chain.head;
    plan.usedLength = right.written;
    addFacts(chain, plan);
    apply(request.hits, Moment::Completion, plan);
    if (plan.writeStatus && !lateStatus) {
        device.writeStatus(chain, around_.memory, plan.status);
    }
    scribble(chain, plan.scribble, plan.random);
    writeOutside(chain, plan.outside, plan.random);
    giveBack(request);
    scribble(chain, plan.scribbleAfter, plan.random);
    if (plan.late) {
        writeLater(request, std::move(data));
    }
}

void Queue::giveBack(const Request &request) {
    const Plan &plan = request.plan;
    uint16_t head = request.chain.head;

    inflight_.finishing(head);
    ring_->push(plan.usedId, plan.usedLength, plan.copies, plan.indexOffset);
    inflight_.finished(head, ring_->usedIndex());
    around_.counters.completed++;
    around_.counters.misbehaved += request.hits.empty() ? 0 : 1;
    told_ = told_ || plan.interrupt;
    if (plan.storm != 0) {
        storm_ += plan.storm;
        tick();
    }
}

void Queue::scribble(const Chain &chain, unsigned where, uint64_t seed) {
    std::vector<iovec> parts;

    if ((where & ScribbleDescriptors) != 0) {
        ring_->scribbleDescriptors(chain, seed);
    }
    if ((where & ScribbleTable) != 0) {
        ring_->scribbleTable(chain, seed);
    }
    if ((where & ScribbleAvailable) != 0) {
        ring_->scribbleAvailable(seed);
    }
    if ((where & ScribbleUsed) != 0) {
        ring_->scribbleUsed(seed);
    }
    if ((where & ScribbleBehind) != 0) {
        ring_->scribbleBehind(seed);
    }
    if ((where & ScribbleReadable) != 0 &&
        slice(around_.memory, chain.readable, 0, bytesOf(chain.readable), parts)) {
        fillWithGarbage(parts, seed);
    }
}

// Within the pages that the data begins and ends in, as what is in the next one in memory is
// anybody's.
void Queue::writeOutside(const Chain &chain, uint32_t bytes, uint64_t seed) {
    uint64_t left = around_.device.dataBytes(chain);
    std::vector<iovec> parts;

    if (bytes == 0 || left == 0) {
        return;
    }
    uint64_t begin = chain.writable[0].address, end = 0;
    for (const Segment &each : chain.writable) {
        if (left != 0) {
            end = each.address + std::min<uint64_t>(left, each.length);
            left -= std::min<uint64_t>(left, each.length);
        }
    }
    uint64_t before = std::min<uint64_t>(bytes, begin % Page);
    uint64_t behind = std::min<uint64_t>(bytes, (Page - end % Page) % Page);
    if (around_.memory.pieces(begin - before, before, parts) &&
        around_.memory.pieces(end, behind, parts)) {
        fillWithGarbage(parts, seed);
    }
}

void Queue::writeLater(const Request &request, std::vector<uint8_t> data) {
    Late late = *request.plan.late;
    std::optional<uint8_t> status = late.statusValue;

    if (late.status && !status) {
        status = request.plan.status;
    }
    auto write = [this, status, chain = request.chain, bytes = std::move(data)] {
        store(around_.memory, chain.writable, bytes);
        if (status) {
            around_.device.writeStatus(chain, around_.memory, *status);
        }
    };
    lateTimers_.push_back(around_.loop.at(Loop::Clock::now() + late.after, std::move(write)));
}

void Queue::call() {
    around_.counters.calls++;
    signalEvent(call_);
}

// What goes on by itself, for a while.
void Queue::tick() {
    auto now = Loop::Clock::now();
    bool flicker = now < flickerUntil_, look = flicker || now < pollUntil_;

    around_.loop.cancel(tickTimer_);
    ticks_++;
    if (storm_ != 0) {
        storm_--;
        call();
    }
    if (flicker && ring_ != nullptr) {
        ring_->scribbleEvents(mixed(ticks_, ticks_));
    }
    if (!look && storm_ == 0) {
        return;
    }
    tickTimer_ = around_.loop.at(now + TickEvery, [this, look] {
        if (look) {
            guarded(&Queue::serve);
        }
        tick();
    });
}

void Queue::behave() {
    around_.loop.cancel(tickTimer_);
    storm_ = 0;
    flickerUntil_ = pollUntil_ = {};
    lie_ = {};
    // The driver may have been told not to notify, and wait since then.
    if (ring_ != nullptr) {
        guarded(&Queue::serve);
    }
}

void Queue::endLies() {
    for (uint64_t timer : lateTimers_) {
        around_.loop.cancel(timer);
    }
    lateTimers_.clear();
    around_.loop.cancel(tickTimer_);
    storm_ = 0;
    flickerUntil_ = pollUntil_ = {};
    lie_ = {};
}

} // namespace hostile
