// SPDX-License-Identifier: MIT
// File descriptors that close themselves, and errors that say what the system said.
#pragma once

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <string>
#include <utility>

#include <unistd.h>

namespace hostile {

class Fd {
  public:
    Fd() = default;
    explicit Fd(int fd) : fd_(fd) {}
    Fd(Fd &&other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Fd &operator=(Fd &&other) noexcept {
        if (this != &other) {
            reset();
            fd_ = std::exchange(other.fd_, -1);
        }
        return *this;
    }
    ~Fd() {
        reset();
    }
    void reset() {
        if (fd_ >= 0) {
            close(fd_);
        }
        fd_ = -1;
    }
    int get() const {
        return fd_;
    }
    explicit operator bool() const {
        return fd_ >= 0;
    }

  private:
    int fd_ = -1;
};

// What this program is asked for and can't do: one line, for a person.
class Error : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

[[noreturn]] inline void systemError(const std::string &what) {
    throw Error(what + ": " + strerror(errno));
}

} // namespace hostile
