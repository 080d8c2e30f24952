// SPDX-License-Identifier: MIT
//
// Model checking of the notification protocol: the library as it is, against a
// device written from Virtio 1.2, on store buffers, every interleaving. Both
// sides sleep for real, so a lost kick or interrupt is a state in which nobody
// can go on. Then every full fence is left out in turn, and must be missed.
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "explorer.h"
#include "virtqueue_split.h"

using namespace vq7::modelcheck;

extern "C" UINT32 ModelLoad(const volatile void *p, unsigned size) {
    return Load(p, size);
}
extern "C" VOID ModelStore(volatile void *p, UINT32 v, unsigned size, int release) {
    Store(p, v, size, release != 0);
}
extern "C" VOID ModelFence(const char *file, int line) {
    std::string path = file;
    Fence(path.substr(path.rfind('/') + 1) + ":" + std::to_string(line));
}

namespace {

constexpr unsigned kDoorbell = 0, kInterrupt = 1;

struct Setting {
    UINT16 size;
    UINT16 buffers;
    bool event_idx;
    bool disable; // the DPC disables interrupts while it drains
    Order order;
};

class World {
  public:
    explicit World(const Setting &setting) : setting_(setting) {
        scenario.order = setting.order;
        scenario.shared = reinterpret_cast<std::byte *>(ring_);
        scenario.shared_size = VirtqSplitRingMemSize(setting.size, 16, TRUE);
        scenario.setup = [this] { Setup(); };
        scenario.programs[0] = [this] { Driver(); };
        scenario.programs[1] = [this] { Device(); };
        scenario.finished = [this] { return Finished(); };
    }

    Scenario scenario;

  private:
    void Setup() {
        done_ = 0;
        if (VirtqSplitInit(vq(), setting_.size, setting_.event_idx, FALSE, ring_, 0x1000, 16,
                           nullptr, 0, 0, 0) != STATUS_SUCCESS) {
            std::abort();
        }
    }

    VIRTQ_SPLIT *vq() {
        return reinterpret_cast<VIRTQ_SPLIT *>(state_);
    }

    // ------------------------------------------------------------- driver

    void Driver() {
        UINT16 submitted = 0;
        while (done_ < setting_.buffers) {
            while (submitted < setting_.buffers && Submit(submitted)) {
                submitted++;
            }
            Drain(submitted);
            if (done_ < submitted && done_ < setting_.buffers && !MoreToSubmit(submitted)) {
                SleepUntil(kInterrupt);
            }
        }
    }

    bool MoreToSubmit(UINT16 submitted) {
        return submitted < setting_.buffers && VirtqSplitNumFree(vq()) != 0;
    }

    bool Submit(UINT16 n) {
        VIRTQ_SG sg = {0x1000, 8, TRUE};
        UINT16 head;
        if (VirtqSplitAddBuffer(vq(), &sg, 1, Cookie(n), &head) != STATUS_SUCCESS) {
            return false;
        }
        VirtqSplitPublish(vq(), head);
        if (VirtqSplitKickPrepare(vq())) {
            Ring(kDoorbell);
        }
        VirtqSplitKickCommit(vq());
        return true;
    }

    void Drain(UINT16 submitted) {
        do {
            if (setting_.disable) {
                VirtqSplitDisableInterrupts(vq());
            }
            while (VirtqSplitHasUsed(vq())) {
                void *cookie;
                UINT32 length;
                if (VirtqSplitGetUsed(vq(), &cookie, &length) != STATUS_SUCCESS) {
                    Fail("a device that keeps the rules was refused");
                }
                if (cookie != Cookie(done_) || done_ >= submitted) {
                    Fail("the wrong buffer came back");
                }
                done_++;
            }
        } while (setting_.disable && !VirtqSplitEnableInterrupts(vq()));
    }

    static void *Cookie(UINT16 n) {
        return reinterpret_cast<void *>(std::uintptr_t{100} + n);
    }

    // ------------------------------- device: 2.7.7.2, 2.7.8, 2.7.10, own offsets

    std::uint8_t *At(std::size_t offset) {
        return ring_ + offset;
    }
    std::size_t Avail() const {
        return 16u * setting_.size;
    }
    std::size_t UsedRing() const {
        return (Avail() + 6 + 2u * setting_.size + 15) / 16 * 16;
    }

