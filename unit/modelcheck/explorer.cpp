// SPDX-License-Identifier: MIT

#include "explorer.h"

#include <setjmp.h>
#include <ucontext.h>

#include <cstring>
#include <memory>
#include <unordered_set>

namespace vq7::modelcheck {
namespace {

constexpr std::size_t kStack = 256 * 1024;

struct Buffered {
    volatile void *address;
    std::uint32_t value;
    unsigned size;
    bool release;
};

enum class Next { Run, Fence, Sleep, Done };

struct Fiber {
    ucontext_t context; // to begin; from then on `resume`, which needs no system call
    jmp_buf resume;
    bool begun = false;
    std::unique_ptr<char[]> stack{new char[kStack]};
    const std::function<void()> *program = nullptr;
    Next next = Next::Run;
    unsigned bell = 0;
    std::vector<Buffered> buffer;
    std::uint64_t history = 0;
};

struct Action {
    unsigned fiber;
    int flush; // index into the buffer, or -1: let the program go on
};

struct Machine {
    const Scenario *scenario = nullptr;
    Result *result = nullptr;
    Fiber fibers[2];
    jmp_buf scheduler;
    unsigned current = 0;
    bool bells[4] = {};
    std::string failure;
};

Machine *machine;

std::uint64_t Mix(std::uint64_t hash, std::uint64_t value) {
    hash ^= value + 0x9E3779B97F4A7C15u + (hash << 6) + (hash >> 2);
    hash *= 0xFF51AFD7ED558CCDu;
    return hash ^ (hash >> 33);
}

Fiber &Me() {
    return machine->fibers[machine->current];
}

// Stops the running program until the explorer lets it go on.
void Stop(Next next) {
    Fiber &me = Me();
    me.next = next;
    if (_setjmp(me.resume) == 0) {
        _longjmp(machine->scheduler, 1);
    }
}

void Main() {
    (*Me().program)();
    Stop(Next::Done);
}

bool MayFlush(const std::vector<Buffered> &buffer, std::size_t i, Order order) {
    if (i == 0) {
        return true;
    }
    if (order == Order::Tso || buffer[i].release) {
        return false;
    }
    for (std::size_t k = 0; k < i; k++) {
        if (buffer[k].address == buffer[i].address) {
            return false;
        }
    }
    return true;
}

std::vector<Action> Enabled() {
    std::vector<Action> actions;
    for (unsigned f = 0; f < 2; f++) {
        Fiber &fiber = machine->fibers[f];
        bool goes_on = fiber.next == Next::Run ||
                       (fiber.next == Next::Fence && fiber.buffer.empty()) ||
                       (fiber.next == Next::Sleep && machine->bells[fiber.bell]);
        if (goes_on) {
            actions.push_back({f, -1});
        }
        for (std::size_t i = 0; i < fiber.buffer.size(); i++) {
            if (MayFlush(fiber.buffer, i, machine->scenario->order)) {
                actions.push_back({f, static_cast<int>(i)});
            }
        }
    }
    return actions;
}

void Perform(const Action &action) {
    Fiber &fiber = machine->fibers[action.fiber];
    if (action.flush >= 0) {
        Buffered store = fiber.buffer[static_cast<std::size_t>(action.flush)];
        fiber.buffer.erase(fiber.buffer.begin() + action.flush);
        std::memcpy(const_cast<void *>(store.address), &store.value, store.size);
        return;
    }
    if (fiber.next == Next::Sleep) {
        machine->bells[fiber.bell] = false;
    }
    machine->current = action.fiber;
    fiber.history = Mix(fiber.history, 0x6060); // how far it is counts, even if it reads nothing
    if (_setjmp(machine->scheduler) == 0) {
        if (fiber.begun) {
            _longjmp(fiber.resume, 1);
        }
        fiber.begun = true;
        setcontext(&fiber.context);
    }
}

std::uint64_t StateHash() {
    std::uint64_t hash = 1;
    for (std::size_t i = 0; i < machine->scenario->shared_size; i++) {
        hash = Mix(hash, static_cast<std::uint64_t>(machine->scenario->shared[i]));
    }
    for (bool bell : machine->bells) {
        hash = Mix(hash, bell);
    }
    for (Fiber &fiber : machine->fibers) {
        hash = Mix(hash, fiber.history);
        hash = Mix(hash, static_cast<std::uint64_t>(fiber.next));
        for (const Buffered &store : fiber.buffer) {
            hash = Mix(hash, reinterpret_cast<std::uintptr_t>(store.address));
            hash = Mix(hash, store.value);
        }
    }
    return hash;
}

void Start() {
    machine->failure.clear();
    std::memset(machine->bells, 0, sizeof(machine->bells));
    machine->scenario->setup();
    for (unsigned f = 0; f < 2; f++) {
        Fiber &fiber = machine->fibers[f];
        fiber.program = &machine->scenario->programs[f];
        fiber.begun = false;
        fiber.next = Next::Run;
        fiber.buffer.clear();
        fiber.history = f;
        getcontext(&fiber.context);
        fiber.context.uc_stack.ss_sp = fiber.stack.get();
        fiber.context.uc_stack.ss_size = kStack;
        fiber.context.uc_link = nullptr;
        makecontext(&fiber.context, Main, 0);
    }
}

std::string Verdict() {
    if (!machine->failure.empty()) {
        return machine->failure;
    }
    for (Fiber &fiber : machine->fibers) {
        if (fiber.next != Next::Done) {
            return "both sides sleep, with work left: a lost notification";
        }
    }
    return machine->scenario->finished();
}

} // namespace

// What touches only the own buffer is no step of its own: the other side cannot
// see it, so its place among that side's steps makes no difference.
std::uint32_t Load(const volatile void *p, unsigned size) {
    for (auto it = Me().buffer.rbegin(); it != Me().buffer.rend(); ++it) {
        if (it->address == p) {
            return it->value;
        }
    }
    Stop(Next::Run);
    Fiber &me = Me();
    std::uint32_t value = 0;
    std::memcpy(&value, const_cast<const void *>(p), size);
    me.history = Mix(Mix(me.history, reinterpret_cast<std::uintptr_t>(p)), value);
    return value;
}

void Store(volatile void *p, std::uint32_t v, unsigned size, bool release) {
    Me().buffer.push_back({p, v, size, release && !machine->scenario->no_release});
}

void Fence(const std::string &site) {
    machine->result->fence_sites.insert(site);
    if (site != machine->scenario->dropped_fence && !Me().buffer.empty()) {
        Stop(Next::Fence);
    }
}

void Ring(unsigned bell) {
    Stop(Next::Fence);
    machine->bells[bell] = true;
    Me().history = Mix(Me().history, 0xBE11 + bell);
}

void SleepUntil(unsigned bell) {
    Me().bell = bell;
    Stop(Next::Sleep);
    Me().history = Mix(Me().history, 0x51EE9 + bell);
}

void Fail(const std::string &what) {
    machine->failure = what;
    Stop(Next::Done); // never resumed
}

Result Explore(const Scenario &scenario) {
    Result result;
    Machine m;
    m.scenario = &scenario;
    m.result = &result;
    machine = &m;
    std::unordered_set<std::uint64_t> seen;
    struct Branch {
        std::size_t choice, count;
    };
    std::vector<Branch> path;
    for (;;) {
        Start();
        result.runs++;
        bool pruned = false;
        std::size_t depth = 0;
        for (;; depth++) {
            std::vector<Action> actions = Enabled();
            if (actions.empty() || !machine->failure.empty()) {
                break;
            }
            if (depth == path.size()) {
                if (!seen.insert(StateHash()).second) {
                    pruned = true;
                    break;
                }
                path.push_back({0, actions.size()});
            }
            Perform(actions[path[depth].choice]);
        }
        if (!pruned) {
            std::string what = Verdict();
            if (!what.empty()) {
                result.violated = true;
                result.what = what;
                break;
            }
        }
        while (!path.empty() && path.back().choice + 1 == path.back().count) {
            path.pop_back();
        }
        if (path.empty()) {
            result.complete = true;
            break;
        }
        path.back().choice++;
        if (seen.size() > scenario.max_states) {
            break;
        }
    }
    result.states = seen.size();
    machine = nullptr;
    return result;
}

} // namespace vq7::modelcheck
