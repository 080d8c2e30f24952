// SPDX-License-Identifier: MIT
#include "console.h"

namespace agent {

void LineEditor::Init() {
    size = 0;
    framed = false;
    bad = false;
    after_cr = false;
    escape = 0;
    done_ = false;
}

LineEvent LineEditor::Feed(uint8_t byte, Console &console) {
    if (done_) {
        size = 0;
        framed = false;
        bad = false;
        escape = 0;
        done_ = false;
    }
    bool lf_of_crlf = byte == '\n' && after_cr;
    after_cr = byte == '\r';
    if (lf_of_crlf)
        return LineEvent::kNone;
    if (byte == '\r' || byte == '\n')
        return End(console, byte == '\r' ? 2 : 1);
    if (size == 0 && !bad && !escape && byte == '@')
        framed = true;
    return framed ? FeedFramed(byte) : FeedPerson(byte, console);
}

LineEvent LineEditor::End(Console &console, size_t end_size) {
    done_ = true;
    if (!framed) {
        console.Write("\r\n");
        return LineEvent::kCommand;
    }
    return bad || size + end_size > kMaxLine ? LineEvent::kDamaged : LineEvent::kFramed;
}

LineEvent LineEditor::FeedFramed(uint8_t byte) {
    if (byte < 0x20 || byte > 0x7E || size == sizeof(line))
        bad = true;
    else
        line[size++] = static_cast<char>(byte);
    return LineEvent::kNone;
}

// Cursor keys and the like: ESC [ parameters final, or ESC and one character.
bool LineEditor::SwallowEscape(uint8_t byte) {
    if (byte == 0x1B) {
        escape = 1;
        return true;
    }
    if (escape == 1) {
        escape = byte == '[' || byte == 'O' ? 2 : 0;
        return true;
    }
    if (escape == 2) {
        if (byte >= 0x40)
            escape = 0;
        return true;
    }
    return false;
}

void LineEditor::Erase(Console &console) {
    size--;
    console.Write("\b \b");
}

LineEvent LineEditor::FeedPerson(uint8_t byte, Console &console) {
    constexpr uint8_t kCtrlC = 3, kCtrlU = 21, kBackspace = 8, kDelete = 127;
    if (SwallowEscape(byte))
        return LineEvent::kNone;
    if (byte == kBackspace || byte == kDelete) {
        if (size)
            Erase(console);
    } else if (byte == kCtrlU) {
        while (size)
            Erase(console);
    } else if (byte == kCtrlC) {
        console.Write("^C\r\n");
        size = 0;
        done_ = true;
        return LineEvent::kCommand;
    } else if (byte >= 0x20 && byte < 0x7F) {
        if (size + 2 < sizeof(line)) {
            line[size++] = static_cast<char>(byte);
            console.Write(&line[size - 1], 1);
        } else {
            console.Write("\a");
        }
    }
    return LineEvent::kNone;
}

} // namespace agent
