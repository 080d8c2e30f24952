// SPDX-License-Identifier: MIT
//
// The device's side, written from Virtio 1.2, and the adversary.
#pragma once

#include "driver.h"

namespace mc {

void deviceSteps(const State &s, const Emit &emit);
// While the budget lasts: any shared word may be forged at any moment.
void adversarySteps(const State &s, const Emit &emit);

} // namespace mc
