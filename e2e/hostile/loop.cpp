// SPDX-License-Identifier: MIT
#include "loop.h"

#include <algorithm>
#include <vector>

#include <poll.h>

#include "fd.h"

namespace hostile {

void Loop::watch(int fd, Call call) {
    watched_[fd] = std::make_shared<Call>(std::move(call));
}

void Loop::forget(int fd) {
    watched_.erase(fd);
}

uint64_t Loop::at(Clock::time_point when, Call call) {
    uint64_t number = nextTimer_++;

    timers_[{when, number}] = std::move(call);
    timerTimes_[number] = when;
    return number;
}

void Loop::cancel(uint64_t timer) {
    auto found = timerTimes_.find(timer);
    if (found != timerTimes_.end()) {
        timers_.erase({found->second, timer});
        timerTimes_.erase(found);
    }
}

void Loop::end(int code) {
    ended_ = true;
    code_ = code;
}

int Loop::untilNext() const {
    using std::chrono::milliseconds;

    if (timers_.empty()) {
        return -1;
    }
    auto when = timers_.begin()->first.first;
    auto now = Clock::now();
    if (when <= now) {
        return 0;
    }
    return int(std::min<int64_t>(std::chrono::ceil<milliseconds>(when - now).count(), 60'000));
}

void Loop::callDue() {
    auto now = Clock::now();
    uint64_t before = nextTimer_; // what a call adds is for the next turn

    for (auto next = timers_.begin(); next != timers_.end() && next->first.first <= now;
         next = timers_.begin()) {
        if (next->first.second >= before) {
            break;
        }
        Call call = std::move(next->second);
        timerTimes_.erase(next->first.second);
        timers_.erase(next);
        call();
    }
}

void Loop::callReady() {
    std::vector<pollfd> list;

    for (const auto &each : watched_) {
        list.push_back({each.first, POLLIN, 0});
    }
    int ready = poll(list.data(), list.size(), untilNext());
    if (ready < 0 && errno != EINTR) {
        systemError("can't wait");
    }
    for (size_t i = 0; ready > 0 && i < list.size(); i++) {
        auto found = watched_.find(list[i].fd);
        if (list[i].revents != 0 && found != watched_.end()) {
            std::shared_ptr<Call> call = found->second;
            (*call)();
        }
    }
}

int Loop::run() {
    while (!ended_) {
        callReady();
        if (!ended_) {
            callDue();
        }
    }
    return code_;
}

} // namespace hostile
