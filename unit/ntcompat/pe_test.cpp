// SPDX-License-Identifier: MIT
//
// The reader of PE images, with files that are whole, cut short and damaged.
#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <vector>

#include "ldr/pe.h"

namespace {

const uint32_t kHeaderAt = 0x80, kHeaders = 0x400, kImage = 0x4000;
const uint32_t kText = 0x1000, kExports = 0x2000, kRelocations = 0x3000;
const uint64_t kBase = 0x140000000;

// A small image: code with one address to relocate, an export table, relocations.
struct File {
    std::vector<uint8_t> bytes = std::vector<uint8_t>(kHeaders + 3 * 0x200);

    template <class T> T &At(size_t offset) {
        return *reinterpret_cast<T *>(&bytes.at(offset));
    }
    PeFileHeader &Header() {
        return At<PeFileHeader>(kHeaderAt);
    }
    PeOptionalHeader &Optional() {
        return At<PeOptionalHeader>(kHeaderAt + sizeof(PeFileHeader));
    }
    PeSection &Section(int i) {
        return At<PeSection>(kHeaderAt + sizeof(PeFileHeader) + sizeof(PeOptionalHeader) +
                             static_cast<size_t>(i) * sizeof(PeSection));
    }
    // Offset in the file of an RVA of section i.
    size_t Raw(uint32_t rva) {
        return kHeaders + (rva / PE_PAGE - 1) * 0x200 + rva % PE_PAGE;
    }

