// SPDX-License-Identifier: MIT
//
// A QEMU machine whose devices a host process drives: registers through the
// qtest socket, RAM through a shared mapping, QMP for what an administrator
// does. No guest software runs but the firmware, which assigns the BARs and
// then idles.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include <sys/types.h>

#include "host_fd.h"

namespace qtest {

class Machine {
  public:
    // `machine` is "pc" or "q35"; `args` are further QEMU arguments (devices);
    // QEMU inherits `fds` under the numbers they have here. Throws
    // std::runtime_error with what went wrong and what QEMU said.
    Machine(const std::string &machine, const std::vector<std::string> &args,
            const std::vector<int> &fds = {});
    ~Machine();
    Machine(const Machine &) = delete;
    Machine &operator=(const Machine &) = delete;

    uint32_t in(uint16_t port, int width);
    void out(uint16_t port, uint32_t value, int width);
    uint64_t read(uint64_t address, int width);
    void write(uint64_t address, uint64_t value, int width);

    // Returns when the devices have done all they were doing: they run on the
    // thread that also answers here.
    void settle();
    // Whether an input of the I/O APIC is raised, as of the last answer.
    bool line(unsigned number);
    // Executes a QMP command ("block_resize", its arguments as JSON) and
    // returns QEMU's answer; throws if that is an error.
    std::string qmp(const std::string &command, const std::string &arguments = "{}");
    // What QEMU printed since the last call.
    std::string takeLog();

    // Shared RAM. `allocate` gives zeroed memory above the firmware's;
    // `release` takes back all that was allocated since `mark`. The rest is out
    // of bounds for this process, which AddressSanitizer enforces.
    uint8_t *at(uint64_t physical);
    uint64_t allocate(size_t bytes, size_t alignment);
    uint64_t mark() const {
        return next_;
    }
    void release(uint64_t mark);

  private:
    Machine() = default;
    void start(const std::string &machine, const std::vector<std::string> &args,
               std::vector<int> fds);
    void launch(std::vector<std::string> args, const std::vector<int> &fds);
    void waitForFirmware();
    std::string ask(const std::string &line);
    std::string answer(const std::string &line);
    std::string readLine(int socket, std::string &buffer, const std::string &asked);
    [[noreturn]] void fail(const std::string &what);

    pid_t pid_ = -1;
    Fd qtest_, qmp_, log_, firmware_, ramFile_;
    std::string buffer_, qmpBuffer_;
    std::set<unsigned> raised_;
    size_t logRead_ = 0;
    uint8_t *ram_ = nullptr;
    uint64_t next_ = 16u << 20;
};

// Whether qemu-system-x86_64 is installed; tests skip, saying so, without it.
bool available();

} // namespace qtest
