// SPDX-License-Identifier: MIT
//
// Model checking of the split queue: every interleaving of the driver's and
// the device's steps, for small queues, on several models of memory.
//
// What runs. The driver is the library itself: lib/virtqueue_split*.cpp,
// compiled unchanged with model_osdep.h included first, so that every load,
// store and fence of shared memory is reported (plain stores too, see
// driver_hooks.cpp). The device (device.cpp) is written from the specification
// with its own arithmetic. A state holds the shared words, a store buffer for
// each side, the queue's private bytes, and where both sides are; explore.cpp
// visits every state once, breadth first, so the way to a violation that it
// prints is a shortest one.
//
// A step is one load, or a fence, with what its side does in private up to the
// next; or one store that leaves a store buffer for memory; or, with an
// adversary, one forged word. Putting a store into one's own buffer is no step:
// nobody else can see it.
//
// The driver's program: a thread that adds, publishes (one or, with "batch",
// "submit", two at once; one descriptor or, with chains, every other one two) and kicks,
// also publishing between KickPrepare and KickCommit ("submit": add, publish and
// kick by VirtqSplitSubmitBatch and VirtqSplitKick); and a DPC that drains in
// one of six documented ways ("submit" as "batch"). Calls of the two come in any order. The device
// sleeps and wakes by kicks alone, finishes in any order, and batches its
// interrupts as it likes. Free-running indices begin at 65535 and so wrap.
//
// Checked in every state: a buffer completes once, after the device used it,
// with its length; the queue's counts agree with the buffers outstanding; the
// device sees only descriptors of published buffers, each once; the driver
// loads only from the used area; no call makes more than 60 accesses; the queue
// calls no honest device broken. In every end (nobody can go on): all buffers
// completed and all descriptors free, otherwise a kick or an interrupt was
// lost. And every history ends: no state leads back to itself.
// With an adversary, who may forge any shared word at any moment, to one of a
// few awkward values: a buffer never completes that is not outstanding, nor
// with more than its writable length; the queue is broken with a documented
// status or not at all; after every call, detach and reset would give back each
// outstanding buffer once and leave the queue as after Init.
//
// Memory: "sc" none of the below; "tso" a FIFO store buffer for each side, as
// x86 has; "pso" stores to different words leave in any order unless a release
// or write fence stands between; "weak" pso, and the driver's loads may see
// a word as it was at any time since its last acquire load or fence (up to 12
// older values), so loads are reordered too. Taking an interrupt orders the
// driver's loads, as queueing a DPC does.
//
// Not modelled: reordered loads of the device, load-to-store reordering, torn
// descriptors, indirect tables, the kick-when-full option, more than one CPU in
// the driver at a time, larger queues and longer histories than are named on
// each line of the output.
#include "explore.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <vector>

using namespace mc;

