// SPDX-License-Identifier: MIT
// What `set` sets of a block device.
#include "block_wire.h"

namespace hostile {

namespace {

struct Property {
    const char *name;
    uint64_t Block::Properties::*value;
    uint64_t max;
};

const Property propertyTable[] = {
    {"capacity", &Block::Properties::capacity, UINT64_MAX},
    {"size_max", &Block::Properties::sizeMax, UINT32_MAX},
    {"seg_max", &Block::Properties::segMax, UINT32_MAX},
    {"blk_size", &Block::Properties::blkSize, UINT32_MAX},
    {"queues", &Block::Properties::queues, 64},
    {"read_only", &Block::Properties::readOnly, 1},
    {"flush", &Block::Properties::flush, 1},
    {"config_wce", &Block::Properties::configWce, 1},
    {"cache", &Block::Properties::cache, 1},
    {"without", &Block::Properties::without, UINT64_MAX},
    {"discard", &Block::Properties::discard, UINT32_MAX},
    {"write_zeroes", &Block::Properties::writeZeroes, UINT32_MAX},
    {"with", &Block::Properties::with, UINT64_MAX},
};

} // namespace

bool Block::set(const std::string &name, const std::string &value) {
    if (name == "serial") {
        if (value.size() > IdBytes) {
            throw Error("serial '" + value + "' has more than 20 characters");
        }
        serial_ = value;
        return false;
    }
    for (const Property &each : propertyTable) {
        if (name == each.name) {
            properties_.*each.value = number(value, name, each.max);
            return each.value != &Properties::without && each.value != &Properties::with &&
                   each.value != &Properties::cache;
        }
    }
    std::string known = "serial";
    for (const Property &each : propertyTable) {
        known += std::string(", ") + each.name;
    }
    throw Error("unknown property '" + name + "'; known: " + known);
}

Words Block::properties() const {
    Words all;

    for (const Property &each : propertyTable) {
        all.push_back(std::string(each.name) + "=" + std::to_string(properties_.*each.value));
    }
    all.push_back("serial=" + serial_);
    return all;
}

} // namespace hostile
