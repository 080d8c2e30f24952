// SPDX-License-Identifier: MIT
// vq7-hostile: a vhost-user back end that serves correctly until it is told otherwise.
// Its options are those that QEMU's "Backend program conventions" ask for, and a few more.
#include <cstdio>
#include <optional>

#include <sys/signalfd.h>
#include <sys/stat.h>
#include <csignal>

#include "backend.h"

namespace {

using namespace hostile;

constexpr const char *Usage =
    "usage: vq7-hostile (--socket-path=PATH | --fd=N) --blk-file=PATH [options]\n"
    "  --control=PATH       where to listen for commands\n"
    "  --type=NAME          the type of device; default: blk\n"
    "  --read-only          as --set=read_only=1\n"
    "  --set=NAME=VALUE     a property of the device, as the command `set` takes it\n"
    "  --end-with-stdin     end when standard input does\n"
    "  --print-capabilities\n";

struct Options {
    std::string socket, control, file, type = "blk";
    std::optional<int> fd;
    Words properties;
    bool endWithStdin = false, printCapabilities = false;
};

Options parse(int count, char **words) {
    Options options;

    for (int i = 1; i < count; i++) {
        std::string word = words[i];
        size_t equals = word.find('=');
        std::string name = word.substr(0, equals);
        std::string value = equals == std::string::npos ? "" : word.substr(equals + 1);
        if (name == "--socket-path") {
            options.socket = value;
        } else if (name == "--fd") {
            options.fd = int(number(value, "--fd", INT32_MAX));
        } else if (name == "--control") {
            options.control = value;
        } else if (name == "--blk-file") {
            options.file = value;
        } else if (name == "--type") {
            options.type = value;
        } else if (name == "--set") {
            options.properties.push_back(value);
        } else if (word == "--read-only") {
            options.properties.push_back("read_only=1");
        } else if (word == "--end-with-stdin") {
            options.endWithStdin = true;
        } else if (word == "--print-capabilities") {
            options.printCapabilities = true;
        } else {
            throw Error("unknown option '" + word + "'");
        }
    }
    return options;
}

void check(const Options &options) {
    if (options.socket.empty() == !options.fd) {
        throw Error("give either --socket-path or --fd");
    }
    if (options.file.empty()) {
        throw Error("give --blk-file");
    }
}

Fd signals() {
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, nullptr);
    signal(SIGPIPE, SIG_IGN);
    return Fd(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
}

void watchStdin(Loop &loop) {
    loop.watch(STDIN_FILENO, [&loop] {
        char bytes[64];
        if (read(STDIN_FILENO, bytes, sizeof(bytes)) <= 0) {
            loop.end(0);
        }
    });
}

int serve(const Options &options) {
    Loop loop;
    Fd ends = signals();
    Backend backend(loop, makeDevice(options.type, options.file));
    std::optional<Control> control;

    loop.watch(ends.get(), [&loop] { loop.end(0); });
    for (const std::string &each : options.properties) {
        std::string answer = backend.execute("set " + each);
        if (answer.rfind("error ", 0) == 0) {
            throw Error("--set=" + each + ": " + answer.substr(6, answer.size() - 7));
        }
    }
    if (!options.control.empty()) {
        control.emplace(loop, options.control,
                        [&backend](const std::string &line) { return backend.execute(line); });
    }
    if (options.fd) {
        backend.serve(Fd(*options.fd));
    } else {
        backend.listen(options.socket);
    }
    if (options.endWithStdin) {
        watchStdin(loop);
    }
    return loop.run();
}

} // namespace

int main(int count, char **words) {
    try {
        Options options = parse(count, words);
        if (options.printCapabilities) {
            puts("{\"type\": \"block\", \"features\": [\"read-only\", \"blk-file\"]}");
            return 0;
        }
        check(options);
        return serve(options);
    } catch (const Error &bad) {
        fprintf(stderr, "vq7-hostile: %s\n%s", bad.what(), Usage);
        return 2;
    }
}
