// SPDX-License-Identifier: MIT
//
// The library against a device in another thread or another process, both at
// full speed and both really asleep when they have nothing to do, so that a lost
// kick or a lost interrupt is a hang, which is reported.
//
//   stress [--processes] [--no-event-idx] [--depth N] [--size N] [--buffers N]
//          [--spins N] [--segments N]
//          [--batch N]         so many a call: SubmitBatch, Kick, GetUsedBatch
//          [--interrupts-on]   also while draining; sleeps on NOT_FOUND alone
//
// Exit status: 0 all buffers came back, 1 a buffer was lost or wrong, 2 wrong use.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "shared.h"

extern "C" {
#include "virtqueue_split.h"
}

using namespace stress;

namespace {

constexpr unsigned kWatchdogLimits = 240; // of limitMs each: two minutes

class Driver {
  public:
    Driver(Shared *shared, const Options &options) : s_(shared), o_(options) {
        state_.resize(VirtqSplitStateSize(UINT16(o_.size)) / sizeof(void *) + 1);
        status_ = VirtqSplitInit(vq(), UINT16(o_.size), o_.eventIdx, FALSE, s_->ring, 0x10000000,
                                 4096, nullptr, 0, 0, 0);
    }

    // Empty: all is well.
    std::string run() {
        if (status_ != STATUS_SUCCESS) {
            return "VirtqSplitInit failed";
        }
        while (done_ < o_.buffers) {
            std::string error = fill();
            if (error.empty()) {
                error = drainOrSleep();
            }
            if (s_->deviceError) {
                error =
                    "the device saw a bad ring, device.cpp line " + std::to_string(s_->deviceError);
            }
            if (!error.empty()) {
                return error;
            }
        }
        return "";
    }
    uint64_t kicks = 0, interruptsSlept = 0;

  private:
    VIRTQ_SPLIT *vq() {
        return reinterpret_cast<VIRTQ_SPLIT *>(state_.data());
    }

    // The next buffer to send; its question is in its payload.
    uint64_t nextBuffer(VIRTQ_SG *sg) {
        const uint64_t address = 0x1000 + (sent_++ % 0x100000) * 64;
        const unsigned last = o_.segments - 1;
        for (unsigned i = 0; i < last; i++) {
            sg[i] = {segmentFor(address, i), segmentLengthFor(address, i), FALSE};
        }
        sg[last] = {address, 4096, TRUE};
        for (unsigned i = 0; i < kLines; i++) {
            s_->payloadOf(address).lines[i].word = questionFor(address, i);
        }
        return address;
    }

    bool mayFill() const {
        return sent_ - done_ < o_.depth && sent_ < o_.buffers;
    }

    std::string fill() {
        std::string error;
        while (mayFill() && error.empty()) {
            error = o_.batch != 0 ? submit() : addAndPublish();
        }
        bool kick = o_.batch != 0 ? VirtqSplitKick(vq()) : VirtqSplitKickPrepare(vq());
        if (kick) {
            kicks++;
            s_->kick.ring();
        }
        if (o_.batch == 0) {
            VirtqSplitKickCommit(vq());
        }
        return error;
    }

    std::string addAndPublish() {
        VIRTQ_SG sg[kMaxSegments];
        UINT16 head;
        void *cookie = reinterpret_cast<void *>(nextBuffer(sg));
        if (VirtqSplitAddBuffer(vq(), sg, UINT16(o_.segments), cookie, &head) != STATUS_SUCCESS) {
            return "VirtqSplitAddBuffer failed";
        }
        VirtqSplitPublish(vq(), head);
        return "";
    }

    std::string submit() {
        VIRTQ_SG sg[kMaxBatch][kMaxSegments];
        VIRTQ_BUFFER buffers[kMaxBatch];
        UINT16 count = 0, submitted = 0;
        while (count < o_.batch && mayFill()) {
            void *cookie = reinterpret_cast<void *>(nextBuffer(sg[count]));
            buffers[count] = {sg[count], UINT16(o_.segments), cookie};
            count++;
        }
        if (VirtqSplitSubmitBatch(vq(), buffers, count, &submitted) != STATUS_SUCCESS ||
            submitted != count) {
            return "VirtqSplitSubmitBatch failed";
        }
        return "";
    }

    NTSTATUS get(VIRTQ_COMPLETION *out, UINT16 *count) {
        if (o_.batch != 0) {
            return VirtqSplitGetUsedBatch(vq(), out, UINT16(o_.batch), count);
        }
        *count = 1;
        return VirtqSplitGetUsed(vq(), &out->cookie, &out->len);
    }

    std::string drainOrSleep() {
        uint32_t seen = s_->interrupt.count.load(std::memory_order_acquire);
        bool any = false;
        VIRTQ_COMPLETION out[kMaxBatch];
        UINT16 count;
        NTSTATUS status;
        if (!o_.interruptsOn) {
            VirtqSplitDisableInterrupts(vq());
        }
        while ((status = get(out, &count)) == STATUS_SUCCESS) {
            for (UINT16 i = 0; i < count; i++) {
                std::string error = check(out[i]);
                if (!error.empty()) {
                    return error;
                }
            }
            any = true;
        }
        if (status != STATUS_NOT_FOUND) {
            return "a used buffer was refused";
        }
        if (o_.interruptsOn) {
            return fillAndSleep(seen);
        }
        if (!VirtqSplitEnableInterrupts(vq()) || any) {
            return "";
        }
        interruptsSlept++;
        return sleepUntilRung(seen);
    }

    // As a DPC does that leaves interrupts on: after NOT_FOUND it doesn't look again.
    std::string fillAndSleep(uint32_t seen) {
        std::string error = fill();
        if (!error.empty() || done_ == o_.buffers) {
            return error;
        }
        interruptsSlept++;
        return sleepUntilRung(seen);
    }

