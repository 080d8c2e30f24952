// SPDX-License-Identifier: MIT
//
// A QEMU machine whose devices a host process drives: registers through the
// qtest socket, RAM through a shared mapping. No guest software runs but the
// firmware, which assigns the BARs and then idles.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <sys/types.h>

namespace qtest {

class Machine {
  public:
    // `machine` is "pc" or "q35"; `args` are further QEMU arguments (devices).
    // Throws std::runtime_error that says what went wrong and where the log is.
    Machine(const std::string &machine, const std::vector<std::string> &args);
    ~Machine();
    Machine(const Machine &) = delete;
    Machine &operator=(const Machine &) = delete;

    uint32_t in(uint16_t port, int width);
    void out(uint16_t port, uint32_t value, int width);
    uint64_t read(uint64_t address, int width);
    void write(uint64_t address, uint64_t value, int width);

    // Shared RAM. `allocate` gives zeroed memory above the firmware's.
    uint8_t *at(uint64_t physical);
    uint64_t allocate(size_t bytes, size_t alignment);
    const std::string &folder() const {
        return folder_;
    }

  private:
    Machine() = default;
    void start(const std::string &machine, const std::vector<std::string> &args);
    void mapRam();
    void waitForFirmware();
    std::string ask(const std::string &line);
    [[noreturn]] void fail(const std::string &what);

    std::string folder_;
    pid_t pid_ = -1;
    int socket_ = -1;
    std::string buffer_;
    uint8_t *ram_ = nullptr;
    uint64_t next_ = 16u << 20;
};

// Whether qemu-system-x86_64 is installed; tests skip, saying so, without it.
bool available();

} // namespace qtest
