// SPDX-License-Identifier: MIT
//
// What the packets carry: the structures of the kernel debugger's protocol for a 64-bit
// target, version 6, as Windows 7 has them. Little-endian; nothing of the kernel.
#ifndef NTC_KD_PROTOCOL_H_
#define NTC_KD_PROTOCOL_H_

#include <stddef.h>
#include <stdint.h>

#include "packet.h"

enum KD_STATE : uint32_t {
    KdStateException = 0x3030,
    KdStateLoadSymbols = 0x3031,
};

enum KD_DEBUG_IO_API : uint32_t { KdIoPrintString = 0x3230, KdIoGetString = 0x3231 };

enum KD_MANIPULATE_API : uint32_t {
    KdApiReadVirtual = 0x3130,
    KdApiWriteVirtual = 0x3131,
    KdApiGetContext = 0x3132,
    KdApiSetContext = 0x3133,
    KdApiWriteBreakpoint = 0x3134,
    KdApiRestoreBreakpoint = 0x3135,
    KdApiContinue = 0x3136,
    KdApiReadControl = 0x3137,
    KdApiWriteControl = 0x3138,
    KdApiReadIo = 0x3139,
    KdApiWriteIo = 0x313A,
    KdApiReboot = 0x313B,
    KdApiContinue2 = 0x313C,
    KdApiReadPhysical = 0x313D,
    KdApiWritePhysical = 0x313E,
    KdApiReadIoExtended = 0x3144,
    KdApiWriteIoExtended = 0x3145,
    KdApiGetVersion = 0x3146,
    KdApiWriteBreakpointEx = 0x3147,
    KdApiRestoreBreakpointEx = 0x3148,
    KdApiCauseBugCheck = 0x3149,
    KdApiSwitchProcessor = 0x3150,
    KdApiReadMsr = 0x3152,
    KdApiWriteMsr = 0x3153,
    KdApiSearchMemory = 0x3156,
    KdApiGetBusData = 0x3157,
    KdApiSetBusData = 0x3158,
    KdApiCheckLowMemory = 0x3159,
    KdApiClearInternalBreakpoints = 0x315A,
    KdApiFillMemory = 0x315B,
    KdApiQueryMemory = 0x315C,
    KdApiGetContextEx = 0x315F,
    KdApiSetContextEx = 0x3160,
    KdApiLimit = 0x3161,
};
// Numbers in between that Windows knows and answers with KD_UNSUCCESSFUL, too: special calls
// (0x313F to 0x3141), internal breakpoints (0x3142, 0x3143), page in (0x3151), partitions
// (0x315D).

enum : uint32_t {
    KD_SUCCESS = 0,
    KD_UNSUCCESSFUL = 0xC0000001,
    KD_INVALID_PARAMETER = 0xC000000D,
    KD_NO_SUCH_DEVICE = 0xC000000E,
};

// ---- memory, also control space
struct KD_MEMORY {
    uint64_t address;
    uint32_t count;
    uint32_t actual; // asked with for physical memory: how it is cached; answered: bytes done
};
struct KD_WRITE_BREAKPOINT {
    uint64_t address;
    uint32_t handle;
};
struct KD_RESTORE_BREAKPOINT {
    uint32_t handle;
};
// As many of the two above follow the header, asked and answered.
struct KD_BREAKPOINTS {
    uint32_t count;
    uint32_t status; // of a continue; a failure: go on, the exception isn't handled
};
// A part of the context.
struct KD_CONTEXT_EX {
    uint32_t offset, count;
    uint32_t copied; // answered
};
#pragma pack(push, 4)
struct KD_CONTINUE {
    uint32_t status; // Continue has this alone
    uint32_t trace;
    uint64_t dr7;
    uint64_t symbol_start, symbol_end;
};
struct KD_IO {
    uint64_t address;
    uint32_t size;
    uint32_t value;
};
#pragma pack(pop)
struct KD_IO_EXTENDED {
    uint32_t size;
    uint32_t interface_type, bus, space; // 1 (ISA), 0, 1 (I/O)
    uint64_t address;
    uint32_t value;
};
struct KD_MSR {
    uint32_t number;
    uint32_t low, high;
};
struct KD_SEARCH {
    uint64_t address; // asked: where from; answered: where found
    uint64_t length;
    uint32_t pattern_length;
};
struct KD_FILL {
    uint64_t address;
    uint32_t length;
    uint16_t flags; // 1 virtual, 2 physical
    uint16_t pattern_length;
};
struct KD_BUS_DATA {
    uint32_t type, bus, slot, offset, length;
};
struct KD_QUERY_MEMORY {
    uint64_t address;
    uint64_t reserved;
    uint32_t space; // asked 0, virtual; answered 0 process, 1 session, 2 kernel
    uint32_t flags; // 1 read, 2 write, 4 execute, 8 fixed
};
struct KD_VERSION {
    uint16_t major, minor;
    uint8_t protocol, secondary;
    uint16_t flags; // 1 several processors, 2 debugger data, 4 64-bit
    uint16_t machine;
    uint8_t max_packet_type, max_state_change, max_manipulate, simulation;
    uint16_t unused;
    uint64_t kernel_base, modules, debugger_data;
};
enum : uint16_t { KD_VERSION_MP = 1, KD_VERSION_DATA = 2, KD_VERSION_PTR64 = 4 };