    std::string check(const VIRTQ_COMPLETION &completion) {
        const uint64_t address = reinterpret_cast<uint64_t>(completion.cookie);
        if (completion.len != lengthFor(address)) {
            return "a buffer came back with another one's length";
        }
        if (!takeAnswer(address)) {
            return "a buffer came back without the device's answer";
        }
        done_++;
        return "";
    }

    // The watchdog. Time alone proves nothing on a busy machine: a wake-up is lost
    // when both sides sleep and neither was rung.
    std::string sleepUntilRung(uint32_t seen) {
        for (unsigned i = 0; i < kWatchdogLimits; i++) {
            if (s_->interrupt.wait(seen, o_.spins, std::chrono::milliseconds(o_.limitMs),
                                   s_->stop)) {
                return "";
            }
            if (s_->kick.isAsleep() && s_->interrupt.count.load() == seen) {
                return "both asleep: " + std::to_string(sent_ - done_) + " in flight, " +
                       std::to_string(s_->processed - done_) +
                       " of them done by the device: a lost " +
                       (s_->processed == done_ ? "kick" : "interrupt");
            }
        }
        return "the device is awake, and does nothing";
    }

    // Clearing the lines keeps the store buffer busy up to EnableInterrupts.
    bool takeAnswer(uint64_t address) {
        bool right = true;
        for (unsigned i = 0; i < kLines; i++) {
            Line &line = s_->payloadOf(address).lines[i];
            right = right && line.word == ~questionFor(address, i);
            line.word = 0;
        }
        return right;
    }

    Shared *s_;
    const Options &o_;
    std::vector<void *> state_;
    NTSTATUS status_;
    uint64_t sent_ = 0, done_ = 0;
};

Options parse(int argc, char **argv) {
    Options o;
    for (int i = 1; i < argc; i++) {
        std::string a = argv[i];
        auto number = [&]() -> uint64_t {
            char *end = nullptr;
            uint64_t v = i + 1 < argc ? strtoull(argv[i + 1], &end, 0) : 0;
            if (!end || *end || v == 0) {
                fprintf(stderr, "stress: %s wants a number above 0\n", a.c_str());
                exit(2);
            }
            i++;
            return v;
        };
        if (a == "--processes") {
            o.processes = true;
        } else if (a == "--no-event-idx") {
            o.eventIdx = false;
        } else if (a == "--interrupts-on") {
            o.interruptsOn = true;
        } else if (a == "--batch") {
            o.batch = unsigned(number());
        } else if (a == "--segments") {
            o.segments = unsigned(number());
        } else if (a == "--depth") {
            o.depth = unsigned(number());
        } else if (a == "--size") {
            o.size = unsigned(number());
        } else if (a == "--buffers") {
            o.buffers = number();
        } else if (a == "--spins") {
            o.spins = unsigned(number());
        } else {
            fprintf(stderr, "stress: unknown option %s\n", a.c_str());
            exit(2);
        }
    }
    if (o.size > 2048 || (o.size & (o.size - 1)) || o.depth > o.size / o.segments ||
        o.segments > kMaxSegments || o.batch > kMaxBatch) {
        fprintf(stderr,
                "stress: --size is a power of two up to 2048; --segments is at most %u, "
                "--batch %u; --depth times --segments at most --size\n",
                kMaxSegments, kMaxBatch);
        exit(2);
    }
    return o;
}

std::string runThreads(Shared *shared, Driver &driver, const Options &o) {
    std::thread device([&] { deviceMain(shared, o); });
    std::string error = driver.run();
    shared->stop = 1;
    shared->kick.ring();
    device.join();
    return error;
}

// The child maps the same pages again, at an address of its own.
std::string runProcesses(Shared *shared, int fd, Driver &driver, const Options &o) {
    const pid_t parent = getpid();
    pid_t child = fork();
    if (child < 0) {
        return "fork failed";
    }
    if (child == 0) {
        // Killed, the driver can't set `stop`: the device must not stay behind.
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent) {
            _exit(3);
        }
        void *own = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (own == MAP_FAILED || own == shared) {
            _exit(3);
        }
        munmap(shared, sizeof(Shared));
        deviceMain(static_cast<Shared *>(own), o);
        _exit(0);
    }
    std::string error = driver.run();
    shared->stop = 1;
    shared->kick.ring();
    int status = 0;
    waitpid(child, &status, 0);
    if (error.empty() && status != 0) {
        return "the device's process failed";
    }
    return error;
}

} // namespace

int main(int argc, char **argv) {
    Options o = parse(argc, argv);
    int fd = memfd_create("vq7-stress", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, sizeof(Shared)) != 0) {
        perror("stress: shared memory");
        return 1;
    }
    void *memory = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED) {
        perror("stress: mmap");
        return 1;
    }
    Shared *shared = new (memory) Shared;
    Driver driver(shared, o);
    auto start = std::chrono::steady_clock::now();
    std::string error =
        o.processes ? runProcesses(shared, fd, driver, o) : runThreads(shared, driver, o);
    double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    printf("stress: %llu buffers, depth %u, %s, %s, batch %u, %u segments%s: %llu kicks, %llu "
           "sleeps, %.1f s: %s\n",
           static_cast<unsigned long long>(shared->processed.load()), o.depth,
           o.eventIdx ? "event_idx" : "flags", o.processes ? "processes" : "threads", o.batch,
           o.segments, o.interruptsOn ? ", interrupts on" : "",
           static_cast<unsigned long long>(driver.kicks),
           static_cast<unsigned long long>(driver.interruptsSlept), seconds,
           error.empty() ? "ok" : error.c_str());
    return error.empty() ? 0 : 1;
}
