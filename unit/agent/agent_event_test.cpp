// SPDX-License-Identifier: MIT
//
// docs/console-protocol.md: "Events in a workload".
#include <gtest/gtest.h>

#include "fake_platform.h"

namespace {

// The answer's last line, and how many of its data lines hold `text`.
std::string Last(const std::string &answer) {
    size_t at = answer.rfind("\n", answer.size() - 2);
    return at == std::string::npos ? answer : answer.substr(at + 1);
}

size_t Count(const std::string &answer, const std::string &text) {
    size_t count = 0;
    for (size_t at = answer.find(text); at != std::string::npos; at = answer.find(text, at + 1))
        count++;
    return count;
}

size_t Transfers() {
    size_t count = 0;
    for (auto &op : fake->submitted)
        count += op.count != 0;
    return count;
}

TEST(AgentEvent, PowerCycleLosesNothing) {
    AgentRig rig;
    uint64_t began = fake->now_us;
    std::string answer = rig.Ask("blk run ops=200 depth=8 then=powercycle after=50 hold=500");
    EXPECT_EQ("ok ", Last(answer).substr(0, 3)) << answer;
    EXPECT_EQ("down up ", fake->power);
    EXPECT_GE(fake->now_us - began, 500000u);
    EXPECT_EQ("200", Value(Last(answer), "ops"));
    EXPECT_EQ("0", Value(Last(answer), "errors"));
    EXPECT_EQ("powercycle", Value(Last(answer), "event"));
    EXPECT_EQ("STATUS_SUCCESS", Value(Last(answer), "event_name"));
    EXPECT_EQ("8", Value(Last(answer), "in_flight"));
    EXPECT_EQ("0", Value(Last(answer), "duplicates"));
}

TEST(AgentEvent, CancelledOnesAreListedAndNothingFollows) {
    AgentRig rig;
    std::string answer = rig.Ask("blk run ops=1000 depth=16 then=cancel after=50");
    EXPECT_EQ("ok ", Last(answer).substr(0, 3)) << answer;
    EXPECT_EQ("16", Value(Last(answer), "in_flight"));
    EXPECT_EQ("66", Value(Last(answer), "ops"));
    EXPECT_EQ(66u, Transfers());
    EXPECT_EQ(Value(Last(answer), "errors"),
              std::to_string(Count(answer, "name=STATUS_CANCELLED")));
    EXPECT_NE("0", Value(Last(answer), "errors"));
}

TEST(AgentEvent, CloseLeavesNoHandle) {
    AgentRig rig;
    fake->close_under_load = true;
    fake->random.seed(7);
    // The handle of the workload is the only one with requests in flight.
    std::string answer = rig.Ask("blk run ops=1000 depth=16 then=close after=50");
    EXPECT_EQ("ok ", Last(answer).substr(0, 3)) << answer;
    EXPECT_TRUE(fake->open.empty());
    EXPECT_EQ(66u, Transfers());
    EXPECT_EQ("0", Value(Last(answer), "errors"));
}

TEST(AgentEvent, UnloadIsRefusedAndTheRunGoesOn) {
    AgentRig rig;
    std::string answer = rig.Ask("blk run ops=100 depth=4 then=unload after=10");
    EXPECT_EQ("ok ", Last(answer).substr(0, 3)) << answer;
    EXPECT_EQ("STATUS_DEVICE_BUSY", Value(Last(answer), "event_name"));
    EXPECT_EQ("100", Value(Last(answer), "ops"));
    EXPECT_EQ("loaded", Value(rig.Ask("info"), "driver"));
}

TEST(AgentEvent, TheMachineEndsWithRequestsInFlight) {
    for (auto [event, machine] : {std::pair{"reset", "restart"}, {"poweroff", "poweroff"}}) {
        AgentRig rig;
        std::string answer = rig.Ask("blk run ops=100 depth=4 after=10 then=" + std::string(event));
        EXPECT_EQ("4", Value(answer, "in_flight")) << answer;
        EXPECT_EQ(machine, fake->machine);
        EXPECT_EQ(14u, Transfers());
        while (platform::WaitRequest(0)) {
        }
    }
}

TEST(AgentEvent, ADeviceThatStaysDownIsAFailure) {
    AgentRig rig;
    std::string answer = rig.Ask("blk run ops=100 depth=4 then=powerdown after=10");
    EXPECT_EQ("WORKLOAD_FAILED", Value(Last(answer), "name")) << answer;
    EXPECT_EQ(4u, Count(answer, "name=REQUEST_LOST"));
    fake->powered = true;
    rig.Ask("info");
}

TEST(AgentEvent, RemovalEndsTheRunAtTheFirstFailure) {
    AgentRig rig;
    fake->fault = [](const SubmittedOperation &op, size_t index) {
        return op.count && index > 60 ? Fault::kIoError : Fault::kNone;
    };
    std::string answer = rig.Ask("blk run ops=1000 depth=8 then=removal");
    EXPECT_EQ("ok ", Last(answer).substr(0, 3)) << answer;
    EXPECT_LE(Transfers(), 80u);
    EXPECT_EQ(Value(Last(answer), "errors"), std::to_string(Count(answer, "kind=")));
    EXPECT_EQ("(none)", Value(Last(answer), "submitted")); // there may be nobody to ask
}

TEST(AgentEvent, APowerlessSystemSaysSo) {
    AgentRig rig;
    fake->power_status = 0xE0070008;
    std::string answer = rig.Ask("blk run ops=100 depth=4 then=powercycle after=10");
    EXPECT_EQ("NOT_SUPPORTED", Value(Last(answer), "event_name")) << answer;
    EXPECT_EQ("100", Value(Last(answer), "ops"));
    EXPECT_EQ("NOT_SUPPORTED", Value(rig.Ask("device powerdown"), "name"));
    fake->power_status = 0xC0000184;
    EXPECT_EQ("STATUS_INVALID_DEVICE_STATE", Value(rig.Ask("device powerup"), "name"));
    fake->power_status = 0;
    EXPECT_EQ("ok lines=0\n", rig.Ask("device powerdown"));
    EXPECT_EQ("ok lines=0\n", rig.Ask("device powerup"));
    EXPECT_EQ("NO_DEVICE", Value(rig.Ask("device powerup dev=3"), "name"));
}

TEST(AgentEvent, FailuresOfDataStayFailures) {
    AgentRig rig;
    rig.Ask("blk write 0 4096 seed=1 gen=0");
    fake->fault = [](const SubmittedOperation &op, size_t index) {
        return op.code == 0 || index != 60 ? Fault::kNone : Fault::kWrongData;
    };
    std::string answer = rig.Ask("blk run ops=100 depth=4 write=0 base=1 then=powercycle after=10");
    EXPECT_EQ("WORKLOAD_FAILED", Value(Last(answer), "name")) << answer;
    EXPECT_EQ("1", Value(Last(answer), "miscompares"));
}

} // namespace
