// SPDX-License-Identifier: MIT
#include "virtio_device.h"

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <thread>

namespace qtest {

void check(NTSTATUS status, const char *what) {
    if (status != STATUS_SUCCESS) {
        char text[96];
        snprintf(text, sizeof(text), "%s: status 0x%08x", what, unsigned(status));
        throw std::runtime_error(text);
    }
}

VirtioDevice::VirtioDevice(Machine &m, PciFunction &f, VIRTIO_PCI_MODE mode, bool msix)
    : function(f), machine(m) {
    function.enableMsix(msix);
    check(VirtioPciInit(&pci, PciFunction::io(), &function, mode, msix), "VirtioPciInit");
}

void VirtioDevice::negotiate(UINT64 wanted, UINT64 required) {
    check(VirtioPciReset(&pci, 1000), "VirtioPciReset");
    queues_.clear();
    check(VirtioPciNegotiate(&pci, wanted, required), "VirtioPciNegotiate");
}

void VirtioDevice::initialize(Queue &q, UINT16 size, UINT16 max, const QueueOptions &options) {
    bool eventIdx = negotiated(VIRTIO_F_RING_EVENT_IDX_BIT);
    bool indirect = negotiated(VIRTIO_F_RING_INDIRECT_DESC_BIT);
    UINT16 tables = std::min<UINT16>(size, 64);
    UINT16 entries = std::min<UINT16>(size, 32);
    UINT64 pool = indirect ? machine.allocate(tables * entries * sizeof(VIRTQ_DESC), 4096) : 0;
    void *poolVa = indirect ? machine.at(pool) : nullptr;
    if (options.separate) {
        UINT64 desc = machine.allocate(VirtqSplitDescAreaSize(size) + 16, 4096) + 16;
        UINT64 used = machine.allocate(VirtqSplitUsedAreaSize(size) + 4, 4096) + 4;
        UINT64 avail = machine.allocate(VirtqSplitAvailAreaSize(size) + 2, 4096) + 2;
        VIRTQ_SPLIT_AREAS areas = {machine.at(desc), desc, machine.at(avail), avail,
                                   machine.at(used), used};
        check(VirtqSplitInitAreas(q.vq(), size, max, eventIdx, indirect, &areas, poolVa, pool,
                                  tables, entries),
              "VirtqSplitInitAreas");
    } else {
        UINT64 ring = machine.allocate(VirtqSplitRingMemSize(size, 4096, eventIdx), 4096);
        check(VirtqSplitInit(q.vq(), size, eventIdx, indirect, machine.at(ring), ring, 4096, poolVa,
                             pool, tables, entries),
              "VirtqSplitInit");
    }
    q.vq()->indirect_threshold = 1;
    VirtqSplitSetCutUsedLength(q.vq(), !pci.modern); // 2.7.8.1
}

Queue &VirtioDevice::addQueue(UINT16 index, const QueueOptions &options) {
    auto q = std::make_unique<Queue>();
    UINT16 max = 0;
    check(VirtioPciQueueMaxSize(&pci, index, &max), "VirtioPciQueueMaxSize");
    UINT16 size = options.size == 0 || !pci.modern ? max : options.size;
    q->state.resize(VirtqSplitStateSize(size) / sizeof(void *) + 1);
    q->index = index;
    q->vector = options.vector;
    initialize(*q, size, max, options);
    check(VirtioPciQueueSetup(&pci, index, size, q->vq()->desc_pa, q->vq()->avail_pa,
                              q->vq()->used_pa, options.vector),
          "VirtioPciQueueSetup");
    queues_.push_back(std::move(q));
    return *queues_.back();
}

void VirtioDevice::driverOk() {
    VirtioPciDriverOk(&pci);
}

UINT16 VirtioDevice::add(Queue &queue, const std::vector<VIRTQ_SG> &sg, void *cookie) {
    UINT16 head;
    check(VirtqSplitAddBuffer(queue.vq(), sg.data(), UINT16(sg.size()), cookie, &head),
          "VirtqSplitAddBuffer");
    check(VirtqSplitPublishChecked(queue.vq(), head), "VirtqSplitPublishChecked");
    return head;
}

void VirtioDevice::notify(Queue &queue, bool wanted) {
    if (wanted) {
        VirtioPciNotify(&pci, queue.index);
        kicks++;
    } else {
        suppressed++;
    }
}

void VirtioDevice::kick(Queue &queue) {
    notify(queue, VirtqSplitKickPrepare(queue.vq()) != FALSE);
    VirtqSplitKickCommit(queue.vq());
}

void VirtioDevice::submitBatch(Queue &queue, const std::vector<std::vector<VIRTQ_SG>> &sg,
                               const std::vector<void *> &cookies) {
    std::vector<VIRTQ_BUFFER> buffers;
    UINT16 submitted = 0;
    for (size_t i = 0; i < sg.size(); i++) {
        buffers.push_back({sg[i].data(), UINT16(sg[i].size()), cookies[i]});
    }
    check(VirtqSplitSubmitBatch(queue.vq(), buffers.data(), UINT16(sg.size()), &submitted),
          "VirtqSplitSubmitBatch");
    notify(queue, VirtqSplitKick(queue.vq()) != FALSE);
}

void VirtioDevice::submit(Queue &queue, const std::vector<VIRTQ_SG> &sg, void *cookie) {
    add(queue, sg, cookie);
    kick(queue);
}

// Until `take` gives something else than STATUS_NOT_FOUND.
template <typename Take> void VirtioDevice::waitUntil(Queue &queue, Take take) {
    auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    for (;;) {
        const bool look = !patient || VirtqSplitHasUsed(queue.vq());
        if (patient && look) {
            machine.settle();
        }
        NTSTATUS status = look ? take() : STATUS_NOT_FOUND;
        if (status != STATUS_NOT_FOUND) {
            check(status, "taking a used buffer");
            return;
        }
        if (std::chrono::steady_clock::now() > end) {
            throw std::runtime_error("no buffer of queue " + std::to_string(queue.index) +
                                     " came back in 10 s; device status " +
                                     std::to_string(VirtioPciGetStatus(&pci)));
        }
        std::this_thread::sleep_for(std::chrono::microseconds(20));
    }
}

Completion VirtioDevice::wait(Queue &queue) {
    Completion done;
    waitUntil(queue, [&] { return VirtqSplitGetUsed(queue.vq(), &done.cookie, &done.len); });
    return done;
}

std::vector<Completion> VirtioDevice::waitBatch(Queue &queue, UINT16 most) {
    std::vector<VIRTQ_COMPLETION> out(most);
    UINT16 count = 0;
    waitUntil(queue, [&] { return VirtqSplitGetUsedBatch(queue.vq(), out.data(), most, &count); });
    std::vector<Completion> done;
    for (UINT16 i = 0; i < count; i++) {
        done.push_back({out[i].cookie, out[i].len});
    }
    return done;
}

std::vector<void *> VirtioDevice::detach(Queue &queue) {
    std::vector<void *> back;
    void *cookie;
    while (VirtqSplitDetachUnused(queue.vq(), &cookie) == STATUS_SUCCESS) {
        back.push_back(cookie);
    }
    return back;
}

} // namespace qtest
