// SPDX-License-Identifier: MIT
// What the device is going to do with one request. It begins as what a correct device
// does; each misbehaviour that the request is chosen for changes it.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace hostile {

using std::chrono::milliseconds;

enum class Order { AsTheyCame, NewestFirst };

// Memory that is the driver's to write and the device's to read alone.
enum Scribble : unsigned {
    ScribbleDescriptors = 1, // of the request's chain, in the descriptor table
    ScribbleTable = 2,       // its indirect table
    ScribbleAvailable = 4,   // its entry of the available ring, and the index
    ScribbleReadable = 8,    // what the device was given to read: header, data to be written
    ScribbleUsed = 16,       // the entry of the used ring that comes next
    ScribbleBehind = 32,     // the second page behind the used ring
};

// What is written after the buffer has been given back.
struct Late {
    milliseconds after{0};
    bool data = false, status = false;
    std::optional<uint8_t> statusValue; // that of the answer otherwise
};

struct Plan {
    // When it arrives.
    bool hold = false;   // until released
    bool forget = false; // no answer at all
    milliseconds delay{0};
    Order order = Order::AsTheyCame;
    bool pretend = false;                // answers as if it had done it
    bool early = false;                  // interrupts before there is anything
    std::optional<milliseconds> hangUp;  // the connection ends, for so long
    std::optional<uint16_t> eventOffset; // added to avail_event, until the next request
    bool noNotify = false;               // used->flags says so, and avail_event is far away
    milliseconds flicker{0}, polling{0}; // for so long: event fields at random; without kicks
    std::optional<Late> late;

    // When it is given back; the right values are there before the change.
    bool writeStatus = true;
    uint8_t status = 0;
    uint32_t usedId = 0;
    uint32_t usedLength = 0;
    unsigned copies = 1;        // so many used entries
    uint16_t indexOffset = 0;   // added to what used->idx says, until the next request
    bool interrupt = true;      // as the driver wants it
    unsigned scribble = 0;      // Scribble bits, before the buffer is given back
    unsigned storm = 0;         // so many interrupts more, a while apart
    unsigned scribbleAfter = 0; // Scribble bits, when the buffer is given back
    uint32_t outside = 0;       // so many bytes written on both sides of the buffer's data

    // Facts, not decisions.
    uint32_t writable = 0;            // how much the buffer holds
    uint16_t queueSize = 0;           // descriptors
    std::optional<uint16_t> inside;   // a descriptor of the chain that isn't its head
    std::optional<uint16_t> unissued; // one that was never the head of a buffer
    uint64_t random = 0;              // of the rule's seed, another one for each request
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
