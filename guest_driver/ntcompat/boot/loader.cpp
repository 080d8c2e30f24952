// SPDX-License-Identifier: MIT
//
// The loader: reads what the machine says about itself (the Linux/x86 boot
// protocol's parameters), takes ntoskrnl.exe and hal.dll out of the archive, maps
// and links them, builds the page tables that NTC_LOADER_BLOCK promises, and
// enters the kernel. Only what the kernel needs is mapped and cleared: this runs
// under emulation.
#include "loader.h"

// The fields in use, with their offsets (Linux: Documentation/arch/x86/boot.rst
// and zero-page.rst).
struct __attribute__((packed)) BootMemory {
    uint64_t base, size;
    uint32_t type;
};
struct __attribute__((packed)) BootParameters {
    uint8_t unused0[0x1E8];
    uint8_t memory_count; // set by setup.S
    uint8_t unused1[0x202 - 0x1E9];
    uint32_t magic;
    uint8_t unused2[0x218 - 0x206];
    uint32_t archive, archive_size;
    uint8_t unused3[0x228 - 0x220];
    uint32_t command_line;
    uint8_t unused4[0x2D0 - 0x22C];
    BootMemory memory[128]; // set by setup.S
};
static_assert(__builtin_offsetof(BootParameters, magic) == 0x202);
static_assert(__builtin_offsetof(BootParameters, command_line) == 0x228);
static_assert(__builtin_offsetof(BootParameters, memory) == 0x2D0);
static const uint32_t kBootMagic = 0x53726448; // "HdrS"

Loader loader;

static inline void OutByte(uint16_t port, uint8_t value) {
    __asm__ volatile("outb %0, %1" : : "a"(value), "d"(port));
}
static inline uint8_t InByte(uint16_t port) {
    uint8_t value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "d"(port));
    return value;
}

// A boot that cannot go on says why on the debug port and on COM1, in the form
// that whoever watches the console takes for a crash.
static void Say(const char *text) {
    for (; *text; text++) {
        OutByte(0xE9, (uint8_t)*text);
        for (int i = 0; i < 100000 && !(InByte(0x3FD) & 0x20); i++) {
        }
        OutByte(0x3F8, (uint8_t)*text);
    }
}

[[noreturn]] void LoaderFail(const char *what, const char *name) {
    Say("\r\n*** STOP: 0x0000006B (PROCESS1_INITIALIZATION_FAILED) ntcompat loader: ");
    Say(what);
    Say(name);
    Say("\r\n");
    for (;;)
        __asm__ volatile("cli; hlt");
}

extern "C" char LoaderEnd[];

// Everything from 1 MiB to `next_page` is the loader's, its tables' and images'.
uint64_t LoaderAllocate(uint64_t pages) {
    uint64_t at = loader.next_page;
    uint64_t end = at + pages * PE_PAGE;
    if (end > loader.limit)
        LoaderFail("not enough memory below the archive", "");
    loader.next_page = end;
    uint64_t *words = (uint64_t *)at;
    for (uint64_t i = 0; i < pages * PE_PAGE / 8; i++)
        words[i] = 0;
    return at;
}

static void ReadMemoryMap(const BootParameters *boot) {
    if (boot->memory_count == 0 || boot->memory_count > 128)
        LoaderFail("the BIOS gives no memory map", "");
    for (uint32_t i = 0; i < boot->memory_count; i++) {
        const BootMemory *memory = &boot->memory[i];
        if (memory->type != 1 && memory->type != 3) // RAM, ACPI tables
            continue;
        if (loader.memory_count == NTC_MAX_RANGES)
            LoaderFail("too many entries in the memory map", "");
        uint64_t base = (memory->base + PE_PAGE - 1) & ~(uint64_t)(PE_PAGE - 1);
        uint64_t end = (memory->base + memory->size) & ~(uint64_t)(PE_PAGE - 1);
        if (end > base)
            loader.memory[loader.memory_count++] = {base, end - base, memory->type == 1};
    }
}

