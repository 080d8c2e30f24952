// SPDX-License-Identifier: MIT
//
// The agent's platform for host tests: a scripted console, block devices in
// memory that complete out of order and can be told to misbehave, and a clock
// that only moves when somebody waits.
#ifndef VQ7_UNIT_AGENT_FAKE_PLATFORM_H_
#define VQ7_UNIT_AGENT_FAKE_PLATFORM_H_

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "../../guest_driver/agent/core/agent.h"
#include "../../guest_driver/agent/platform.h"

enum class Fault {
    kNone,
    kLost,       // never completes
    kIoError,    // STATUS_IO_DEVICE_ERROR, nothing done
    kWrongData,  // a read with one flipped bit; a write of one
    kNoTransfer, // success, but no data moved
    kShort,      // success with half the information length
    kOutside,    // and the byte behind the buffer written
    kBefore,     // and the byte before it
    kReadable,   // a write, whose buffer is written
    kElsewhere,  // served from (or to) the sector behind
};

struct FakeDisk {
    std::vector<uint8_t> data;
    uint32_t type = 2;
    bool flush = true;
    uint32_t block_size = 512;
    std::string id = "disk 0";
    uint8_t state = VQ7_STATE_RUNNING;
    uint8_t last_failure = VQ7_FAILURE_NONE;
    VQ7_FAILURES failures{};
};

struct SubmittedOperation {
    uint32_t code;
    uint64_t sector;
    uint64_t count;
    uint64_t flying; // requests in flight with it, itself included
};

struct FakeHandle {
    size_t disk;
    uint32_t access;
};

struct FakePlatform {
    bool has_faults = true;
    platform::LowResources low_resources{};
    std::vector<platform::Lie> lies;
    std::deque<uint8_t> input;
    std::string output;
    uint64_t now_us = 1000;
    std::vector<FakeDisk> disks;
    std::vector<std::pair<platform::Device *, platform::Request *>> flying;
    std::vector<std::pair<platform::Device *, platform::Request *>> lost;
    std::vector<SubmittedOperation> submitted;
    std::map<platform::Device *, size_t> open;        // to disk index
    std::map<platform::Device *, FakeHandle> handles; // of DeviceOpenHandle(), closed ones too
    std::map<platform::Device *, size_t> closed;      // the same, with requests in flight
    bool close_under_load = false;                    // a test that wants it says so
    std::set<platform::Request *> cancelled;
    bool powered = true; // without power nothing completes
    std::string power;   // "down", "up": what was asked for
    uint32_t power_status = 0;
    std::mt19937_64 random{1};
    std::function<Fault(const SubmittedOperation &, size_t index)> fault;
    std::function<void()> on_submit;
    uint64_t service_us = 10; // time that a completion takes
    uint64_t overlaps = 0;    // times that the ordering rule was broken
    std::map<void *, size_t> memory;
    size_t memory_limit = SIZE_MAX;
    bool loaded = true;
    uint32_t unload_status = 0, shutdown_status = 0, open_status = 0;
    std::string machine; // what was asked of it: "restart", "poweroff", "crash"

    void AddDisk(uint64_t sectors);
    // Brings back the lost requests as cancelled.
    void ReturnLost();
    size_t MemoryInUse() const;
};

// Fresh for each test: Reset() it first.
extern std::unique_ptr<FakePlatform> fake;

// An agent on a fresh platform with one disk of 4096 sectors.
struct AgentRig {
    agent::Agent *agent;

    explicit AgentRig(uint64_t sectors = 4096);
    ~AgentRig();
    // Gives bytes to the agent, lets it work, and returns what it printed.
    std::string Type(const std::string &bytes);
    // Sends `@seq command *crc` and returns the answer, seals checked and taken off.
    std::string Ask(const std::string &command);
    std::string AskWith(uint32_t seq, const std::string &command);
    uint32_t seq = 0;
};

std::string Sealed(const std::string &body); // with checksum and CR LF
// Checks every framed line's checksum (computed here, bit by bit) and removes it.
std::string Unsealed(const std::string &lines);
std::string Value(const std::string &line, const std::string &name);
uint32_t BitwiseCrc(const std::string &bytes);

#endif // VQ7_UNIT_AGENT_FAKE_PLATFORM_H_
