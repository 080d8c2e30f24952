// SPDX-License-Identifier: MIT
//
// vq7lib.sys: calls all of lib/ in ring 0, each result checked, and tells the kernel's log.
#ifndef VQ7_LIBTEST_H_
#define VQ7_LIBTEST_H_

#include <ntddk.h>

extern "C" {
#include "virtio_pci.h"
#include "virtio_sg_pfn.h"
#include "virtqueue_split.h"
}

#define LIBTEST_TAG 'tLqV' // "VqLt"

// A case frees what it has allocated, whichever way it ends. FALSE: it has said what failed.
struct LibCase {
    const char *name;
    bool (*run)();
};

// Each file's cases, ended by an entry without a name.
extern const LibCase SetupCases[];
extern const LibCase AddCases[];
extern const LibCase BatchCases[];
extern const LibCase NotifyCases[];
extern const LibCase BrokenCases[];
extern const LibCase PrivateCases[];
extern const LibCase SgCases[];
extern const LibCase MdlCases[];
extern const LibCase PciCases[];
extern const LibCase PciErrorCases[];

// Says where `seen` was not what was expected; FALSE always.
bool Differs(const char *file, int line, const char *what, ULONG64 seen, ULONG64 expected);

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            return Differs(__FILE__, __LINE__, #condition, 0, 1);                                  \
    } while (0)

// Both are evaluated once.
#define CHECK_EQUAL(what, expected)                                                                \
    do {                                                                                           \
        const ULONG64 seen_ = (ULONG64)(what);                                                     \
        const ULONG64 expected_ = (ULONG64)(expected);                                             \
        if (seen_ != expected_)                                                                    \
            return Differs(__FILE__, __LINE__, #what, seen_, expected_);                           \
    } while (0)

#define CHECK_STATUS(call, expected) CHECK_EQUAL((ULONG)(call), (ULONG)(expected))

// At DISPATCH_LEVEL until the end of the scope, where lib/ is documented to work.
class AtDispatch {
  public:
    AtDispatch() {
        KeRaiseIrql(DISPATCH_LEVEL, &old_);
    }
    ~AtDispatch() {
        KeLowerIrql(old_);
    }
    AtDispatch(const AtDispatch &) = delete;

  private:
    KIRQL old_;
};

// Nonpaged pool that goes with its scope. Null pointer: there was none.
template <class T> class Pool {
  public:
    explicit Pool(SIZE_T count)
        : at((T *)ExAllocatePoolWithTag(NonPagedPool, count * sizeof(T), LIBTEST_TAG)) {}
    ~Pool() {
        if (at)
            ExFreePoolWithTag(at, LIBTEST_TAG);
    }
    Pool(const Pool &) = delete;

    T *const at;
};

// Memory that is contiguous for a device, likewise.
class Contiguous {
  public:
    explicit Contiguous(SIZE_T size);
    ~Contiguous();
    Contiguous(const Contiguous &) = delete;

    UCHAR *const va;
    const ULONG64 pa;
    const SIZE_T size;
};

#endif // VQ7_LIBTEST_H_
