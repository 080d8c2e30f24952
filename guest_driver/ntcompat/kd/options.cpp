// SPDX-License-Identifier: MIT
//
// Boot options, written as Windows' own: words of the kernel command line that begin with
// a slash. The others are registry values (cm).
#include "kdp.h"

namespace {

char Lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

// The word at `at` begins with `name`; behind it a value may follow.
bool Is(const char *at, const char *name) {
    for (; *name; at++, name++)
        if (Lower(*at) != *name)
            return false;
    return *at == 0 || *at == ' ' || *at == '=';
}

ULONG Option(const char *at, int length) {
    if (Is(at, "/nodebug"))
        return KD_OPTION_OFF;
    if (Is(at, "/debug"))
        return KD_OPTION_DEBUG;
    if (Is(at, "/break"))
        return KD_OPTION_DEBUG | KD_OPTION_BREAK;
    if (Is(at, "/silentstop"))
        return KD_OPTION_SILENT;
    // There is one port, and its speed is no matter.
    if (!Is(at, "/debugport=com2") && !Is(at, "/baudrate"))
        KdPrint_("kd: boot option '%.*s' is unknown, ignored: /debug, /break, /nodebug, "
                 "/debugport=com2, /baudrate=N, /silentstop\n",
                 length, at);
    return 0;
}

} // namespace

ULONG KdpBootOptions(void) {
    ULONG options = 0;
    const char *at = KeLoaderBlock->command_line;
    while (*at) {
        int length = 0;
        while (at[length] && at[length] != ' ')
            length++;
        if (*at == '/')
            options |= Option(at, length);
        at += length;
        while (*at == ' ')
            at++;
    }
    return options;
}
