// SPDX-License-Identifier: MIT
//
// Properties of the queue over random legal histories: every operation of the
// driver and of the device in any order, on every kind of queue, against a
// reference that knows nothing but sets. A failure names the seed and the step;
// VQ7_HISTORY_SEED runs that one alone, VQ7_HISTORY_COUNT more or fewer.
#include <algorithm>
#include <cstdlib>
#include <deque>
#include <map>
#include <random>

#include "model/queue_rig.h"

using namespace vq7::model;

namespace {

class History {
  public:
    explicit History(unsigned seed)
        : random_(seed), options_(RandomOptions(random_)), rig_(options_) {
        if (Chance(2)) {
            rig_.StartAt(static_cast<UINT16>(0xFFFF - random_() % 64));
            EXPECT_TRUE(VirtqSplitEnableInterrupts(rig_.vq())); // used_event: there, too
        }
        rig_.vq()->indirect_threshold = static_cast<UINT16>(random_() % 4);
    }

    void Run(int steps) {
        for (int step = 0; step < steps; step++) {
            SCOPED_TRACE("step " + std::to_string(step));
            switch (random_() % 15) {
            case 0:
            case 1:
            case 2:
                AddSome();
                break;
            case 3:
            case 4:
                PublishSome();
                break;
            case 5:
                PublishBatch();
                break;
            case 13:
                SubmitSome();
                break;
            case 6:
                Kick();
                break;
            case 7:
            case 8:
            case 9:
                DeviceWorks();
                break;
            case 10:
            case 11:
                Drain();
                break;
            case 12:
                ToggleInterrupts();
                break;
            default:
                if (Chance(20)) {
                    Restart();
                }
            }
            CheckInvariants();
            if (::testing::Test::HasFailure()) {
                return;
            }
        }
    }

  private:
    static constexpr VIRTQ_BUFFER kNone = {};

    struct Buffer {
        void *cookie;
        std::vector<VIRTQ_SG> sg;
        unsigned descriptors;
    };

    static QueueOptions RandomOptions(std::mt19937 &random) {
        QueueOptions o;
        o.size = static_cast<UINT16>(1u << (random() % 7));
        o.event_idx = random() % 2;
        o.indirect = random() % 2;
        if (o.indirect) {
            o.tables = static_cast<UINT16>(random() % 9);
            o.table_size = static_cast<UINT16>(o.tables != 0 ? 1 + random() % 16 : 0);
        }
        o.align = 4u << (random() % 11);
        o.separate_areas = random() % 2;
        return o;
    }

    bool Chance(unsigned n) {
        return random_() % n == 0;
    }

    bool IsIndirect(UINT16 head) {
        return (rig_.Memory().Load16(rig_.device->DescAt(head) + 12) & VIRTQ_DESC_F_INDIRECT) != 0;
    }

    void AddSome() {
        unsigned n = 1 + random_() % std::min<unsigned>(options_.size, 6);
        unsigned readable = random_() % (n + 1);
        Buffer buffer{Cookie(next_cookie_++), rig_.Segments(readable, n - readable), 0};
        UINT16 free_before = rig_.vq()->num_free;
        UINT16 head = 0;
        NTSTATUS status = rig_.Add(buffer.sg, buffer.cookie, &head);
        if (status == STATUS_INSUFFICIENT_RESOURCES) {
            EXPECT_GT(n, free_before) << "refused, though there was room";
            EXPECT_EQ(rig_.vq()->num_free, free_before);
            return;
        }
        ASSERT_EQ(status, STATUS_SUCCESS);
        buffer.descriptors = free_before - rig_.vq()->num_free;
        EXPECT_EQ(buffer.descriptors, IsIndirect(head) ? 1 : n);
        EXPECT_TRUE(added_.emplace(head, buffer).second);
        EXPECT_EQ(published_.count(head), 0u) << "a head that is in flight";
    }

    void Published(UINT16 head) {
        published_.insert(added_.extract(head));
        order_.push_back(head);
        unkicked_++;
    }

    void PublishSome() {
        if (added_.empty()) {
            return;
        }
        auto it = std::next(added_.begin(), static_cast<long>(random_() % added_.size()));
        UINT16 head = it->first;
        ASSERT_EQ(VirtqSplitPublishChecked(rig_.vq(), head), STATUS_SUCCESS);
        Published(head);
    }

