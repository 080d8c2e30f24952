// SPDX-License-Identifier: MIT
#include "framing.h"

#include "crc32.h"

namespace agent {
namespace {

// Eight lower-case hexadecimal digits.
bool ParseChecksum(const char *text, uint32_t *value) {
    uint32_t result = 0;
    for (int i = 0; i < 8; i++) {
        char c = text[i];
        if (c >= '0' && c <= '9')
            result = result << 4 | static_cast<uint32_t>(c - '0');
        else if (c >= 'a' && c <= 'f')
            result = result << 4 | static_cast<uint32_t>(c - 'a' + 10);
        else
            return false;
    }
    *value = result;
    return true;
}

bool ParseSequence(const char *text, size_t size, uint32_t *seq) {
    uint64_t value = 0;
    if (size == 0 || size > 10)
        return false;
    for (size_t i = 0; i < size; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        value = value * 10 + static_cast<unsigned>(text[i] - '0');
    }
    *seq = static_cast<uint32_t>(value);
    return value >= 1 && value <= UINT32_MAX;
}

} // namespace

bool ParseFramed(const char *line, size_t size, FramedRequest *request) {
    constexpr size_t kTail = 10; // " *" and the digits
    if (size < 1 + kTail || line[0] != '@')
        return false;
    size_t body = size - kTail;
    uint32_t checksum;
    if (line[body] != ' ' || line[body + 1] != '*' || !ParseChecksum(line + body + 2, &checksum) ||
        checksum != Crc32(0, line, body))
        return false;
    size_t at = 1;
    while (at < body && line[at] != ' ')
        at++;
    if (!ParseSequence(line + 1, at - 1, &request->seq))
        return false;
    while (at < body && line[at] == ' ')
        at++;
    while (body > at && line[body - 1] == ' ')
        body--;
    request->command = line + at;
    request->command_size = body - at;
    return true;
}

void Seal(Writer &line) {
    uint32_t checksum = Crc32(0, line.data, line.size);
    line.Str(" *").Hex(checksum, 8).Str("\r\n");
}

} // namespace agent
