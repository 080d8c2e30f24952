// SPDX-License-Identifier: MIT
//
// The kernel under the driver in a host program: pool, mappings, registers and IRQL, each
// with the rules that a test wants kept. One at a time; `kernel` is the current one.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "ntddk.h"

#include "model/guest_memory.h"
#include "virtio_pci_model.h"

namespace vq7::host {

struct Kernel {
    Kernel(::model::PciDevice &pci, vq7::model::GuestMemory &memory);
    ~Kernel();

    ::model::PciDevice &pci;
    vq7::model::GuestMemory &memory;
    // Where the bus has put the BARs: ports below 64 KiB, memory above 4 GiB.
    std::uint64_t bar_base[6] = {};

    KIRQL irql = PASSIVE_LEVEL;
    std::map<void *, std::size_t> pool;
    std::map<std::uint64_t, std::size_t> mappings; // of device memory, by bus address
    std::vector<std::string> log;                  // DbgPrintEx
    std::function<void()> at_log;                  // what goes on when a line comes
    std::vector<std::string> violations;           // what a driver must not do

    // Whatever may fail asks this first. `fail_at` counts down to the one that does.
    bool Fails(const char *what);
    int fail_at = -1;
    std::string failed; // the one that did

    std::uint64_t slept = 0;      // microseconds
    std::function<void()> asleep; // what goes on meanwhile

    // What another CPU or the device does when the driver is at a full barrier of its queue.
    std::function<void()> at_barrier;
    // What another CPU does just before the driver's InterlockedCompareExchange.
    std::function<void()> at_compare;

    void Wrong(const std::string &what);
    void Need(bool condition, const std::string &what);
    bool Logged(const std::string &part) const;

    std::uint32_t Register(char kind, std::uint64_t address, bool port, int width,
                           std::uint32_t value);
};

extern Kernel *kernel;

} // namespace vq7::host
