// SPDX-License-Identifier: MIT
//
// ASSERT that fails: with a debugger its user is asked what to do, in Windows' words, which
// debuggers and scripts know.
#include "kdp.h"

namespace {

const char kQuestion[] = "Break repeatedly, break Once, Ignore, terminate Process, or "
                         "terminate Thread (boipt)? ";
enum : char { LOWER_CASE = 0x20 };

struct Assertion {
    const char *text, *file, *message;
    ULONG line;
};

void Print(const Assertion *a) {
    (void)DbgPrintEx(KD_ALWAYS, DPFLTR_ERROR_LEVEL,
                     "\n*** Assertion failed: %s%s\n***   Source File: %s, line %ld\n\n",
                     a->message, a->text, a->file, a->line);
}

void Violation(const Assertion *a) {
    KdViolation(DRIVER_VERIFIER_DETECTED_VIOLATION, "assertion failed", 0, (uint64_t)a->text,
                (uint64_t)a->file, a->line);
}

// The answer's letter, in lower case; 0: nobody answers.
char Ask(void) {
    char answer[2] = {0, 0};
    if (DbgPrompt(kQuestion, answer, sizeof(answer)) == 0 && KdDebuggerNotPresent)
        return 0;
    return (char)(answer[0] | LOWER_CASE);
}

} // namespace

extern "C" {

// Asks again after anything but "once" and "ignore": after a break that is to be repeated,
// an answer that is none, and "process", since the System process doesn't end.
NTC_EXPORT VOID NTAPI RtlAssert(PVOID failed, PVOID file, ULONG line, PCHAR message) {
    const Assertion a = {(const char *)failed, (const char *)file, message ? message : "", line};
    CONTEXT context;
    RtlCaptureContext(&context);
    for (;;) {
        Print(&a);
        const char answer = Ask();
        if (answer == 0)
            Violation(&a);
        if (answer == 'i')
            return;
        if (answer == 't')
            PsTerminateSystemThread(STATUS_UNSUCCESSFUL);
        if (answer != 'b' && answer != 'o')
            continue;
        (void)DbgPrintEx(KD_ALWAYS, DPFLTR_ERROR_LEVEL, "Execute '.cxr %p' to dump context\n",
                         &context);
        DbgBreakPoint();
        if (answer == 'o')
            return;
    }
}

} // extern "C"