    void PublishBatch() {
        std::vector<UINT16> heads;
        for (auto &[head, buffer] : added_) {
            heads.push_back(head);
        }
        std::shuffle(heads.begin(), heads.end(), random_);
        ASSERT_EQ(
            VirtqSplitPublishBatch(rig_.vq(), heads.data(), static_cast<UINT16>(heads.size())),
            STATUS_SUCCESS);
        for (UINT16 head : heads) {
            Published(head);
        }
    }

    // Adds and publishes; the heads are in the avail ring.
    void SubmitSome() {
        std::vector<Buffer> made;
        std::vector<VIRTQ_BUFFER> buffers;
        for (unsigned i = random_() % 4; i > 0; i--) {
            unsigned n = 1 + random_() % std::min<unsigned>(options_.size, 3);
            unsigned readable = random_() % (n + 1);
            made.push_back({Cookie(next_cookie_++), rig_.Segments(readable, n - readable), 0});
        }
        for (Buffer &buffer : made) {
            buffers.push_back(
                {buffer.sg.data(), static_cast<UINT16>(buffer.sg.size()), buffer.cookie});
        }
        UINT16 next = rig_.device->AvailIdx();
        const UINT16 free_before = rig_.vq()->num_free;
        UINT16 submitted = 0;
        NTSTATUS status =
            VirtqSplitSubmitBatch(rig_.vq(), buffers.empty() ? &kNone : buffers.data(),
                                  static_cast<UINT16>(buffers.size()), &submitted);
        ASSERT_EQ(status,
                  submitted == buffers.size() ? STATUS_SUCCESS : STATUS_INSUFFICIENT_RESOURCES);
        ASSERT_EQ(rig_.device->AvailIdx(), static_cast<UINT16>(next + submitted));
        unsigned used = 0;
        for (UINT16 i = 0; i < submitted; i++, next++) {
            UINT16 head = rig_.Memory().Load16(rig_.device->AvailRingAt(next % options_.size));
            made[i].descriptors = IsIndirect(head) ? 1u : static_cast<unsigned>(made[i].sg.size());
            used += made[i].descriptors;
            EXPECT_TRUE(added_.emplace(head, made[i]).second);
            Published(head);
        }
        EXPECT_EQ(rig_.vq()->num_free, free_before - used);
    }

    void Kick() {
        bool wanted;
        UINT16 now = rig_.device->AvailIdx();
        if (Chance(2)) {
            rig_.device->WantNotifications(Chance(2));
        }
        if (options_.event_idx) {
            UINT16 event = static_cast<UINT16>(now - 6 + random_() % 8);
            rig_.device->SetAvailEvent(event);
            wanted =
                unkicked_ > 65534 || static_cast<UINT16>(event - (now - unkicked_)) < unkicked_;
        } else {
            wanted = unkicked_ != 0 && (rig_.Memory().Load16(rig_.device->UsedFlagsAt()) & 1) == 0;
        }
        EXPECT_EQ(rig_.Kick(), wanted);
        unkicked_ = 0;
    }

    void DeviceWorks() {
        for (unsigned n = random_() % 8; n > 0; n--) {
            auto chain = rig_.device->Pop();
            if (!chain) {
                EXPECT_TRUE(order_.empty()) << "the device was not told";
                break;
            }
            ASSERT_FALSE(order_.empty());
            EXPECT_EQ(chain->head, order_.front()) << "not in the order of publishing";
            order_.pop_front();
            const Buffer &buffer = published_.at(chain->head);
            ASSERT_EQ(chain->segments.size(), buffer.sg.size());
            for (size_t i = 0; i < buffer.sg.size(); i++) {
                EXPECT_EQ(chain->segments[i].address, buffer.sg[i].addr);
                EXPECT_EQ(chain->segments[i].length, buffer.sg[i].len);
                EXPECT_EQ(chain->segments[i].writable, buffer.sg[i].write != FALSE);
            }
            device_has_.push_back(*chain);
        }
        std::shuffle(device_has_.begin(), device_has_.end(), random_);
        while (!device_has_.empty() && !Chance(4)) {
            Chain chain = device_has_.back();
            device_has_.pop_back();
            UINT32 length = static_cast<UINT32>(random_() % (chain.Writable() + 1));
            rig_.device->Push(chain.head, length);
            used_.push_back({chain.head, length});
        }
        if (rig_.device->TakeInterrupt()) {
            interrupted_ = true;
        }
    }

