// SPDX-License-Identifier: MIT
#ifndef VQ7_AGENT_ANSWER_H_
#define VQ7_AGENT_ANSWER_H_

#include "console.h"
#include "framing.h"

namespace agent {

// The answer to one command, as framed lines or as text for a person. A command
// calls Line() and Busy() as it likes and then Ok() or Error() exactly once. A
// framed answer is kept, but for its busy lines, to be sent again.
struct Answer {
    static constexpr size_t kKept = 256 * 1024;
    static constexpr uint64_t kBusyUs = 1000000;

    Console *console;
    char *kept; // kKept bytes
    size_t kept_size;
    bool kept_too_long;
    bool framed;
    bool finished;
    uint32_t seq;
    uint32_t lines;
    uint64_t last_sign_us;
    uint64_t mark; // bytes received before the last line was sent

    void BeginFramed(uint32_t sequence);
    void BeginText();

    void Line(const Writer &text);
    // True about once a second: then call Busy().
    bool BusyDue();
    void Busy(const Writer &text);
    void Ok(const Writer &values);
    void Ok();
    // `values` may be empty; the message is one sentence without its full stop.
    void Error(uint32_t status, const Writer &message, const Writer *values = nullptr);
    void Error(uint32_t status, const char *message);

    // Sends the kept answer again.
    void Repeat();
    // A framed error that isn't kept: the last answer stays the last.
    void Refuse(uint32_t sequence, uint32_t status, const char *message);

  private:
    void Send(Writer &line, bool keep);
    void Finish(Writer &line);
};

} // namespace agent

#endif // VQ7_AGENT_ANSWER_H_
