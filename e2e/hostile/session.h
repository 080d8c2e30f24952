// SPDX-License-Identifier: MIT
// One connection of a front end: the vhost-user protocol's messages.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "back_channel.h"
#include "message.h"
#include "queue.h"

namespace hostile {

class Session {
  public:
    using Ended = std::function<void(const std::string &why)>;

    // `ended` is called once, when the front end has gone or has broken the protocol.
    Session(Fd socket, Loop &loop, Device &device, Behaviour &behaviour, Counters &counters,
            std::function<void(milliseconds)> hangUp, Ended ended);
    ~Session();
    Session(const Session &) = delete;
    Session &operator=(const Session &) = delete;

    // Tells the front end that the configuration space has changed. False: it can't be told.
    bool configChanged();
    void behave();
    uint64_t release(uint64_t most);
    uint64_t held() const;
    uint64_t pending() const;
    size_t regions() const {
        return memory_.count();
    }
    uint64_t features() const {
        return features_;
    }

  private:
    struct Handler {
        Type type;
        void (Session::*handle)(Message &message);
    };
    static const Handler handlers[];

    void readable();
    void dispatch(Message &message);
    void end(const std::string &why);
    void reply(const Message &to, const void *payload, size_t bytes, const std::vector<int> &fds);
    void replyNumber(const Message &to, uint64_t value);
    Queue &queue(uint64_t index);
    Fd eventOf(Message &message, uint64_t &index);
    void memoryChanged();

    void getFeatures(Message &message);
    void setFeatures(Message &message);
    void setOwner(Message &message);
    void setMemTable(Message &message);
    void setVringNum(Message &message);
    void setVringAddr(Message &message);
    void setVringBase(Message &message);
    void getVringBase(Message &message);
    void setVringKick(Message &message);
    void setVringCall(Message &message);
    void setVringErr(Message &message);
    void getProtocolFeatures(Message &message);
    void setProtocolFeatures(Message &message);
    void getQueueNum(Message &message);
    void setVringEnable(Message &message);
    void setBackendReqFd(Message &message);
    void getConfig(Message &message);
    void setConfig(Message &message);
    void getInflightFd(Message &message);
    void setInflightFd(Message &message);
    void resetDevice(Message &message);
    void getMaxMemSlots(Message &message);
    void addMemReg(Message &message);
    void remMemReg(Message &message);

    Fd socket_;
    BackChannel backChannel_;
    Loop &loop_;
    Device &device_;
    Ended ended_;
    Receiver receiver_;
    uint64_t features_ = 0, protocolFeatures_ = 0;
    bool replied_ = false;
    GuestMemory memory_;
    InflightMapping inflight_;
    std::vector<std::unique_ptr<Queue>> queues_;
};

} // namespace hostile
