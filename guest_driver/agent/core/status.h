// SPDX-License-Identifier: MIT
//
// Statuses that the agent gives or names. The agent's own are in
// docs/console-protocol.md ("Commands").
#ifndef VQ7_AGENT_STATUS_H_
#define VQ7_AGENT_STATUS_H_

#include <stdint.h>

namespace agent {

constexpr uint32_t kOk = 0;
constexpr uint32_t kUnknownCommand = 0xE0070001;
constexpr uint32_t kBadArgument = 0xE0070002;
constexpr uint32_t kNoDevice = 0xE0070003;
constexpr uint32_t kMiscompare = 0xE0070004;
constexpr uint32_t kWorkloadFailed = 0xE0070005;
constexpr uint32_t kAnswerTooLong = 0xE0070006;
constexpr uint32_t kSequenceReused = 0xE0070007;
constexpr uint32_t kNotSupported = 0xE0070008;
constexpr uint32_t kNoMemory = 0xE0070009;
constexpr uint32_t kRequestLost = 0xE007000A;
constexpr uint32_t kMemoryChanged = 0xE007000B;

constexpr uint32_t kStatusPending = 0x00000103;
constexpr uint32_t kStatusNoSuchDevice = 0xC000000E;
constexpr uint32_t kStatusNoSuchFile = 0xC000000F;
constexpr uint32_t kStatusObjectNameNotFound = 0xC0000034;
constexpr uint32_t kStatusObjectPathNotFound = 0xC000003A;
constexpr uint32_t kStatusDeletePending = 0xC0000056;
constexpr uint32_t kStatusDeviceDoesNotExist = 0xC00000C0;
constexpr uint32_t kStatusInfoLengthMismatch = 0xC0000004;
constexpr uint32_t kStatusNotSupported = 0xC00000BB;
constexpr uint32_t kStatusDeviceBusy = 0x80000011;

// NT_SUCCESS: success and informational codes.
constexpr bool Succeeded(uint32_t status) {
    return (status & 0x80000000u) == 0;
}

// "STATUS_IO_DEVICE_ERROR", "BAD_ARGUMENT"; STATUS_UNNAMED where none is known.
const char *StatusName(uint32_t status);

} // namespace agent

#endif // VQ7_AGENT_STATUS_H_
