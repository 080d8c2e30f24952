// SPDX-License-Identifier: MIT
#include "device.h"

#include "block.h"

namespace hostile {

namespace {

struct DeviceType {
    const char *name;
    std::unique_ptr<Device> (*make)(const std::string &file);
};

const DeviceType types[] = {
    {"blk",
     [](const std::string &file) -> std::unique_ptr<Device> {
         return std::make_unique<Block>(file);
     }},
};

} // namespace

std::unique_ptr<Device> makeDevice(const std::string &type, const std::string &file) {
    for (const DeviceType &each : types) {
        if (type == each.name) {
            return each.make(file);
        }
    }
    throw Error("unknown device type '" + type + "'; known: " + deviceTypes());
}

std::string deviceTypes() {
    std::string all;

    for (const DeviceType &each : types) {
        all += (all.empty() ? "" : ", ") + std::string(each.name);
    }
    return all;
}

uint64_t number(const std::string &text, const std::string &what, uint64_t max) {
    size_t used = 0;
    uint64_t value = 0;

    try {
        if (!text.empty() && text[0] >= '0' && text[0] <= '9') {
            value = std::stoull(text, &used, text.rfind("0x", 0) == 0 ? 16 : 10);
        }
    } catch (const std::out_of_range &) {
        used = 0;
    } catch (const std::invalid_argument &) {
        used = 0;
    }
    if (used == 0 || used != text.size() || value > max) {
        throw Error(what + " '" + text + "' is no number from 0 to " + std::to_string(max));
    }
    return value;
}

} // namespace hostile