namespace {

const char *const kModels[] = {"sc", "tso", "pso", "weak"};
const char *const kPrograms[] = {"has-used", "get-used", "dpc",   "batch",
                                 "delayed",  "wait",     "submit"};
const char *const kMutants[] = {"none",
                                "kick-no-fence",
                                "kick-fence-late",
                                "enable-no-fence",
                                "enable-fence-early",
                                "drain-no-fence",
                                "publish-no-release",
                                "used-no-acquire",
                                "no-rearm",
                                "rearm-off-by-one",
                                "kick-event-off-by-one",
                                "kick-count-off-by-one",
                                "forgets-waiting",
                                "no-in-flight-check",
                                "no-length-check"};

struct Options {
    std::vector<Config> configs{Config()};
    uint64_t limit = 20000000;
    bool expectViolation = false;
    bool trace = true;
};

constexpr int kFound = 1, kUsage = 2, kLimit = 3;

[[noreturn]] void usage(const char *problem) {
    fprintf(stderr,
            "model_check: %s\n"
            "usage: model_check [--size 1|2|4] [--event-idx on|off] [--program NAME]\n"
            "    [--model NAME] [--buffers 1..8] [--chains on|off] [--adversary WORDS]\n"
            "    [--mutant NAME] [--limit STATES] [--expect-violation]\n"
            "Lists (--size 1,2) and \"all\" explore every combination. Exit status: 0 as\n"
            "expected, 1 violation (or none, where one was expected), 2 usage, 3 more\n"
            "states than the limit.\n",
            problem);
    exit(kUsage);
}

std::vector<std::string> split(const std::string &list) {
    std::vector<std::string> parts;
    size_t from = 0;
    for (size_t comma; (comma = list.find(',', from)) != std::string::npos; from = comma + 1) {
        parts.push_back(list.substr(from, comma - from));
    }
    parts.push_back(list.substr(from));
    return parts;
}

// The numbers that a list of names stands for.
template <size_t N>
std::vector<unsigned> named(const char *const (&names)[N], const std::string &list) {
    std::vector<unsigned> found;
    for (const std::string &name : split(list)) {
        size_t before = found.size();
        for (unsigned i = 0; i < N; i++) {
            if (name == names[i] || name == "all") {
                found.push_back(i);
            }
        }
        if (found.size() == before) {
            usage(("unknown name " + name).c_str());
        }
    }
    return found;
}

std::vector<unsigned> numbers(const std::string &list, unsigned least, unsigned most) {
    std::vector<unsigned> found;
    for (const std::string &text : split(list)) {
        char *end;
        unsigned long n = strtoul(text.c_str(), &end, 10);
        if (text.empty() || *end != '\0' || n < least || n > most) {
            usage(("not a number in range: " + text).c_str());
        }
        found.push_back(unsigned(n));
    }
    return found;
}

// Every configuration so far, once for each value.
template <typename Set> void multiply(Options &o, const std::vector<unsigned> &values, Set set) {
    std::vector<Config> all;
    for (const Config &config : o.configs) {
        for (unsigned value : values) {
            all.push_back(config);
            set(all.back(), value);
        }
    }
    o.configs.swap(all);
}

void take(Options &o, const std::string &option, const std::string &v) {
    static const char *const onOff[] = {"off", "on"};
    if (option == "--size") {
        multiply(o, numbers(v, 1, kMaxSize), [](Config &c, unsigned n) { c.size = n; });
    } else if (option == "--event-idx") {
        multiply(o, named(onOff, v), [](Config &c, unsigned n) { c.eventIdx = n; });
    } else if (option == "--program") {
        multiply(o, named(kPrograms, v), [](Config &c, unsigned n) { c.program = Program(n); });
    } else if (option == "--model") {
        multiply(o, named(kModels, v), [](Config &c, unsigned n) { c.model = Model(n); });
    } else if (option == "--buffers") {
        multiply(o, numbers(v, 1, kMaxBuffers), [](Config &c, unsigned n) { c.buffers = n; });
    } else if (option == "--chains") {
        multiply(o, named(onOff, v), [](Config &c, unsigned n) { c.chains = n; });
    } else if (option == "--adversary") {
        multiply(o, numbers(v, 0, 4), [](Config &c, unsigned n) { c.adversary = n; });
    } else if (option == "--mutant") {
        multiply(o, named(kMutants, v), [](Config &c, unsigned n) { c.mutant = Mutant(n); });
    } else if (option == "--limit") {
        o.limit = numbers(v, 1, 0xFFFFFFF0u)[0];
    } else {
        usage(("unknown option " + option).c_str());
    }
}

Options parse(int argc, char **argv) {
    Options o;
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--expect-violation")) {
            o.expectViolation = true;
        } else if (i + 1 == argc) {
            usage((std::string(argv[i]) + " wants a value").c_str());
        } else {
            take(o, argv[i], argv[i + 1]);
            i++;
        }
    }
    for (const Config &c : o.configs) {
        if ((c.size & (c.size - 1)) != 0) {
            usage("a queue's size is a power of two");
        }
    }
    return o;
}

void print(const Config &c, const Result &r, double seconds) {
    printf("size %u event_idx %-3s %-8s %-4s buffers %u%s", c.size, c.eventIdx ? "on" : "off",
           kPrograms[unsigned(c.program)], kModels[unsigned(c.model)], c.buffers,
           c.chains ? " chains" : "       ");
    if (c.adversary) {
        printf(" forged %u", c.adversary);
    }
    if (c.mutant != Mutant::kNone) {
        printf(" mutant %s", kMutants[unsigned(c.mutant)]);
    }
    printf(": %llu states, %llu steps, depth %u, %llu ends, %.1f s%s\n",
           (unsigned long long)r.states, (unsigned long long)r.steps, r.depth,
           (unsigned long long)r.ends, seconds,
           r.complete            ? ", all seen"
           : r.violation.empty() ? ", LIMIT REACHED"
                                 : "");
    if (r.violation.empty()) {
        return;
    }
    printf("  VIOLATION: %s\n", r.violation.c_str());
    unsigned n = 0;
    for (const std::string &line : r.trace) {
        printf("  %4u  %s\n", ++n, line.c_str());
    }
}

} // namespace

int main(int argc, char **argv) {
    Options o = parse(argc, argv);
    uint64_t states = 0, steps = 0;
    unsigned found = 0, cut = 0;

    for (const Config &config : o.configs) {
        g_config = config;
        clock_t start = clock();
        Result r = explore(o.limit);
        print(config, r, double(clock() - start) / CLOCKS_PER_SEC);
        fflush(stdout);
        states += r.states;
        steps += r.steps;
        found += !r.violation.empty();
        cut += !r.complete && r.violation.empty();
    }
    printf("%zu configurations, %llu states, %llu steps: %u with a violation, %u cut short\n",
           o.configs.size(), (unsigned long long)states, (unsigned long long)steps, found, cut);
    if (o.expectViolation) {
        return found == o.configs.size() ? 0 : kFound;
    }
    return found ? kFound : cut ? kLimit : 0;
}
