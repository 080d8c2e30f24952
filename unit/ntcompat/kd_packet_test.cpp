// SPDX-License-Identifier: MIT
//
// The packet layer of the kernel debugger: acknowledgements, ids, damage, silence.
#include <gtest/gtest.h>

#include "kd_line.h"

namespace {

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

TEST(KdPacket, AnUnknownIdIsAskedForAgain) {
    for (const uint32_t id : {0u, KD_INITIAL_ID | 2, KD_INITIAL_ID ^ 0x1000}) {
        Line line;
        line.Send(Data(KdTypeManipulate, id, "x"));
        EXPECT_EQ(Receive(line).result, KdTimedOut);
        EXPECT_EQ(line.sent, std::vector<Packet>{Control(KdTypeResend)}) << id;
        line.Send(Data(KdTypeManipulate, KD_INITIAL_ID, "y"));
        EXPECT_EQ(Receive(line).payload, "y");
    }
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

} // namespace
