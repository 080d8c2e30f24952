// SPDX-License-Identifier: MIT
//
// docs/console-protocol.md: "At the prompt", "Framed lines", "Recovery".
#include <algorithm>

#include <gtest/gtest.h>

#include "../../guest_driver/agent/core/crc32.h"
#include "fake_platform.h"

TEST(AgentCrc, IsZlibs) {
    EXPECT_EQ(0xCBF43926u, agent::Crc32(0, "123456789", 9)); // the usual check value
    EXPECT_EQ(0u, agent::Crc32(0, "", 0));
    EXPECT_EQ(0xCBF43926u, agent::Crc32(agent::Crc32(0, "1234", 4), "56789", 5));
}

TEST(AgentStart, PrintsBannerHelloAndPrompt) {
    AgentRig rig;
    EXPECT_EQ("\r\nvq7agent 1 fake x64, 1 device\r\n" +
                  Sealed("@0 hello version=1 guest=fake arch=x64 boot=1122334455667788 devices=1") +
                  "vq7> ",
              fake->output);
}

TEST(AgentFraming, AnswersAKnownLine) {
    AgentRig rig;
    // The checksum comes from another implementation (Python's zlib).
    std::string answer = rig.Type("@1 info *3d4dbf40\r\n");
    EXPECT_EQ(0u, Unsealed(answer).find("@1 ok lines=0 version=1 guest=fake arch=x64 boot="))
        << answer;
    EXPECT_EQ(std::string::npos, answer.find("vq7>"));
}

TEST(AgentFraming, TheLineBeginsOnALineOfItsOwn) {
    AgentRig rig; // leaves a prompt
    EXPECT_EQ(0u, rig.Type(Sealed("@1 info")).find("\r\n@1 ok "));
    EXPECT_EQ(0u, rig.Type(Sealed("@2 info")).find("@2 ok "));
}

TEST(AgentFraming, LinesMayEndInLf) {
    AgentRig rig;
    EXPECT_EQ("@4294967295 ok",
              Unsealed(rig.Type("@4294967295 blk read 0 1 quiet=1 *" +
                                Sealed("@4294967295 blk read 0 1 quiet=1").substr(34, 8) + "\n"))
                  .substr(0, 14));
}

TEST(AgentFraming, DamagedLinesDoNothing) {
    const std::string good = Sealed("@1 driver unload");
    const std::string damaged = Sealed("@0 damaged");
    for (size_t i = 1; i + 2 < good.size(); i++) {
        AgentRig rig;
        rig.Type("\r");
        std::string bad = good;
        bad[i] ^= 1;
        if (bad[i] == '\r' || bad[i] == '\n')
            continue;
        EXPECT_EQ("\r\n" + damaged, rig.Type(bad)) << bad;
        EXPECT_TRUE(fake->loaded) << bad;
        bad = good;
        bad.erase(i, 1);
        EXPECT_EQ(damaged, rig.Type(bad)) << bad;
        EXPECT_TRUE(fake->loaded) << bad;
    }
}

TEST(AgentFraming, ALostAtSignRunsNothing) {
    for (const char *command : {"driver unload", "reset", "blk write 0 1 seed=1 gen=1"}) {
        for (size_t cut = 1; cut < 8; cut++) {
            AgentRig rig;
            rig.Type(Sealed(std::string("@1 ") + command).substr(cut));
            EXPECT_TRUE(fake->loaded);
            EXPECT_EQ("", fake->machine);
            EXPECT_TRUE(fake->submitted.empty());
        }
    }
}

TEST(AgentFraming, SequenceNumbersAreFrom1To32Bits) {
    for (const char *line : {"@0 info", "@ info", "@x info", "@-1 info", "@4294967296 info",
                             "@99999999999999999999 info", "@1x info", "@"}) {
        AgentRig rig;
        EXPECT_EQ("@0 damaged\n", Unsealed(rig.Type(Sealed(line)))) << line;
    }
}

TEST(AgentFraming, ALineIsAtMost1024Bytes) {
    AgentRig rig;
    // "@1 " + command + seal of 12 = 1024
    std::string command(1024 - 12 - 3, 'x');
    EXPECT_EQ("UNKNOWN_COMMAND", Value(rig.AskWith(1, command), "name"));
    EXPECT_EQ("@0 damaged\n", rig.AskWith(2, command + "x"));
    EXPECT_EQ("@0 damaged\n", rig.AskWith(3, command + std::string(100000, 'x')));
    EXPECT_EQ("@4 ok", rig.AskWith(4, "info").substr(0, 5));
}

TEST(AgentFraming, UnprintableBytesAreDamage) {
    AgentRig rig;
    EXPECT_EQ("@0 damaged\n", rig.AskWith(1, "info \x01"));
    EXPECT_EQ("@0 damaged\n", rig.AskWith(1, "info \x80"));
    EXPECT_EQ("@0 damaged\n", rig.AskWith(1, "info\t"));
}

TEST(AgentRecovery, ARepeatedRequestIsAnsweredAgainButNotExecuted) {
    AgentRig rig;
    std::string request = Sealed("@7 blk read 3 1");
    rig.AskWith(6, "info"); // ends the prompt's line
    std::string first = rig.Type(request);
    size_t submitted = fake->submitted.size();
    EXPECT_EQ("@7 ok", Unsealed(first).substr(Unsealed(first).find("@7 ok"), 5));
    EXPECT_EQ(first, rig.Type(request));
    EXPECT_EQ(first, rig.Type(request));
    EXPECT_EQ(submitted, fake->submitted.size());
}

