// SPDX-License-Identifier: MIT
#include "explore.h"

#include "device.h"
#include "driver.h"
#include "memory.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>

namespace mc {

Config g_config;
std::string g_violation;
std::string *g_trace;

void trace(const char *format, ...) {
    char line[160];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    *g_trace += std::string(g_trace->empty() ? "" : "; ") + line;
}

void violate(const char *format, ...) {
    char line[200];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    if (g_violation.empty()) {
        g_violation = line;
    }
}

std::string locName(unsigned loc) {
    static const char *const single[] = {"avail->flags", "avail->idx", "used_event",
                                         "used->flags",  "used->idx",  "avail_event"};
    static const char *const arrays[][2] = {
        {"avail->ring[", "]"}, {"used->ring[", "].id"}, {"used->ring[", "].len"}, {"desc[", "]"}};
    if (loc < kAvailRing) {
        return single[loc];
    }
    unsigned kind = (loc - kAvailRing) / kMaxSize, i = (loc - kAvailRing) % kMaxSize;
    return arrays[kind][0] + std::to_string(i) + arrays[kind][1];
}

const char *callName(Call call) {
    static const char *const names[] = {"none",
                                        "Publish",
                                        "KickPrepare",
                                        "KickCommit",
                                        "Kick",
                                        "HasUsed",
                                        "GetUsed",
                                        "GetUsedBatch",
                                        "DisableInterrupts",
                                        "EnableInterrupts",
                                        "EnableInterruptsDelayed",
                                        "PrepareWait",
                                        "Poll"};
    return names[unsigned(call)];
}

namespace {

struct Key {
    uint64_t a;
    uint32_t b;
};

// 96 bits stand for a state: among 10^7 states a collision, which would hide
// one, has a probability of 10^-15.
Key hash(const State &s) {
    static_assert(sizeof(State) % 8 == 0);
    const uint8_t *p = reinterpret_cast<const uint8_t *>(&s);
    uint64_t a = 0x9E3779B97F4A7C15ull, b = 0xC2B2AE3D27D4EB4Full;
    for (size_t i = 0; i < sizeof(State); i += 8) {
        uint64_t word;
        memcpy(&word, p + i, 8);
        unsigned __int128 m = static_cast<unsigned __int128>(a ^ word) * 0xD6E8FEB86659FD93ull;
        a = uint64_t(m) ^ uint64_t(m >> 64);
        b = (b + word) * 0xFF51AFD7ED558CCDull;
        b ^= b >> 32;
    }
    return Key{a ? a : 1, uint32_t(b)};
}

// Numbers of states. Open addressing; a slot with a == 0 is empty. Grows at one
// half full.
class Seen {
  public:
    Seen() : slots_(1 << 12, Slot{0, 0, 0}) {}
    // The state's number: `fresh` if it was not known.
    uint32_t find(const Key &key, uint32_t fresh) {
        if (2 * count_ >= slots_.size()) {
            std::vector<Slot> old(2 * slots_.size(), Slot{0, 0, 0});
            old.swap(slots_);
            for (const Slot &s : old) {
                if (s.a) {
                    place(s);
                }
            }
        }
        uint32_t index = place(Slot{key.a, key.b, fresh});
        count_ += index == fresh;
        return index;
    }

