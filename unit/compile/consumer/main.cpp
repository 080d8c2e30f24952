// SPDX-License-Identifier: MIT
#include <virtio_sg_pfn.h>

int main() {
    UINT64 pfn = 5;
    VIRTQ_SG sg;
    UINT16 count = 0;
    NTSTATUS status = VirtioSgBuildFromPfns(&pfn, 1, 1, 2, TRUE, &sg, 1, &count);
    bool fine = status == STATUS_SUCCESS && count == 1 && sg.addr == (5u << PAGE_SHIFT) + 1;
    return fine && VirtqSplitStateSize(8) != 0 ? 0 : 1;
}
