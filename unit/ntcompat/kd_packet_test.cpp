// SPDX-License-Identifier: MIT
//
// The packet layer of the kernel debugger: acknowledgements, ids, damage, silence, a peer
// that starts anew.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "kd_line.h"

namespace {

const uint32_t kFirst = KD_INITIAL_ID | KD_SYNC_ID;
const uint64_t kPatience = 1000000;

KD_SPAN Span(const std::string &text) {
    return {text.data(), text.size()};
}

KD_RESULT Send(Line &line, const std::string &text, unsigned attempts = 3,
               uint16_t type = KdTypeStateChange) {
    return KdLinkSend(&line.link, type, Span(text.substr(0, 2)),
                      Span(text.size() > 2 ? text.substr(2) : ""), attempts, kPatience);
}

struct Received {
    KD_RESULT result;
    std::string payload;
};

Received Receive(Line &line, uint16_t type = KdTypeManipulate) {
    const uint8_t *payload = nullptr;
    size_t length = 0;
    const KD_RESULT result = KdLinkReceive(&line.link, type, kPatience, &payload, &length);
    return {result, result == KdDone ? std::string(payload, payload + length) : ""};
}

Packet Ack(uint32_t id) {
    return Control(KdTypeAcknowledge, id);
}

// A peer that acknowledges every data packet.
void Obedient(Line &line) {
    line.peer = [&line](const Packet &p) {
        if (p.leader == KD_DATA_LEADER)
            line.Send(Ack(p.id & ~KD_SYNC_ID));
    };
}

size_t Count(const Line &line, const Packet &p) {
    return static_cast<size_t>(std::count(line.sent.begin(), line.sent.end(), p));
}

TEST(KdPacket, TheFirstPacketCarriesTheSyncBitAndIdsAlternate) {
    Line line;
    Obedient(line);
    for (const char *text : {"one", "two", "three"})
        EXPECT_EQ(Send(line, text), KdDone);
    EXPECT_EQ(line.sent, (std::vector<Packet>{Data(KdTypeStateChange, kFirst, "one"),
                                              Data(KdTypeStateChange, KD_INITIAL_ID | 1, "two"),
                                              Data(KdTypeStateChange, KD_INITIAL_ID, "three")}));
}

TEST(KdPacket, SendsAgainWhenNothingComesAndGivesUp) {
    Line line;
    const uint64_t start = line.now;
    EXPECT_EQ(Send(line, "lost", 4), KdTimedOut);
    EXPECT_EQ(Count(line, Data(KdTypeStateChange, kFirst, "lost")), 4u);
    EXPECT_GE(line.now - start, 4 * kPatience);
    Obedient(line); // the same id is tried on
    EXPECT_EQ(Send(line, "here"), KdDone);
    EXPECT_EQ(line.sent.back().id, kFirst);
}

TEST(KdPacket, AStrayAcknowledgementIsIgnored) {
    Line line;
    line.Send(Ack(KD_INITIAL_ID | 1));
    line.Send(Ack(0));
    EXPECT_EQ(Send(line, "x", 1), KdTimedOut);
    Obedient(line);
    EXPECT_EQ(Send(line, "x"), KdDone);
    line.Send(Ack(KD_INITIAL_ID)); // the second one of the same packet
    line.peer = [](const Packet &) {};
    EXPECT_EQ(Send(line, "y", 1), KdTimedOut);
}

TEST(KdPacket, SendsAgainWhenAsked) {
    Line line;
    line.peer = [&line](const Packet &p) {
        line.Send(line.sent.size() < 3 ? Control(KdTypeResend) : Ack(p.id & ~KD_SYNC_ID));
    };
    const uint64_t start = line.now;
    EXPECT_EQ(Send(line, "again"), KdDone);
    EXPECT_EQ(line.sent.size(), 3u);
    EXPECT_LT(line.now - start, kPatience);
}

TEST(KdPacket, ReceivesAndAcknowledges) {
    Line line;
    line.Send(Data(KdTypeManipulate, KD_INITIAL_ID, "first"));
    line.Send(Data(KdTypeManipulate, KD_INITIAL_ID | 1, ""));
    EXPECT_EQ(Receive(line).payload, "first");
    const Received second = Receive(line);
    EXPECT_EQ(second.result, KdDone);
    EXPECT_EQ(second.payload, "");
    EXPECT_EQ(line.sent, (std::vector<Packet>{Ack(KD_INITIAL_ID), Ack(KD_INITIAL_ID | 1)}));
    EXPECT_EQ(Receive(line).result, KdTimedOut);
}

TEST(KdPacket, TheSyncBitIsNoPartOfTheAcknowledgement) {
    Line line;
    line.Send(Data(KdTypeManipulate, kFirst, "x"));
    EXPECT_EQ(Receive(line).payload, "x");
    EXPECT_EQ(line.sent.back(), Ack(KD_INITIAL_ID));
}

TEST(KdPacket, ARepeatedPacketIsAcknowledgedAndDropped) {
    Line line;
    line.Send(Data(KdTypeManipulate, KD_INITIAL_ID, "x"));
    line.Send(Data(KdTypeManipulate, KD_INITIAL_ID, "x"));
    EXPECT_EQ(Receive(line).payload, "x");
    EXPECT_EQ(Receive(line).result, KdTimedOut);
    EXPECT_EQ(Count(line, Ack(KD_INITIAL_ID)), 2u);
}

TEST(KdPacket, APacketOfAnotherTypeIsDropped) {
    Line line;
    line.Send(Data(KdTypeDebugIo, KD_INITIAL_ID, "x"));
    EXPECT_EQ(Receive(line).result, KdTimedOut);
    line.Send(Data(KdTypeManipulate, KD_INITIAL_ID, "y"));
    EXPECT_EQ(Receive(line).payload, "y");
}

TEST(KdPacket, TakesTheLongestPacketAndNoLonger) {
    Line line;
    line.Send(Data(KdTypeManipulate, KD_INITIAL_ID, std::string(KD_PACKET_MAX, 'm')));
    EXPECT_EQ(Receive(line).payload.size(), static_cast<size_t>(KD_PACKET_MAX));
    line.Send(Data(KdTypeManipulate, KD_INITIAL_ID | 1, std::string(KD_PACKET_MAX + 1, 'm')));
    EXPECT_EQ(Receive(line).result, KdTimedOut);
    EXPECT_EQ(Count(line, Control(KdTypeResend)), 1u);
}

// Any one byte of a packet wrong: it is never delivered, and the packet that follows is.
TEST(KdPacket, ADamagedPacketIsAskedForAgain) {
    const std::string good = Bytes(Data(KdTypeManipulate, KD_INITIAL_ID, "payload"));
    for (size_t at = 0; at < good.size(); at++) {
        if (at >= 8 && at < 12)
            continue; // an id isn't protected: another packet's, dropped
        if (at == 4 || at == 5)
            continue; // nor is the type
        Line line;
        std::string bad = good;
        bad[at] = static_cast<char>(bad[at] ^ 0x55);
        line.Send(bad);
        EXPECT_EQ(Receive(line).result, KdTimedOut) << at;
        EXPECT_EQ(Count(line, Control(KdTypeResend)), at < 4 ? 0u : 1u) << at;
        line.Send(good);
        EXPECT_EQ(Receive(line).payload, "payload") << at;
    }
}

TEST(KdPacket, APacketCutShortEndsWithSilence) {
    const std::string good = Bytes(Data(KdTypeManipulate, KD_INITIAL_ID, "payload"));
    for (size_t length = 1; length < good.size(); length++) {
        Line line;
        line.Send(good.substr(0, length));
        EXPECT_EQ(Receive(line).result, KdTimedOut) << length;
        line.Send(good);
        EXPECT_EQ(Receive(line).payload, "payload") << length;
    }
}

TEST(KdPacket, FindsThePacketBehindNoise) {
    Line line;
    std::string noise = "000i0ii\xAA";
    noise += '\0';
    line.Send(noise + "00" + Bytes(Data(KdTypeManipulate, KD_INITIAL_ID, "x")));
    EXPECT_EQ(Receive(line).payload, "x");
}

// The acknowledgement was lost, but the peer has gone on: it must have the packet.
TEST(KdPacket, TheNextRequestStandsForTheAcknowledgement) {
    Line line;
    line.peer = [&line](const Packet &p) {
        if (p.leader == KD_DATA_LEADER)
            line.Send(Data(KdTypeManipulate, KD_INITIAL_ID, "request"));
    };
    EXPECT_EQ(Send(line, "state"), KdDone);
    line.peer = [](const Packet &) {};
    EXPECT_EQ(Receive(line).payload, "request");
    EXPECT_EQ(Count(line, Ack(KD_INITIAL_ID)), 1u);
}

// Nobody has received it: it must not be acknowledged, nor count for the next packet.
TEST(KdPacket, ARequestBetweenTwoPacketsComesAgain) {
    Line line;
    line.peer = [&line](const Packet &p) {
        if (p.payload == "print")
            line.Send(Data(KdTypeManipulate, KD_INITIAL_ID, "request"));
    };
    EXPECT_EQ(Send(line, "print", 1, KdTypeDebugIo), KdDone);
    EXPECT_EQ(Send(line, "more", 1, KdTypeDebugIo), KdTimedOut);
    EXPECT_EQ(Count(line, Ack(KD_INITIAL_ID)), 0u);
    line.Send(Data(KdTypeManipulate, KD_INITIAL_ID, "request"));
    EXPECT_EQ(Receive(line).payload, "request");
}

TEST(KdPacket, AnOldPacketWhileSendingIsAcknowledgedAgain) {
    Line line;
    line.Send(Data(KdTypeManipulate, KD_INITIAL_ID, "x"));
    EXPECT_EQ(Receive(line).payload, "x");
    line.Send(Data(KdTypeManipulate, KD_INITIAL_ID, "x"));
    EXPECT_EQ(Send(line, "answer", 1), KdTimedOut);
    EXPECT_EQ(Count(line, Ack(KD_INITIAL_ID)), 2u);
}

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

// ---- while the machine runs

TEST(KdPacket, APollStopsAtTheBreakIn) {
    Line line;
    EXPECT_FALSE(KdLinkPoll(&line.link));
    line.Send("b" + Bytes(Control(KdTypeReset)));
    EXPECT_TRUE(KdLinkPoll(&line.link));
    EXPECT_EQ(line.waiting(), static_cast<size_t>(KD_HEADER_SIZE));
    EXPECT_TRUE(line.sent.empty());
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
