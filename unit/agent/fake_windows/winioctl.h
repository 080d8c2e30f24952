// SPDX-License-Identifier: MIT
#ifndef VQ7_UNIT_FAKE_WINIOCTL_H_
#define VQ7_UNIT_FAKE_WINIOCTL_H_

#define CTL_CODE(type, function, method, access)                                                   \
    (((type) << 16) | ((access) << 14) | ((function) << 2) | (method))
#define METHOD_BUFFERED 0u
#define METHOD_IN_DIRECT 1u
#define METHOD_OUT_DIRECT 2u
#define FILE_READ_ACCESS 1u
#define FILE_WRITE_ACCESS 2u
#define __int64 long long

#endif // VQ7_UNIT_FAKE_WINIOCTL_H_