TEST(AgentRecovery, DamageDoesNotForgetTheLastAnswer) {
    AgentRig rig;
    std::string first = rig.AskWith(7, "driver unload");
    rig.Type("@7 driver unl *12345678\r\n");
    EXPECT_EQ(first, rig.AskWith(7, "driver unload"));
}

TEST(AgentRecovery, OtherTextWithTheSameNumberIsRefused) {
    AgentRig rig;
    std::string first = rig.AskWith(7, "info");
    std::string refused = rig.AskWith(7, "driver unload");
    EXPECT_EQ("SEQUENCE_REUSED", Value(refused, "name"));
    EXPECT_EQ("0xe0070007", Value(refused, "status"));
    EXPECT_TRUE(fake->loaded);
    EXPECT_EQ(first, rig.AskWith(7, "info")); // still the last one
}

TEST(AgentRecovery, RepeatsDuringACommandGetItsOneAnswer) {
    AgentRig rig;
    std::string request = Sealed("@7 blk write 0 8 seed=1 gen=1");
    bool sent = false;
    fake->on_submit = [&] {
        if (fake->submitted.size() < 2 || sent) // the first asks what the device is
            return;
        sent = true;
        std::string twice = request + request;
        fake->input.insert(fake->input.end(), twice.begin(), twice.end());
    };
    std::string answer = Unsealed(rig.Type(request));
    EXPECT_EQ(answer.rfind("@7 ok"), answer.find("@7 ok")) << answer;
    EXPECT_EQ(answer, Unsealed(rig.Type(request))); // and one that comes later its own
}

TEST(AgentRecovery, AnotherCommandSentMeanwhileIsDoneAfterwards) {
    AgentRig rig;
    bool sent = false;
    fake->on_submit = [&] {
        if (!sent)
            for (char c : Sealed("@8 info"))
                fake->input.push_back(static_cast<uint8_t>(c));
        sent = true;
    };
    std::string answer = Unsealed(rig.Type(Sealed("@7 blk flush")));
    EXPECT_LT(answer.find("@7 ok"), answer.find("@8 ok")) << answer;
}

TEST(AgentRecovery, TheLongestReadCanBeAskedForAgain) {
    AgentRig rig;
    std::string first = rig.AskWith(4294967295u, "blk read 0 128");
    EXPECT_NE(std::string::npos, first.find("ok lines=2048 bytes=65536 crc=0x"));
    EXPECT_EQ(first, rig.AskWith(4294967295u, "blk read 0 128"));
}

TEST(AgentEditor, EchoesEditsAndPrompts) {
    AgentRig rig;
    EXPECT_EQ("blx\b \bk id\r\nok id=disk%200\r\nvq7> ", rig.Type("blx\x7fk id\r"));
    EXPECT_EQ("ab\b \b\b \bblk id\r\nok id=disk%200\r\nvq7> ", rig.Type("ab\x15"
                                                                        "blk id\n"));
    EXPECT_EQ("\r\nvq7> ", rig.Type("\b\b\x15\r\n"));
    EXPECT_EQ("reset^C\r\nvq7> ", rig.Type("reset\x03"));
    EXPECT_EQ("\r\nvq7> ", rig.Type("\r"));
    EXPECT_EQ("\r\nvq7> ", rig.Type("\x1b[A\x1b[3~\r"));
    EXPECT_EQ("   \r\nvq7> ", rig.Type("   \r"));
    EXPECT_EQ("", fake->machine);
}

TEST(AgentEditor, AnswersAPersonInPlainText) {
    AgentRig rig;
    std::string answer = rig.Type("blk read 0 1\r");
    EXPECT_NE(
        std::string::npos,
        answer.find("00000000  00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00\r\n00000010  "));
    EXPECT_NE(std::string::npos, answer.find("\r\nok bytes=512 crc=0xb2aa7578\r\nvq7> "));
    EXPECT_EQ("nonsense\r\nerror: no command 'nonsense'; try help (UNKNOWN_COMMAND, 0xe0070001)\r\n"
              "vq7> ",
              rig.Type("nonsense\r"));
}

TEST(AgentEditor, LongLinesRingTheBell) {
    AgentRig rig;
    std::string echoed = rig.Type(std::string(2000, 'a'));
    EXPECT_EQ(1022u, static_cast<size_t>(std::count(echoed.begin(), echoed.end(), 'a')));
    EXPECT_EQ(2000u - 1022u, static_cast<size_t>(std::count(echoed.begin(), echoed.end(), '\a')));
}

TEST(AgentFraming, RandomInputNeverStopsIt) {
    std::mt19937_64 random(7);
    const std::vector<std::string> pieces = {
        "@",    "1",          " ",    "blk", "read", "run",  "ops=3",
        "=",    "*",          "\r",   "\n",  "\x15", "\x1b", "99999999999999999999",
        "help", "sizes=512,", "\xff", "0x",  "-",    "\"\\"};
    for (int round = 0; round < 3000; round++) {
        AgentRig rig(64);
        std::string text;
        for (uint64_t n = random() % 40; n; n--)
            text += pieces[random() % pieces.size()];
        std::string answer = rig.Type(text);
        Unsealed(answer); // whatever is framed is sealed
        std::string command = text.substr(0, 200);
        command.erase(std::remove_if(command.begin(), command.end(),
                                     [](char c) { return c < 0x20 || c > 0x7e; }),
                      command.end());
        rig.Type("\r"); // ends a line that is half typed
        std::string framed = rig.AskWith(77, command);
        size_t endings = 0;
        for (const char *ending : {"@77 ok lines=", "@77 error lines="})
            endings += framed.find(ending) != std::string::npos;
        EXPECT_EQ(1u, endings) << command << "\n" << framed;
    }
}
