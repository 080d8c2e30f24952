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
void KdKeepSerialSilent(void);
void KdPrintV(const char *format, va_list arguments);
// The text that KdViolation or KdUnimplemented gives to the next bug check.
extern const char *KdBugCheckText;

// ---- the kernel debugger (debugger.cpp). All at any IRQL.

// Reads the boot options, looks for COM2, and waits for a debugger if that is asked for.
// Interrupts disabled, time and modules known.
void KdStartDebugger(void);
// From the clock interrupt: has somebody asked to break in?
void KdCheckForDebugBreak(void);
// Interrupts disabled. True: the debugger has handled the exception, and perhaps changed
// the registers; go on.
bool KdTrap(KI_TRAP_FRAME *frame, M128A *xmm6_to_15, const EXCEPTION_RECORD *record,
            bool first_chance);
bool KdServiceTrap(KI_TRAP_FRAME *frame, M128A *xmm6_to_15); // int 2D
bool KdFixup(KI_TRAP_FRAME *frame); // a fault that the debugger's own code expects
// Before the report of a bug check, and after everything.
void KdBugCheckBreak(bool first);
// An image has come, or is about to go. Nothing when no debugger is there.
typedef struct _KD_SYMBOLS {
    const char *path;
    size_t path_length; // with the NUL
    uint64_t base;
    uint32_t size, checksum;
} KD_SYMBOLS;
void KdLoadSymbols(const KD_SYMBOLS *symbols);
void KdUnloadSymbols(const KD_SYMBOLS *symbols);
void LdrReportBootImages(void); // ldr: announces kernel and HAL
// To the debugger, if one is there and wants this component and level (filter.cpp).
void KdPrintToDebugger(ULONG component, ULONG level, const char *text);
enum : ULONG { KD_ALWAYS = ~0u }; // a component that isn't filtered

// Words of the kernel command line that begin with a slash (options.cpp).
enum : ULONG { KD_OPTION_OFF = 1, KD_OPTION_DEBUG = 2, KD_OPTION_BREAK = 4, KD_OPTION_SILENT = 8 };
ULONG KdpBootOptions(void);

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
enum { KD_STACK_LIMIT = 32 };

// The code that a bug check blames; 0: unknown.
uint64_t KdGuilty(ULONG code, const ULONG_PTR p[4], const KI_TRAP_FRAME *trap,
                  const KD_FRAME *frame);

// The caller's own frame: inlined, since a frame that has been left can't be unwound. There
// are no registers but what the compiler keeps: the nonvolatile ones.
static inline __attribute__((always_inline)) void KdFrameFromHere(KD_FRAME *frame) {
    frame->Exact = true;
    for (uint64_t &r : frame->Registers)
        r = 0;
    __asm__ volatile(
        "leaq 1f(%%rip), %%rax\n1:\n\t"
        "movq %%rax, %0\n\tmovq %%rsp, %1\n\tmovq %%rbx, %2\n\tmovq %%rbp, %3\n\t"
        "movq %%rsi, %4\n\tmovq %%rdi, %5\n\tmovq %%r12, %6\n\tmovq %%r13, %7\n\t"
        "movq %%r14, %8\n\tmovq %%r15, %9"
        : "=m"(frame->Rip), "=m"(frame->Rsp), "=m"(frame->Registers[3]), "=m"(frame->Registers[5]),
          "=m"(frame->Registers[6]), "=m"(frame->Registers[7]), "=m"(frame->Registers[12]),
          "=m"(frame->Registers[13]), "=m"(frame->Registers[14]), "=m"(frame->Registers[15])
        :
        : "rax", "memory");
}

} // extern "C"

#endif // NTC_KDP_H_
