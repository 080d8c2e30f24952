// SPDX-License-Identifier: MIT
// What has happened since the start, for whoever asks over the control socket.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace hostile {

struct Counters {
    uint64_t connections = 0;
    uint64_t starts = 0; // of a ring
    uint64_t kicks = 0;
    uint64_t calls = 0;
    uint64_t suppressed = 0;  // calls that the driver didn't want
    uint64_t requests = 0;    // taken from a ring
    uint64_t completed = 0;   // given back
    uint64_t misbehaved = 0;  // of `completed`: by a rule
    uint64_t resubmitted = 0; // found in the record of requests in flight
    uint64_t forgotten = 0;   // at a stop or at the end of a connection, without an answer
    uint64_t ring_errors = 0; // what no driver may do
    std::map<std::string, uint64_t, std::less<>> kinds;
    std::string last_error;
};

} // namespace hostile
