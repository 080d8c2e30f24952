// SPDX-License-Identifier: MIT
//
// File descriptors that this process shares with QEMU: RAM and disks in
// memory, sockets in pairs. None has a name in the file system, so nothing is
// left behind however a test ends.
#pragma once

#include <cstring>
#include <stdexcept>
#include <string>
#include <utility>

#include <cerrno>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

namespace qtest {

class Fd {
  public:
    Fd() = default;
    explicit Fd(int fd) : fd_(fd) {}
    Fd(Fd &&other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Fd &operator=(Fd &&other) noexcept {
        std::swap(fd_, other.fd_);
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
    // How a process that inherits the descriptor opens it by name.
    std::string path() const {
        return "/proc/self/fd/" + std::to_string(fd_);
    }
    std::string number() const {
        return std::to_string(fd_);
    }

  private:
    int fd_ = -1;
};

[[noreturn]] inline void systemError(const std::string &what) {
    throw std::runtime_error(what + ": " + strerror(errno));
}

inline Fd memoryFile(const char *name, size_t size) {
    Fd fd(memfd_create(name, MFD_CLOEXEC));
    if (!fd || ftruncate(fd.get(), off_t(size)) != 0) {
        systemError(std::string("can't make a memory file of ") + std::to_string(size) + " bytes");
    }
    return fd;
}

// Ours first, then QEMU's.
inline std::pair<Fd, Fd> socketPair(int type) {
    int ends[2];
    if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) != 0) {
        systemError("can't make a pair of sockets");
    }
    return {Fd(ends[0]), Fd(ends[1])};
}

} // namespace qtest
