// SPDX-License-Identifier: MIT
#include "console.h"

#include "../platform.h"
#include "text.h"

namespace agent {

void Console::Init() {
    received = 0;
    consumed = 0;
    at_line_start = true;
}

void Console::Pump(uint32_t timeout_ms) {
    for (;;) {
        size_t used = static_cast<size_t>(received - consumed);
        size_t at = static_cast<size_t>(received % sizeof(input));
        size_t room = sizeof(input) - used;
        if (room > sizeof(input) - at)
            room = sizeof(input) - at;
        if (room == 0)
            return;
        size_t count = platform::ConsoleRead(input + at, room, used ? 0 : timeout_ms);
        if (count == 0)
            return;
        received += count;
    }
}

bool Console::NextByte(uint8_t *byte, uint32_t timeout_ms) {
    if (received == consumed)
        Pump(timeout_ms);
    if (received == consumed)
        return false;
    *byte = input[consumed % sizeof(input)];
    consumed++;
    return true;
}

void Console::Write(const char *bytes, size_t size) {
    if (size == 0)
        return;
    platform::ConsoleWrite(reinterpret_cast<const uint8_t *>(bytes), size);
    at_line_start = bytes[size - 1] == '\n';
}

void Console::Write(const char *text) {
    Write(text, Length(text));
}

void Console::FreshLine() {
    if (!at_line_start)
        Write("\r\n");
}

} // namespace agent
