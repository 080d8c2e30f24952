// SPDX-License-Identifier: MIT
//
// Framed lines, docs/console-protocol.md ("Framed lines").
#ifndef VQ7_AGENT_FRAMING_H_
#define VQ7_AGENT_FRAMING_H_

#include "text.h"

namespace agent {

constexpr size_t kSealSize = 12;                 // " *" 8 digits CR LF
constexpr size_t kFramedBody = 1024 - kSealSize; // bytes before the checksum

struct FramedRequest {
    uint32_t seq;
    const char *command; // inside the line
    size_t command_size; // without spaces at its ends
};

// Checks a line without its end. False: the checksum is missing or wrong, or
// there is no sequence number from 1 to 4294967295 between '@' and a space.
bool ParseFramed(const char *line, size_t size, FramedRequest *request);

// Appends checksum and CR LF to the text so far.
void Seal(Writer &line);

} // namespace agent

#endif // VQ7_AGENT_FRAMING_H_
