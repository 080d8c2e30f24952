// SPDX-License-Identifier: MIT
#include "workload.h"

#include "status.h"

namespace agent {
namespace {

// What a read's buffer holds before, so that data that never came isn't taken
// for an earlier read's.
constexpr uint64_t kPoison = 0xDEADBEEFDEADBEEFull;

const char *KindName(OperationKind kind) {
    return kind == OperationKind::kRead    ? "read"
           : kind == OperationKind::kWrite ? "write"
                                           : "flush";
}

bool Overlap(const Operation &a, const Operation &b) {
    return a.sector < b.sector + b.count && b.sector < a.sector + a.count;
}

} // namespace

bool Workload::Init(Devices &all, DeviceHandle *device, Answer &to,
                    const WorkloadParameters &with) {
    parameters = with;
    devices = &all;
    handle = device;
    answer = &to;
    source.Init(parameters);
    uint64_t largest = 0;
    for (size_t i = 0; i < parameters.size_count; i++)
        if (parameters.sizes[i] > largest)
            largest = parameters.sizes[i];
    slots = static_cast<Slot *>(platform::AllocatePages(parameters.depth * sizeof(Slot)));
    free_list =
        static_cast<uint32_t *>(platform::AllocatePages(parameters.depth * sizeof(uint32_t)));
    if (!slots || !free_list || !map.Init(parameters.span))
        return false;
    for (uint32_t i = 0; i < parameters.depth; i++) {
        slots[i].call = NewCall(static_cast<size_t>(largest), parameters.guard);
        if (!slots[i].call)
            return false;
        slots[i].call->owner = &slots[i];
        free_list[free_count++] = i;
    }
    return true;
}

void Workload::Free() {
    for (uint32_t i = 0; slots && i < parameters.depth; i++)
        FreeCall(slots[i].call);
    if (slots)
        platform::FreePages(slots);
    if (free_list)
        platform::FreePages(free_list);
    map.Free();
}

void Workload::Run() {
    uint64_t start = platform::MonotonicUs();
    uint64_t progress = start;
    for (;;) {
        IssueAll();
        if (!StepEvent() || (InFlight() == 0 && !event.down))
            break;
        Call *call = devices->Wait(event.down ? 10 : 100);
        uint64_t now = platform::MonotonicUs();
        if (call) {
            Complete(*static_cast<Slot *>(call->owner));
            progress = now;
        } else if (event.down && parameters.event.kind == EventKind::kPowerCycle) {
            progress = now; // nothing is due meanwhile
        } else if (now - progress > kRequestTimeoutUs) {
            AbandonAll();
            break;
        }
        if (answer->BusyDue())
            SayBusy();
    }
    counters.time_us = platform::MonotonicUs() - start;
}

// Makes sure that there is a next operation to issue.
bool Workload::Draw() {
    if (!have_pending)
        have_pending = source.Next(&pending);
    return have_pending;
}

bool Workload::MustWait(const Operation &operation) const {
    if (operation.kind == OperationKind::kFlush)
        return false;
    for (uint32_t i = 0; i < parameters.depth; i++) {
        const Operation &other = slots[i].operation;
        if (!slots[i].in_flight || other.kind == OperationKind::kFlush)
            continue;
        bool write = operation.kind == OperationKind::kWrite || other.kind == OperationKind::kWrite;
        if (write && Overlap(operation, other))
            return true;
    }
    return false;
}

void Workload::IssueAll() {
    while (free_count && !Stopping() && Draw() && !MustWait(pending)) {
        if (pending.kind == OperationKind::kWrite &&
            !map.Prepare(pending.sector - parameters.start, pending.count)) {
            out_of_memory = true;
            return;
        }
        have_pending = false;
        Issue(free_list[--free_count]);
        if (InFlight() > counters.max_in_flight)
            counters.max_in_flight = InFlight();
    }
}

void Workload::Issue(uint32_t index) {
    Slot &slot = slots[index];
    slot.operation = pending;
    slot.in_flight = true;
    const Operation &op = slot.operation;
    Call *call = slot.call;
    if (op.kind == OperationKind::kFlush) {
        call->request.input = nullptr;
        call->request.input_size = 0;
        call->request.buffer = nullptr;
        call->request.buffer_size = 0;
        devices->Submit(handle, call, IOCTL_VQ7_BLK_FLUSH);
        return;
    }
    uint64_t *words = reinterpret_cast<uint64_t *>(call->data);
    bool write = op.kind == OperationKind::kWrite;
    for (uint64_t i = 0; write && i < op.count; i++)
        PatternFill(words + i * kSectorWords, parameters.seed, op.sector + i, op.index + 1);
    for (uint64_t i = 0; !write && i < op.count * kSectorWords; i++)
        words[i] = kPoison;
    SetTransfer(call, op.sector, static_cast<uint32_t>(op.count * kSectorSize),
                parameters.segments);
    devices->Submit(handle, call, write ? IOCTL_VQ7_BLK_WRITE : IOCTL_VQ7_BLK_READ);
}

void Workload::Count(const Operation &operation) {
    if (operation.kind == OperationKind::kFlush) {
        counters.flushes++;
        return;
    }
    counters.ops++;
    if (operation.kind == OperationKind::kRead)
        counters.reads++;
    else
        counters.writes++;
}

void Workload::Complete(Slot &slot) {
    const Operation &op = slot.operation;
    const platform::Request &request = slot.call->request;
    if (!slot.in_flight) {
        event.duplicates++;
        return;
    }
    slot.in_flight = false;
    free_list[free_count++] = static_cast<uint32_t>(&slot - slots);
    Count(op);
    uint32_t status = request.status;
    if (Succeeded(status) && request.information != request.buffer_size)
        status = kStatusInfoLengthMismatch;
    bool ok = Succeeded(status);
    // Nothing that overlaps a write is issued before this: see MustWait().
    if (op.kind == OperationKind::kWrite)
        map.Set(op.sector - parameters.start, op.count,
                ok ? static_cast<uint32_t>(op.index + 1) : GenerationMap::kUnknown);
    if (!MemoryIsWhole(slot)) {
        Report(op, kMemoryChanged, nullptr);
        counters.miscompares++;
    }
    if (!ok) {
        Report(op, status, nullptr);
        counters.errors++;
        return;
    }
    counters.bytes += op.count * kSectorSize;
    if (op.kind == OperationKind::kRead)
        CompareRead(slot);
}

bool Workload::CompareSector(const Slot &slot, uint64_t i, Mismatch *mismatch) const {
    uint64_t sector = slot.operation.sector + i;
    uint32_t generation = map.Get(sector - parameters.start);
    if (generation == GenerationMap::kUnknown ||
        (generation == GenerationMap::kUnwritten && !parameters.base))
        return true;
    const uint64_t *words = reinterpret_cast<const uint64_t *>(slot.call->data) + i * kSectorWords;
    return PatternCheck(words, parameters.seed, sector, generation, mismatch);
}

void Workload::CompareRead(Slot &slot) {
    Mismatch mismatch;
    for (uint64_t i = 0; i < slot.operation.count; i++) {
        if (CompareSector(slot, i, &mismatch))
            continue;
        Report(slot.operation, kMiscompare, &mismatch);
        counters.miscompares++;
        return;
    }
}

// Whether what the device may not write is as it was: the guards, and a write's data.
bool Workload::MemoryIsWhole(const Slot &slot) const {
    const Operation &op = slot.operation;
    if (!parameters.guard || op.kind == OperationKind::kFlush)
        return true;
    const uint64_t *words = reinterpret_cast<const uint64_t *>(slot.call->data);
    Mismatch mismatch;
    for (uint64_t i = 0; op.kind == OperationKind::kWrite && i < op.count; i++)
        if (!PatternCheck(words + i * kSectorWords, parameters.seed, op.sector + i, op.index + 1,
                          &mismatch))
            return false;
    return GuardsAreWhole(slot.call, parameters.guard);
}

void Workload::Report(const Operation &operation, uint32_t status, const Mismatch *mismatch) {
    if (TooManyFailures())
        return;
    Text<448> line;
    line.Key("op", operation.index).Key("kind", KindName(operation.kind));
    line.Key("sector", operation.sector).Key("count", operation.count);
    line.KeyHex("status", status, 8).Key("name", StatusName(status));
    if (mismatch)
        PutMismatch(line, "bad_sector", *mismatch);
    answer->Line(line);
}

// The driver has had its time: what is still in flight is lost.
void Workload::AbandonAll() {
    for (uint32_t i = 0; i < parameters.depth; i++) {
        Slot &slot = slots[i];
        if (!slot.in_flight)
            continue;
        Count(slot.operation);
        Report(slot.operation, kRequestLost, nullptr);
        counters.errors++;
        event.lost = true;
        devices->Abandon(slot.call);
        slot.call = nullptr;
        slot.in_flight = false;
    }
}

void Workload::SayBusy() {
    Text<192> text;
    text.Key("ops", counters.ops).Key("of", parameters.ops).Key("errors", counters.errors);
    text.Key("miscompares", counters.miscompares).Key("in_flight", InFlight());
    answer->Busy(text);
}

} // namespace agent
