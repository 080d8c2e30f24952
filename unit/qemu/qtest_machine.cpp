// SPDX-License-Identifier: MIT
#include "qtest_machine.h"

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <thread>

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#if __has_include(<sanitizer/asan_interface.h>)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#endif

namespace qtest {

namespace {

constexpr size_t RamSize = 64u << 20;
constexpr size_t RedZone = 64; // between allocations, where AddressSanitizer watches
constexpr auto StartLimit = std::chrono::seconds(60);
constexpr int ReplyLimitMs = 30000;
using Clock = std::chrono::steady_clock;

std::string contents(const Fd &file, size_t from = 0) {
    std::string all;
    char chunk[4096];
    ssize_t n;
    while (file && (n = pread(file.get(), chunk, sizeof(chunk), off_t(from + all.size()))) > 0) {
        all.append(chunk, size_t(n));
    }
    return all;
}

} // namespace

bool available() {
    static const bool found = std::system("command -v qemu-system-x86_64 >/dev/null 2>&1") == 0;
    return found;
}

// Delegates, so that the destructor cleans up after a start that fails.
Machine::Machine(const std::string &machine, const std::vector<std::string> &args,
                 const std::vector<int> &fds)
    : Machine() {
    start(machine, args, fds);
    waitForFirmware();
    takeLog();
    readLine(qmp_.get(), qmpBuffer_, "a greeting");
    qmp("qmp_capabilities");
    // Reports every change of an input from here on, "IRQ raise 11".
    ask("irq_intercept_in ioapic");
}

Machine::~Machine() {
    if (pid_ > 0) {
        kill(pid_, SIGKILL);
        waitpid(pid_, nullptr, 0);
    }
    if (ram_) {
        ASAN_UNPOISON_MEMORY_REGION(ram_, RamSize);
        munmap(ram_, RamSize);
    }
}

std::string Machine::takeLog() {
    std::string text = contents(log_, logRead_);
    logRead_ += text.size();
    return text;
}

void Machine::fail(const std::string &what) {
    std::string log = contents(log_);
    throw std::runtime_error(what + (log.empty() ? "" : "; QEMU said: " + log));
}

void Machine::start(const std::string &machine, const std::vector<std::string> &args,
                    std::vector<int> fds) {
    ramFile_ = memoryFile("ram", RamSize);
    log_ = memoryFile("log", 0);
    firmware_ = memoryFile("firmware", 0);
    Fd qtestTheirs, qmpTheirs;
    std::tie(qtest_, qtestTheirs) = socketPair(SOCK_STREAM);
    std::tie(qmp_, qmpTheirs) = socketPair(SOCK_STREAM);
    void *p = mmap(nullptr, RamSize, PROT_READ | PROT_WRITE, MAP_SHARED, ramFile_.get(), 0);
    if (p == MAP_FAILED) {
        systemError("can't map the machine's RAM");
    }
    ram_ = static_cast<uint8_t *>(p);
    ASAN_POISON_MEMORY_REGION(ram_, RamSize);
    std::vector<std::string> all = {"qemu-system-x86_64",
                                    "-M",
                                    machine + ",memory-backend=ram",
                                    "-accel",
                                    "tcg",
                                    "-m",
                                    "64M",
                                    "-object",
                                    "memory-backend-file,id=ram,share=on,size=64M,mem-path=" +
                                        ramFile_.path(),
                                    "-display",
                                    "none",
                                    "-nodefaults",
                                    "-no-user-config",
                                    "-chardev",
                                    "socket,id=qtest,fd=" + qtestTheirs.number(),
                                    "-qtest",
                                    "chardev:qtest",
                                    "-qtest-log",
                                    "none",
                                    "-chardev",
                                    "socket,id=qmp,fd=" + qmpTheirs.number(),
                                    "-mon",
                                    "chardev=qmp,mode=control",
                                    "-chardev",
                                    "file,id=firmware,path=" + firmware_.path(),
                                    "-device",
                                    "isa-debugcon,iobase=0x402,chardev=firmware"};
    all.insert(all.end(), args.begin(), args.end());
    fds.insert(fds.end(), {ramFile_.get(), firmware_.get(), qtestTheirs.get(), qmpTheirs.get()});
    launch(all, fds);
}

void Machine::launch(std::vector<std::string> args, const std::vector<int> &fds) {
    std::vector<char *> argv;
    for (auto &a : args) {
        argv.push_back(a.data());
    }
    argv.push_back(nullptr);
    pid_t parent = getpid();
    pid_ = fork();
    if (pid_ < 0) {
        systemError("can't start a process");
    }
    if (pid_ == 0) {
        // QEMU ends with this test, however that ends, also just now.
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) {
            _exit(126);
        }
        for (int fd : fds) {
            fcntl(fd, F_SETFD, 0);
        }
        dup2(log_.get(), 1);
        dup2(log_.get(), 2);
        execvp(argv[0], argv.data());
        _exit(127);
    }
}

