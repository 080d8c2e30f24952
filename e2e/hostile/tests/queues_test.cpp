// SPDX-License-Identifier: MIT
// Several queues of one device: each is set up, enabled and stopped by itself ("Ring states").
#include <gtest/gtest.h>

#include <sys/eventfd.h>

#include "front_end.h"

namespace hostile {
namespace {

constexpr uint32_t Flush = 4;

// The driver's side of the second queue, beside that of the front end's own.
class Second {
  public:
    static constexpr uint64_t Descriptors = 0x9000, Available = 0xA000, UsedRing = 0xB000;

    explicit Second(FrontEnd &front) : front_(front), kick_(eventfd(0, EFD_NONBLOCK)) {}

    // All but SET_VRING_ENABLE. Returns whether all of it was taken.
    bool setUp() {
        uint64_t user = FrontEnd::User;
        VringAddress places{1, 0, user + Descriptors, user + UsedRing, user + Available, 0};
        return front_.tell(Type::SetVringNum, VringState{1, 64}) == 0 &&
               front_.tell(Type::SetVringAddr, places) == 0 &&
               front_.tell(Type::SetVringBase, VringState{1, 0}) == 0 &&
               front_.tell(Type::SetVringKick, uint64_t(1), {kick_.get()}) == 0;
    }
    uint64_t enable(bool on) {
        return front_.tell(Type::SetVringEnable, VringState{1, on});
    }
    // A flush, from descriptors 0 and 1.
    void submit() {
        std::string header(16, '\0');
        memcpy(header.data(), &Flush, sizeof(Flush));
        front_.describe(Descriptors, 0, {front_.put(header), 16, false}, 1, 1);
        front_.describe(Descriptors, 1, {front_.room(1), 1, true}, 0, 0);
        auto *index = reinterpret_cast<volatile uint16_t *>(front_.at(Available + 2));
        *index = uint16_t(*index + 1);
        uint64_t one = 1;
        ASSERT_EQ(write(kick_.get(), &one, sizeof(one)), ssize_t(sizeof(one)));
    }
    uint16_t used() {
        return *reinterpret_cast<volatile uint16_t *>(front_.at(UsedRing + 2));
    }
    bool usedSoon(uint16_t index) {
        auto until = Loop::Clock::now() + std::chrono::seconds(10);
        while (used() != index && Loop::Clock::now() < until) {
            std::this_thread::yield();
        }
        return used() == index;
    }

  private:
    FrontEnd &front_;
    Fd kick_;
};

TEST(QueuesTest, EachHasAStateOfItsOwn) {
    Served served;
    served.command("set queues=2");
    FrontEnd front(served.socketPath());
    Second second(front);

    front.negotiate(Version1);
    front.shareMemory();
    EXPECT_EQ(front.ask(Type::GetQueueNum), 2u);
    EXPECT_EQ(front.tell(Type::SetVringEnable, VringState{2, 1}), 1u) << "there is no third one";
    front.startQueue();
    EXPECT_EQ(front.request(Flush, 0, "", 0).status, 0) << "before the other is set up";

    ASSERT_TRUE(second.setUp());
    second.submit();
    EXPECT_EQ(front.request(Flush, 0, "", 0).status, 0);
    EXPECT_EQ(second.used(), 0) << "disabled";
    EXPECT_EQ(second.enable(true), 0u);
    EXPECT_TRUE(second.usedSoon(1)) << "it was kicked before; nobody kicks again";
    second.submit();
    EXPECT_TRUE(second.usedSoon(2));

    EXPECT_EQ(front.stopQueue(), 2u);
    second.submit();
    EXPECT_TRUE(second.usedSoon(3)) << "the first one's stop isn't this one's";
    EXPECT_EQ(second.enable(false), 0u);
    second.submit();
    front.startQueue(64, 2);
    EXPECT_EQ(front.request(Flush, 0, "", 0).status, 0);
    EXPECT_EQ(second.used(), 3);
    EXPECT_EQ(served.counter("ring_errors"), 0u);
    EXPECT_EQ(served.counter("flush"), 6u);
}

} // namespace
} // namespace hostile
