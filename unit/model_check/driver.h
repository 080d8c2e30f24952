// SPDX-License-Identifier: MIT
//
// The driver's side: the library's own code, and a program that calls it.
#pragma once

#include "state.h"

#include <functional>

namespace mc {

// Takes a successor of the state that is being expanded.
using Emit = std::function<void(const State &)>;

// Memory, private state and hooks for g_config; call it first.
void driverSetUp();
// The state after VirtqSplitInit, with both sides' indices at g_config.start.
State initialState();
// Every step the driver can take: what it does up to its next load or fence.
void driverSteps(const State &s, const Emit &emit);
// Whether the device's reset, VirtqSplitDetachUnused and VirtqSplitReset bring
// everything back exactly once, from here.
void checkRecovery(const State &s);
// Whether no buffer is missing when nothing is outstanding.
void checkNothingLeft(const State &s);

namespace hooks {

// Copies the state's private bytes to where the library has them, and back.
void enter(const State &s);
void leave(State &s);

// Runs the call under way: what was done before without effect, then up to one
// load that is new, and on to the next. FALSE: not finished; `progress` says
// whether anything happened, `choices` how many values that load could have had.
struct Outcome {
    bool finished;
    bool progress;
    unsigned choices;
};
Outcome run(State &s, unsigned choice, void (*body)());
void setUpViews();
// The library touched shared memory by a way that no primitive reports.
void checkUntouched();
void poisonViews();
extern uint8_t *g_desc, *g_avail, *g_used;
void *privateMemory();

} // namespace hooks
} // namespace mc
