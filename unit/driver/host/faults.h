// SPDX-License-Identifier: MIT
//
// What few tests break of the machine. Each machine starts without any of it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace vq7::host {

struct Faults {
    // What memory is called by those who look for it, and who looks.
    std::function<std::uint64_t(std::uint64_t)> physical;
    std::u16string no_number; // a parameter that is of another type
};

extern Faults faults;

} // namespace vq7::host