struct KD_MANIPULATE {
    uint32_t api;
    uint16_t level, processor;
    uint32_t status;
    uint32_t padding;
    union {
        KD_MEMORY memory;
        KD_WRITE_BREAKPOINT write_breakpoint;
        KD_RESTORE_BREAKPOINT restore_breakpoint;
        KD_BREAKPOINTS breakpoints;
        KD_CONTEXT_EX context;
        KD_CONTINUE proceed;
        KD_IO io;
        KD_IO_EXTENDED io_extended;
        KD_MSR msr;
        KD_SEARCH search;
        KD_FILL fill;
        KD_BUS_DATA bus;
        KD_QUERY_MEMORY query;
        KD_VERSION version;
        uint8_t bytes[40];
    };
};
static_assert(sizeof(KD_MANIPULATE) == 56 && offsetof(KD_MANIPULATE, memory) == 16 &&
                  sizeof(KD_VERSION) == 40 && offsetof(KD_VERSION, kernel_base) == 16 &&
                  offsetof(KD_CONTINUE, dr7) == 8 && offsetof(KD_QUERY_MEMORY, space) == 16 &&
                  sizeof(KD_WRITE_BREAKPOINT) == 16 && offsetof(KD_IO_EXTENDED, value) == 24,
              "protocol");
enum { KD_DATA_MAX = KD_PACKET_MAX - sizeof(KD_MANIPULATE) };

// ---- state changes
struct KD_EXCEPTION {
    uint32_t code, flags;
    uint64_t record, address;
    uint32_t parameter_count, unused;
    uint64_t parameters[15];
    uint32_t first_chance, padding;
};
struct KD_LOAD_SYMBOLS {
    uint32_t path_length, padding;
    uint64_t base, process;
    uint32_t checksum, size;
    uint8_t unload, tail[7];
};
struct KD_STATE_CHANGE {
    uint32_t state;
    uint16_t level, processor;
    uint32_t processors, padding;
    uint64_t thread, pc;
    union {
        KD_EXCEPTION exception;
        KD_LOAD_SYMBOLS symbols;
    };
    struct {
        uint64_t dr6, dr7;
        uint32_t eflags;
        uint16_t instruction_count, flags;
        uint8_t instructions[16];
        uint16_t cs, ds, es, fs;
    } control;
};
static_assert(sizeof(KD_STATE_CHANGE) == 240 && offsetof(KD_STATE_CHANGE, pc) == 24 &&
                  offsetof(KD_STATE_CHANGE, exception) == 32 &&
                  offsetof(KD_STATE_CHANGE, exception.first_chance) == 184 &&
                  offsetof(KD_STATE_CHANGE, symbols.base) == 40 &&
                  offsetof(KD_STATE_CHANGE, symbols.unload) == 64 &&
                  offsetof(KD_STATE_CHANGE, control) == 192 &&
                  offsetof(KD_STATE_CHANGE, control.instructions) == 216 &&
                  offsetof(KD_STATE_CHANGE, control.cs) == 232,
              "protocol");

// ---- output and input
struct KD_DEBUG_IO {
    uint32_t api;
    uint16_t level, processor;
    uint32_t length; // of the text, or of the prompt
    uint32_t read;   // GetString: room; answered: bytes
};
static_assert(sizeof(KD_DEBUG_IO) == 16, "protocol");

#endif // NTC_KD_PROTOCOL_H_
