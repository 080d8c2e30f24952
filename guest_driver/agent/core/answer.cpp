// SPDX-License-Identifier: MIT
#include "answer.h"

#include "../platform.h"
#include "status.h"

namespace agent {
namespace {

// A line under construction: the body stops where the checksum still fits.
struct FramedLine : Text<1024> {
    FramedLine() {
        capacity = kFramedBody;
    }
    void Close() {
        capacity = 1024;
        Seal(*this);
    }
};

void Quoted(Writer &out, const Writer &message) {
    out.Str(" msg=\"");
    // One character, perhaps escaped, and the closing quote must still fit.
    for (size_t i = 0; i < message.size && out.size + 3 <= out.capacity; i++) {
        char c = message.data[i];
        if (c == '"' || c == '\\')
            out.Char('\\');
        out.Char(c);
    }
    out.Char('"');
}

void ErrorBody(Writer &out, uint32_t lines, uint32_t status, const Writer *values) {
    out.Str(" error lines=").Dec(lines).Str(" status=0x").Hex(status, 8);
    out.Str(" name=").Str(StatusName(status));
    if (values && values->size)
        out.Char(' ').Str(values->data, values->size);
}

} // namespace

void Answer::BeginFramed(uint32_t sequence) {
    framed = true;
    finished = false;
    seq = sequence;
    lines = 0;
    kept_size = 0;
    kept_too_long = false;
    last_sign_us = platform::MonotonicUs();
}

void Answer::BeginText() {
    framed = false;
    finished = false;
    lines = 0;
    last_sign_us = platform::MonotonicUs();
}

void Answer::Send(Writer &line, bool keep) {
    console->FreshLine();
    console->Write(line.data, line.size);
    last_sign_us = platform::MonotonicUs();
    if (!keep)
        return;
    if (kept_too_long || line.size > kKept - kept_size) {
        kept_too_long = true;
        return;
    }
    for (size_t i = 0; i < line.size; i++)
        kept[kept_size++] = line.data[i];
}

// What came while the command ran is answered by this line: see Agent.
void Answer::Finish(Writer &line) {
    console->Pump(0);
    mark = console->received;
    finished = true;
    Send(line, framed);
}

void Answer::Line(const Writer &text) {
    FramedLine line;
    lines++;
    if (framed) {
        line.Char('@').Dec(seq).Str(" #").Dec(lines).Char(' ').Str(text.data, text.size);
        line.Close();
    } else {
        line.Str(text.data, text.size).Str("\r\n");
    }
    Send(line, framed);
}

bool Answer::BusyDue() {
    return platform::MonotonicUs() - last_sign_us >= kBusyUs;
}

void Answer::Busy(const Writer &text) {
    FramedLine line;
    if (framed)
        line.Char('@').Dec(seq).Char(' ');
    line.Str("busy ").Str(text.data, text.size);
    if (framed)
        line.Close();
    else
        line.Str("\r\n");
    Send(line, false);
}

void Answer::Ok(const Writer &values) {
    FramedLine line;
    if (framed)
        line.Char('@').Dec(seq).Str(" ok lines=").Dec(lines);
    else
        line.Str("ok");
    if (values.size)
        line.Char(' ').Str(values.data, values.size);
    if (framed)
        line.Close();
    else
        line.Str("\r\n");
    Finish(line);
}

void Answer::Ok() {
    Text<1> nothing;
    Ok(nothing);
}

void Answer::Error(uint32_t status, const Writer &message, const Writer *values) {
    FramedLine line;
    if (framed) {
        line.Char('@').Dec(seq);
        ErrorBody(line, lines, status, values);
        Quoted(line, message);
        line.Close();
        Finish(line);
        return;
    }
    if (values && values->size)
        Line(*values);
    line.Str("error: ").Str(message.data, message.size).Str(" (").Str(StatusName(status));
    line.Str(", 0x").Hex(status, 8).Str(")\r\n");
    Finish(line);
}

void Answer::Error(uint32_t status, const char *message) {
    Text<256> text;
    text.Str(message);
    Error(status, text);
}

void Answer::Repeat() {
    if (kept_too_long) {
        Refuse(seq, kAnswerTooLong, "the answer was too long to be kept");
        return;
    }
    console->FreshLine();
    console->Write(kept, kept_size);
}

void Answer::Refuse(uint32_t sequence, uint32_t status, const char *message) {
    FramedLine line;
    Text<256> text;
    text.Str(message);
    line.Char('@').Dec(sequence);
    ErrorBody(line, 0, status, nullptr);
    Quoted(line, text);
    line.Close();
    Send(line, false);
}

} // namespace agent