    File() {
        bytes[0] = 'M';
        bytes[1] = 'Z';
        At<uint32_t>(0x3C) = kHeaderAt;
        Header() = {0x4550, PE_MACHINE_AMD64, 3, 0, 0, 0, sizeof(PeOptionalHeader), 0x22};
        PeOptionalHeader &o = Optional();
        o.magic = PE_MAGIC_64;
        o.image_base = kBase;
        o.section_alignment = PE_PAGE;
        o.file_alignment = 0x200;
        o.image_size = kImage;
        o.header_size = kHeaders;
        o.directory_count = PE_DIRECTORIES;
        for (int i = 0; i < 3; i++) {
            PeSection &s = Section(i);
            s.virtual_size = 0x200;
            s.rva = PE_PAGE * static_cast<uint32_t>(i + 1);
            s.raw_size = 0x200;
            s.raw_offset = kHeaders + 0x200 * static_cast<uint32_t>(i);
        }
        At<uint64_t>(Raw(kText) + 8) = kBase + 0x1234;
        Exports();
        Relocations();
    }
    void Exports() {
        Optional().directory[PE_DIRECTORY_EXPORT] = {kExports, 0x100};
        auto &e = At<PeExportDirectory>(Raw(kExports));
        e.function_count = e.name_count = 2;
        e.functions_rva = kExports + 0x30;
        e.names_rva = kExports + 0x40;
        e.ordinals_rva = kExports + 0x50;
        At<uint32_t>(Raw(e.functions_rva)) = kText + 0x10;
        At<uint32_t>(Raw(e.functions_rva) + 4) = kExports + 0x80; // in the directory: forwarder
        At<uint32_t>(Raw(e.names_rva)) = kExports + 0x60;
        At<uint32_t>(Raw(e.names_rva) + 4) = kExports + 0x70;
        At<uint16_t>(Raw(e.ordinals_rva) + 2) = 1;
        memcpy(&bytes[Raw(kExports + 0x60)], "Alpha", 6);
        memcpy(&bytes[Raw(kExports + 0x70)], "Beta", 5);
        memcpy(&bytes[Raw(kExports + 0x80)], "HAL.Beta", 9);
    }
    void Relocations() {
        Optional().directory[PE_DIRECTORY_RELOCATION] = {kRelocations, 12};
        At<uint32_t>(Raw(kRelocations)) = kText;
        At<uint32_t>(Raw(kRelocations) + 4) = 12;
        At<uint16_t>(Raw(kRelocations) + 8) = 10 << 12 | 8; // DIR64; then padding
    }
};

// Loads as the loader does: parse, lay out, relocate, look up. Everything lies in
// memory of exactly its size.
struct Loaded {
    explicit Loaded(const std::vector<uint8_t> &bytes) : file(new uint8_t[bytes.size()]) {
        memcpy(file.get(), bytes.data(), bytes.size());
        parsed = PeParse(file.get(), bytes.size(), &image);
        if (!parsed || image.optional->image_size > 1 << 20)
            return;
        // Whole pages, as the loader has them, zeroed.
        size = PePages(&image) * PE_PAGE;
        memory.reset(new uint8_t[size]());
        PeLayOut(&image, file.get(), memory.get());
        relocated = PeRelocate(&image, memory.get(), kBase + 0x10000);
    }
    bool Find(const char *name, PeExport *result) {
        return PeFindExport(&image, memory.get(), name, result);
    }
    std::unique_ptr<uint8_t[]> file, memory;
    PeImage image{};
    size_t size = 0;
    bool parsed = false, relocated = false;
};

bool Parses(const std::function<void(File &)> &damage) {
    File file;
    damage(file);
    return Loaded(file.bytes).parsed;
}

TEST(Pe, LoadsAWholeImage) {
    Loaded loaded(File().bytes);
    ASSERT_TRUE(loaded.parsed);
    ASSERT_TRUE(loaded.relocated);
    uint64_t pointer;
    memcpy(&pointer, &loaded.memory[kText + 8], 8);
    EXPECT_EQ(pointer, kBase + 0x10000 + 0x1234);
    PeExport result;
    ASSERT_TRUE(loaded.Find("Alpha", &result));
    EXPECT_EQ(result.rva, kText + 0x10);
    EXPECT_EQ(result.forwarder, nullptr);
    ASSERT_TRUE(loaded.Find("Beta", &result));
    EXPECT_STREQ(result.forwarder, "HAL.Beta");
    for (const char *name : {"", "Alph", "Alphab", "Aardvark", "Betb", "Zeta"})
        EXPECT_FALSE(loaded.Find(name, &result)) << name;
}

TEST(Pe, RefusesWhatIsNoImage) {
    EXPECT_FALSE(Parses([](File &f) { f.bytes[0] = 'N'; }));
    EXPECT_FALSE(Parses([](File &f) { f.Header().signature++; }));
    EXPECT_FALSE(Parses([](File &f) { f.Header().machine = 0x14C; }));
    EXPECT_FALSE(Parses([](File &f) { f.Optional().magic = 0x10B; }));
    EXPECT_FALSE(Parses([](File &f) { f.Optional().section_alignment = 0x200; }));
    EXPECT_FALSE(Parses([](File &f) { f.Optional().directory_count = 15; }));
    EXPECT_FALSE(Parses([](File &f) { f.Header().optional_size = 112; }));
}

TEST(Pe, RefusesHeadersBeyondTheFile) {
    EXPECT_FALSE(Parses([](File &f) { f.At<uint32_t>(0x3C) = 0xFFFFFFF0; }));
    EXPECT_FALSE(
        Parses([](File &f) { f.At<uint32_t>(0x3C) = static_cast<uint32_t>(f.bytes.size()) - 24; }));
    EXPECT_FALSE(Parses([](File &f) { f.Header().section_count = 0xFFFF; }));
    EXPECT_FALSE(Parses([](File &f) { f.Header().optional_size = 0xFFFF; }));
    EXPECT_FALSE(Parses([](File &f) { f.Optional().header_size = 0xFFFFFFFF; }));
    EXPECT_FALSE(Parses([](File &f) { f.Optional().header_size = kImage + 1; }));
}

TEST(Pe, RefusesSectionsBeyondFileOrImage) {
    EXPECT_FALSE(Parses([](File &f) { f.Section(2).raw_size = 0x201; }));
    EXPECT_FALSE(Parses([](File &f) { f.Section(2).raw_offset = 0xFFFFFFFF; }));
    EXPECT_FALSE(Parses([](File &f) { f.Section(1).rva = 0xFFFFF000; }));
    EXPECT_FALSE(Parses([](File &f) { f.Section(1).rva = kExports + 8; }));
    EXPECT_FALSE(Parses([](File &f) { f.Section(2).virtual_size = 0x1001; }));
    EXPECT_FALSE(Parses([](File &f) { f.Optional().image_size = kRelocations + 0x100; }));
    EXPECT_TRUE(Parses([](File &f) { f.Section(2).virtual_size = 0x1000; }));
}

TEST(Pe, RefusesDirectoriesBeyondTheImage) {
    for (int i = 0; i < PE_DIRECTORIES; i++) {
        const bool refused = !Parses([i](File &f) {
            f.Optional().directory[i] = {kImage - 8, 16};
        });
        // Certificates are at an offset of the file; nobody reads them here.
        EXPECT_EQ(refused, i != PE_DIRECTORY_SECURITY) << i;
        EXPECT_EQ(!Parses([i](File &f) {
            f.Optional().directory[i] = {0xFFFFFFFF, 0xFFFFFFFF};
        }),
                  i != PE_DIRECTORY_SECURITY)
            << i;
    }
}

bool Relocates(const std::function<void(File &)> &damage) {
    File file;
    damage(file);
    Loaded loaded(file.bytes);
    EXPECT_TRUE(loaded.parsed);
    return loaded.relocated;
}

TEST(Pe, RefusesBadRelocations) {
    const size_t at = File().Raw(kRelocations);
    EXPECT_FALSE(Relocates([=](File &f) { f.At<uint32_t>(at + 4) = 0; }));
    EXPECT_FALSE(Relocates([=](File &f) { f.At<uint32_t>(at + 4) = 16; }));
    EXPECT_FALSE(Relocates([=](File &f) { f.At<uint32_t>(at) = kImage; }));
    EXPECT_FALSE(Relocates([=](File &f) { f.At<uint32_t>(at) = kImage - 12; }));
    EXPECT_FALSE(Relocates([=](File &f) { f.At<uint16_t>(at + 8) = 3 << 12; }));
    EXPECT_FALSE(Relocates([](File &f) {
        f.Header().characteristics |= 1; // stripped, and not at its preferred base
        f.Optional().directory[PE_DIRECTORY_RELOCATION] = {0, 0};
    }));
}

TEST(Pe, SurvivesAnExportTableThatPointsOutside) {
    const size_t at = File().Raw(kExports);
    for (size_t field : {4, 5, 6, 7, 8, 9}) {
        for (uint32_t value : {0u, kImage - 1, kImage, 0x7FFFFFFFu, 0xFFFFFFFFu}) {
            File file;
            file.At<uint32_t>(at + 4 * field + 4) = value;
            Loaded loaded(file.bytes);
            ASSERT_TRUE(loaded.parsed);
            PeExport result;
            for (const char *name : {"Alpha", "Beta", "Gamma"})
                (void)loaded.Find(name, &result);
        }
    }
}

TEST(Pe, RefusesAForwarderWithoutEnd) {
    File file;
    PeSection &s = file.Section(1);
    s.virtual_size = s.raw_size = 0x200;
    file.Optional().image_size = kExports + 0x200; // the exports are the last section
    file.Header().section_count = 2;
    file.Optional().directory[PE_DIRECTORY_EXPORT].size = 0x200;
    file.Optional().directory[PE_DIRECTORY_RELOCATION] = {0, 0};
    for (size_t i = 0x80; i < 0x200; i++)
        file.bytes[file.Raw(kExports) + i] = 'x';
    Loaded loaded(file.bytes);
    ASSERT_TRUE(loaded.parsed);
    PeExport result;
    EXPECT_FALSE(loaded.Find("Beta", &result));
    EXPECT_TRUE(loaded.Find("Alpha", &result));
}

TEST(Pe, SurvivesDamage) {
    const std::vector<uint8_t> whole = File().bytes;
    std::mt19937 random(7);
    for (int i = 0; i < 30000; i++) {
        std::vector<uint8_t> damaged = whole;
        if (random() % 4 == 0)
            damaged.resize(random() % whole.size());
        for (unsigned n = 1 + random() % 4; n && !damaged.empty(); n--) {
            // Where there is something: headers or tables.
            const size_t where = random() % 2 ? kHeaderAt + random() % 0x180 : random();
            damaged[where % damaged.size()] = static_cast<uint8_t>(random());
        }
        Loaded loaded(damaged);
        PeExport result;
        if (loaded.relocated) {
            (void)loaded.Find("Alpha", &result);
            (void)loaded.Find("Beta", &result);
        }
    }
}

} // namespace
