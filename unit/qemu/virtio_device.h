// SPDX-License-Identifier: MIT
//
// A virtio device of a qtest machine, driven by the library as a driver would:
// negotiate, set queues up, send buffers, wait for them.
#pragma once

#include <memory>
#include <vector>

#include "pci_function.h"

extern "C" {
#include "virtqueue_split.h"
}

namespace qtest {

struct Queue {
    std::vector<void *> state; // VIRTQ_SPLIT, aligned as pointers are
    UINT16 index = 0;
    UINT16 vector = 0xFFFF;
    VIRTQ_SPLIT *vq() {
        return reinterpret_cast<VIRTQ_SPLIT *>(state.data());
    }
};

struct QueueOptions {
    UINT16 size = 0; // 0: the device's; a legacy device's is never changed
    UINT16 vector = 0xFFFF;
    bool separate = false; // three areas, as badly aligned as 2.7 allows (modern)
};

struct Completion {
    void *cookie = nullptr;
    UINT32 len = 0;
};

class VirtioDevice {
  public:
    VirtioDevice(Machine &machine, PciFunction &function, VIRTIO_PCI_MODE mode, bool msix);

    // Reset, negotiation of `wanted` (with all of `required`).
    void negotiate(UINT64 wanted, UINT64 required = 0);
    bool negotiated(unsigned bit) const {
        return (pci.driver_features & VIRTIO_FEATURE(bit)) != 0;
    }
    // With as many indirect tables of 32 as descriptors, if that was negotiated;
    // chains of two segments and more use them then.
    Queue &addQueue(UINT16 index, const QueueOptions &options);
    void driverOk();

    // Publishes, kicks as the library says; counts both.
    void submit(Queue &queue, const std::vector<VIRTQ_SG> &sg, void *cookie);
    UINT16 add(Queue &queue, const std::vector<VIRTQ_SG> &sg, void *cookie);
    void kick(Queue &queue);
    // The same by the calls for many: SubmitBatch and Kick, GetUsedBatch.
    void submitBatch(Queue &queue, const std::vector<std::vector<VIRTQ_SG>> &sg,
                     const std::vector<void *> &cookies);
    std::vector<Completion> waitBatch(Queue &queue, UINT16 most);
    // The next finished buffer; throws after 10 s with the device's status.
    Completion wait(Queue &queue);
    // All that were added and never came back; after a reset.
    std::vector<void *> detach(Queue &queue);

    VIRTIO_PCI_DEVICE pci{};
    PciFunction &function;
    Machine &machine;
    unsigned kicks = 0, suppressed = 0;
    // Whether `wait` takes a buffer only when the device has decided on its
    // interrupt. One that is taken sooner moves used_event on, and then rightly
    // gets none (2.7.7.2).
    bool patient = false;

  private:
    void notify(Queue &queue, bool wanted);
    template <typename Take> void waitUntil(Queue &queue, Take take);
    void initialize(Queue &q, UINT16 size, UINT16 max, const QueueOptions &options);

    std::vector<std::unique_ptr<Queue>> queues_;
};

// STATUS_SUCCESS or an exception that names the call.
void check(NTSTATUS status, const char *what);

} // namespace qtest
