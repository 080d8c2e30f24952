// SPDX-License-Identifier: MIT
//
// Between kd and ke: output and the bug check report.
#ifndef NTC_KDP_H_
#define NTC_KDP_H_

#include "ke/ki.h"

#include <stdarg.h>

extern "C" {

// From now on everything printed goes to COM1 as well, by polling.
void KdEnableSerialOutput(void);
void KdPrintV(const char *format, va_list arguments);
// The text that KdViolation or KdUnimplemented gives to the next bug check.
extern const char *KdBugCheckText;

// Prints the whole report: code and name, faulting module, registers, stack.
void KdReportBugCheck(ULONG code, const ULONG_PTR parameters[4], const KI_TRAP_FRAME *frame);
const char *KdBugCheckName(ULONG code);
// "vq7test.sys+0x1234" into `buffer`; an address outside all images as a number.
void KdDescribeAddress(uint64_t address, char *buffer, size_t size);

// One step of a stack walk by unwind data; false at its end, or where memory
// that would be read isn't mapped.
struct KD_FRAME {
    uint64_t Rip, Rsp;
    uint64_t Registers[16]; // numbered as in the instruction encoding; [4] is Rsp
    bool Exact;             // Rip was interrupted; otherwise it is a return address, which
                            // may lie behind the end of its function (noreturn calls)
};
bool KdUnwind(KD_FRAME *frame);

} // extern "C"

#endif // NTC_KDP_H_
