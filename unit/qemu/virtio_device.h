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

struct Completion {
    void *cookie = nullptr;
    UINT32 len = 0;
};

class VirtioDevice {
  public:
    VirtioDevice(Machine &machine, VIRTIO_PCI_MODE mode, unsigned msixVectors);

    // Reset, negotiation of `wanted` (with all of `required`).
    void negotiate(UINT64 wanted, UINT64 required = 0);
    // A queue of `size` descriptors (0: the device's own), with 16 indirect
    // tables of 32 when that was negotiated.
    Queue &addQueue(UINT16 index, UINT16 size, UINT16 vector = 0xFFFF);
    void driverOk();

    // Publishes, kicks as the library says; counts both.
    void submit(Queue &queue, const std::vector<VIRTQ_SG> &sg, void *cookie);
    void add(Queue &queue, const std::vector<VIRTQ_SG> &sg, void *cookie);
    void kick(Queue &queue);
    // The next finished buffer; throws after 10 s with the device's status.
    Completion wait(Queue &queue);

    VIRTIO_PCI_DEVICE pci{};
    PciFunction function;
    Machine &machine;
    unsigned kicks = 0, suppressed = 0;

  private:
    std::vector<std::unique_ptr<Queue>> queues_;
};

// STATUS_SUCCESS or an exception that names the call.
void check(NTSTATUS status, const char *what);

} // namespace qtest
