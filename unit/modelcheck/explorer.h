// SPDX-License-Identifier: MIT
//
// Explores every interleaving of two programs that share memory through store
// buffers. Each program is an ordinary function on a stack of its own, which
// stops before each shared access; the explorer decides who goes on, and when
// a buffered store reaches memory.
//
//   Order::Tso     stores leave each buffer in order (x86)
//   Order::Weak    stores to different addresses leave in any order, except
//                  that a release store waits for those before it
//
// A full fence waits until its program's buffer is empty; loads see the own
// buffer first. Loads are not reordered. Programs are deterministic, so what
// each has read so far, the buffers and memory are the whole state: one that
// was seen before is not explored again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <vector>

namespace vq7::modelcheck {

enum class Order { Tso, Weak };

struct Result {
    bool violated = false;
    std::string what;
    std::uint64_t states = 0;
    std::uint64_t runs = 0;
    bool complete = false;             // every state was explored
    std::set<std::string> fence_sites; // file:line of the fences that were met
};

struct Scenario {
    Order order = Order::Tso;
    std::string dropped_fence; // a fence site to leave out
    bool no_release = false;   // release stores are taken for ordinary ones
    std::uint64_t max_states = 3'000'000;
    std::function<void()> setup; // before each run: shared memory as at the start
    std::function<void()> programs[2];
    std::byte *shared = nullptr; // what counts as memory for the state
    std::size_t shared_size = 0;
    std::function<std::string()> finished; // after both ended; empty: fine
};

Result Explore(const Scenario &scenario);

// For the programs, and the library's primitives:
std::uint32_t Load(const volatile void *p, unsigned size);
void Store(volatile void *p, std::uint32_t v, unsigned size, bool release);
void Fence(const std::string &site);
// A doorbell: a write that nothing overtakes; the other side may sleep on it.
void Ring(unsigned bell);
void SleepUntil(unsigned bell);
void Fail(const std::string &what);

} // namespace vq7::modelcheck
