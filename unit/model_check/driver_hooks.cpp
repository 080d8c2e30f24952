// SPDX-License-Identifier: MIT
//
// What stands behind the library's memory primitives, and how a call is taken
// apart into steps: it is run from its start again, fed with the values that
// its loads had, up to the first primitive that is new. The areas that the
// library gets as its ring are not the modelled memory but views full of a
// pattern: plain stores (descriptors, avail ring entries) are found there and
// put into the store buffer at the next primitive, and a plain load, which the
// library must never make, reads rubbish.
#include "driver.h"
#include "memory.h"

#include <csetjmp>
#include <cstdlib>

#include "model_osdep.h"
#include "virtqueue_split.h"

namespace mc::hooks {

uint8_t *g_desc, *g_avail, *g_used;

namespace {

constexpr uint8_t kPoison = 0xA5;
constexpr uint16_t kPoison16 = 0xA5A5;
constexpr unsigned kMaxPrimitives = 60; // of one call: more would be a loop

uint8_t *g_private;
jmp_buf g_stop;
State *g_state;    // null: no call is being taken apart
unsigned g_index;  // of the next primitive
unsigned g_load;   // of the next load
unsigned g_choice; // for the next new load
unsigned g_choices;
bool g_loaded; // this step had its load
bool g_stored; // or has put something into the store buffer
bool g_progress;

[[noreturn]] void stop() {
    longjmp(g_stop, 1);
}

bool isMutant(Mutant m) {
    return g_config.mutant == m;
}

bool inCall(Call call) {
    return g_state->driver.call == call;
}

bool inEnable() {
    return inCall(Call::kEnable) || inCall(Call::kEnableDelayed) || inCall(Call::kPrepareWait);
}

bool inLook() {
    return inCall(Call::kHasUsed) || inCall(Call::kGetUsed) || inCall(Call::kGetUsedBatch);
}

// TRUE: this primitive is behind us; otherwise it is to be done now.
bool replayed() {
    if (!g_state) {
        violate("shared memory is used outside of the modelled calls");
        abort();
    }
    if (g_index > kMaxPrimitives) {
        violate("%s does not end", callName(g_state->driver.call));
        stop();
    }
    return g_index < g_state->driver.done;
}

void done() {
    g_index++;
    g_state->driver.done = uint8_t(g_index);
    g_progress = true;
}

// Without store buffers a store is seen at once, so each is a step of its own.
void mayStore(unsigned count) {
    bool seen = g_config.model == Model::kSc && (g_loaded || g_stored);
    if (count != 0 && (seen || !hasRoom(*g_state, kDriver, count))) {
        stop();
    }
}

void push(unsigned loc, uint64_t value) {
    store(*g_state, kDriver, loc, value);
    g_stored = true;
    MC_TRACE("driver  %s: store %s = %llx", callName(g_state->driver.call), locName(loc).c_str(),
             (unsigned long long)value);
}

uint16_t *availRing() {
    return reinterpret_cast<uint16_t *>(g_avail + 4);
}

uint64_t takeDesc(unsigned i) {
    uint64_t addr;
    uint32_t len;
    uint16_t flags, next;
    memcpy(&addr, g_desc + 16 * i, 8);
    memcpy(&len, g_desc + 16 * i + 8, 4);
    memcpy(&flags, g_desc + 16 * i + 12, 2);
    memcpy(&next, g_desc + 16 * i + 14, 2);
    memset(g_desc + 16 * i, kPoison, 16);
    return packDesc(addr >> 12, len, flags, next);
}

bool isDescWritten(unsigned i) {
    for (unsigned k = 0; k < 16; k++) {
        if (g_desc[16 * i + k] != kPoison) {
            return true;
        }
    }
    return false;
}

// Plain stores since the last primitive. They count as one primitive.
void collect() {
    bool old = replayed();
    unsigned count = 0;
    for (unsigned i = 0; i < g_config.size; i++) {
        count += isDescWritten(i);
        count += availRing()[i] != kPoison16;
    }
    if (!old) {
        mayStore(count);
    }
    for (unsigned i = 0; i < g_config.size; i++) {
        if (isDescWritten(i)) {
            uint64_t value = takeDesc(i);
            if (!old) {
                push(kDesc + i, value);
            }
        }
    }
    for (unsigned i = 0; i < g_config.size; i++) {
        if (availRing()[i] != kPoison16) {
            if (!old) {
                push(kAvailRing + i, availRing()[i]);
            }
            availRing()[i] = kPoison16;
        }
    }
    if (old) {
        g_index++;
    } else {
        bool before = g_progress;
        done();
        g_progress = before || count != 0; // an empty one is no step
    }
}

// A word of the used area that the driver may read.
unsigned usedLoc(const volatile void *address) {
    size_t offset = size_t(static_cast<const volatile uint8_t *>(address) - g_used);
    if (offset == 0) {
        return kUsedFlags;
    }
    if (offset == 2) {
        return kUsedIdx;
    }
    if (offset == 4 + 8 * g_config.size) {
        return kAvailEvent;
    }
    if (offset > 4 + 8 * g_config.size) {
        violate("%s reads shared memory outside of the used area", callName(g_state->driver.call));
        stop();
    }
    return ((offset - 4) % 8 ? kUsedLen : kUsedId) + unsigned(offset - 4) / 8;
}

unsigned availLoc(volatile void *address) {
    size_t offset = size_t(static_cast<volatile uint8_t *>(address) - g_avail);
    if (offset == 0) {
        return kAvailFlags;
    }
    if (offset == 2) {
        return kAvailIdx;
    }
    if (offset == 4 + 2 * g_config.size) {
        return kUsedEvent;
    }
    if (offset >= 4 && offset < 4 + 2 * g_config.size) {
        return kAvailRing + unsigned(offset - 4) / 2;
    }
    violate("%s stores outside of the avail area", callName(g_state->driver.call));
    stop();
}

void fence() {
    if (replayed()) {
        g_index++;
        return;
    }
    if (!isDrained(*g_state, kDriver)) {
        stop();
    }
    fullFence(*g_state, kDriver);
    MC_TRACE("driver  %s: full fence", callName(g_state->driver.call));
    done();
}

bool inKick() {
    return inCall(Call::kKickPrepare) || inCall(Call::kKick);
}

bool isFenceLeftOut() {
    return ((isMutant(Mutant::kKickNoFence) || isMutant(Mutant::kKickFenceLate)) && inKick()) ||
           ((isMutant(Mutant::kEnableNoFence) || isMutant(Mutant::kEnableFenceEarly)) &&
            inEnable()) ||
           (isMutant(Mutant::kDrainNoFence) && inLook());
}

} // namespace

void *privateMemory() {
    return g_private;
}

void poisonViews() {
    memset(g_desc, kPoison, VirtqSplitDescAreaSize(uint16_t(g_config.size)));
    memset(g_avail, kPoison, VirtqSplitAvailAreaSize(uint16_t(g_config.size)));
    memset(g_used, kPoison, VirtqSplitUsedAreaSize(uint16_t(g_config.size)));
}

// Each area a block of its own, so that AddressSanitizer sees their ends. A few
// blocks a run, freed when the process ends.
static uint8_t *area(size_t size) {
    void *p = nullptr;
    if (posix_memalign(&p, 16, size) != 0) {
        abort();
    }
    return static_cast<uint8_t *>(p);
}

void setUpViews() {
    uint16_t size = uint16_t(g_config.size);
    free(g_desc);
    free(g_avail);
    free(g_used);
    free(g_private);
    g_desc = area(VirtqSplitDescAreaSize(size));
    g_avail = area(VirtqSplitAvailAreaSize(size));
    g_used = area(VirtqSplitUsedAreaSize(size));
    g_private = area(VirtqSplitStateSize(size));
    if (VirtqSplitStateSize(size) > kPrivateBytes) {
        abort();
    }
}

void enter(const State &s) {
    memcpy(g_private, s.driver.privateBytes, VirtqSplitStateSize(uint16_t(g_config.size)));
}

void leave(State &s) {
    memcpy(s.driver.privateBytes, g_private, VirtqSplitStateSize(uint16_t(g_config.size)));
}

void checkUntouched() {
    size_t avail = VirtqSplitAvailAreaSize(uint16_t(g_config.size));
    size_t used = VirtqSplitUsedAreaSize(uint16_t(g_config.size));
    bool clean = true;
    for (size_t i = 0; i < avail; i++) {
        clean = clean && g_avail[i] == kPoison;
    }
    for (size_t i = 0; i < used; i++) {
        clean = clean && g_used[i] == kPoison;
    }
    if (!clean) {
        violate("a store to shared memory went around the primitives");
        poisonViews();
    }
}

Outcome run(State &s, unsigned choice, void (*body)()) {
    volatile bool finished = false;

    g_state = &s;
    g_index = g_load = 0;
    g_choice = choice;
    g_choices = 1;
    g_loaded = g_stored = g_progress = false;
    if (setjmp(g_stop) == 0) {
        body();
        collect();
        finished = true;
    } else {
        poisonViews();
    }
    g_state = nullptr;
    return Outcome{finished, finished || g_progress, g_choices};
}

} // namespace mc::hooks

