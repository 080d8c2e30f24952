// SPDX-License-Identifier: MIT
// One vhost-user message: its bytes and the file descriptors that came with it.
#pragma once

#include <cstring>
#include <optional>
#include <vector>

#include "fd.h"
#include "vhost_user.h"

namespace hostile {

// The other side broke the protocol; the session says no, or ends.
class ProtocolError : public Error {
  public:
    using Error::Error;
};

struct Message {
    Header header{};
    std::vector<uint8_t> payload;
    std::vector<Fd> fds;

    bool needsReply() const {
        return (header.flags & NeedReplyFlag) != 0;
    }
    // The payload's structure at `offset`. Throws ProtocolError when it is too short.
    template <class T> T as(size_t offset = 0) const {
        T value;
        if (payload.size() < offset || payload.size() - offset < sizeof(T)) {
            throw ProtocolError("message " + std::to_string(header.request) +
                                " is too short: " + std::to_string(payload.size()) + " bytes");
        }
        memcpy(&value, payload.data() + offset, sizeof(T));
        return value;
    }
};

// Collects messages of a non-blocking stream socket.
class Receiver {
  public:
    enum class State { More, Whole, Closed };
    // Reads what is there of one message. Throws ProtocolError.
    State receive(int socket);
    // The message, after Whole.
    Message take();

  private:
    State read(int socket, uint8_t *into, size_t bytes, size_t &have);

    Message message_;
    size_t headerBytes_ = 0, payloadBytes_ = 0;
};

// Sends one message whole. Throws Error when the socket won't take it.
void sendMessage(int socket, uint32_t request, uint32_t flags, const void *payload, size_t bytes,
                 const std::vector<int> &fds = {});

} // namespace hostile