  private:
    struct Slot {
        uint64_t a;
        uint32_t b, index;
    };
    uint32_t place(const Slot &slot) {
        size_t mask = slots_.size() - 1;
        for (size_t i = (slot.a >> 20) & mask;; i = (i + 1) & mask) {
            if (slots_[i].a == slot.a && slots_[i].b == slot.b) {
                return slots_[i].index;
            }
            if (!slots_[i].a) {
                slots_[i] = slot;
                return slot.index;
            }
        }
    }
    std::vector<Slot> slots_;
    size_t count_ = 0;
};

// Whether following `edges` (those of state i end at ends[i]) always comes to
// an end: takes away states that nothing leads to, until none is left.
bool isAcyclic(const std::vector<uint32_t> &edges, const std::vector<size_t> &ends) {
    std::vector<uint32_t> incoming(ends.size(), 0), open{0};
    size_t taken = 0;
    for (uint32_t to : edges) {
        incoming[to]++;
    }
    for (; !open.empty(); taken++) {
        uint32_t i = open.back();
        open.pop_back();
        for (size_t e = i ? ends[i - 1] : 0; e < ends[i]; e++) {
            if (--incoming[edges[e]] == 0) {
                open.push_back(edges[e]);
            }
        }
    }
    return taken == ends.size();
}

void flushSteps(const State &s, const Emit &emit) {
    for (Agent agent : {kDriver, kDevice}) {
        for (unsigned i = 0; i < s.stores[agent].count; i++) {
            if (canFlush(s, agent, i)) {
                State next = s;
                flush(next, agent, i);
                emit(next);
            }
        }
    }
}

void allSteps(const State &s, const Emit &emit) {
    driverSteps(s, emit);
    deviceSteps(s, emit);
    flushSteps(s, emit);
    adversarySteps(s, emit);
}

// Nobody can go on: is everything done?
void checkEnd(const State &s) {
    const DriverState &d = s.driver;
    if (g_config.adversary) {
        checkRecovery(s);
        return;
    }
    for (unsigned b = 0; b < d.submitted; b++) {
        if (d.buffers[b] == BufferState::kPublished) {
            violate("LOST KICK: both sides sleep, the device never saw buffer %u", b);
        } else if (d.buffers[b] != BufferState::kCompleted) {
            violate("LOST INTERRUPT: both sides sleep, buffer %u is used and not taken", b);
        }
    }
    if (d.submitted < g_config.buffers) {
        violate("both sides sleep, and only %u buffers were submitted", d.submitted);
    }
    checkNothingLeft(s);
}

class Search {
  public:
    explicit Search(uint64_t limit) : limit_(limit) {}

    Result run() {
        State first = initialState();
        (void)seen_.find(hash(first), 0);
        came_.push_back({0, 0});
        layer_.push_back({first, 0});
        result_.states = 1;
        for (unsigned depth = 0; !layer_.empty() && result_.violation.empty(); depth++) {
            result_.depth = depth;
            for (const Node &node : layer_) {
                expand(node);
                if (!result_.violation.empty()) {
                    break;
                }
                if (result_.states >= limit_) {
                    return result_;
                }
            }
            layer_.swap(next_);
            next_.clear();
        }
        result_.complete = result_.violation.empty();
        if (result_.complete && !isAcyclic(edges_, ends_)) {
            result_.complete = false;
            result_.violation = "a history without end: some states lead back to themselves";
        }
        return result_;
    }

  private:
    struct Node {
        State state;
        uint32_t index;
    };
    struct Came {
        uint32_t from;
        uint16_t step; // which of its steps
    };

    void expand(const Node &node) {
        uint16_t step = 0;
        uint32_t bad = UINT32_MAX;
        allSteps(node.state, [&](const State &s) {
            if (!g_violation.empty() && bad == UINT32_MAX) {
                bad = step;
            }
            uint32_t fresh = uint32_t(result_.states);
            uint32_t index = seen_.find(hash(s), fresh);
            if (index == fresh) {
                next_.push_back({s, index});
                came_.push_back({node.index, step});
                result_.states++;
            }
            edges_.push_back(index);
            step++;
        });
        result_.steps += step;
        ends_.push_back(edges_.size());
        if (step == 0) {
            result_.ends++;
            checkEnd(node.state);
        }
        if (!g_violation.empty()) {
            result_.violation = g_violation;
            g_violation.clear();
            tell(node.index, bad);
        }
    }

    // Walks from the first state to `index`, then step `bad`, with the trace on.
    void tell(uint32_t index, uint32_t bad) {
        std::vector<uint32_t> way;
        if (bad != UINT32_MAX) {
            way.push_back(bad);
        }
        for (; index != 0; index = came_[index].from) {
            way.push_back(came_[index].step);
        }
        std::reverse(way.begin(), way.end());
        State at = initialState();
        for (uint32_t wanted : way) {
            uint32_t step = 0;
            State found = at;
            std::string text, line;
            g_trace = &text;
            allSteps(at, [&](const State &s) {
                if (step++ == wanted) {
                    found = s;
                    line = text;
                }
                text.clear();
            });
            g_trace = nullptr;
            at = found;
            result_.trace.push_back(line);
        }
        g_violation.clear();
    }

    const uint64_t limit_;
    Result result_;
    Seen seen_;
    std::vector<Came> came_;
    std::vector<uint32_t> edges_; // of the states in order of their numbers
    std::vector<size_t> ends_;    // where those of each end in edges_
    std::vector<Node> layer_, next_;
};

} // namespace

Result explore(uint64_t limit) {
    g_violation.clear();
    driverSetUp();
    return Search(limit).run();
}

} // namespace mc
