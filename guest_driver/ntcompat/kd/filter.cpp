// SPDX-License-Identifier: MIT
//
// DbgPrint in the debugger: who prints is filtered by component and level as on Windows;
// what passes goes into the buffer that `!dbgprint` shows, and out when somebody is there.
#include "debugger.h"

#include "components.h"

#include "cm/cm.h"

extern "C" {

// Errors of all components pass.
ULONG Kd_WIN2000_Mask = 1;
#define KD_MASK(name) ULONG Kd_##name##_Mask;
KD_COMPONENTS(KD_MASK)

enum { KD_PRINT_BUFFER = 4096 };
char KdPrintDefaultCircularBuffer[KD_PRINT_BUFFER];
char *KdPrintCircularBuffer = KdPrintDefaultCircularBuffer;
char *KdPrintWritePointer = KdPrintDefaultCircularBuffer;
ULONG KdPrintBufferSize = KD_PRINT_BUFFER;
ULONG KdPrintRolloverCount;

} // extern "C"

namespace {

struct Component {
    const WCHAR *name;
    ULONG *mask;
};

#define KD_ENTRY(name) {L"" #name, &Kd_##name##_Mask},
const Component table[] = {KD_COMPONENTS(KD_ENTRY)};

enum {
#define KD_INDEX(name) Index##name,
    KD_COMPONENTS(KD_INDEX)
};
#define KD_CHECK(name) static_assert((int)Index##name == (int)DPFLTR_##name##_ID, "dpfilter.h");
KD_COMPONENTS(KD_CHECK)
static_assert(RTL_NUMBER_OF(table) == DPFLTR_ENDOFTABLE_ID, "dpfilter.h");

// nullptr: there is no such component.
ULONG *MaskOf(ULONG component) {
    if (component == KD_ALWAYS)
        return &Kd_WIN2000_Mask;
    return component < RTL_NUMBER_OF(table) ? table[component].mask : nullptr;
}

// Levels up to 31 are numbers of bits, others are masks.
ULONG Bits(ULONG level) {
    return level < 32 ? 1u << level : level;
}

// TRUE, FALSE, or an error. The mask of Windows 2000 lets through for all components.
NTSTATUS State(ULONG component, ULONG level) {
    const ULONG *mask = MaskOf(component);
    if (!mask)
        return STATUS_INVALID_PARAMETER_1;
    return ((Kd_WIN2000_Mask | *mask) & Bits(level)) != 0;
}

void Remember(const char *text) {
    for (; *text; text++) {
        *KdPrintWritePointer++ = *text;
        if (KdPrintWritePointer == KdPrintDefaultCircularBuffer + KD_PRINT_BUFFER) {
            KdPrintWritePointer = KdPrintDefaultCircularBuffer;
            KdPrintRolloverCount++;
        }
    }
}

size_t Length(const char *text) {
    size_t length = 0;
    while (text[length])
        length++;
    return length;
}

KD_RESULT SendText(ULONG api, const char *text, ULONG room) {
    const KD_DEBUG_IO io = {api, (uint16_t)KiPcr.Prcb.CpuType, 0, (uint32_t)Length(text), room};
    return KdLinkSend(&KdpLink, KdTypeDebugIo, {&io, sizeof(io)}, {text, io.length}, KD_TRIES,
                      KD_PATIENCE);
}

ULONG TakeAnswer(const uint8_t *payload, size_t length, char *response, ULONG room) {
    const KD_DEBUG_IO *io = (const KD_DEBUG_IO *)payload;
    if (length < sizeof(*io) || io->api != KdIoGetString)
        return 0;
    ULONG count = io->read;
    if (count > room)
        count = room;
    if (count > length - sizeof(*io))
        count = (ULONG)(length - sizeof(*io));
    for (ULONG i = 0; i < count; i++)
        response[i] = (char)payload[sizeof(*io) + i];
    return count;
}

// A prompt waits for ever for its answer, once it has been taken note of.
ULONG Ask(const char *prompt, char *response, ULONG room) {
    for (;;) {
        if (SendText(KdIoGetString, prompt, room) != KdDone) {
            KdpSetPresent(false);
            return 0;
        }
        for (KD_RESULT result = KdTimedOut; result == KdTimedOut;) {
            const uint8_t *payload;
            size_t length;
            result = KdLinkReceive(&KdpLink, KdTypeDebugIo, KD_STATE_PATIENCE, &payload, &length);
            if (result == KdDone)
                return TakeAnswer(payload, length, response, room);
        }
    }
}

} // namespace

// `DebugPrintFilter.<component>=0x8` on the command line, for the values that Windows keeps
// in the registry's key of that name.
void KdpReadFilters(void) {
    for (const Component &c : table)
        *c.mask = CmpCommandLineDword(L"DebugPrintFilter", c.name, *c.mask);
    Kd_WIN2000_Mask = CmpCommandLineDword(L"DebugPrintFilter", L"WIN2000", Kd_WIN2000_Mask);
}

extern "C" {

void KdPrintToDebugger(ULONG component, ULONG level, const char *text) {
    if ((component != KD_ALWAYS && State(component, level) != TRUE) || !KdpEnter())
        return;
    Remember(text);
    if (KdpIsPresent() && *text && SendText(KdIoPrintString, text, 0) != KdDone)
        KdpSetPresent(false);
    KdpLeave();
}

NTC_EXPORT ULONG NTAPI DbgPrompt(PCCH prompt, PCH response, ULONG room) {
    ULONG count = 0;
    if (KdpIsPresent() && KdpEnter()) {
        count = Ask(prompt, response, room);
        KdpLeave();
    }
    return count;
}

NTSTATUS DbgQueryDebugFilterState(ULONG component, ULONG level) {
    return State(component, level);
}

NTSTATUS DbgSetDebugFilterState(ULONG component, ULONG level, BOOLEAN state) {
    ULONG *mask = MaskOf(component);
    if (!mask)
        return STATUS_INVALID_PARAMETER_1;
    *mask = state ? *mask | Bits(level) : *mask & ~Bits(level);
    return STATUS_SUCCESS;
}

// Asks by an empty print, as whoever was there may have gone.
BOOLEAN KdRefreshDebuggerNotPresent(VOID) {
    if (KdDebuggerEnabled && KdpEnter()) {
        KdpSetPresent(SendText(KdIoPrintString, "", 0) == KdDone);
        KdpLeave();
    }
    return KdDebuggerNotPresent;
}

} // extern "C"
