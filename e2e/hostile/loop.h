// SPDX-License-Identifier: MIT
// The one thread of this program: waits for descriptors and for moments in time.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>

namespace hostile {

class Loop {
  public:
    using Clock = std::chrono::steady_clock;
    using Call = std::function<void()>;

    // Calls whenever there is something to read, or the other end has gone. A call may
    // forget any descriptor, its own, too.
    void watch(int fd, Call call);
    void forget(int fd);

    // Calls once; the number is for `cancel`, which knows when it is too late.
    uint64_t at(Clock::time_point when, Call call);
    void cancel(uint64_t timer);
    void soon(Call call) {
        at(Clock::time_point::min(), std::move(call));
    }

    // Runs until `end`; returns the exit code.
    int run();
    void end(int code);

  private:
    int untilNext() const;
    void callDue();
    void callReady();

    std::map<int, std::shared_ptr<Call>> watched_;
    std::map<std::pair<Clock::time_point, uint64_t>, Call> timers_;
    std::map<uint64_t, Clock::time_point> timerTimes_;
    uint64_t nextTimer_ = 1;
    bool ended_ = false;
    int code_ = 0;
};

} // namespace hostile
