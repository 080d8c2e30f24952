// SPDX-License-Identifier: MIT
#include "crc32.h"

namespace agent {
namespace {

struct Table {
    uint32_t entry[256];
};

constexpr Table MakeTable() {
    Table table{};
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t value = i;
        for (int bit = 0; bit < 8; bit++)
            value = (value >> 1) ^ ((value & 1) ? 0xEDB88320u : 0u);
        table.entry[i] = value;
    }
    return table;
}

constexpr Table kTable = MakeTable();

} // namespace

uint32_t Crc32(uint32_t crc, const void *bytes, size_t size) {
    const uint8_t *p = static_cast<const uint8_t *>(bytes);
    crc = ~crc;
    for (size_t i = 0; i < size; i++)
        crc = (crc >> 8) ^ kTable.entry[(crc ^ p[i]) & 0xFF];
    return ~crc;
}

} // namespace agent
