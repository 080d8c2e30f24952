// SPDX-License-Identifier: MIT
#include "memory.h"

#include <cstdlib>

namespace mc {

bool hasRoom(const State &s, Agent agent, unsigned count) {
    return s.stores[agent].count + count <= kStoreSlots;
}

void commit(State &s, unsigned loc, uint64_t value, bool byDriver) {
    uint64_t old = s.memory[loc];
    s.memory[loc] = value;
    if (g_config.model != Model::kWeak || byDriver || old == value) {
        return;
    }
    if (s.staleCount == kStaleSlots) { // the window's bound: forget the oldest
        memmove(&s.stale[0], &s.stale[1], sizeof(StaleValue) * (kStaleSlots - 1));
        s.staleCount--;
    }
    s.stale[s.staleCount++] = StaleValue{old, loc};
}

void store(State &s, Agent agent, unsigned loc, uint64_t value) {
    if (g_config.model == Model::kSc) {
        commit(s, loc, value, agent == kDriver);
        return;
    }
    StoreBuffer &b = s.stores[agent];
    if (b.count == kStoreSlots) {
        abort(); // the caller asks hasRoom first
    }
    uint8_t epoch = b.count ? uint8_t(b.epoch[b.count - 1] + b.fenced) : 0;
    b.value[b.count] = value;
    b.loc[b.count] = uint8_t(loc);
    b.epoch[b.count] = epoch;
    b.count++;
    b.fenced = 0;
}

void writeFence(State &s, Agent agent) {
    StoreBuffer &b = s.stores[agent];
    // TSO needs none: its buffer is a FIFO anyway.
    if (g_config.model >= Model::kPso && b.count != 0) {
        b.fenced = 1;
    }
}

static void dropStale(State &s, unsigned from, unsigned loc, bool all) {
    unsigned kept = 0;
    for (unsigned i = 0; i < s.staleCount; i++) {
        if (i >= from || !(all || s.stale[i].loc == loc)) {
            s.stale[kept++] = s.stale[i];
        }
    }
    memset(&s.stale[kept], 0, sizeof(StaleValue) * (s.staleCount - kept));
    s.staleCount = uint8_t(kept);
}

void fullFence(State &s, Agent agent) {
    if (agent == kDriver) {
        dropStale(s, s.staleCount, 0, true);
    }
}

static int ownStore(const State &s, Agent agent, unsigned loc) {
    const StoreBuffer &b = s.stores[agent];
    for (int i = int(b.count) - 1; i >= 0; i--) {
        if (b.loc[i] == loc) {
            return i;
        }
    }
    return -1;
}

unsigned loadChoices(const State &s, Agent agent, unsigned loc) {
    unsigned choices = 1;
    if (agent == kDriver && ownStore(s, agent, loc) < 0) {
        for (unsigned i = 0; i < s.staleCount; i++) {
            choices += s.stale[i].loc == loc;
        }
    }
    return choices;
}

uint64_t load(State &s, Agent agent, unsigned loc, bool acquire, unsigned choice) {
    int own = ownStore(s, agent, loc);
    if (own >= 0) {
        return s.stores[agent].value[own];
    }
    if (agent != kDriver) {
        return s.memory[loc];
    }
    // `at`: the first store that this load does not see; `since`: behind the
    // last one of this word that it does see.
    unsigned at = s.staleCount;
    for (unsigned i = s.staleCount; choice > 0 && i-- > 0;) {
        if (s.stale[i].loc == loc) {
            at = i;
            choice--;
        }
    }
    uint64_t value = at < s.staleCount ? s.stale[at].value : s.memory[loc];
    unsigned since = 0;
    for (unsigned i = 0; i < at; i++) {
        if (s.stale[i].loc == loc) {
            since = i + 1;
        }
    }
    // Coherence: this word never goes back. Acquire: nor does any other.
    if (acquire) {
        dropStale(s, since, 0, true);
    } else {
        dropStale(s, since, loc, false);
    }
    return value;
}

bool canFlush(const State &s, Agent agent, unsigned i) {
    const StoreBuffer &b = s.stores[agent];
    if (g_config.model == Model::kTso) {
        return i == 0;
    }
    for (unsigned j = 0; j < i; j++) {
        if (b.loc[j] == b.loc[i] || b.epoch[j] < b.epoch[i]) {
            return false;
        }
    }
    return true;
}

void flush(State &s, Agent agent, unsigned i) {
    StoreBuffer &b = s.stores[agent];
    commit(s, b.loc[i], b.value[i], agent == kDriver);
    MC_TRACE("memory  takes %s = %llx from the %s's buffer", locName(b.loc[i]).c_str(),
             (unsigned long long)b.value[i], agent == kDriver ? "driver" : "device");
    for (unsigned j = i; j + 1 < b.count; j++) {
        b.value[j] = b.value[j + 1];
        b.loc[j] = b.loc[j + 1];
        b.epoch[j] = b.epoch[j + 1];
    }
    b.count--;
    b.value[b.count] = 0;
    b.loc[b.count] = 0;
    b.epoch[b.count] = 0;
    if (b.count == 0) {
        b.fenced = 0;
        return;
    }
    for (uint8_t least = b.epoch[0]; least > 0; least = 0) { // canonical: from 0
        for (unsigned j = 0; j < b.count; j++) {
            b.epoch[j] = uint8_t(b.epoch[j] - least);
        }
    }
}

} // namespace mc
