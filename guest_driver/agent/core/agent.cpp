// SPDX-License-Identifier: MIT
#include "agent.h"

#include "../platform.h"
#include "commands.h"
#include "status.h"

namespace agent {

Agent *CreateAgent() {
    Agent *agent = static_cast<Agent *>(platform::AllocatePages(sizeof(Agent)));
    char *kept = static_cast<char *>(platform::AllocatePages(Answer::kKept));
    if (!agent || !kept) {
        if (agent)
            platform::FreePages(agent);
        if (kept)
            platform::FreePages(kept);
        return nullptr;
    }
    agent->console.Init();
    agent->editor.Init();
    agent->answer.console = &agent->console;
    agent->answer.kept = kept;
    return agent;
}

void Agent::Start() {
    uint32_t count = platform::DeviceCount();
    Text<128> banner;
    banner.Str("\r\nvq7agent ").Dec(kProtocolVersion).Char(' ').Str(platform::GuestName());
    banner.Char(' ').Str(platform::Architecture()).Str(", ").Dec(count);
    banner.Str(count == 1 ? " device\r\n" : " devices\r\n");
    console.Write(banner.data, banner.size);

    Text<256> hello;
    hello.Str("@0 hello").Key("version", kProtocolVersion).Key("guest", platform::GuestName());
    hello.Key("arch", platform::Architecture()).Key("boot").Hex(platform::BootId(), 16);
    hello.Key("devices", count);
    Seal(hello);
    console.Write(hello.data, hello.size);
    Prompt();
}

void Agent::Prompt() {
    console.Write("vq7> ");
}

bool Agent::Step(uint32_t timeout_ms) {
    uint8_t byte;
    if (!console.NextByte(&byte, timeout_ms))
        return false;
    switch (editor.Feed(byte, console)) {
    case LineEvent::kNone:
        break;
    case LineEvent::kCommand:
        OnCommand();
        break;
    case LineEvent::kFramed:
        OnFramed();
        break;
    case LineEvent::kDamaged:
        OnDamaged();
        break;
    }
    return true;
}

void Agent::OnDamaged() {
    Text<64> line;
    line.Str("@0 damaged");
    Seal(line);
    console.FreshLine();
    console.Write(line.data, line.size);
}

void Agent::OnCommand() {
    size_t words = 0;
    for (size_t i = 0; i < editor.size; i++)
        words += editor.line[i] != ' ';
    if (words) {
        answer.BeginText();
        RunCommand(*this, editor.line, editor.size);
        Finish();
    }
    Prompt();
}

void Agent::OnFramed() {
    FramedRequest request;
    if (!ParseFramed(editor.line, editor.size, &request)) {
        OnDamaged();
        return;
    }
    if (have_last && request.seq == last_seq) {
        if (!Equal(request.command, request.command_size, last_command, last_size))
            answer.Refuse(request.seq, kSequenceReused, "this number was another command's");
        else if (console.consumed > answer.mark)
            answer.Repeat();
        // else it came while the command ran, and its one answer has been sent
        return;
    }
    have_last = true;
    last_seq = request.seq;
    last_size = request.command_size;
    for (size_t i = 0; i < last_size; i++)
        last_command[i] = request.command[i];
    answer.BeginFramed(request.seq);
    RunCommand(*this, last_command, last_size);
    Finish();
}

void Agent::Finish() {
    if (after == AfterAnswer::kNothing)
        return;
    uint32_t status = platform::Shutdown(after == AfterAnswer::kRestart);
    after = AfterAnswer::kNothing;
    if (Succeeded(status))
        return;
    Text<128> line;
    line.Str("the system did not shut down: ").Str(StatusName(status));
    line.Str(" (0x").Hex(status, 8).Str(")\r\n");
    console.Write(line.data, line.size);
}

} // namespace agent
