// SPDX-License-Identifier: MIT
//
// The packet layer of the kernel debugger: a peer that starts anew, a machine that runs, and
// lines on which anything may come.
#include <gtest/gtest.h>

#include <random>

#include "kd_line.h"

namespace {

// ---- a peer that starts anew

TEST(KdPacket, ResetStartsTheIdsAgain) {
    Line line;
    Obedient(line);
    EXPECT_EQ(Send(line, "one"), KdDone);
    line.Send(Data(KdTypeManipulate, KD_INITIAL_ID, "x"));
    EXPECT_EQ(Receive(line).payload, "x");
    line.Send(Control(KdTypeReset));
    EXPECT_EQ(Receive(line).result, KdStateWanted);
    EXPECT_EQ(line.sent.back(), Control(KdTypeReset));
    EXPECT_EQ(Send(line, "state"), KdDone);
    EXPECT_EQ(line.sent.back(), Data(KdTypeStateChange, KD_INITIAL_ID, "state"));
    line.Send(Data(KdTypeManipulate, KD_INITIAL_ID, "y"));
    EXPECT_EQ(Receive(line).payload, "y");
}

TEST(KdPacket, ResetWhileAStateIsSentSendsItAgain) {
    Line line;
    line.peer = [&line](const Packet &p) {
        if (p.id == kFirst) {
            line.Send(std::string(1, KD_BREAK_IN));
            line.Send(Control(KdTypeReset));
        } else if (p.leader == KD_DATA_LEADER) {
            line.Send(Ack(p.id));
            line.Send(Ack(p.id)); // as Windows' debugger does
        }
    };
    line.link.halted = true;
    EXPECT_EQ(Send(line, "state"), KdDone);
    EXPECT_EQ(line.sent,
              (std::vector<Packet>{Data(KdTypeStateChange, kFirst, "state"), Control(KdTypeReset),
                                   Data(KdTypeStateChange, KD_INITIAL_ID, "state")}));
    EXPECT_FALSE(line.link.break_in) << "it was for the state that has been sent";
}

TEST(KdPacket, ResetInsteadOfTakingAnAnswerAsksForTheState) {
    Line line;
    line.peer = [&line](const Packet &p) {
        if (p.leader == KD_DATA_LEADER)
            line.Send(Control(KdTypeReset));
    };
    EXPECT_EQ(Send(line, "answer", 0, KdTypeManipulate), KdStateWanted);
    EXPECT_EQ(line.sent.size(), 2u);
}

TEST(KdPacket, ABreakInWhileAPrintIsSentIsKept) {
    Line line;
    line.peer = [&line](const Packet &p) {
        if (p.id == kFirst) {
            line.Send(std::string(1, KD_BREAK_IN));
            line.Send(Control(KdTypeReset));
        } else if (p.leader == KD_DATA_LEADER) {
            line.Send(Ack(p.id));
        }
    };
    EXPECT_EQ(Send(line, "print", 3, KdTypeDebugIo), KdDone);
    EXPECT_TRUE(line.link.break_in);
    EXPECT_TRUE(KdLinkPoll(&line.link));
}

// A peer that doesn't know that the target has stopped, and of no RESET, wants the state.
TEST(KdPacket, ABreakInAloneFindsItStopped) {
    Line line;
    line.link.halted = true;
    line.Send("b");
    const uint64_t start = line.now;
    EXPECT_EQ(Receive(line).result, KdStateWanted);
    EXPECT_LT(line.now - start, kPatience);
    EXPECT_FALSE(line.link.break_in) << "it was for that state";
    EXPECT_TRUE(line.sent.empty());
    line.Send("b" + Bytes(Control(KdTypeReset))); // one that does know
    EXPECT_EQ(Receive(line).result, KdStateWanted);
    EXPECT_EQ(line.sent.back(), Control(KdTypeReset));
    EXPECT_EQ(Receive(line).result, KdTimedOut);
    line.Send("b" + Bytes(Data(KdTypeManipulate, KD_INITIAL_ID, "a request")));
    EXPECT_EQ(Receive(line).payload, "a request");
}

// ---- while the machine runs

TEST(KdPacket, APollStopsAtTheBreakIn) {
    Line line;
    EXPECT_FALSE(KdLinkPoll(&line.link));
    line.Send("b" + Bytes(Control(KdTypeReset)));
    EXPECT_TRUE(KdLinkPoll(&line.link));
    EXPECT_EQ(line.waiting(), static_cast<size_t>(KD_HEADER_SIZE));
    EXPECT_TRUE(line.sent.empty());
}

// Found by bytes at random: the poll took the RESET, too, where both were in the ruins of a
// packet.
TEST(KdPacket, RegressionABreakInInRuinsKeepsItsReset) {
    Line line;
    line.Send(Bytes(Data(KdTypeManipulate, KD_INITIAL_ID, std::string(70, 'x'))).substr(0, 30) +
              Bytes(Ack(KD_INITIAL_ID)) + "b" + Bytes(Control(KdTypeReset)));
    for (int i = 0; i < 1000 && !KdLinkPoll(&line.link); i++)
        line.now += 1000;
    ASSERT_TRUE(line.link.break_in);
    line.link.halted = true;
    EXPECT_EQ(Send(line, "state"), KdTimedOut);
    EXPECT_EQ(Count(line, Control(KdTypeReset)), 1u);
}

TEST(KdPacket, APollAcknowledgesWhatComesAgain) {
    Line line;
    const Packet go = Data(KdTypeManipulate, KD_INITIAL_ID, "go, with a b in it");
    line.Send(go);
    EXPECT_EQ(Receive(line).result, KdDone);
    line.Send(go); // our acknowledgement was lost
    for (int i = 0; i < 10; i++)
        EXPECT_FALSE(KdLinkPoll(&line.link));
    EXPECT_EQ(Count(line, Ack(KD_INITIAL_ID)), 2u);
    line.Send(Data(KdTypeManipulate, KD_INITIAL_ID | 1, "too early"));
    for (int i = 0; i < 10; i++)
        EXPECT_FALSE(KdLinkPoll(&line.link));
    EXPECT_EQ(line.sent.size(), 2u) << "what nobody takes is not acknowledged";
}

TEST(KdPacket, APollTakesFewBytes) {
    Line line;
    line.Send(std::string(10000, 'x'));
    EXPECT_FALSE(KdLinkPoll(&line.link));
    EXPECT_GE(line.waiting(), 9900u);
}

// One client dies in the middle of a packet, the next one breaks in at once: its bytes look
// like the rest of that packet.
void BreakInBehind(const std::string &packet) {
    for (size_t length = 0; length < packet.size(); length++) {
        Line line;
        line.Send(packet.substr(0, length) + "b" + Bytes(Control(KdTypeReset)));
        bool seen = false;
        for (int i = 0; i < 1000 && !seen; i++)
            seen = KdLinkPoll(&line.link);
        EXPECT_TRUE(seen) << length;
        line.link.break_in = false;
        line.link.halted = true;
        EXPECT_EQ(Receive(line).result, KdStateWanted) << length;
    }
}

TEST(KdPacket, ABreakInBehindAPacketCutShort) {
    BreakInBehind(Bytes(Data(KdTypeManipulate, KD_INITIAL_ID, std::string(64, 'p'))));
}

// The two bytes that are missing would be the break-in and the next leader's first.
TEST(KdPacket, ABreakInBehindAnAcknowledgementCutShort) {
    BreakInBehind(Bytes(Ack(KD_INITIAL_ID | 1)));
}

TEST(KdPacket, NoiseEndsNoWait) {
    Line line;
    line.silence = [&line] { line.Send(std::string(40, '0')); };
    EXPECT_EQ(Send(line, "x", 2), KdTimedOut);
    EXPECT_EQ(Receive(line).result, KdTimedOut);
}

// ---- any losses and damage: every packet arrives once, in order

TEST(KdPacket, NothingIsLostOrDoubledOnABadLine) {
    std::mt19937 random(11);
    for (int round = 0; round < 100; round++) {
        Line line;
        std::vector<std::string> got;
        uint32_t expected = KD_INITIAL_ID;
        auto back = [&](const Packet &p) {
            std::string bytes = Bytes(p);
            const unsigned fate = random() % 20;
            if (fate == 0)
                bytes.erase(random() % bytes.size(), 1);
            if (fate == 1)
                bytes[random() % 4] = 'x';
            if (fate != 2)
                line.Send(bytes);
        };
        line.peer = [&](const Packet &p) {
            if (p.leader != KD_DATA_LEADER || random() % 10 == 0)
                return;
            if (random() % 10 == 0)
                return back(Control(KdTypeResend));
            back(Ack(p.id & ~KD_SYNC_ID));
            if ((p.id & ~KD_SYNC_ID) == expected) {
                got.push_back(p.payload);
                expected ^= 1;
            }
        };
        std::vector<std::string> wanted;
        for (int i = 0; i < 20; i++) {
            wanted.push_back("packet " + std::to_string(i));
            ASSERT_EQ(Send(line, wanted.back(), 0), KdDone);
        }
        ASSERT_EQ(got, wanted);
    }
}

TEST(KdPacket, SurvivesAnyBytes) {
    std::mt19937 random(5);
    const char alphabet[] = "000000iiiiiib\x02\x07\x00\x10\xAA\x80\xFF";
    for (int round = 0; round < 40; round++) {
        Line line;
        std::string bytes;
        for (int i = 0; i < 3000; i++)
            bytes += alphabet[random() % (sizeof(alphabet) - 1)];
        line.Send(bytes);
        for (int i = 0; i < 100; i++) {
            if (KdLinkPoll(&line.link))
                line.link.break_in = false;
            EXPECT_LE(line.link.count, sizeof(line.link.raw));
        }
        (void)Send(line, "x", 2);
        (void)Receive(line);
    }
}

} // namespace
