// SPDX-License-Identifier: MIT
//
// Inside the kernel debugger's target side. Whoever is in the debugger has interrupts
// disabled and is alone: nothing here takes a lock, allocates, or touches memory that
// isn't known to be mapped.
#ifndef NTC_KD_DEBUGGER_H_
#define NTC_KD_DEBUGGER_H_

#include "kdp.h"

#include "packet.h"
#include "protocol.h"

// ---- port.cpp: COM2, and the clock
bool KdpInitializePort(void); // false: there is no such port
bool KdpByteWaiting(void);
extern KD_LINK KdpLink;

// ---- debugger.cpp
// How often, and how long in microseconds, an acknowledgement is waited for where going on
// without is allowed.
enum : unsigned { KD_TRIES = 10 };
enum : uint64_t { KD_PATIENCE = 300000, KD_STATE_PATIENCE = 1000000 };
extern bool KdpEntered;
// Stops time; false: we are in there already. The other leaves again.
bool KdpEnter(void);
void KdpLeave(void);
bool KdpIsActive(void);  // what happens is reported
bool KdpIsPresent(void); // somebody has answered
void KdpSetPresent(bool present);

// ---- talk.cpp
enum KDP_END { KdpEndHandled, KdpEndNotHandled, KdpEndNobody };
// Reports a state and does what it is asked until it is told to go on. `attempts` 0: for
// ever.
KDP_END KdpConverse(KD_STATE_CHANGE *state, KD_SPAN path, unsigned attempts);
void KdpReply(KD_MANIPULATE *message, KD_SPAN data);
extern uint8_t KdpData[KD_DATA_MAX]; // for answers

extern bool KdpCrashWanted; // a bug check is to follow

// ---- requests.cpp: everything but going on. `data` is what stood behind the header.
void KdpRequest(KD_MANIPULATE *message, const uint8_t *data, uint32_t length);

// ---- registers.cpp
extern bool KdpContextSent;   // only who has read the context may write it
extern uint64_t KdpSentDr[6]; // debug registers of the context as it was: 0..3, 6, 7
void KdpLoadControlRegisters(void);

// ---- memory.cpp. Return the number of bytes copied.
enum KDP_SPACE { KdpVirtual, KdpPhysical, KdpPhysicalDevice };
uint32_t KdpRead(KDP_SPACE space, uint64_t address, void *to, uint32_t length);
uint32_t KdpWrite(KDP_SPACE space, uint64_t address, const void *from, uint32_t length);

// ---- breakpoint.cpp
uint32_t KdpAddBreakpoint(uint64_t address); // a handle; 0: no room, not mapped, or one is there
bool KdpDeleteBreakpoint(uint32_t handle);
bool KdpDeleteBreakpoints(uint64_t first, uint64_t last); // true: there were some

// ---- filter.cpp
void KdpReadFilters(void); // of the command line

// ---- unloaded.cpp: the layout is Windows'.
enum { KD_UNLOADED = 50 };
struct UNLOADED_DRIVER {
    UNICODE_STRING Name;
    uint64_t StartAddress, EndAddress;
    uint64_t CurrentTime; // when, in 100 ns since 1601
};
extern "C" UNLOADED_DRIVER *MmUnloadedDrivers;
extern "C" ULONG MmLastUnloadedDrivers;
void KdpRememberUnloaded(const KD_SYMBOLS *symbols);

// ---- data.cpp
void KdpInitializeData(void);
extern KD_VERSION KdVersionBlock;

extern "C" {
// ---- service.S
uint32_t KdpReadMsr(uint32_t number, uint64_t *value); // a status
uint32_t KdpWriteMsr(uint32_t number, uint64_t value);
uint32_t KdpWriteCr0(uint64_t value);
uint32_t KdpWriteCr3(uint64_t value);
uint32_t KdpWriteCr4(uint64_t value);
uint32_t KdpLoadGdt(const USHORT *limit_and_base);
uint32_t KdpLoadIdt(const USHORT *limit_and_base);
uint32_t KdpLoadTask(USHORT selector);
uint32_t KdpLoadLocalTable(USHORT selector);
extern const struct KDP_FIXUP { uint64_t faults, instead; } KdpFixups[]; // the last one is 0
void KdpService(ULONG service, const void *argument);                    // int 2D
}

// Services of int 2D, in RCX; numbers as on Windows.
enum { KD_SERVICE_LOAD = 3, KD_SERVICE_UNLOAD = 4 };

#endif // NTC_KD_DEBUGGER_H_
