// SPDX-License-Identifier: MIT
//
// Shared memory between two agents with store buffers. See Model in state.h.
#pragma once

#include "state.h"

namespace mc {

// FALSE: the store buffer has no room for `count` more; wait for a flush.
bool hasRoom(const State &s, Agent agent, unsigned count);
void store(State &s, Agent agent, unsigned loc, uint64_t value);
void writeFence(State &s, Agent agent);
// A full fence waits until its agent's buffer is empty.
inline bool isDrained(const State &s, Agent agent) {
    return s.stores[agent].count == 0;
}
void fullFence(State &s, Agent agent);

// How many values a load may return; `choice` below that selects one, 0 being
// the newest.
unsigned loadChoices(const State &s, Agent agent, unsigned loc);
uint64_t load(State &s, Agent agent, unsigned loc, bool acquire, unsigned choice);

// Entry `i` may go to memory now.
bool canFlush(const State &s, Agent agent, unsigned i);
void flush(State &s, Agent agent, unsigned i);
// Directly to memory: a store that leaves the buffer, or a forged one.
void commit(State &s, unsigned loc, uint64_t value, bool byDriver);

} // namespace mc
