// SPDX-License-Identifier: MIT
// What the device is going to do with one request. It begins as what a correct device
// does; each misbehaviour that the request is chosen for changes it.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string_view>

namespace hostile {

enum class Order { AsTheyCame, NewestFirst };

struct Plan {
    // When it arrives.
    bool hold = false; // until released
    std::chrono::milliseconds delay{0};
    Order order = Order::AsTheyCame;
    bool pretend = false; // answers as if it had done it

    // When it is given back; the right values are there before the change.
    bool writeStatus = true;
    uint8_t status = 0;
    uint32_t usedId = 0;
    uint32_t usedLength = 0;
    uint32_t writable = 0; // how much the buffer holds; a fact, not a decision
};

enum class Moment { Arrival, Completion };

struct Misbehaviour {
    std::string_view name;
    Moment moment;
    std::string_view what;
    uint64_t value; // where the rule gives none
    void (*change)(Plan &plan, uint64_t value);
};

// All there are.
std::span<const Misbehaviour> misbehaviours();

} // namespace hostile
