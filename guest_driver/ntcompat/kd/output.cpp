// SPDX-License-Identifier: MIT
//
// Debug output: port 0xE9 always, COM1 once the guest is stopping.
#include "kdp.h"

#include "rtl/rtlp.h"

extern "C" {

enum {
    KD_DEBUG_PORT = 0xE9,
    KD_COM1 = 0x3F8,
    KD_LINE_STATUS = KD_COM1 + 5,
    KD_TRANSMITTER_EMPTY = 0x20,
    KD_SPIN_LIMIT = 1000000
};

static bool KdSerial, KdSilent;
const char *KdBugCheckText;

void KdInitSystem(NTC_LOADER_BLOCK *block) {
    (void)block;
    KdSerial = false;
}

void KdEnableSerialOutput(void) {
    __outbyte(KD_COM1 + 1, 0); // no interrupts any more
    KdSerial = !KdSilent;
}

// As Windows, which says a bug check on the screen and to the debugger alone.
void KdKeepSerialSilent(void) {
    KdSilent = true;
}

static void KdPutSerial(char c) {
    for (int i = 0; i < KD_SPIN_LIMIT; i++) // a stuck line must not hide the rest
        if (__inbyte(KD_LINE_STATUS) & KD_TRANSMITTER_EMPTY)
            break;
    __outbyte(KD_COM1, (UCHAR)c);
}

static void KdPut(const char *text) {
    for (; *text; text++) {
        __outbyte(KD_DEBUG_PORT, (UCHAR)*text);
        if (KdSerial) {
            if (*text == '\n')
                KdPutSerial('\r');
            KdPutSerial(*text);
        }
    }
}

void KdPrintV(const char *format, va_list arguments) {
    char buffer[512]; // the limit of one DbgPrint on Windows as well
    RtlpFormat(buffer, sizeof(buffer), format, arguments);
    KdPut(buffer);
}

void KdPrint_(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    KdPrintV(format, arguments);
    va_end(arguments);
}

// To the log, where nothing is filtered, and to the debugger.
static void KdPrintFor(const char *prefix, ULONG component, ULONG level, const char *format,
                       va_list arguments) {
    char buffer[512]; // the limit of one DbgPrint on Windows as well
    size_t length = 0;
    for (; prefix[length] && length < sizeof(buffer) / 2; length++)
        buffer[length] = prefix[length];
    RtlpFormat(buffer + length, sizeof(buffer) - length, format, arguments);
    KdPut(buffer);
    KdPrintToDebugger(component, level, buffer);
}

#undef DbgPrint
NTC_EXPORT ULONG DbgPrint(PCSTR format, ...) {
    va_list arguments;
    va_start(arguments, format);
    KdPrintFor("", DPFLTR_DEFAULT_ID, DPFLTR_INFO_LEVEL, format, arguments);
    va_end(arguments);
    return 0; // STATUS_SUCCESS
}

NTC_EXPORT ULONG DbgPrintEx(ULONG component, ULONG level, PCSTR format, ...) {
    va_list arguments;
    va_start(arguments, format);
    KdPrintFor("", component, level, format, arguments);
    va_end(arguments);
    return 0;
}

NTC_EXPORT ULONG vDbgPrintEx(ULONG component, ULONG level, PCCH format, va_list arguments) {
    KdPrintFor("", component, level, format, arguments);
    return 0;
}

NTC_EXPORT ULONG vDbgPrintExWithPrefix(PCCH prefix, ULONG component, ULONG level, PCCH format,
                                       va_list arguments) {
    KdPrintFor(prefix, component, level, format, arguments);
    return 0;
}

void KdUnimplemented(const char *what) {
    KdBugCheckText = what;
    KeBugCheckEx(0xDEAD0001, (ULONG_PTR)what, (ULONG_PTR)__builtin_return_address(0), 0, 0);
}

void KdViolation(ULONG code, const char *rule, uint64_t p1, uint64_t p2, uint64_t p3, uint64_t p4) {
    KdBugCheckText = rule;
    KeBugCheckEx(code, p1, p2, p3, p4);
}

} // extern "C"
