// SPDX-License-Identifier: MIT
//
// How a harness says that the library broke a promise: one line, and abort, which
// every fuzzer takes for a crash.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace fuzz {

[[noreturn]] inline void Broken(const char *what) {
    std::fprintf(stderr, "property broken: %s\n", what);
    std::abort();
}

inline void Require(bool condition, const char *what) {
    if (!condition) [[unlikely]] {
        Broken(what);
    }
}

} // namespace fuzz
