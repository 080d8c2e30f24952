// SPDX-License-Identifier: MIT
//
// What a buffer costs: add, publish, kick decision, used, free; the library
// beside the floor, with the device in the same thread and in one of its own.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

#include <pthread.h>
#include <sched.h>

#include "drivers.h"

using namespace bench;

namespace {

Shape ShapeOf(const benchmark::State &state) {
    return {static_cast<UINT16>(state.range(0)), static_cast<UINT16>(state.range(1)),
            state.range(2) != 0};
}

// The device works between the driver's two halves: CPU time is the result.
template <class Driver> void OneThread(benchmark::State &state) {
    const Shape shape = ShapeOf(state);
    auto driver = std::make_unique<Driver>(shape);
    Device device(driver->queue);
    for (auto _ : state) {
        driver->Submit();
        device.Work();
        if (driver->Take(shape.batch) != shape.batch) {
            std::abort();
        }
    }
    state.SetItemsProcessed(state.iterations() * shape.batch);
}

void PinTo(unsigned cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    (void)pthread_setaffinity_np(pthread_self(), sizeof set, &set); // a hint: slower without
}

// Spins, but gives the CPU away in the end: the other thread may need it.
class Backoff {
  public:
    void Wait() {
        if (++spins_ % 4096 == 0) {
            std::this_thread::yield();
        }
    }

  private:
    unsigned spins_ = 0;
};

// A cache line of its own: the device looks at it all the time, and the driver's
// variables beside it would travel between the CPUs for nothing.
struct alignas(128) StopFlag {
    std::atomic<bool> set{false};
};

void DeviceThread(Device &device, const StopFlag &stop) {
    PinTo(1);
    Backoff backoff;
    while (!stop.set.load(std::memory_order_relaxed)) {
        UINT16 old = device.next;
        if (device.Work()) {
            device.Interrupt(old);
        } else {
            backoff.Wait();
        }
    }
}

// A batch goes out, and the next one when all of it is back. Wall time of a run
// of batches; of many runs the first decile, since whoever else wants a CPU stops
// one of the two threads for milliseconds now and then.
template <class Driver> void TwoThreads(benchmark::State &state) {
    constexpr int kRuns = 201;
    const Shape shape = ShapeOf(state);
    const int batches = 512 / shape.batch;
    auto driver = std::make_unique<Driver>(shape);
    Device device(driver->queue);
    StopFlag stop;
    std::vector<double> runs(kRuns);
    cpu_set_t before;
    (void)pthread_getaffinity_np(pthread_self(), sizeof before, &before);
    PinTo(0);
    std::thread thread(DeviceThread, std::ref(device), std::cref(stop));
    Backoff backoff;
    for (auto _ : state) {
        for (double &run : runs) {
            auto start = std::chrono::steady_clock::now();
            for (int i = 0; i < batches; i++) {
                driver->Submit();
                UINT16 left = shape.batch;
                while ((left = static_cast<UINT16>(left - driver->Take(left))) != 0) {
                    backoff.Wait();
                }
            }
            run = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
        }
        std::nth_element(runs.begin(), runs.begin() + kRuns / 10, runs.end());
        state.SetIterationTime(runs[kRuns / 10] / batches);
    }
    stop.set = true;
    thread.join();
    (void)pthread_setaffinity_np(pthread_self(), sizeof before, &before);
    state.SetItemsProcessed(state.iterations() * shape.batch);
}

void Rows(benchmark::internal::Benchmark *b) {
    b->ArgNames({"batch", "segments", "indirect"});
    for (int batch : {1, 32}) {
        for (int segments : {1, 4}) {
            b->Args({batch, segments, 0});
            b->Args({batch, segments, 1});
        }
    }
}

void RowsOfTwo(benchmark::internal::Benchmark *b) {
    Rows(b);
    b->UseManualTime()->Iterations(1);
}

// unit/bench/bench.py pairs them by name: <threads>/<calls or batch>/<side>.
#define ROWS(name, run, driver, rows) BENCHMARK(run<driver>)->Name(name)->Apply(rows)
ROWS("one thread/call a buffer/floor", OneThread, FloorCalls, Rows);
ROWS("one thread/call a buffer/library", OneThread, LibraryCalls, Rows);
ROWS("one thread/call a batch/floor", OneThread, FloorBatch, Rows);
ROWS("one thread/call a batch/library", OneThread, LibraryBatch, Rows);
ROWS("two threads/call a buffer/floor", TwoThreads, FloorCalls, RowsOfTwo);
ROWS("two threads/call a buffer/library", TwoThreads, LibraryCalls, RowsOfTwo);
ROWS("two threads/call a batch/floor", TwoThreads, FloorBatch, RowsOfTwo);
ROWS("two threads/call a batch/library", TwoThreads, LibraryBatch, RowsOfTwo);

} // namespace

BENCHMARK_MAIN();
