// SPDX-License-Identifier: MIT
//
// The workload engine behind `blk run`; docs/console-protocol.md ("Workloads")
// says which operations a set of parameters means.
#ifndef VQ7_AGENT_WORKLOAD_H_
#define VQ7_AGENT_WORKLOAD_H_

#include "devices.h"
#include "generation_map.h"
#include "pattern.h"
#include "workload_event.h"

namespace agent {

struct WorkloadParameters {
    static constexpr size_t kMaxSizes = 16;
    static constexpr uint32_t kMaxDepth = 4096;
    static constexpr uint64_t kMaxSize = 16 * 1024 * 1024; // bytes of one operation
    static constexpr uint64_t kMaxOps = UINT32_MAX - 2;    // generations are ops + 1

    bool sequential;
    uint32_t write_percent;
    uint64_t sizes[kMaxSizes]; // bytes, multiples of the sector size
    size_t size_count;
    uint32_t depth;
    uint32_t segments;
    uint64_t ops;
    uint64_t seed;
    uint64_t start; // sectors
    uint64_t span;  // sectors; at least the largest size
    uint64_t block; // sectors of a logical block: sizes, start and span are multiples of it
    bool base;
    uint32_t guard;       // bytes on both sides of each buffer, that must stay what they are
    uint64_t flush_every; // 0: never
    EventParameters event;
};

struct WorkloadCounters {
    uint64_t ops; // finished, well or not
    uint64_t reads;
    uint64_t writes;
    uint64_t flushes;
    uint64_t bytes; // of operations that went well
    uint64_t errors;
    uint64_t miscompares;
    uint64_t time_us;
    uint64_t max_in_flight;
};

enum class OperationKind { kRead, kWrite, kFlush };

struct Operation {
    uint64_t index; // k
    OperationKind kind;
    uint64_t sector;
    uint64_t count; // sectors
};

// The operations of a workload, in order. Flushes come between them.
struct OperationSource {
    const WorkloadParameters *parameters;
    uint64_t next;   // k
    uint64_t cursor; // sequential pattern
    bool flush_due;

    void Init(const WorkloadParameters &of);
    bool Next(Operation *operation); // false: that was the last
};

struct Workload {
    static constexpr uint64_t kMaxFailures = 16;

    struct Slot {
        Call *call;
        Operation operation;
        bool in_flight;
    };

    WorkloadParameters parameters;
    WorkloadCounters counters;
    Devices *devices;
    DeviceHandle *handle;
    Answer *answer;
    OperationSource source;
    GenerationMap map;
    Slot *slots;         // parameters.depth
    uint32_t *free_list; // slots not in flight
    uint32_t free_count;
    Operation pending; // drawn, not issued
    bool have_pending;
    bool out_of_memory; // stopped early: no room for the map
    EventState event;

    // Makes buffers and map. False: no memory; Free() all the same.
    bool Init(Devices &all, DeviceHandle *device, Answer &to, const WorkloadParameters &with);
    // Issues everything, and describes failures in data lines. Afterwards nothing
    // is in flight that isn't abandoned.
    void Run();
    void Free();
    bool Failed() const {
        bool expected = parameters.event.kind != EventKind::kNone && !event.lost;
        return (counters.errors && !expected) || counters.miscompares || event.duplicates;
    }

  private:
    uint32_t InFlight() const {
        return parameters.depth - free_count;
    }
    bool Stopping() const {
        return out_of_memory || event.no_more || TooManyFailures();
    }
    // With an event, failures are what the run is about.
    bool TooManyFailures() const {
        return parameters.event.kind == EventKind::kNone &&
               counters.errors + counters.miscompares >= kMaxFailures;
    }
    bool Draw();
    bool MustWait(const Operation &operation) const;
    void IssueAll();
    void Issue(uint32_t index);
    void Complete(Slot &slot);
    void Count(const Operation &operation);
    void CompareRead(Slot &slot);
    bool CompareSector(const Slot &slot, uint64_t i, Mismatch *mismatch) const;
    bool MemoryIsWhole(const Slot &slot) const;
    void Report(const Operation &operation, uint32_t status, const Mismatch *mismatch);
    void AbandonAll();
    void SayBusy();
    // workload_event.cpp. Does what is due; false: leave everything as it is.
    bool StepEvent();
    void FireEvent();
    void LeaveAll();
};

} // namespace agent

#endif // VQ7_AGENT_WORKLOAD_H_