// ------------------------------------------------- what model_osdep.h declares

using namespace mc;
using namespace mc::hooks;

static UINT32 loadOnce(const volatile void *address, BOOLEAN acquire) {
    collect();
    if (replayed()) {
        g_index++;
        return g_state->driver.loads[g_load++];
    }
    if (g_loaded || g_stored) {
        stop(); // others may come in between
    }
    unsigned loc = usedLoc(address);
    bool ordered = acquire && !isMutant(Mutant::kUsedNoAcquire);
    g_choices = loadChoices(*g_state, kDriver, loc);
    uint32_t value = uint32_t(load(*g_state, kDriver, loc, ordered, g_choice));
    MC_TRACE("driver  %s: load %s = %x%s", callName(g_state->driver.call), locName(loc).c_str(),
             value, g_choice ? " (an older value)" : "");
    if (loc == kAvailEvent && isMutant(Mutant::kKickEventOffByOne)) {
        value = uint16_t(value + 1);
    }
    if (g_load == kMaxLoads) {
        violate("%s does not end", callName(g_state->driver.call));
        stop();
    }
    g_state->driver.loads[g_load++] = value;
    g_state->driver.loadCount = uint8_t(g_load);
    g_loaded = true;
    done();
    return value;
}

extern "C" UINT32 ModelLoad(const volatile void *address, UINT32, BOOLEAN acquire) {
    UINT32 value = loadOnce(address, acquire);
    if (isMutant(Mutant::kKickFenceLate) && inKick()) {
        fence();
    }
    return value;
}

