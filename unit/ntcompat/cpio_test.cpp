// SPDX-License-Identifier: MIT
//
// The reader of the boot archive, with archives that are whole, cut short and damaged.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "ldr/cpio.h"

namespace {

void Pad(std::string &archive) {
    archive.resize((archive.size() + 3) & ~size_t{3});
}

// A member as `cpio -H newc` writes it (cpio(5), "new ASCII format").
void Append(std::string &archive, const std::string &name, const std::string &data) {
    char header[111];
    snprintf(header, sizeof(header), "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X",
             1u, 0100644u, 0u, 0u, 1u, 0u, static_cast<unsigned>(data.size()), 0u, 0u, 0u, 0u,
             static_cast<unsigned>(name.size() + 1), 0u);
    archive += header;
    archive += name;
    archive += '\0';
    Pad(archive);
    archive += data;
    Pad(archive);
}

std::string Archive() {
    std::string archive;
    Append(archive, "ntoskrnl.exe", "kernel");
    Append(archive, "empty", "");
    Append(archive, "WDFLDR.SYS", std::string(1001, 'w'));
    Append(archive, "TRAILER!!!", "");
    return archive;
}

// A copy of exactly this size on the heap, so that reading on is seen.
struct Exact {
    explicit Exact(const std::string &text) : size(text.size()), bytes(new uint8_t[size]) {
        memcpy(bytes.get(), text.data(), size);
    }
    size_t size;
    std::unique_ptr<uint8_t[]> bytes;
};

// Reads all members to the end, and every byte of them.
size_t Walk(const std::string &text, std::vector<std::string> *names = nullptr) {
    Exact archive(text);
    size_t offset = 0, count = 0, sum = 0;
    CpioMember member;
    while (CpioNext(archive.bytes.get(), archive.size, &offset, &member)) {
        for (size_t i = 0; i < member.size; i++)
            sum += member.data[i];
        sum += strlen(member.name);
        if (names)
            names->push_back(member.name);
        if (++count > text.size()) {
            ADD_FAILURE() << "no end";
            break;
        }
    }
    EXPECT_GE(sum, 0u);
    return count;
}

TEST(Cpio, ReadsEveryMember) {
    std::vector<std::string> names;
    EXPECT_EQ(Walk(Archive(), &names), 3u);
    EXPECT_EQ(names, (std::vector<std::string>{"ntoskrnl.exe", "empty", "WDFLDR.SYS"}));
}

TEST(Cpio, FindsByNameInAnyCase) {
    Exact archive(Archive());
    CpioMember member;
    ASSERT_TRUE(CpioFind(archive.bytes.get(), archive.size, "wdfldr.sys", &member));
    EXPECT_EQ(member.size, 1001u);
    EXPECT_EQ(member.data[1000], 'w');
    ASSERT_TRUE(CpioFind(archive.bytes.get(), archive.size, "EMPTY", &member));
    EXPECT_EQ(member.size, 0u);
    EXPECT_FALSE(CpioFind(archive.bytes.get(), archive.size, "empt", &member));
    EXPECT_FALSE(CpioFind(archive.bytes.get(), archive.size, "empty2", &member));
    EXPECT_FALSE(CpioFind(archive.bytes.get(), archive.size, "TRAILER!!!", &member));
}

TEST(Cpio, StopsWhereTheArchiveIsCutShort) {
    const std::string whole = Archive();
    for (size_t length = 0; length < whole.size(); length++)
        EXPECT_LE(Walk(whole.substr(0, length)), 3u) << length;
    EXPECT_EQ(Walk(whole.substr(0, 0)), 0u);
    EXPECT_EQ(Walk(whole.substr(0, 109)), 0u);
}

// Fields of the first header: after the magic, eight digits each.
std::string WithField(int field, const char *digits) {
    std::string archive = Archive();
    archive.replace(6 + 8 * field, 8, digits);
    return archive;
}

TEST(Cpio, RefusesImpossibleSizes) {
    const int file_size = 6, name_size = 11;
    EXPECT_EQ(Walk(WithField(file_size, "FFFFFFFF")), 0u);
    EXPECT_EQ(Walk(WithField(file_size, "7FFFFFFF")), 0u);
    EXPECT_EQ(Walk(WithField(name_size, "00000000")), 0u);
    EXPECT_EQ(Walk(WithField(name_size, "FFFFFFFF")), 0u);
    EXPECT_EQ(Walk(WithField(name_size, "0000000C")), 0u); // without its NUL
    EXPECT_EQ(Walk(WithField(file_size, "0000000g")), 0u);
    EXPECT_EQ(Walk(WithField(file_size, "-0000001")), 0u);
}

// The byte before an empty name is the check sum's: no end of a name either.
TEST(Cpio, RefusesANameWithoutBytes) {
    std::string archive = WithField(11, "00000000");
    archive[109] = '\0';
    EXPECT_EQ(Walk(archive), 0u);
}

// The last member may lack the padding behind it.
TEST(Cpio, ReadsALastMemberWithoutPadding) {
    std::string archive;
    Append(archive, "a", "12345");
    archive.resize(archive.size() - 3);
    EXPECT_EQ(Walk(archive), 1u);
}

TEST(Cpio, RefusesOtherFormats) {
    std::string archive = Archive();
    archive[5] = '2'; // with check sums
    EXPECT_EQ(Walk(archive), 0u);
    archive[0] = '1';
    EXPECT_EQ(Walk(archive), 0u);
    EXPECT_EQ(Walk(std::string(4096, '\0')), 0u);
}

TEST(Cpio, SurvivesDamage) {
    const std::string whole = Archive();
    std::mt19937 random(7);
    for (int i = 0; i < 20000; i++) {
        std::string damaged = whole;
        for (unsigned n = 1 + random() % 4; n; n--)
            damaged[random() % damaged.size()] = "0123456789abcdefFz\0\xFF"[random() % 20];
        Walk(damaged);
    }
}

} // namespace
