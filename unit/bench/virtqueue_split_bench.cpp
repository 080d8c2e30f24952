// SPDX-License-Identifier: MIT
//
// What a buffer costs: add, publish, kick decision, used, free; the library
// beside the floor, with the device in the same thread and in one of its own.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

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

// The device whose turn it is, in a cache line of its own: see StopFlag.
struct alignas(128) Turn {
    std::atomic<Device *> device;
};

void DeviceThread(const Turn &turn, const StopFlag &stop) {
    PinTo(1);
    Backoff backoff;
    while (!stop.set.load(std::memory_order_relaxed)) {
        Device &device = *turn.device.load(std::memory_order_acquire);
        UINT16 old = device.next;
        if (device.Work()) {
            device.Interrupt(old);
        } else {
            backoff.Wait();
        }
    }
}

// A batch goes out, and the next one when all of it is back: seconds a batch.
template <class Driver> double TimeBatches(Driver &driver, UINT16 batch, int batches) {
    Backoff backoff;
    auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < batches; i++) {
        driver.Submit();
        UINT16 left = batch;
        while ((left = static_cast<UINT16>(left - driver.Take(left))) != 0) {
            backoff.Wait();
        }
    }
    std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
    return taken.count() / batches;
}

double Median(std::vector<double> values) {
    auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
}

// Wall time. What a buffer costs between two CPUs depends on where the machine has
// put them, and changes several times over from one second to the next; so short
// runs of both sides take turns, and what is compared is the two of a pair.
template <class Library, class Floor> void TwoThreads(benchmark::State &state) {
    constexpr int kPairs = 101;
    const Shape shape = ShapeOf(state);
    const int batches = 512 / shape.batch;
    auto library = std::make_unique<Library>(shape);
    auto floor = std::make_unique<Floor>(shape);
    Device library_device(library->queue), floor_device(floor->queue);
    Turn turn{&library_device};
    StopFlag stop;
    std::vector<double> of_library, of_floor, ratios;
    cpu_set_t before;
    (void)pthread_getaffinity_np(pthread_self(), sizeof before, &before);
    PinTo(0);
    std::thread thread(DeviceThread, std::cref(turn), std::cref(stop));
    for (auto _ : state) {
        for (int pair = 0; pair < kPairs; pair++) {
            for (bool is_library : {pair % 2 == 0, pair % 2 != 0}) {
                turn.device.store(is_library ? &library_device : &floor_device);
                if (is_library) {
                    of_library.push_back(TimeBatches(*library, shape.batch, batches));
                } else {
                    of_floor.push_back(TimeBatches(*floor, shape.batch, batches));
                }
            }
            ratios.push_back(of_library.back() / of_floor.back());
        }
        state.SetIterationTime(Median(of_library));
    }
    stop.set = true;
    thread.join();
    (void)pthread_setaffinity_np(pthread_self(), sizeof before, &before);
    state.counters["library_ns"] = Median(of_library) * 1e9 / shape.batch;
    state.counters["floor_ns"] = Median(of_floor) * 1e9 / shape.batch;
    state.counters["ratio"] = Median(ratios);
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

// unit/bench/bench.py reads them by name: <threads>/<calls or batch>/<side>.
BENCHMARK(OneThread<FloorCalls>)->Name("one thread/call a buffer/floor")->Apply(Rows);
BENCHMARK(OneThread<LibraryCalls>)->Name("one thread/call a buffer/library")->Apply(Rows);
BENCHMARK(OneThread<FloorBatch>)->Name("one thread/call a batch/floor")->Apply(Rows);
BENCHMARK(OneThread<LibraryBatch>)->Name("one thread/call a batch/library")->Apply(Rows);
BENCHMARK(TwoThreads<LibraryCalls, FloorCalls>)
    ->Name("two threads/call a buffer/both")
    ->Apply(RowsOfTwo);
BENCHMARK(TwoThreads<LibraryBatch, FloorBatch>)
    ->Name("two threads/call a batch/both")
    ->Apply(RowsOfTwo);

} // namespace

BENCHMARK_MAIN();