    void Took(void *cookie, UINT32 length) {
        ASSERT_FALSE(used_.empty()) << "a buffer that the device has not used";
        auto node = published_.extract(used_.front().first);
        ASSERT_FALSE(node.empty());
        EXPECT_EQ(cookie, node.mapped().cookie);
        EXPECT_EQ(length, used_.front().second);
        used_.pop_front();
    }

    void Drain() {
        if (Chance(2)) {
            for (Used used = rig_.Get(); used.status == STATUS_SUCCESS; used = rig_.Get()) {
                Took(used.cookie, used.length);
            }
        } else {
            VIRTQ_COMPLETION out[5];
            UINT16 count;
            while (VirtqSplitGetUsedBatch(rig_.vq(), out, 5, &count) == STATUS_SUCCESS) {
                for (UINT16 i = 0; i < count; i++) {
                    Took(out[i].cookie, out[i].len);
                }
            }
        }
        EXPECT_TRUE(used_.empty()) << "used buffers were left";
        EXPECT_FALSE(VirtqSplitIsBroken(rig_.vq()));
        drained_ = true;
        interrupted_ = false;
    }

    // Enabled, drained to the end, and then something was used: there must have
    // been an interrupt.
    void ExpectNoLostInterrupt() {
        if (interrupts_on_ && drained_ && !used_.empty()) {
            EXPECT_TRUE(interrupted_) << "lost interrupt";
        }
    }

    void ToggleInterrupts() {
        if (Chance(2)) {
            VirtqSplitDisableInterrupts(rig_.vq());
            interrupts_on_ = false;
        } else {
            bool nothing = VirtqSplitEnableInterrupts(rig_.vq()) != FALSE;
            EXPECT_EQ(nothing, used_.empty());
            interrupts_on_ = true;
            drained_ = nothing;
            interrupted_ = false;
        }
    }

    void Restart() {
        std::multiset<void *> expected, got;
        for (auto *set : {&added_, &published_}) {
            for (auto &[head, buffer] : *set) {
                expected.insert(buffer.cookie);
            }
        }
        void *cookie;
        while (VirtqSplitDetachUnused(rig_.vq(), &cookie) == STATUS_SUCCESS) {
            got.insert(cookie);
        }
        EXPECT_EQ(got, expected);
        ASSERT_EQ(VirtqSplitResetChecked(rig_.vq()), STATUS_SUCCESS);
        rig_.device->Reset();
        added_.clear();
        published_.clear();
        order_.clear();
        device_has_.clear();
        used_.clear();
        unkicked_ = 0;
        interrupts_on_ = true;
        drained_ = true;
        interrupted_ = false;
    }

    void CheckInvariants() {
        unsigned descriptors = 0;
        for (auto *set : {&added_, &published_}) {
            for (auto &[head, buffer] : *set) {
                descriptors += buffer.descriptors;
            }
        }
        EXPECT_EQ(rig_.vq()->num_free + descriptors, options_.size);
        EXPECT_EQ(VirtqSplitInFlight(rig_.vq()), published_.size());
        EXPECT_EQ(VirtqSplitHasUsed(rig_.vq()) != FALSE, !used_.empty());
        EXPECT_EQ(VirtqSplitMisuseCount(rig_.vq()), 0u);
        ExpectNoLostInterrupt();
    }

    std::mt19937 random_;
    QueueOptions options_;
    QueueRig rig_;
    std::map<UINT16, Buffer> added_, published_;
    std::deque<UINT16> order_; // published, not yet seen by the device
    std::vector<Chain> device_has_;
    std::deque<std::pair<UINT16, UINT32>> used_; // by the device, not yet taken
    UINT32 unkicked_ = 0;
    std::size_t next_cookie_ = 1;
    bool interrupts_on_ = true, drained_ = true, interrupted_ = false;
};

unsigned FromEnvironment(const char *name, unsigned otherwise) {
    const char *text = std::getenv(name);
    return text != nullptr ? static_cast<unsigned>(std::strtoul(text, nullptr, 10)) : otherwise;
}

TEST(VirtqSplitHistory, EveryLegalHistoryKeepsTheRules) // 2.7
{
    unsigned first = FromEnvironment("VQ7_HISTORY_SEED", 0);
    unsigned count = FromEnvironment("VQ7_HISTORY_COUNT", first != 0 ? 1 : 2000);
    for (unsigned seed = first; seed < first + count; seed++) {
        SCOPED_TRACE("VQ7_HISTORY_SEED=" + std::to_string(seed));
        History(seed).Run(600);
        if (HasFailure()) {
            return;
        }
    }
}

} // namespace
