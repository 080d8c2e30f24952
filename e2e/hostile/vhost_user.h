// SPDX-License-Identifier: MIT
// The vhost-user protocol on the wire, as QEMU's document "Vhost-user Protocol" has it.
// Numbers are in the machine's byte order.
#pragma once

#include <bit>
#include <cstdint>

namespace hostile {

// Rings and configuration are little-endian; nothing here swaps bytes.
static_assert(std::endian::native == std::endian::little);

// Front-end message types.
enum class Type : uint32_t {
    GetFeatures = 1,
    SetFeatures = 2,
    SetOwner = 3,
    ResetOwner = 4,
    SetMemTable = 5,
    SetVringNum = 8,
    SetVringAddr = 9,
    SetVringBase = 10,
    GetVringBase = 11,
    SetVringKick = 12,
    SetVringCall = 13,
    SetVringErr = 14,
    GetProtocolFeatures = 15,
    SetProtocolFeatures = 16,
    GetQueueNum = 17,
    SetVringEnable = 18,
    SetBackendReqFd = 21,
    GetConfig = 24,
    SetConfig = 25,
    GetInflightFd = 31,
    SetInflightFd = 32,
    ResetDevice = 34,
    GetMaxMemSlots = 36,
    AddMemReg = 37,
    RemMemReg = 38,
};

// Back-end message types: another numbering, on another socket.
constexpr uint32_t BackendConfigChange = 2;

constexpr uint32_t VersionMask = 3, Version = 1;
constexpr uint32_t ReplyFlag = 1u << 2;
constexpr uint32_t NeedReplyFlag = 1u << 3;

constexpr uint64_t bit(unsigned number) {
    return uint64_t(1) << number;
}

constexpr uint64_t ProtocolFeaturesFeature = bit(30);

constexpr uint64_t ProtocolMq = bit(0);
constexpr uint64_t ProtocolReplyAck = bit(3);
constexpr uint64_t ProtocolBackendReq = bit(5);
constexpr uint64_t ProtocolConfig = bit(9);
constexpr uint64_t ProtocolInflightShmfd = bit(12);
constexpr uint64_t ProtocolResetDevice = bit(13);
constexpr uint64_t ProtocolConfigureMemSlots = bit(15);

struct Header {
    uint32_t request;
    uint32_t flags;
    uint32_t size;
};
static_assert(sizeof(Header) == 12);

struct VringState {
    uint32_t index;
    uint32_t num;
};
static_assert(sizeof(VringState) == 8);

struct VringAddress {
    uint32_t index;
    uint32_t flags;
    uint64_t descriptor;
    uint64_t used;
    uint64_t available;
    uint64_t log;
};
static_assert(sizeof(VringAddress) == 40);

struct Region {
    uint64_t guest;
    uint64_t size;
    uint64_t user;
    uint64_t offset;
};
static_assert(sizeof(Region) == 32);

struct MemoryTable { // then the regions
    uint32_t count;
    uint32_t padding;
};
static_assert(sizeof(MemoryTable) == 8);

struct SingleRegion {
    uint64_t padding;
    Region region;
};
static_assert(sizeof(SingleRegion) == 40);

struct ConfigSpace { // then `size` bytes
    uint32_t offset;
    uint32_t size;
    uint32_t flags;
};
static_assert(sizeof(ConfigSpace) == 12);
constexpr uint32_t ConfigMigration = 1; // in ConfigSpace::flags
constexpr uint32_t MaxConfigSize = 256;

struct InflightArea {
    uint64_t size;
    uint64_t offset;
    uint16_t queues;
    uint16_t queueSize;
    uint32_t padding; // the C structure's; the wire has 20 bytes of QEMU's packed one, or 24
};
static_assert(sizeof(InflightArea) == 24);
constexpr uint32_t InflightAreaBytes = 20;

// In the u64 of the three messages that pass a ring's event descriptors.
constexpr uint64_t VringIndexMask = 0xFF;
constexpr uint64_t VringNoFd = bit(8);

} // namespace hostile
