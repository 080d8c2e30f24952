// SPDX-License-Identifier: MIT
//
// AFL++'s way to a harness: inputs come through shared memory, many in one process.
// Without afl-fuzz it runs the files named, as libFuzzer does.
//
// In AFL++'s own loop the harness stops itself after each input, its parent (the
// fork server) sees that and tells the fuzzer, and for the next input it all goes
// back: three processes, and six times as long as the input takes. Here the
// harness talks to the fuzzer itself, in the fork server's words. The fork server
// sleeps until the harness ends, tells how, and starts another one.
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <vector>

#include <sched.h>
#include <unistd.h>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size);

__AFL_FUZZ_INIT();

namespace {

int RunFile(const char *path) {
    std::FILE *file = std::fopen(path, "rb");
    if (file == nullptr) {
        std::perror(path);
        return 1;
    }
    std::vector<std::uint8_t> data(1 << 16);
    data.resize(std::fread(data.data(), 1, data.size(), file));
    std::fclose(file);
    (void)LLVMFuzzerTestOneInput(data.data(), data.size());
    std::printf("ran %s (%zu bytes)\n", path, data.size());
    return 0;
}

// Where the fork server, and so its child, is asked and answers.
constexpr int kAskedAt = 198, kAnswersAt = 199;
constexpr int kInputsAProcess = 1000000;

volatile std::sig_atomic_t running = 0;

// The fuzzer's time limit (afl.sh makes it a SIGTERM). Each input is answered once:
// by the fork server if it ends here, else by what is being written already.
void TimeOut(int) {
    if (running != 0) {
        (void)std::raise(SIGKILL);
    }
}

// The fork server tells the fuzzer of each process that it starts, while that one
// runs already; then it sleeps. An answer that came first would be taken for it.
bool WaitForForkServer() {
    char path[32], line[256];
    std::snprintf(path, sizeof(path), "/proc/%d/stat", static_cast<int>(getppid()));
    for (;;) {
        std::FILE *file = std::fopen(path, "r");
        if (file == nullptr) {
            return false;
        }
        const bool got = std::fgets(line, sizeof(line), file) != nullptr;
        std::fclose(file);
        const char *name_end = got ? std::strrchr(line, ')') : nullptr;
        if (name_end == nullptr) {
            return false;
        }
        if (std::strncmp(name_end, ") S", 3) == 0) {
            return true;
        }
        sched_yield();
    }
}

bool Tell(int fd, std::int32_t word) {
    return write(fd, &word, sizeof(word)) == sizeof(word);
}

// That the last input did no harm; then waits for the next.
bool TakeNext(int asked, int answers) {
    std::int32_t last_was_killed;
    return Tell(answers, 0) &&
           read(asked, &last_was_killed, sizeof(last_was_killed)) == sizeof(last_was_killed) &&
           Tell(answers, static_cast<std::int32_t>(getpid()));
}

} // namespace

int main(int argc, char **argv) {
    if (argc > 1) {
        int result = 0;
        for (int i = 1; i < argc; i++) {
            result |= RunFile(argv[i]);
        }
        return result;
    }
    const int asked = dup(kAskedAt), answers = dup(kAnswersAt); // AFL++ closes its own
    __AFL_INIT(); // the first input has been asked for, and its process id told
    std::signal(SIGTERM, TimeOut);
    if (asked >= 0 && !WaitForForkServer()) {
        std::perror("afl_main: the fork server's state in /proc");
        return 1;
    }
    const std::uint8_t *data = __AFL_FUZZ_TESTCASE_BUF;
    for (int left = kInputsAProcess; left > 0; left--) {
        running = 1;
        (void)LLVMFuzzerTestOneInput(data, static_cast<std::size_t>(__AFL_FUZZ_TESTCASE_LEN));
        running = left == 1; // the last is answered by the fork server
        if (left > 1 && !TakeNext(asked, answers)) {
            break; // the fuzzer has ended
        }
    }
    return 0;
}
