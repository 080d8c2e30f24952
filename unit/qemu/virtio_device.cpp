// SPDX-License-Identifier: MIT
#include "virtio_device.h"

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

VirtioDevice::VirtioDevice(Machine &m, VIRTIO_PCI_MODE mode, unsigned msixVectors)
    : function(m), machine(m) {
    if (msixVectors) {
        function.enableMsix(msixVectors);
    }
    check(VirtioPciInit(&pci, PciFunction::io(), &function, mode, msixVectors != 0),
          "VirtioPciInit");
}

void VirtioDevice::negotiate(UINT64 wanted, UINT64 required) {
    check(VirtioPciReset(&pci, 1000), "VirtioPciReset");
    queues_.clear();
    check(VirtioPciNegotiate(&pci, wanted, required), "VirtioPciNegotiate");
}

Queue &VirtioDevice::addQueue(UINT16 index, UINT16 size, UINT16 vector) {
    auto q = std::make_unique<Queue>();
    UINT16 max = 0;
    check(VirtioPciQueueMaxSize(&pci, index, &max), "VirtioPciQueueMaxSize");
    if (size == 0 || !pci.modern) {
        size = max;
    }
    bool eventIdx = pci.driver_features & VIRTIO_FEATURE(VIRTIO_F_RING_EVENT_IDX_BIT);
    bool indirect = pci.driver_features & VIRTIO_FEATURE(VIRTIO_F_RING_INDIRECT_DESC_BIT);
    size_t bytes = VirtqSplitRingMemSize(size, 4096, eventIdx);
    UINT64 ring = machine.allocate(bytes, 4096);
    UINT64 pool = indirect ? machine.allocate(16 * 32 * sizeof(VIRTQ_DESC), 4096) : 0;
    q->state.resize(VirtqSplitStateSize(size) / sizeof(void *) + 1);
    q->index = index;
    q->vector = vector;
    check(VirtqSplitInit(q->vq(), size, eventIdx, indirect, machine.at(ring), ring, 4096,
                         indirect ? machine.at(pool) : nullptr, pool, 16, 32),
          "VirtqSplitInit");
    check(VirtioPciQueueSetup(&pci, index, size, q->vq()->desc_pa, q->vq()->avail_pa,
                              q->vq()->used_pa, vector),
          "VirtioPciQueueSetup");
    queues_.push_back(std::move(q));
    return *queues_.back();
}

void VirtioDevice::driverOk() {
    VirtioPciDriverOk(&pci);
}

void VirtioDevice::add(Queue &queue, const std::vector<VIRTQ_SG> &sg, void *cookie) {
    UINT16 head;
    check(VirtqSplitAddBuffer(queue.vq(), sg.data(), UINT16(sg.size()), cookie, &head),
          "VirtqSplitAddBuffer");
    check(VirtqSplitPublishChecked(queue.vq(), head), "VirtqSplitPublishChecked");
}

void VirtioDevice::kick(Queue &queue) {
    if (VirtqSplitKickPrepare(queue.vq())) {
        VirtioPciNotify(&pci, queue.index);
        kicks++;
    } else {
        suppressed++;
    }
    VirtqSplitKickCommit(queue.vq());
}

void VirtioDevice::submit(Queue &queue, const std::vector<VIRTQ_SG> &sg, void *cookie) {
    add(queue, sg, cookie);
    kick(queue);
}

Completion VirtioDevice::wait(Queue &queue) {
    auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    Completion done;
    for (;;) {
        NTSTATUS status = VirtqSplitGetUsed(queue.vq(), &done.cookie, &done.len);
        if (status == STATUS_SUCCESS) {
            return done;
        }
        if (status != STATUS_NOT_FOUND) {
            check(status, "VirtqSplitGetUsed");
        }
        if (std::chrono::steady_clock::now() > end) {
            throw std::runtime_error("no buffer came back in 10 s; device status " +
                                     std::to_string(VirtioPciGetStatus(&pci)));
        }
        std::this_thread::sleep_for(std::chrono::microseconds(50));
    }
}

} // namespace qtest
