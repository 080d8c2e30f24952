// SPDX-License-Identifier: MIT
#ifndef VQ7_AGENT_AGENT_H_
#define VQ7_AGENT_AGENT_H_

#include "answer.h"
#include "args.h"
#include "console.h"
#include "devices.h"

namespace agent {

constexpr uint32_t kProtocolVersion = 1;

enum class AfterAnswer { kNothing, kRestart, kPowerOff };

// The agent: reads lines, runs commands. One thread.
struct Agent {
    Console console;
    LineEditor editor;
    Answer answer;
    Devices devices;
    bool driver_unloaded;
    AfterAnswer after;
    bool have_last; // the last framed request
    uint32_t last_seq;
    size_t last_size;
    char last_command[LineEditor::kMaxLine];

    // Prints banner, hello and prompt.
    void Start();
    // Waits at most timeout_ms for a byte and does what it completes. False: none.
    bool Step(uint32_t timeout_ms);

  private:
    void OnFramed();
    void OnCommand();
    void OnDamaged();
    void Prompt();
    void Finish();
};

// Null: no memory. Never freed: an agent lives as long as its system.
Agent *CreateAgent();

} // namespace agent

#endif // VQ7_AGENT_AGENT_H_
