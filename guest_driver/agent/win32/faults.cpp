// SPDX-License-Identifier: MIT
//
// Windows has no such faults on demand: Driver Verifier's are not the agent's to switch on.
#include "../core/status.h"
#include "../platform.h"

namespace platform {

uint32_t SetLowResources(uint32_t) {
    return agent::kNotSupported;
}

uint32_t GetLowResources(LowResources *) {
    return agent::kNotSupported;
}

uint32_t AddLie(const Lie &) {
    return agent::kNotSupported;
}

uint32_t GetLie(uint32_t, Lie *) {
    return agent::kNotSupported;
}

uint32_t ClearLies() {
    return agent::kNotSupported;
}

} // namespace platform
