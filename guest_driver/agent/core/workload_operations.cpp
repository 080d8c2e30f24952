// SPDX-License-Identifier: MIT
//
// Which operations a workload consists of: a function of its parameters alone.
#include "workload.h"

namespace agent {
namespace {

uint64_t DrawNumber(const WorkloadParameters &p, uint64_t k, uint32_t j) {
    return Mix(p.seed + (4 * k + j + 1) * kGolden);
}

} // namespace

void OperationSource::Init(const WorkloadParameters &of) {
    parameters = &of;
    next = 0;
    cursor = of.start;
    flush_due = false;
}

bool OperationSource::Next(Operation *operation) {
    const WorkloadParameters &p = *parameters;
    if (flush_due) {
        flush_due = false;
        *operation = {next - 1, OperationKind::kFlush, 0, 0};
        return true;
    }
    if (next == p.ops)
        return false;
    uint64_t k = next++;
    operation->index = k;
    operation->kind =
        DrawNumber(p, k, 0) % 100 < p.write_percent ? OperationKind::kWrite : OperationKind::kRead;
    operation->count = p.sizes[DrawNumber(p, k, 1) % p.size_count] / kSectorSize;
    if (p.sequential) {
        if (operation->count > p.start + p.span - cursor)
            cursor = p.start;
        operation->sector = cursor;
        cursor += operation->count;
    } else {
        uint64_t places = (p.span - operation->count) / p.block + 1;
        operation->sector = p.start + DrawNumber(p, k, 2) % places * p.block;
    }
    flush_due = p.flush_every && next % p.flush_every == 0;
    return true;
}

} // namespace agent
