// SPDX-License-Identifier: MIT
//
// The driver's IOCTLs for code that doesn't see Windows' headers. The values of
// CTL_CODE and its arguments are those of winioctl.h.
#ifndef VQ7_AGENT_IOCTL_H_
#define VQ7_AGENT_IOCTL_H_

#ifndef CTL_CODE
#define CTL_CODE(type, function, method, access)                                                   \
    (((type) << 16) | ((access) << 14) | ((function) << 2) | (method))
#define METHOD_BUFFERED 0u
#define METHOD_IN_DIRECT 1u
#define METHOD_OUT_DIRECT 2u
#define FILE_READ_ACCESS 1u
#define FILE_WRITE_ACCESS 2u
#endif
#if !defined(_MSC_VER) && !defined(__int64)
#define __int64 long long
#endif

#include "../../driver/vq7_ioctl.h"

namespace agent {

static_assert(sizeof(VQ7_QUEUE_INFO) == 16 && sizeof(VQ7_DEVICE_INFO) == 64 + 16 * 16 &&
                  sizeof(VQ7_STATS) == 136 && sizeof(VQ7_BLK_INFO) == 48 &&
                  sizeof(VQ7_FAILURES) == 56 + 16 * 8 && sizeof(VQ7_TIMEOUT) == 8 &&
                  sizeof(VQ7_BLK_TRANSFER) == 16 && sizeof(VQ7_BLK_ID) == 24,
              "one layout for all compilers");

constexpr uint32_t kVirtioTypeBlock = 2; // virtio 1.2, 5.2.1

} // namespace agent

#endif // VQ7_AGENT_IOCTL_H_
