// SPDX-License-Identifier: MIT
#include "kernel.h"

#include "faults.h"

#include <cstdarg>
#include <cstdio>
#include <cwctype>

#include <sys/mman.h>

namespace vq7::host {

Kernel *kernel;
Faults faults;

namespace {

// A mapping's virtual address is its bus address and this.
constexpr std::uint64_t kMapped = 0x6000'0000'0000;
constexpr ULONG kTag = '7qVt';

// Behind each block of pool: larger than any array of the driver that has a 16-bit index.
constexpr std::size_t kGuard = 4 << 20;

std::size_t PoolPages(std::size_t length) {
    return (length + 4095) / 4096 * 4096;
}

// A block ends, to 16 bytes, where nobody may touch anything, as in special pool; nor may
// they touch what has been freed.
void *AllocatePool(std::size_t length) {
    const std::size_t pages = PoolPages(length);
    void *start = mmap(nullptr, pages + kGuard, PROT_NONE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (start == MAP_FAILED || mprotect(start, pages, PROT_READ | PROT_WRITE) != 0) {
        throw std::bad_alloc();
    }
    memset(start, 0xCD, pages);
    return static_cast<char *>(start) + (pages - length) / 16 * 16;
}

void FreePool(void *block, std::size_t length) {
    const auto start = reinterpret_cast<std::uintptr_t>(block) / 4096 * 4096;
    munmap(reinterpret_cast<void *>(start), PoolPages(length) + kGuard);
}

} // namespace

Kernel::Kernel(::model::PciDevice &pci, vq7::model::GuestMemory &memory)
    : pci(pci), memory(memory) {
    kernel = this;
    faults = {};
    for (int i = 0; i < 6; i++) {
        if (pci.barLength[i] == 0) {
            continue;
        }
        if (i == 0) {
            bar_base[i] = 0xC040;
            pci.putCfg(0x10, 0xC041, 4);
        } else {
            bar_base[i] = 0x3'FE00'0000 + std::uint64_t(i) * 0x100'0000; // 64-bit
            pci.putCfg(0x10 + 4 * i, std::uint32_t(bar_base[i]) | 0xC, 4);
            pci.putCfg(0x14 + 4 * i, std::uint32_t(bar_base[i] >> 32), 4);
        }
    }
}

Kernel::~Kernel() {
    kernel = nullptr;
}

bool Kernel::Fails(const char *what) {
    if (fail_at < 0 || fail_at-- != 0) {
        return false;
    }
    failed = what;
    return true;
}

void Kernel::Wrong(const std::string &what) {
    violations.push_back(what);
}

void Kernel::Need(bool condition, const std::string &what) {
    if (!condition) {
        Wrong(what);
    }
}

bool Kernel::Logged(const std::string &part) const {
    for (const std::string &line : log) {
        if (line.find(part) != std::string::npos) {
            return true;
        }
    }
    return false;
}

std::uint32_t Kernel::Register(char kind, std::uint64_t address, bool port, int width,
                               std::uint32_t value) {
    if (!port) {
        address -= kMapped;
        bool inside = false;
        for (const auto &[start, length] : mappings) {
            inside |= address >= start && address + width <= start + length;
        }
        Need(inside, "access to device memory that is not mapped");
    }
    for (int i = 0; i < 6; i++) {
        if (bar_base[i] != 0 && (i == 0) == port && address >= bar_base[i] &&
            address + width <= bar_base[i] + pci.barLength[i]) {
            return pci.access(kind, std::uint8_t(i), std::uint32_t(address - bar_base[i]), width,
                              value);
        }
    }
    Wrong("access to no BAR");
    return 0xFFFFFFFF;
}

} // namespace vq7::host

using vq7::host::kernel;
using vq7::host::kMapped;

extern "C" {

PVOID ExAllocatePoolWithTag(POOL_TYPE type, size_t length, ULONG tag) {
    kernel->Need(type == NonPagedPool, "memory used at DISPATCH_LEVEL must be nonpaged");
    kernel->Need(tag == vq7::host::kTag, "pool of a foreign tag");
    kernel->Need(length != 0, "pool of no bytes");
    if (kernel->Fails("ExAllocatePoolWithTag")) {
        return NULL;
    }
    void *block = vq7::host::AllocatePool(length);
    kernel->pool[block] = length;
    return block;
}

VOID ExFreePoolWithTag(PVOID block, ULONG tag) {
    kernel->Need(tag == vq7::host::kTag, "pool freed with another tag");
    const auto at = kernel->pool.find(block);
    if (at == kernel->pool.end()) {
        kernel->Wrong("pool freed that is not allocated");
        return;
    }
    vq7::host::FreePool(block, at->second);
    kernel->pool.erase(at);
}

PVOID MmMapIoSpace(PHYSICAL_ADDRESS address, size_t length, MEMORY_CACHING_TYPE type) {
    kernel->Need(type == MmNonCached, "registers are not cached");
    kernel->Need(length != 0, "a mapping of no bytes");
    if (kernel->Fails("MmMapIoSpace")) {
        return NULL;
    }
    kernel->mappings[std::uint64_t(address.QuadPart)] = length;
    return reinterpret_cast<PVOID>(kMapped + std::uint64_t(address.QuadPart));
}

VOID MmUnmapIoSpace(PVOID mapping, size_t length) {
    auto found = kernel->mappings.find(reinterpret_cast<std::uint64_t>(mapping) - kMapped);
    if (found == kernel->mappings.end() || found->second != length) {
        kernel->Wrong("MmUnmapIoSpace of what is not mapped so");
        return;
    }
    kernel->mappings.erase(found);
}

PVOID MmGetSystemAddressForMdlSafe(PMDL mdl, int) {
    return kernel->Fails("MmGetSystemAddressForMdlSafe") ? NULL : mdl->MappedSystemVa;
}

PHYSICAL_ADDRESS MmGetPhysicalAddress(PVOID address) {
    PHYSICAL_ADDRESS result;
    std::uint8_t *first = kernel->memory.Host(vq7::model::GuestMemory::kBase, 1);
    result.QuadPart =
        LONGLONG(vq7::model::GuestMemory::kBase) + (static_cast<std::uint8_t *>(address) - first);
    if (vq7::host::faults.physical) {
        result.QuadPart = LONGLONG(vq7::host::faults.physical(std::uint64_t(result.QuadPart)));
    }
    return result;
}

void VqHostBarrier(void) {
    if (kernel->at_barrier) {
        kernel->at_barrier();
    }
}

VOID KeStallExecutionProcessor(ULONG microseconds) {
    kernel->pci.stalled += microseconds;
}

NTSTATUS KeDelayExecutionThread(KPROCESSOR_MODE mode, BOOLEAN alertable, LARGE_INTEGER *interval) {
    kernel->Need(kernel->irql == PASSIVE_LEVEL, "a thread sleeps above PASSIVE_LEVEL");
    kernel->Need(mode == KernelMode && !alertable, "a sleep that others may end");
    kernel->Need(interval->QuadPart < 0, "a sleep until a moment of the calendar");
    kernel->slept += std::uint64_t(-interval->QuadPart / 10);
    if (kernel->asleep) {
        kernel->asleep();
    }
    return STATUS_SUCCESS;
}

VOID VqHostCompare() {
    if (kernel->at_compare) {
        kernel->at_compare();
    }
}

VOID VqHostRaiseIrql(KIRQL irql, KIRQL *old) {
    kernel->Need(irql >= kernel->irql, "KeRaiseIrql to a lower IRQL");
    *old = kernel->irql;
    kernel->irql = irql;
}

VOID KeLowerIrql(KIRQL irql) {
    kernel->Need(irql <= kernel->irql, "KeLowerIrql to a higher IRQL");
    kernel->irql = irql;
}

VOID RtlInitUnicodeString(PUNICODE_STRING string, PCWSTR text) {
    USHORT count = 0;
    while (text[count] != 0) {
        count++;
    }
    string->Length = USHORT(2 * count);
    string->MaximumLength = USHORT(2 * count + 2);
    string->Buffer = const_cast<PWSTR>(text);
}

BOOLEAN RtlEqualUnicodeString(PCUNICODE_STRING a, PCUNICODE_STRING b, BOOLEAN any_case) {
    if (a->Length != b->Length) {
        return FALSE;
    }
    for (int i = 0; i < a->Length / 2; i++) {
        wchar_t x = a->Buffer[i], y = b->Buffer[i];
        if (any_case ? std::towlower(x) != std::towlower(y) : x != y) {
            return FALSE;
        }
    }
    return TRUE;
}

ULONG DbgPrintEx(ULONG, ULONG, const char *format, ...) {
    char line[512];
    std::string plain = format;
    if (auto at = plain.find("%wZ"); at != std::string::npos) {
        plain.replace(at, 3, "%p"); // a counted string: only where it is matters here
    }
    va_list list;
    va_start(list, format);
    std::vsnprintf(line, sizeof(line), plain.c_str(), list);
    va_end(list);
    kernel->log.push_back(line);
    if (kernel->at_log) {
        kernel->at_log();
    }
    return 0;
}

#define VQ7_REGISTERS(NAME, name, TYPE, POINTER, width)                                            \
    TYPE READ_PORT_##NAME(POINTER at) {                                                            \
        return TYPE(kernel->Register('r', std::uint64_t(at), true, width, 0));                     \
    }                                                                                              \
    VOID WRITE_PORT_##NAME(POINTER at, TYPE value) {                                               \
        kernel->Register('w', std::uint64_t(at), true, width, value);                              \
    }                                                                                              \
    TYPE READ_REGISTER_##NAME(POINTER at) {                                                        \
        return TYPE(kernel->Register('r', std::uint64_t(at), false, width, 0));                    \
    }                                                                                              \
    VOID WRITE_REGISTER_##NAME(POINTER at, TYPE value) {                                           \
        kernel->Register('w', std::uint64_t(at), false, width, value);                             \
    }

VQ7_REGISTERS(UCHAR, uchar, UCHAR, PUCHAR, 1)
VQ7_REGISTERS(USHORT, ushort, USHORT, PUSHORT, 2)
VQ7_REGISTERS(ULONG, ulong, ULONG, PULONG, 4)

} // extern "C"