    void Device() {
        const UINT16 size = setting_.size;
        UINT16 next = 0;
        while (next < setting_.buffers) {
            UINT16 avail = static_cast<UINT16>(Load(At(Avail() + 2), 2));
            if (avail == next) {
                if (!setting_.event_idx) {
                    Store(At(UsedRing()), 0, 2, false);
                } else {
                    Store(At(UsedRing() + 4 + 8u * size), next, 2, false);
                }
                Fence("device:wants kicks");
                if (static_cast<UINT16>(Load(At(Avail() + 2), 2)) == next) {
                    SleepUntil(kDoorbell);
                }
                if (!setting_.event_idx) {
                    Store(At(UsedRing()), 1, 2, false); // no kicks while it works
                }
                continue;
            }
            UINT16 head = static_cast<UINT16>(Load(At(Avail() + 4 + 2u * (next % size)), 2));
            if (head >= size) {
                Fail("the device saw an index before its entry");
            }
            std::size_t entry = UsedRing() + 4 + 8u * (next % size);
            Store(At(entry), head, 4, false);
            Store(At(entry + 4), 8, 4, false);
            next++;
            Store(At(UsedRing() + 2), next, 2, true);
            Fence("device:interrupt?");
            bool interrupt;
            if (setting_.event_idx) {
                UINT16 event = static_cast<UINT16>(Load(At(Avail() + 4 + 2u * size), 2));
                interrupt = event == static_cast<UINT16>(next - 1);
            } else {
                interrupt = (Load(At(Avail()), 2) & 1) == 0;
            }
            if (interrupt) {
                Ring(kInterrupt);
            }
        }
    }

    std::string Finished() {
        if (done_ != setting_.buffers || VirtqSplitInFlight(vq()) != 0 ||
            VirtqSplitNumFree(vq()) != setting_.size) {
            return "a buffer was lost";
        }
        return "";
    }

    Setting setting_;
    UINT16 done_ = 0;
    alignas(16) std::uint8_t ring_[512] = {};
    alignas(16) std::uint8_t state_[2048] = {};
};

class Protocol : public ::testing::TestWithParam<Setting> {};

std::vector<Setting> Settings() {
    std::vector<Setting> all;
    for (Order order : {Order::Tso, Order::Weak}) {
        for (bool event_idx : {false, true}) {
            for (bool disable : {false, true}) {
                for (UINT16 size : {1, 2, 4}) {
                    all.push_back({size, 2, event_idx, disable, order});
                }
            }
        }
    }
    return all;
}

std::string Name(const Setting &s) {
    return std::string(s.order == Order::Tso ? "Tso" : "Weak") +
           (s.event_idx ? "EventIdx" : "Flags") + (s.disable ? "Disable" : "Always") + "Size" +
           std::to_string(s.size);
}

INSTANTIATE_TEST_SUITE_P(All, Protocol, ::testing::ValuesIn(Settings()),
                         [](const auto &info) { return Name(info.param); });

TEST_P(Protocol, NothingIsLostInAnyInterleaving) // 2.7.7, 2.7.10, 2.7.13.4.1
{
    World world(GetParam());
    Result result = Explore(world.scenario);
    EXPECT_FALSE(result.violated) << result.what;
    EXPECT_TRUE(result.complete) << result.states << " states were not enough";
    RecordProperty("states", std::to_string(result.states));
    std::printf("%llu states, %llu runs\n", (unsigned long long)result.states,
                (unsigned long long)result.runs);
}

TEST(ProtocolFences, EachOneIsNeeded) // 2.7.13.4.1, 2.7.7
{
    std::set<std::string> sites;
    std::set<std::string> missed;
    for (const Setting &setting : Settings()) {
        if (setting.size == 4) {
            continue;
        }
        World world(setting);
        std::set<std::string> here = Explore(world.scenario).fence_sites;
        sites.insert(here.begin(), here.end());
        for (const std::string &site : here) {
            if (missed.count(site) != 0) {
                continue;
            }
            world.scenario.dropped_fence = site;
            if (Explore(world.scenario).violated) {
                missed.insert(site);
            }
        }
    }
    EXPECT_EQ(missed, sites) << "a fence that nobody misses";
    EXPECT_EQ(sites.size(), 5u); // three of the library, two of the device
}

TEST(ProtocolRelease, IsNeededWhereStoresAreReordered) // 2.7.13.3.1
{
    Setting setting = {2, 2, true, false, Order::Weak};
    World world(setting);
    world.scenario.no_release = true;
    EXPECT_TRUE(Explore(world.scenario).violated);
    setting.order = Order::Tso; // x86 does without, which is why it is tested here
    World tso(setting);
    tso.scenario.no_release = true;
    EXPECT_FALSE(Explore(tso.scenario).violated);
}

} // namespace