static void ReadArchive(const BootParameters *boot) {
    if (boot->archive == 0 || boot->archive_size == 0)
        LoaderFail("a boot archive (initrd) is needed", "");
    loader.archive = boot->archive;
    loader.archive_size = boot->archive_size;
    const char *line = (const char *)(uint64_t)boot->command_line;
    for (size_t i = 0; line && line[i]; i++) {
        if (i + 1 >= sizeof(loader.command_line))
            LoaderFail("the command line is too long", "");
        loader.command_line[i] = line[i];
    }
}

// Room for the loader's own allocations: from its end to the end of that RAM
// range, or to the archive when it lies in the way.
static void FindRoom() {
    loader.next_page = (uint64_t)LoaderEnd;
    for (uint32_t i = 0; i < loader.memory_count; i++) {
        uint64_t base = loader.memory[i].base, end = base + loader.memory[i].size;
        if (loader.memory[i].usable && base <= loader.next_page && loader.next_page < end)
            loader.limit = end;
    }
    if (loader.archive >= loader.next_page && loader.archive < loader.limit)
        loader.limit = loader.archive;
    else if (loader.archive + loader.archive_size > kLowMemory && loader.archive < loader.next_page)
        LoaderFail("the archive overlaps the loader", "");
}

static void AddRange(NTC_LOADER_BLOCK *block, uint64_t base, uint64_t end) {
    if (end <= base)
        return;
    if (block->range_count == NTC_MAX_RANGES)
        LoaderFail("memory is cut into too many ranges", "");
    block->ranges[block->range_count++] = {base, end - base};
}

// Usable RAM without low memory, [1 MiB, next_page) and the archive.
static void FillRanges(NTC_LOADER_BLOCK *block) {
    uint64_t archive_end = (loader.archive + loader.archive_size + PE_PAGE - 1) & ~4095ull;
    uint64_t archive_base = loader.archive & ~4095ull;
    for (uint32_t i = 0; i < loader.memory_count; i++) {
        uint64_t base = loader.memory[i].base, end = base + loader.memory[i].size;
        if (end > block->highest_physical)
            block->highest_physical = end;
        if (!loader.memory[i].usable)
            continue;
        if (base < loader.next_page)
            base = loader.next_page;
        if (archive_base < end && archive_end > base) {
            AddRange(block, base, archive_base);
            base = archive_end > base ? archive_end : base;
        }
        AddRange(block, base, end);
    }
}

extern "C" [[noreturn]] void LoaderEnterKernel(uint64_t entry, uint64_t block, uint64_t stack);

extern "C" [[noreturn]] void LoaderMain(const BootParameters *boot) {
    if (boot->magic != kBootMagic)
        LoaderFail("not started through the Linux boot protocol", "");
    ReadMemoryMap(boot);
    ReadArchive(boot);
    FindRoom();
    LoaderMapDirect();

    NTC_LOADER_BLOCK *block =
        (NTC_LOADER_BLOCK *)LoaderAllocate((sizeof(NTC_LOADER_BLOCK) + PE_PAGE - 1) / PE_PAGE);
    loader.block = block;
    loader.next_image = NTC_IMAGE_BASE;
    LoaderLoadImage("ntoskrnl.exe");
    LoaderLoadImage("hal.dll");
    LoaderLinkImages();
    LoaderProtectImages();

    uint64_t stack = LoaderAllocate(4) + 4 * PE_PAGE;
    block->size = sizeof(*block);
    block->page_table_root = (uint64_t)LoaderRoot;
    block->archive = NTC_DIRECT_MAP_BASE + loader.archive;
    block->archive_size = loader.archive_size;
    block->free_image_va = loader.next_image;
    for (size_t i = 0; i < sizeof(loader.command_line); i++)
        block->command_line[i] = loader.command_line[i];
    FillRanges(block);
    LoaderEnterKernel(block->modules[0].entry, NTC_DIRECT_MAP_BASE + (uint64_t)block,
                      NTC_DIRECT_MAP_BASE + stack);
}
