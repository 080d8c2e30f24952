// SPDX-License-Identifier: MIT
//
// Breadth-first over all states, each once; the shortest way to a violation.
#pragma once

#include "state.h"

#include <string>
#include <vector>

namespace mc {

struct Result {
    uint64_t states = 0;
    uint64_t steps = 0;    // edges between them
    unsigned depth = 0;    // of the deepest state
    uint64_t ends = 0;     // states without a step
    bool complete = false; // FALSE: the limit of states was reached
    std::string violation;
    std::vector<std::string> trace; // what led there
};

// Explores g_config until all is seen, or `limit` states, or a violation.
Result explore(uint64_t limit);

} // namespace mc
