// SPDX-License-Identifier: MIT
// Messages of the back end's own to the front end ("Back-end message types"), on a socket of
// their own. The front end may not read it while it waits for an answer of ours on the other
// one, so that nothing here ever waits for room: what doesn't fit is sent later, and there is
// an end to how much that may be.
#pragma once

#include <cstdint>
#include <deque>

#include "fd.h"
#include "loop.h"

namespace hostile {

class BackChannel {
  public:
    // What a front end that doesn't read may have before it. A change of configuration is no
    // news where one waits: it asks for all of it when it comes to that.
    static constexpr size_t MaxWaiting = 64;

    explicit BackChannel(Loop &loop) : loop_(loop) {}
    ~BackChannel();
    BackChannel(const BackChannel &) = delete;
    BackChannel &operator=(const BackChannel &) = delete;

    void use(Fd socket);
    explicit operator bool() const {
        return bool(socket_);
    }
    // A message without a payload and without an answer.
    void say(uint32_t request);
    size_t waiting() const {
        return waiting_.size();
    }

  private:
    void close();
    void sendWaiting();

    Loop &loop_;
    Fd socket_;
    std::deque<uint32_t> waiting_;
    size_t sent_ = 0; // bytes of the first
    uint64_t timer_ = 0;
};

} // namespace hostile
