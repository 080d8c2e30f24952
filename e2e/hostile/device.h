// SPDX-License-Identifier: MIT
// A type of virtio device: what it offers, and what it does with a buffer. Nothing here
// knows of sockets, rings or misbehaviour; a new type is one file and a line in devices.cpp.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ring.h"

namespace hostile {

using Words = std::vector<std::string>; // "name=value" each

// What a correct device answers. The status byte is the type's own, where it has one.
struct Answer {
    uint8_t status = 0;
    uint32_t written = 0; // bytes of the buffer's writable part, from its start
};

class Device {
  public:
    virtual ~Device() = default;

    virtual std::string_view name() const = 0;
    virtual unsigned queues() const = 0;
    // Device features and the ring's; not VHOST_USER_F_PROTOCOL_FEATURES.
    virtual uint64_t features() const = 0;
    virtual void negotiated(uint64_t features) = 0;
    virtual std::vector<uint8_t> config() const = 0;
    // False: not all of that may be written by a driver.
    virtual bool writeConfig(uint32_t offset, const std::vector<uint8_t> &bytes) = 0;

    // The kinds of request that a rule may name.
    virtual const std::vector<std::string_view> &kinds() const = 0;
    // Which of them this is. Throws RingError when it is no request at all.
    virtual std::string_view kindOf(const Chain &chain, const GuestMemory &memory) const = 0;
    virtual Answer perform(const Chain &chain, const GuestMemory &memory) = 0;
    // What `perform` answers where all goes well, with nothing done.
    virtual Answer pretend(const Chain &chain) const = 0;
    // How much of the writable part is data, from its start.
    virtual uint64_t dataBytes(const Chain &chain) const = 0;
    virtual void writeStatus(const Chain &chain, const GuestMemory &memory, uint8_t status) = 0;

    // A property by its name; takes effect where a driver next looks. True: the
    // configuration space has changed. Throws Error for what doesn't exist.
    virtual bool set(const std::string &name, const std::string &value) = 0;
    virtual Words properties() const = 0;
    // Its power goes, and with it what it hasn't kept for good. Says what that was, as
    // "name=value name=value". Throws Error for a type that keeps nothing.
    virtual std::string cutPower(uint64_t seed) = 0;
    // What it has seen, by name.
    virtual std::map<std::string, uint64_t> counters() const = 0;
};

// A device of a type, with its file. Throws Error.
std::unique_ptr<Device> makeDevice(const std::string &type, const std::string &file);
// The types there are, for messages.
std::string deviceTypes();

// A number in decimal or 0x hexadecimal. Throws Error naming `what`.
uint64_t number(const std::string &text, const std::string &what, uint64_t max = UINT64_MAX);

} // namespace hostile