// A field of a descriptor: written to the view, where `collect` finds it.
static bool storeDesc(volatile void *address, UINT32 size, UINT64 value) {
    size_t offset = size_t(static_cast<volatile uint8_t *>(address) - g_desc);
    if (offset + size > 16 * g_config.size) {
        return false;
    }
    memcpy(g_desc + offset, &value, size);
    return true;
}

extern "C" VOID ModelStore(volatile void *address, UINT32 size, UINT64 value, BOOLEAN release) {
    if (storeDesc(address, size, value)) {
        return;
    }
    if (isMutant(Mutant::kEnableFenceEarly) && inEnable()) {
        fence();
    }
    collect();
    if (replayed()) {
        g_index++;
        return;
    }
    unsigned loc = availLoc(address);
    mayStore(1);
    bool rearm = loc == kUsedEvent && (inLook() || inEnable());
    if (rearm && inLook() && isMutant(Mutant::kNoRearm)) {
        done();
        return;
    }
    if (release && !isMutant(Mutant::kPublishNoRelease)) {
        writeFence(*g_state, kDriver);
    }
    push(loc, rearm && isMutant(Mutant::kRearmOffByOne) ? uint16_t(value + 1) : value);
    done();
}

extern "C" VOID ModelFullFence(void) {
    collect();
    if (!isFenceLeftOut()) {
        fence();
    }
}

extern "C" VOID ModelReadFence(void) {
    violate("VIRTIO_RMB is not modelled");
    stop();
}

extern "C" VOID ModelWriteFence(void) {
    collect();
    if (replayed()) {
        g_index++;
        return;
    }
    writeFence(*g_state, kDriver);
    done();
}
