// SPDX-License-Identifier: MIT
//
// A device by the book (2.7.6 to 2.7.14): it sleeps until it is kicked, takes
// chains until there are none, asks for a kick, fences, looks once more, and
// sleeps. It finishes buffers in any order, whenever it likes, sleeping or not,
// one or several for each interrupt. It loads in order, its stores go through a
// buffer of its own, and its own fences stand where they must.
#include "device.h"
#include "memory.h"

#include <vector>

namespace mc {

namespace {

unsigned slot(uint16_t idx) {
    return idx & (g_config.size - 1);
}

uint64_t loadWord(State &s, unsigned loc) {
    uint64_t value = load(s, kDevice, loc, true, 0);
    MC_TRACE("device  load %s = %llx", locName(loc).c_str(), (unsigned long long)value);
    return value;
}

void storeWord(State &s, unsigned loc, uint64_t value) {
    store(s, kDevice, loc, value);
    MC_TRACE("device  store %s = %llx", locName(loc).c_str(), (unsigned long long)value);
}

// What a well-behaved driver never shows. With an adversary about, words may be
// forged, and the device stops where it is.
void confused(State &s, const char *what) {
    if (!g_config.adversary) {
        violate("the device sees %s", what);
    }
    s.device.pc = DevicePc::kDead;
}

// 2.7.10: may avail_event stay behind, or is a kick wanted from here on?
void wantKick(State &s, bool yes) {
    if (!g_config.eventIdx) {
        storeWord(s, kUsedFlags, yes ? 0 : 1);
    } else if (yes) {
        storeWord(s, kAvailEvent, s.device.last);
    }
}

void wake(const State &s, const Emit &emit) {
    State next = s;
    next.kick = 0;
    next.device.awake = 1;
    MC_TRACE("device  wakes up");
    wantKick(next, false);
    emit(next);
}

void look(const State &s, const Emit &emit) {
    State next = s;
    DeviceState &d = next.device;
    uint16_t waiting = uint16_t(loadWord(next, kAvailIdx) - d.last);
    if (waiting > g_config.size) {
        confused(next, "avail->idx further ahead than the queue is long");
    } else if (waiting != 0) {
        d.pc = DevicePc::kFetchRing;
    } else {
        wantKick(next, true);
        d.pc = DevicePc::kArmed;
    }
    emit(next);
}

// Behind the fence that orders its wish before this load (2.7.13.4.1).
void lookAgain(const State &s, const Emit &emit) {
    if (!isDrained(s, kDevice)) {
        return;
    }
    State next = s;
    DeviceState &d = next.device;
    d.pc = DevicePc::kIdle;
    if (uint16_t(loadWord(next, kAvailIdx)) == d.last) {
        d.awake = 0;
        MC_TRACE("device  sleeps until a kick");
    }
    emit(next);
}

void fetchRing(const State &s, const Emit &emit) {
    State next = s;
    uint64_t head = loadWord(next, kAvailRing + slot(s.device.last));
    if (head >= g_config.size) {
        confused(next, "a head out of range");
    } else {
        next.device.head = next.device.at = uint8_t(head);
        next.device.steps = 0;
        next.device.pc = DevicePc::kFetchDesc;
    }
    emit(next);
}

// The descriptor is the next of a buffer that was published and not taken yet.
const char *wrongDesc(const State &s, uint64_t desc, unsigned &b, bool &more) {
    uint64_t page = desc >> 48;
    unsigned segment = s.device.steps;
    b = unsigned(page - 1) / 2;
    if (page == 0 || b >= s.driver.submitted || page != pageOf(b, segment)) {
        return "a descriptor of no published buffer";
    }
    if (s.driver.buffers[b] != BufferState::kPublished) {
        return "a buffer for the second time";
    }
    more = segment + 1 < segmentsOf(b);
    uint64_t next = desc & 0xFFFF;
    if (((desc >> 32) & 0xFFFF) != kSegmentBytes || ((desc >> 16) & 0xFFFF) != (more ? 3 : 2) ||
        next >= g_config.size) {
        return "a descriptor with a wrong length, flag or link";
    }
    return nullptr;
}

void fetchDesc(const State &s, const Emit &emit) {
    State next = s;
    DeviceState &d = next.device;
    unsigned b = 0;
    bool more = false;
    uint64_t desc = loadWord(next, kDesc + d.at);
    if (const char *wrong = wrongDesc(next, desc, b, more)) {
        confused(next, wrong);
    } else if (more) {
        d.at = uint8_t(desc & 0xFFFF);
        d.steps++;
    } else if (d.handCount == g_config.size) {
        confused(next, "more buffers than the queue has descriptors");
    } else {
        next.driver.buffers[b] = BufferState::kFetched;
        d.hand[d.handCount][0] = d.head;
        d.hand[d.handCount][1] = uint8_t(b);
        d.handCount++;
        d.head = d.at = d.steps = 0;
        d.last++;
        d.pc = DevicePc::kIdle;
    }
    emit(next);
}

void finish(const State &s, unsigned k, const Emit &emit) {
    if (!hasRoom(s, kDevice, 3)) {
        return;
    }
    State next = s;
    DeviceState &d = next.device;
    unsigned b = d.hand[k][1];
    storeWord(next, kUsedId + slot(d.usedIdx), d.hand[k][0]);
    storeWord(next, kUsedLen + slot(d.usedIdx), usedLengthOf(b));
    writeFence(next, kDevice);
    d.usedIdx++;
    storeWord(next, kUsedIdx, d.usedIdx);
    d.unsignalled = 1;
    if (next.driver.buffers[b] == BufferState::kFetched) {
        next.driver.buffers[b] = BufferState::kUsed;
    }
    for (unsigned i = k; i + 1 < d.handCount; i++) {
        d.hand[i][0] = d.hand[i + 1][0];
        d.hand[i][1] = d.hand[i + 1][1];
    }
    d.handCount--;
    d.hand[d.handCount][0] = d.hand[d.handCount][1] = 0;
    emit(next);
}

// 2.7.7.2, behind the fence that orders used->idx before this load.
void signal(const State &s, const Emit &emit) {
    if (!isDrained(s, kDevice)) {
        return;
    }
    State next = s;
    DeviceState &d = next.device;
    bool wanted;
    if (g_config.eventIdx) {
        uint16_t event = uint16_t(loadWord(next, kUsedEvent));
        wanted = uint16_t(d.usedIdx - event - 1) < uint16_t(d.usedIdx - d.signalledIdx);
    } else {
        wanted = !(loadWord(next, kAvailFlags) & 1);
    }
    d.signalledIdx = d.usedIdx;
    d.unsignalled = 0;
    if (wanted) {
        next.interrupt = 1;
        MC_TRACE("device  interrupts");
    }
    emit(next);
}

void idleSteps(const State &s, const Emit &emit) {
    const DeviceState &d = s.device;
    if (s.kick && !d.awake && hasRoom(s, kDevice, 1)) {
        wake(s, emit);
    }
    if (d.awake && !d.unsignalled && hasRoom(s, kDevice, 1)) {
        look(s, emit);
    }
    for (unsigned k = 0; k < d.handCount; k++) {
        finish(s, k, emit);
    }
    if (d.unsignalled) {
        signal(s, emit);
    }
}

// ---------------------------------------------------------------- adversary

std::vector<uint64_t> valuesFor(const State &s, unsigned loc) {
    uint64_t now = s.memory[loc];
    uint16_t size = uint16_t(g_config.size);
    switch (loc) {
    case kAvailFlags:
    case kUsedFlags:
        return {0, 1, 0xFFFF};
    case kAvailIdx:
    case kUsedIdx:
        return {uint16_t(now + 1), uint16_t(now - 1), uint16_t(now + size),
                uint16_t(now + size + 1), uint16_t(now + 0x8000)};
    case kUsedEvent:
    case kAvailEvent:
        return {uint16_t(now + 1), uint16_t(now - 1), uint16_t(now + 0x8000)};
    default:
        break;
    }
    if (loc >= kDesc) { // nowhere; an indirect table; a chain that bites its tail
        return {0, packDesc(0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF), packDesc(1, 16, 4, 0),
                packDesc(1, 1, 1, loc - kDesc)};
    }
    if (loc >= kUsedLen) {
        return {0, kSegmentBytes + 1, 2 * kSegmentBytes + 1, 0xFFFFFFFF};
    }
    std::vector<uint64_t> values = {size, 0xFFFF};
    for (unsigned i = 0; i < size; i++) {
        values.push_back(i);
    }
    if (loc >= kUsedId) {
        values.push_back(0xFFFFFFFF);
        values.push_back(0x10000); // 0 to one who looks at 16 bits only
    }
    return values;
}

bool exists(unsigned loc) {
    if (loc < kAvailRing) {
        return true;
    }
    return (loc - kAvailRing) % kMaxSize < g_config.size;
}

} // namespace

void deviceSteps(const State &s, const Emit &emit) {
    switch (s.device.pc) {
    case DevicePc::kIdle:
        idleSteps(s, emit);
        break;
    case DevicePc::kFetchRing:
        fetchRing(s, emit);
        break;
    case DevicePc::kFetchDesc:
        fetchDesc(s, emit);
        break;
    case DevicePc::kArmed:
        lookAgain(s, emit);
        break;
    case DevicePc::kDead:
        break;
    }
}

void adversarySteps(const State &s, const Emit &emit) {
    if (s.device.budget == 0) {
        return;
    }
    for (unsigned loc = 0; loc < kLocs; loc++) {
        if (!exists(loc)) {
            continue;
        }
        for (uint64_t value : valuesFor(s, loc)) {
            if (value == s.memory[loc]) {
                continue;
            }
            State next = s;
            next.device.budget--;
            commit(next, loc, value, false);
            MC_TRACE("forged  %s = %llx", locName(loc).c_str(), (unsigned long long)value);
            emit(next);
        }
    }
}

} // namespace mc
