// SPDX-License-Identifier: MIT
#ifndef VQ7_AGENT_CONSOLE_H_
#define VQ7_AGENT_CONSOLE_H_

#include <stddef.h>
#include <stdint.h>

namespace agent {

// COM1 as the core sees it: input with a count of bytes, so that one can tell
// what came before a moment; output that knows whether a line is begun.
struct Console {
    uint8_t input[4096];
    uint64_t received; // bytes taken from the platform
    uint64_t consumed; // bytes handed out by NextByte()
    bool at_line_start;

    void Init();
    // Takes what has come, as far as there is room; waits at most timeout_ms if
    // nothing is there at all.
    void Pump(uint32_t timeout_ms);
    bool NextByte(uint8_t *byte, uint32_t timeout_ms);
    void Write(const char *bytes, size_t size);
    void Write(const char *text);
    // Ends the line that a prompt or an echo has begun, if one has.
    void FreshLine();
};

enum class LineEvent {
    kNone,    // go on
    kCommand, // a person's line is complete
    kFramed,  // a line that begins with '@' is complete, not yet checked
    kDamaged, // such a line was too long or held a byte that isn't printable
};

// Makes lines of bytes. A line that begins with '@' is taken as it is; any
// other is a person's: echoed, and edited with Backspace, Ctrl-U and Ctrl-C.
struct LineEditor {
    static constexpr size_t kMaxLine = 1024; // with its end

    char line[kMaxLine];
    size_t size;
    bool framed;
    bool bad;
    bool after_cr;
    uint8_t escape; // 1: after ESC, 2: inside a control sequence

    void Init();
    // On an event other than kNone, `line` and `size` hold the line without its
    // end until the next call.
    LineEvent Feed(uint8_t byte, Console &console);

  private:
    bool done_;
    LineEvent End(Console &console, size_t end_size);
    LineEvent FeedFramed(uint8_t byte);
    LineEvent FeedPerson(uint8_t byte, Console &console);
    bool SwallowEscape(uint8_t byte);
    void Erase(Console &console);
};

} // namespace agent

#endif // VQ7_AGENT_CONSOLE_H_
