// SPDX-License-Identifier: MIT
//
// libFuzzer harness: any page frame numbers, offset and length. What comes out
// covers exactly the bytes asked for, or is an error with a count of 0.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "virtio_sg_pfn.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    struct {
        std::uint64_t offset, length;
        std::uint16_t cap;
    } header = {};
    if (size < 18) {
        return 0;
    }
    std::memcpy(&header.offset, data, 8);
    std::memcpy(&header.length, data + 8, 8);
    std::memcpy(&header.cap, data + 16, 2);
    std::vector<UINT64> pfns((size - 18) / 8);
    if (!pfns.empty()) {
        std::memcpy(pfns.data(), data + 18, pfns.size() * 8);
    }
    if (header.cap & 1) { // mostly what is near the edge
        header.offset %= 2 * PAGE_SIZE;
        header.length %= (pfns.size() + 2) * PAGE_SIZE;
    }
    UINT16 cap = (header.cap >> 1) % 64;
    std::vector<VIRTQ_SG> sg(cap);
    UINT16 count = 1;
    NTSTATUS status =
        VirtioSgBuildFromPfns(pfns.data(), static_cast<UINT32>(pfns.size()), header.offset,
                              header.length, TRUE, sg.data(), cap, &count);
    std::uint64_t sum = 0;
    if (status == STATUS_INVALID_PARAMETER) {
        return count == 0 ? 0 : (std::abort(), 0);
    }
    for (UINT16 i = 0; i < std::min(count, cap); i++) {
        sum += sg[i].len;
        bool right = sg[i].len != 0 && sg[i].addr + (sg[i].len - 1) >= sg[i].addr;
        if (!right) {
            std::abort();
        }
    }
    if (status == STATUS_SUCCESS ? sum != header.length : count <= cap || sum >= header.length) {
        std::fprintf(stderr, "%u segments, %llu bytes\n", count, (unsigned long long)sum);
        std::abort();
    }
    return 0;
}