// SeaBIOS says on its debug port that it has nothing to boot; before that it
// uses the configuration ports itself.
void Machine::waitForFirmware() {
    auto end = Clock::now() + StartLimit;
    while (contents(firmware_).find("No bootable device") == std::string::npos) {
        if (waitpid(pid_, nullptr, WNOHANG) == pid_) {
            pid_ = -1;
            fail("QEMU ended while starting");
        }
        if (Clock::now() > end) {
            fail("the firmware did not finish in 60 s");
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
}

std::string Machine::readLine(int socket, std::string &buffer, const std::string &asked) {
    for (;;) {
        size_t end = buffer.find('\n');
        if (end != std::string::npos) {
            std::string line = buffer.substr(0, end);
            buffer.erase(0, end + 1);
            return line;
        }
        pollfd p{socket, POLLIN, 0};
        char chunk[4096];
        ssize_t n = poll(&p, 1, ReplyLimitMs) == 1 ? recv(socket, chunk, sizeof(chunk), 0) : 0;
        if (n <= 0) {
            fail("no answer from QEMU to '" + asked + "'");
        }
        buffer.append(chunk, size_t(n));
    }
}

std::string Machine::ask(const std::string &line) {
    std::string out = line + "\n";
    if (send(qtest_.get(), out.data(), out.size(), MSG_NOSIGNAL) != ssize_t(out.size())) {
        fail("qtest socket closed at '" + line + "'");
    }
    return answer(line);
}

std::string Machine::answer(const std::string &line) {
    for (;;) {
        std::string reply = readLine(qtest_.get(), buffer_, line);
        if (reply.rfind("IRQ raise ", 0) == 0) {
            raised_.insert(unsigned(std::stoul(reply.substr(10))));
        } else if (reply.rfind("IRQ lower ", 0) == 0) {
            raised_.erase(unsigned(std::stoul(reply.substr(10))));
        } else if (reply.rfind("OK", 0) == 0) {
            return reply.size() > 3 ? reply.substr(3) : "";
        } else {
            fail("qtest answered '" + reply + "' to '" + line + "'");
        }
    }
}

// One round for what was queued when it was asked, one for what that queued.
void Machine::settle() {
    for (int i = 0; i < 2; i++) {
        read(0, 1);
    }
}

bool Machine::line(unsigned number) {
    return raised_.count(number) != 0;
}

std::string Machine::qmp(const std::string &command, const std::string &arguments) {
    std::string out = "{\"execute\": \"" + command + "\", \"arguments\": " + arguments + "}\n";
    if (send(qmp_.get(), out.data(), out.size(), MSG_NOSIGNAL) != ssize_t(out.size())) {
        fail("QMP socket closed at '" + command + "'");
    }
    for (;;) {
        std::string reply = readLine(qmp_.get(), qmpBuffer_, command);
        if (reply.rfind("{\"error\"", 0) == 0) {
            fail("QMP command '" + command + "': " + reply);
        }
        if (reply.rfind("{\"return\"", 0) == 0) {
            return reply;
        }
        // Events come in between.
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
    next_ = start + bytes + RedZone;
    ASAN_UNPOISON_MEMORY_REGION(ram_ + start, bytes);
    memset(ram_ + start, 0, bytes);
    return start;
}

void Machine::release(uint64_t mark) {
    ASAN_POISON_MEMORY_REGION(ram_ + mark, RamSize - mark);
    next_ = mark;
}

} // namespace qtest
