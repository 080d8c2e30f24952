// SPDX-License-Identifier: MIT
#include "qtest_machine.h"

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <thread>

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

namespace qtest {

namespace {

constexpr size_t RamSize = 64u << 20;
constexpr auto StartLimit = std::chrono::seconds(30);
constexpr int ReplyLimitMs = 20000;
using Clock = std::chrono::steady_clock;

std::string readFile(const std::string &path) {
    std::ifstream f(path);
    std::stringstream s;
    s << f.rdbuf();
    return s.str();
}

} // namespace

bool available() {
    return std::system("command -v qemu-system-x86_64 >/dev/null 2>&1") == 0;
}

// Delegates, so that the destructor cleans up after a start that fails.
Machine::Machine(const std::string &machine, const std::vector<std::string> &args) : Machine() {
    char name[] = "/tmp/vq7-qtest-XXXXXX";
    if (!mkdtemp(name)) {
        throw std::runtime_error("no temporary folder in /tmp: " + std::string(strerror(errno)));
    }
    folder_ = name;
    start(machine, args);
    waitForFirmware();
    mapRam();
}

Machine::~Machine() {
    if (socket_ >= 0) {
        close(socket_);
    }
    if (pid_ > 0) {
        kill(pid_, SIGKILL);
        waitpid(pid_, nullptr, 0);
    }
    if (ram_) {
        munmap(ram_, RamSize);
    }
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
}

void Machine::fail(const std::string &what) {
    std::string log = readFile(folder_ + "/log");
    throw std::runtime_error(what + (log.empty() ? "" : "; QEMU said: " + log));
}

void Machine::start(const std::string &machine, const std::vector<std::string> &args) {
    std::string path = folder_ + "/qtest";
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(listener, reinterpret_cast<sockaddr *>(&address), sizeof(address)) != 0 ||
        listen(listener, 1) != 0) {
        close(listener);
        fail("can't listen at " + path + ": " + strerror(errno));
    }
    std::string ram = "memory-backend-file,id=ram,share=on,size=64M,mem-path=" + folder_ + "/ram";
    std::vector<std::string> all = {"qemu-system-x86_64",
                                    "-M",
                                    machine + ",memory-backend=ram",
                                    "-accel",
                                    "tcg",
                                    "-m",
                                    "64M",
                                    "-object",
                                    ram,
                                    "-display",
                                    "none",
                                    "-nodefaults",
                                    "-qtest",
                                    "unix:" + path,
                                    "-chardev",
                                    "file,id=firmware,path=" + folder_ + "/firmware",
                                    "-device",
                                    "isa-debugcon,iobase=0x402,chardev=firmware"};
    all.insert(all.end(), args.begin(), args.end());
    pid_ = fork();
    if (pid_ == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); // also when this test is killed itself
        std::vector<char *> argv;
        for (auto &a : all) {
            argv.push_back(a.data());
        }
        argv.push_back(nullptr);
        int log = open((folder_ + "/log").c_str(), O_CREAT | O_WRONLY, 0600);
        dup2(log, 1);
        dup2(log, 2);
        execvp(argv[0], argv.data());
        _exit(127);
    }
    pollfd p{listener, POLLIN, 0};
    if (poll(&p, 1, ReplyLimitMs) == 1) {
        socket_ = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    }
    close(listener);
    if (socket_ < 0) {
        fail("QEMU did not connect to its qtest socket");
    }
}

void Machine::mapRam() {
    int fd = open((folder_ + "/ram").c_str(), O_RDWR | O_CLOEXEC);
    void *p =
        fd < 0 ? MAP_FAILED : mmap(nullptr, RamSize, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (fd >= 0) {
        close(fd);
    }
    if (p == MAP_FAILED) {
        fail("can't map the machine's RAM");
    }
    ram_ = static_cast<uint8_t *>(p);
}

// SeaBIOS says on its debug port that it has nothing to boot; before that it
// uses the configuration ports itself.
void Machine::waitForFirmware() {
    auto end = Clock::now() + StartLimit;
    while (readFile(folder_ + "/firmware").find("No bootable device") == std::string::npos) {
        if (waitpid(pid_, nullptr, WNOHANG) == pid_) {
            pid_ = -1;
            fail("QEMU ended while starting");
        }
        if (Clock::now() > end) {
            fail("the firmware did not finish in 30 s");
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
}

std::string Machine::ask(const std::string &line) {
    std::string out = line + "\n";
    if (send(socket_, out.data(), out.size(), MSG_NOSIGNAL) != ssize_t(out.size())) {
        fail("qtest socket closed at '" + line + "'");
    }
    for (;;) {
        size_t end = buffer_.find('\n');
        if (end != std::string::npos) {
            std::string reply = buffer_.substr(0, end);
            buffer_.erase(0, end + 1);
            if (reply.rfind("IRQ ", 0) == 0) {
                continue;
            }
            if (reply.rfind("OK", 0) != 0) {
                fail("qtest answered '" + reply + "' to '" + line + "'");
            }
            return reply.size() > 3 ? reply.substr(3) : "";
        }
        pollfd p{socket_, POLLIN, 0};
        char chunk[512];
        ssize_t n = poll(&p, 1, ReplyLimitMs) == 1 ? recv(socket_, chunk, sizeof(chunk), 0) : 0;
        if (n <= 0) {
            fail("no qtest answer to '" + line + "'");
        }
        buffer_.append(chunk, size_t(n));
    }
}

namespace {
char letter(int width) {
    return width == 1 ? 'b' : width == 2 ? 'w' : width == 4 ? 'l' : 'q';
}
std::string hex(uint64_t value) {
    char text[24];
    snprintf(text, sizeof(text), " 0x%llx", static_cast<unsigned long long>(value));
    return text;
}
} // namespace

uint32_t Machine::in(uint16_t port, int width) {
    return uint32_t(
        strtoull(ask(std::string("in") + letter(width) + hex(port)).c_str(), nullptr, 0));
}

void Machine::out(uint16_t port, uint32_t value, int width) {
    ask(std::string("out") + letter(width) + hex(port) + hex(value));
}

uint64_t Machine::read(uint64_t address, int width) {
    return strtoull(ask(std::string("read") + letter(width) + hex(address)).c_str(), nullptr, 0);
}

void Machine::write(uint64_t address, uint64_t value, int width) {
    ask(std::string("write") + letter(width) + hex(address) + hex(value));
}

uint8_t *Machine::at(uint64_t physical) {
    if (physical >= RamSize) {
        fail("address outside RAM");
    }
    return ram_ + physical;
}

uint64_t Machine::allocate(size_t bytes, size_t alignment) {
    uint64_t start = (next_ + alignment - 1) & ~uint64_t(alignment - 1);
    if (start + bytes > RamSize - (4u << 20)) {
        fail("test memory used up");
    }
    next_ = start + bytes;
    memset(ram_ + start, 0, bytes);
    return start;
}

} // namespace qtest
