// SPDX-License-Identifier: MIT
#ifndef VQ7_AGENT_CRC32_H_
#define VQ7_AGENT_CRC32_H_

#include <stddef.h>
#include <stdint.h>

namespace agent {

// CRC-32 of IEEE 802.3 (reflected, polynomial 0x04C11DB7). `crc` is 0 at first,
// or the result for the bytes before these. Any IRQL.
uint32_t Crc32(uint32_t crc, const void *bytes, size_t size);

} // namespace agent

#endif // VQ7_AGENT_CRC32_H_
