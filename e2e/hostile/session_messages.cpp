// SPDX-License-Identifier: MIT
// What each message does. Those that are no request for an answer end in an
// acknowledgement, where the front end wants one; see Session::dispatch.
#include "session.h"

namespace hostile {

namespace {

constexpr uint64_t FeatureIndirect = bit(28), FeatureEventIdx = bit(29);
constexpr uint64_t Offered = ProtocolMq | ProtocolReplyAck | ProtocolBackendReq | ProtocolConfig |
                             ProtocolInflightShmfd | ProtocolResetDevice |
                             ProtocolConfigureMemSlots;

} // namespace

const Session::Handler Session::handlers[] = {
    {Type::GetFeatures, &Session::getFeatures},
    {Type::SetFeatures, &Session::setFeatures},
    {Type::SetOwner, &Session::setOwner},
    {Type::ResetOwner, &Session::setOwner}, // "either ignore this message, or ..."
    {Type::SetMemTable, &Session::setMemTable},
    {Type::SetVringNum, &Session::setVringNum},
    {Type::SetVringAddr, &Session::setVringAddr},
    {Type::SetVringBase, &Session::setVringBase},
    {Type::GetVringBase, &Session::getVringBase},
    {Type::SetVringKick, &Session::setVringKick},
    {Type::SetVringCall, &Session::setVringCall},
    {Type::SetVringErr, &Session::setVringErr},
    {Type::GetProtocolFeatures, &Session::getProtocolFeatures},
    {Type::SetProtocolFeatures, &Session::setProtocolFeatures},
    {Type::GetQueueNum, &Session::getQueueNum},
    {Type::SetVringEnable, &Session::setVringEnable},
    {Type::SetBackendReqFd, &Session::setBackendReqFd},
    {Type::GetConfig, &Session::getConfig},
    {Type::SetConfig, &Session::setConfig},
    {Type::GetInflightFd, &Session::getInflightFd},
    {Type::SetInflightFd, &Session::setInflightFd},
    {Type::ResetDevice, &Session::resetDevice},
    {Type::GetMaxMemSlots, &Session::getMaxMemSlots},
    {Type::AddMemReg, &Session::addMemReg},
    {Type::RemMemReg, &Session::remMemReg},
    {Type{}, nullptr},
};

void Session::getFeatures(Message &message) {
    replyNumber(message, device_.features() | ProtocolFeaturesFeature);
}

void Session::setFeatures(Message &message) {
    auto chosen = message.as<uint64_t>();

    if ((chosen & ~(device_.features() | ProtocolFeaturesFeature)) != 0) {
        throw ProtocolError("features that weren't offered");
    }
    features_ = chosen;
    device_.negotiated(chosen);
    for (auto &each : queues_) {
        each->setFeatures((chosen & FeatureEventIdx) != 0, (chosen & FeatureIndirect) != 0);
        if ((chosen & ProtocolFeaturesFeature) == 0) {
            each->setEnabled(true);
        }
    }
}

void Session::setOwner(Message &) {}

void Session::memoryChanged() {
    for (auto &each : queues_) {
        each->memoryChanged();
    }
}

void Session::setMemTable(Message &message) {
    auto table = message.as<MemoryTable>();

    if (message.fds.size() != table.count) {
        throw ProtocolError(std::to_string(table.count) + " memory regions with " +
                            std::to_string(message.fds.size()) + " files");
    }
    memory_.clear();
    memoryChanged(); // also where what follows is refused
    for (uint32_t i = 0; i < table.count; i++) {
        memory_.add(message.as<Region>(sizeof(table) + i * sizeof(Region)), message.fds[i]);
    }
    memoryChanged();
}

void Session::getMaxMemSlots(Message &message) {
    replyNumber(message, GuestMemory::MaxRegions);
}

void Session::addMemReg(Message &message) {
    if (message.fds.size() != 1) {
        throw ProtocolError("a memory region with " + std::to_string(message.fds.size()) +
                            " files");
    }
    memory_.add(message.as<SingleRegion>().region, message.fds[0]);
    memoryChanged();
}

void Session::remMemReg(Message &message) {
    memory_.remove(message.as<SingleRegion>().region);
    memoryChanged();
}

void Session::setVringNum(Message &message) {
    auto state = message.as<VringState>();
    queue(state.index).setSize(state.num);
}

void Session::setVringAddr(Message &message) {
    auto addresses = message.as<VringAddress>();
    queue(addresses.index).setAddresses(addresses);
}

void Session::setVringBase(Message &message) {
    auto state = message.as<VringState>();
    queue(state.index).setBase(state.num);
}

void Session::getVringBase(Message &message) {
    auto state = message.as<VringState>();
    state.num = queue(state.index).stop();
    reply(message, &state, sizeof(state), {});
}

// The descriptor of a ring's event; none where the front end says that there is none.
Fd Session::eventOf(Message &message, uint64_t &index) {
    auto value = message.as<uint64_t>();
    bool none = (value & VringNoFd) != 0;

    index = value & VringIndexMask;
    if (message.fds.size() != (none ? 0u : 1u)) {
        throw ProtocolError("a ring's event with " + std::to_string(message.fds.size()) +
                            " descriptors");
    }
    return none ? Fd() : std::move(message.fds[0]);
}

void Session::setVringKick(Message &message) {
    uint64_t index;
    Fd fd = eventOf(message, index);
    Queue &chosen = queue(index);
    if ((features_ & ProtocolFeaturesFeature) == 0) {
        chosen.setEnabled(true);
    }
    chosen.setInflight(inflight_.region(uint16_t(index)));
    chosen.setKick(std::move(fd));
}

void Session::setVringCall(Message &message) {
    uint64_t index;
    Fd fd = eventOf(message, index);
    queue(index).setCall(std::move(fd));
}

void Session::setVringErr(Message &message) {
    uint64_t index;
    Fd fd = eventOf(message, index);
    queue(index).setError(std::move(fd));
}

void Session::getProtocolFeatures(Message &message) {
    replyNumber(message, Offered);
}

void Session::setProtocolFeatures(Message &message) {
    auto chosen = message.as<uint64_t>();

    if ((chosen & ~Offered) != 0) {
        throw ProtocolError("protocol features that weren't offered");
    }
    protocolFeatures_ = chosen;
}

void Session::getQueueNum(Message &message) {
    replyNumber(message, queues_.size());
}

void Session::setVringEnable(Message &message) {
    auto state = message.as<VringState>();
    queue(state.index).setEnabled(state.num != 0);
}

void Session::setBackendReqFd(Message &message) {
    if (message.fds.size() != 1) {
        throw ProtocolError("a socket for requests of the back end without a socket");
    }
    backChannel_.use(std::move(message.fds[0]));
}

// "uses zero length of payload to indicate an error".
void Session::getConfig(Message &message) {
    auto asked = message.as<ConfigSpace>();

    if (asked.size > MaxConfigSize || asked.offset > MaxConfigSize - asked.size) {
        reply(message, nullptr, 0, {});
        return;
    }
    std::vector<uint8_t> bytes = device_.config();
    bytes.resize(MaxConfigSize);
    std::vector<uint8_t> payload(sizeof(asked) + asked.size);
    memcpy(payload.data(), &asked, sizeof(asked));
    memcpy(payload.data() + sizeof(asked), bytes.data() + asked.offset, asked.size);
    reply(message, payload.data(), payload.size(), {});
}

void Session::setConfig(Message &message) {
    auto given = message.as<ConfigSpace>();

    if (given.size > message.payload.size() - sizeof(given)) {
        throw ProtocolError("a configuration that isn't all there");
    }
    auto from = message.payload.begin() + sizeof(given);
    bool done = device_.writeConfig(given.offset, {from, from + given.size});
    if (!done && (given.flags & ConfigMigration) == 0) {
        throw ProtocolError("a configuration field that may only be read");
    }
}

void Session::getInflightFd(Message &message) {
    InflightArea area{};
    size_t bytes = std::min(message.payload.size(), sizeof(area));

    if (bytes < InflightAreaBytes) {
        throw ProtocolError("a description of requests in flight that is too short");
    }
    memcpy(&area, message.payload.data(), bytes);
    area.size = InflightRegion::bytes(area.queueSize) * area.queues;
    area.offset = 0;
    Fd fd = InflightMapping::create(area.size);
    inflight_.map(fd, area.offset, area.size, area.queues, area.queueSize);
    reply(message, &area, bytes, {fd.get()});
}

void Session::setInflightFd(Message &message) {
    InflightArea area{};

    if (message.payload.size() < InflightAreaBytes || message.fds.size() != 1) {
        throw ProtocolError("a description of requests in flight without a file, or too short");
    }
    memcpy(&area, message.payload.data(), std::min(message.payload.size(), sizeof(area)));
    inflight_.map(message.fds[0], area.offset, area.size, area.queues, area.queueSize);
}

void Session::resetDevice(Message &) {
    for (auto &each : queues_) {
        each->abandon();
        each->setEnabled(false);
    }
    features_ = 0;
    device_.negotiated(0);
}

} // namespace hostile
