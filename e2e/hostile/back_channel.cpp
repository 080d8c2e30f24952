// SPDX-License-Identifier: MIT
#include "back_channel.h"

#include <cstdio>

#include <sys/socket.h>

#include "vhost_user.h"

namespace hostile {

namespace {

constexpr std::chrono::milliseconds Again{5};

}

BackChannel::~BackChannel() {
    close();
}

void BackChannel::use(Fd socket) {
    close();
    socket_ = std::move(socket);
    // Nothing is asked that is answered, so this is its end.
    loop_.watch(socket_.get(), [this] { close(); });
}

void BackChannel::close() {
    if (socket_) {
        loop_.forget(socket_.get());
    }
    loop_.cancel(timer_);
    socket_.reset();
    waiting_.clear();
    sent_ = 0;
}

void BackChannel::say(uint32_t request) {
    if (socket_ && waiting_.size() < MaxWaiting) {
        waiting_.push_back(request);
        loop_.cancel(timer_);
        sendWaiting();
    }
}

void BackChannel::sendWaiting() {
    while (!waiting_.empty()) {
        Header header{waiting_.front(), Version, 0};
        const uint8_t *bytes = reinterpret_cast<const uint8_t *>(&header);
        ssize_t sent =
            send(socket_.get(), bytes + sent_, sizeof(header) - sent_, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno == EINTR) {
            continue;
        }
        if (sent < 0 && errno == EAGAIN) {
            timer_ = loop_.at(Loop::Clock::now() + Again, [this] { sendWaiting(); });
            return;
        }
        if (sent < 0) {
            fprintf(stderr, "the front end takes no messages of ours: %s\n", strerror(errno));
            close();
            return;
        }
        sent_ += size_t(sent);
        if (sent_ == sizeof(header)) {
            waiting_.pop_front();
            sent_ = 0;
        }
    }
}

} // namespace hostile
