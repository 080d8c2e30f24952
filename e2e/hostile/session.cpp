// SPDX-License-Identifier: MIT
#include "session.h"

namespace hostile {

Session::Session(Fd socket, Loop &loop, Device &device, Behaviour &behaviour, Counters &counters,
                 std::function<void(milliseconds)> hangUp, Ended ended)
    : socket_(std::move(socket)), backChannel_(loop), loop_(loop), device_(device),
      ended_(std::move(ended)) {
    for (unsigned i = 0; i < device.queues(); i++) {
        queues_.push_back(std::make_unique<Queue>(
            Surroundings{loop, memory_, device, behaviour, counters, hangUp}, i));
    }
    loop_.watch(socket_.get(), [this] { readable(); });
}

Session::~Session() {
    if (socket_) {
        loop_.forget(socket_.get());
    }
}

void Session::readable() {
    try {
        Receiver::State state = receiver_.receive(socket_.get());
        if (state == Receiver::State::Closed) {
            end("the front end has closed the connection");
        } else if (state == Receiver::State::Whole) {
            Message message = receiver_.take();
            dispatch(message);
        }
    } catch (const Error &bad) {
        end(bad.what());
    }
}

void Session::end(const std::string &why) {
    loop_.forget(socket_.get());
    ended_(why);
}

// A message that asks for a reply gets a refusal, and the connection goes on ("REPLY_ACK");
// any other way to say no than to end it there isn't.
void Session::dispatch(Message &message) {
    bool acknowledge = message.needsReply() && (protocolFeatures_ & ProtocolReplyAck) != 0;
    uint64_t result = 0;

    replied_ = false;
    try {
        const Handler *found = nullptr;
        for (const Handler *each = handlers; each->handle != nullptr; each++) {
            found = uint32_t(each->type) == message.header.request ? each : found;
        }
        if (found == nullptr) {
            throw ProtocolError("message " + std::to_string(message.header.request) +
                                " isn't among the features offered");
        }
        (this->*found->handle)(message);
    } catch (const Error &bad) {
        if (!acknowledge || replied_) {
            throw;
        }
        fprintf(stderr, "message %u refused: %s\n", message.header.request, bad.what());
        result = 1;
    }
    if (acknowledge && !replied_) {
        replyNumber(message, result);
    }
}

void Session::reply(const Message &to, const void *payload, size_t bytes,
                    const std::vector<int> &fds) {
    replied_ = true;
    sendMessage(socket_.get(), to.header.request, Version | ReplyFlag, payload, bytes, fds);
}

void Session::replyNumber(const Message &to, uint64_t value) {
    reply(to, &value, sizeof(value), {});
}

bool Session::configChanged() {
    if (!backChannel_ || (protocolFeatures_ & ProtocolConfig) == 0) {
        return false;
    }
    // Without a reply: the front end asks for the new configuration before it would reply.
    backChannel_.say(BackendConfigChange);
    return true;
}

void Session::behave() {
    for (auto &each : queues_) {
        each->behave();
    }
}

uint64_t Session::release(uint64_t most) {
    uint64_t count = 0;

    for (auto &each : queues_) {
        count += each->release(most - count);
    }
    return count;
}

uint64_t Session::held() const {
    uint64_t count = 0;

    for (const auto &each : queues_) {
        count += each->held();
    }
    return count;
}

uint64_t Session::pending() const {
    uint64_t count = 0;

    for (const auto &each : queues_) {
        count += each->pending();
    }
    return count;
}

Queue &Session::queue(uint64_t index) {
    if (index >= queues_.size()) {
        throw ProtocolError("queue " + std::to_string(index) + " of " +
                            std::to_string(queues_.size()));
    }
    return *queues_[index];
}

} // namespace hostile
