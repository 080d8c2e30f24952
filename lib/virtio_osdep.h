/* SPDX-License-Identifier: MIT */
/*
 * What the library needs from its surroundings, and the only file that knows
 * the compiler: types, status codes, memory order, zeroing, static assertions,
 * hints about code layout.
 *
 * Two environments:
 *
 *   kernel   the default for Windows targets: <ntddk.h> supplies the types.
 *   host     everywhere else, and on Windows with VIRTIO_OSDEP_USER_MODE (or
 *            VIRTIO_OSDEP_TEST) defined: this file supplies stand-ins of the
 *            same names, sizes and values, MDL included.
 *
 * VIRTIO_OSDEP_KERNEL_MODE is 1 or 0 afterwards. Valid C89, C++98 and later.
 *
 * The ring is little-endian (Virtio 1.2, 1.4), and so is every Windows; a
 * big-endian target is refused rather than silently wrong.
 */
#ifndef VIRTIO_OSDEP_H_
#define VIRTIO_OSDEP_H_

#include <stddef.h>

#ifndef VIRTIO_OSDEP_KERNEL_MODE
#if defined(_KERNEL_MODE)
#define VIRTIO_OSDEP_KERNEL_MODE 1
#elif defined(_WIN32) && !defined(VIRTIO_OSDEP_USER_MODE) && !defined(VIRTIO_OSDEP_TEST)
#define VIRTIO_OSDEP_KERNEL_MODE 1
#else
#define VIRTIO_OSDEP_KERNEL_MODE 0
#endif
#endif

#if defined(__BYTE_ORDER__) && defined(__ORDER_BIG_ENDIAN__)
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#error "virtio: this library supports little-endian targets only"
#endif
#endif

/* ------------------------------------------------------------------ types */

#if VIRTIO_OSDEP_KERNEL_MODE

#include <ntddk.h>

#else /* host */

#if defined(_WINDEF_) || defined(_MINWINDEF_)
#define VIRTIO_OSDEP_HAVE_WINDEF 1
#else
#define VIRTIO_OSDEP_HAVE_WINDEF 0
#endif

#if !VIRTIO_OSDEP_HAVE_WINDEF
#if defined(_WIN32)
/* The very types of <windows.h>, so that it may be included afterwards. */
typedef unsigned char UINT8;
typedef unsigned short UINT16;
typedef unsigned int UINT32;
#if defined(_MSC_VER)
typedef unsigned __int64 UINT64;
#else
__extension__ typedef unsigned long long UINT64;
#endif
typedef long LONG;
typedef unsigned long ULONG;
#else
#include <stdint.h>
typedef uint8_t UINT8;
typedef uint16_t UINT16;
typedef uint32_t UINT32;
typedef uint64_t UINT64;
typedef uintptr_t UINT_PTR;
typedef uintptr_t ULONG_PTR;
typedef int32_t LONG;
typedef uint32_t ULONG;
#endif
typedef unsigned char UCHAR;
typedef unsigned short USHORT;
typedef UCHAR BOOLEAN;
typedef void *PVOID;
#if defined(_WIN32)
typedef void VOID; /* a macro of this name would hide types of <winnt.h> */
#elif !defined(VOID)
#define VOID void
#endif
#endif /* !VIRTIO_OSDEP_HAVE_WINDEF */

#if !defined(_NTDEF_)
typedef LONG NTSTATUS;
#endif
typedef short CSHORT;

#ifndef TRUE
#define TRUE 1
#endif
#ifndef FALSE
#define FALSE 0
#endif
#ifndef NT_SUCCESS
#define NT_SUCCESS(Status) (((NTSTATUS)(Status)) >= 0)
#endif

#ifndef PAGE_SHIFT
#define PAGE_SHIFT 12
#endif
#ifndef PAGE_SIZE
#define PAGE_SIZE ((size_t)1 << PAGE_SHIFT)
#endif

/*
 * The memory descriptor list, as far as a driver may look into it (wdm.h): the
 * header, followed by one page frame number a page. A test fills one in by
 * hand; see unit/virtio_sg_pfn_test.cpp.
 */
typedef size_t PFN_NUMBER; /* as wide as a pointer on every target here */

typedef struct _MDL {
    struct _MDL *Next;
    CSHORT Size;
    CSHORT MdlFlags;
    void *Process;
    PVOID MappedSystemVa;
    PVOID StartVa;
    ULONG ByteCount;
    ULONG ByteOffset;
} MDL, *PMDL;

#define MmGetMdlByteCount(Mdl) ((Mdl)->ByteCount)
#define MmGetMdlByteOffset(Mdl) ((Mdl)->ByteOffset)
#define MmGetMdlPfnArray(Mdl) ((PFN_NUMBER *)((PMDL)(Mdl) + 1))

/*
 * KeFlushIoBuffers has nothing to do on cache-coherent machines; on the host a
 * test may set this hook (defined in virtio_sg_pfn.cpp, null at start) to see
 * the calls.
 */
#ifdef __cplusplus
extern "C" {
#endif
typedef VOID (*VIRTIO_HOST_FLUSH_HOOK)(PMDL Mdl, BOOLEAN ReadOperation, BOOLEAN DmaOperation);
extern VIRTIO_HOST_FLUSH_HOOK VirtioHostFlushIoBuffers;
#ifdef __cplusplus
}
#endif
#define KeFlushIoBuffers(Mdl, ReadOperation, DmaOperation)                                         \
    do {                                                                                           \
        if (VirtioHostFlushIoBuffers != NULL) {                                                    \
            VirtioHostFlushIoBuffers((Mdl), (ReadOperation), (DmaOperation));                      \
        }                                                                                          \
    } while (0)

#endif /* VIRTIO_OSDEP_KERNEL_MODE */

/* ----------------------------------------------------------- status codes */

/* Values as in Microsoft's ntstatus.h; defined here where the host lacks them. */
#ifndef STATUS_SUCCESS
#define STATUS_SUCCESS ((NTSTATUS)0x00000000L)
#endif
#ifndef STATUS_BUFFER_OVERFLOW
#define STATUS_BUFFER_OVERFLOW ((NTSTATUS)0x80000005L)
#endif
#ifndef STATUS_DEVICE_BUSY
#define STATUS_DEVICE_BUSY ((NTSTATUS)0x80000011L)
#endif
#ifndef STATUS_NO_MORE_ENTRIES
#define STATUS_NO_MORE_ENTRIES ((NTSTATUS)0x8000001AL)
#endif
#ifndef STATUS_UNSUCCESSFUL
#define STATUS_UNSUCCESSFUL ((NTSTATUS)0xC0000001L)
#endif
#ifndef STATUS_INVALID_PARAMETER
#define STATUS_INVALID_PARAMETER ((NTSTATUS)0xC000000DL)
#endif
#ifndef STATUS_INVALID_DEVICE_REQUEST
#define STATUS_INVALID_DEVICE_REQUEST ((NTSTATUS)0xC0000010L)
#endif
#ifndef STATUS_BUFFER_TOO_SMALL
#define STATUS_BUFFER_TOO_SMALL ((NTSTATUS)0xC0000023L)
#endif
#ifndef STATUS_DATA_OVERRUN
#define STATUS_DATA_OVERRUN ((NTSTATUS)0xC000003CL)
#endif
#ifndef STATUS_INSUFFICIENT_RESOURCES
#define STATUS_INSUFFICIENT_RESOURCES ((NTSTATUS)0xC000009AL)
#endif
#ifndef STATUS_DEVICE_DATA_ERROR
#define STATUS_DEVICE_DATA_ERROR ((NTSTATUS)0xC000009CL)
#endif
#ifndef STATUS_DEVICE_NOT_READY
#define STATUS_DEVICE_NOT_READY ((NTSTATUS)0xC00000A3L)
#endif
#ifndef STATUS_IO_TIMEOUT
#define STATUS_IO_TIMEOUT ((NTSTATUS)0xC00000B5L)
#endif
#ifndef STATUS_NOT_SUPPORTED
#define STATUS_NOT_SUPPORTED ((NTSTATUS)0xC00000BBL)
#endif
#ifndef STATUS_DEVICE_DOES_NOT_EXIST
#define STATUS_DEVICE_DOES_NOT_EXIST ((NTSTATUS)0xC00000C0L)
#endif
#ifndef STATUS_DEVICE_CONFIGURATION_ERROR
#define STATUS_DEVICE_CONFIGURATION_ERROR ((NTSTATUS)0xC0000182L)
#endif
#ifndef STATUS_INVALID_DEVICE_STATE
#define STATUS_INVALID_DEVICE_STATE ((NTSTATUS)0xC0000184L)
#endif
#ifndef STATUS_IO_DEVICE_ERROR
#define STATUS_IO_DEVICE_ERROR ((NTSTATUS)0xC0000185L)
#endif
#ifndef STATUS_DEVICE_PROTOCOL_ERROR
#define STATUS_DEVICE_PROTOCOL_ERROR ((NTSTATUS)0xC0000186L)
#endif
#ifndef STATUS_INVALID_BUFFER_SIZE
#define STATUS_INVALID_BUFFER_SIZE ((NTSTATUS)0xC0000206L)
#endif
#ifndef STATUS_NOT_FOUND
#define STATUS_NOT_FOUND ((NTSTATUS)0xC0000225L)
#endif
#ifndef STATUS_REQUEST_OUT_OF_SEQUENCE
#define STATUS_REQUEST_OUT_OF_SEQUENCE ((NTSTATUS)0xC000042AL)
#endif

/* ------------------------------------------------- static assertion, align */

/* `msg` is an identifier: the oldest form makes a type name of it. */
#if defined(__cplusplus) && __cplusplus >= 201103L
#define VIRTIO_STATIC_ASSERT(cond, msg) static_assert(cond, #msg)
#elif !defined(__cplusplus) && defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
#define VIRTIO_STATIC_ASSERT(cond, msg) _Static_assert(cond, #msg)
#else
#define VIRTIO_STATIC_ASSERT(cond, msg) typedef char virtio_static_assert_##msg[(cond) ? 1 : -1]
#endif

VIRTIO_STATIC_ASSERT(sizeof(UINT8) == 1, virtio_uint8_is_1_byte);
VIRTIO_STATIC_ASSERT(sizeof(UINT16) == 2, virtio_uint16_is_2_bytes);
VIRTIO_STATIC_ASSERT(sizeof(UINT32) == 4, virtio_uint32_is_4_bytes);
VIRTIO_STATIC_ASSERT(sizeof(UINT64) == 8, virtio_uint64_is_8_bytes);
VIRTIO_STATIC_ASSERT(sizeof(NTSTATUS) == 4, virtio_ntstatus_is_4_bytes);
VIRTIO_STATIC_ASSERT(sizeof(ULONG) == 4, virtio_ulong_is_4_bytes);

/* Rounds up to a power of two `align`; the caller has checked for overflow. */
#define VIRTIO_ALIGN_UP(val, align) (((val) + ((align)-1)) & ~((align)-1))

/* ------------------------------------------------------------ code layout */

/*
 *   VIRTIO_UNLIKELY(x)   x, which is false but for errors
 *   VIRTIO_FORCEINLINE   a small step of a fast path: a copy wherever it is used
 *   VIRTIO_NOINLINE      a slow path, kept out of the fast one and its registers
 *
 * They change where code lies, never what it does.
 */
#if defined(__clang__) || defined(__GNUC__)
#define VIRTIO_UNLIKELY(x) __builtin_expect(!!(x), 0)
#ifndef VIRTIO_FORCEINLINE /* a build that measures coverage wants no copies */
#define VIRTIO_FORCEINLINE static __inline __attribute__((always_inline))
#endif
#define VIRTIO_NOINLINE __attribute__((noinline))
#elif defined(_MSC_VER)
#define VIRTIO_UNLIKELY(x) (x)
#define VIRTIO_FORCEINLINE static __forceinline
#define VIRTIO_NOINLINE __declspec(noinline)
#else
#error "virtio_osdep.h: unknown compiler"
#endif

/* ------------------------------------------------- memory order primitives */

/*
 *   VIRTIO_MB()     full fence: also orders an earlier store before a later load
 *   VIRTIO_RMB()    earlier loads before later loads and stores (acquire fence)
 *   VIRTIO_WMB()    earlier loads and stores before later stores (release fence)
 *   VirtioLoadAcquireU16, VirtioStoreReleaseU16    one access with that order
 *   VirtioReadU16 ... VirtioWriteU32   one access, not torn, not repeated, not
 *                   ordered with others; the 64-bit forms may be torn on x86
 *
 * The other side is taken to be another CPU of the same coherence domain, which
 * is what a device without VIRTIO_F_ORDER_PLATFORM is (Virtio 1.2, 6); none of
 * these orders device registers.
 *
 *   compiler        target      MB                    RMB, WMB, acquire, release
 *   clang, gcc      x86, x64    lock or of the stack  compiler barrier
 *   clang, gcc      others      seq_cst fence         __atomic of that order
 *   MSVC            x86, x64    KeMemoryBarrier, or   volatile access and
 *                               _mm_mfence on a host  _ReadWriteBarrier
 *   MSVC            ARM, ARM64  __dmb(ISH)            __dmb(ISH)
 */
#if defined(__clang__) || defined(__GNUC__)

#if defined(__x86_64__)
/* Orders as MFENCE does for write-back memory, in half its time. */
#define VIRTIO_MB() __asm__ __volatile__("lock; orl $0, (%%rsp)" : : : "memory", "cc")
#elif defined(__i386__)
#define VIRTIO_MB() __asm__ __volatile__("lock; orl $0, (%%esp)" : : : "memory", "cc")
#else
#define VIRTIO_MB() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#endif
#define VIRTIO_RMB() __atomic_thread_fence(__ATOMIC_ACQUIRE)
#define VIRTIO_WMB() __atomic_thread_fence(__ATOMIC_RELEASE)

static __inline UINT16 VirtioLoadAcquireU16(const volatile UINT16 *p) {
    return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

static __inline VOID VirtioStoreReleaseU16(volatile UINT16 *p, UINT16 v) {
    __atomic_store_n(p, v, __ATOMIC_RELEASE);
}

static __inline UINT16 VirtioReadU16(const volatile UINT16 *p) {
    return __atomic_load_n(p, __ATOMIC_RELAXED);
}

static __inline VOID VirtioWriteU16(volatile UINT16 *p, UINT16 v) {
    __atomic_store_n(p, v, __ATOMIC_RELAXED);
}

static __inline UINT32 VirtioReadU32(const volatile UINT32 *p) {
    return __atomic_load_n(p, __ATOMIC_RELAXED);
}

static __inline VOID VirtioWriteU32(volatile UINT32 *p, UINT32 v) {
    __atomic_store_n(p, v, __ATOMIC_RELAXED);
}

#elif defined(_MSC_VER)

#if !VIRTIO_OSDEP_KERNEL_MODE
#include <intrin.h>
#endif

#ifdef __cplusplus
extern "C" void _ReadWriteBarrier(void);
#else
void _ReadWriteBarrier(void);
#endif
#pragma intrinsic(_ReadWriteBarrier)

#if defined(_M_IX86) || defined(_M_X64) || defined(_M_AMD64)
#if VIRTIO_OSDEP_KERNEL_MODE
#define VIRTIO_MB() KeMemoryBarrier()
#else
#define VIRTIO_MB() _mm_mfence()
#endif
#define VIRTIO_RMB() _ReadWriteBarrier()
#define VIRTIO_WMB() _ReadWriteBarrier()
#elif defined(_M_ARM) || defined(_M_ARM64)
#define VIRTIO_MB() __dmb(0xB)
#define VIRTIO_RMB() __dmb(0xB)
#define VIRTIO_WMB() __dmb(0xB)
#else
#error "virtio_osdep.h: no memory barriers known for this CPU"
#endif

static __inline UINT16 VirtioReadU16(const volatile UINT16 *p) {
    return *p;
}

static __inline VOID VirtioWriteU16(volatile UINT16 *p, UINT16 v) {
    *p = v;
}

static __inline UINT32 VirtioReadU32(const volatile UINT32 *p) {
    return *p;
}

static __inline VOID VirtioWriteU32(volatile UINT32 *p, UINT32 v) {
    *p = v;
}

static __inline UINT16 VirtioLoadAcquireU16(const volatile UINT16 *p) {
    UINT16 v = *p;
    VIRTIO_RMB();
    return v;
}

static __inline VOID VirtioStoreReleaseU16(volatile UINT16 *p, UINT16 v) {
    VIRTIO_WMB();
    *p = v;
}

#else
#error "virtio_osdep.h: no memory order primitives known for this compiler"
#endif

static __inline UINT64 VirtioReadU64(const volatile UINT64 *p) {
    return *p;
}

static __inline VOID VirtioWriteU64(volatile UINT64 *p, UINT64 v) {
    *p = v;
}

/* ---------------------------------------------------- neighbouring fields */

/*
 * Neighbouring fields of private memory, or of a descriptor that the device does
 * not have yet, in one access: half the stores. The fields keep their types, so
 * the access is told to the compiler as one that may alias anything. `low` is
 * the field at the lower address: every target is little-endian, as NT is.
 */
#if defined(__clang__) || defined(__GNUC__)
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "virtio_osdep.h: for little-endian CPUs only"
#endif
typedef UINT32 __attribute__((may_alias)) VIRTIO_PAIR32;
typedef UINT64 __attribute__((may_alias)) VIRTIO_PAIR64;
#else
typedef UINT32 VIRTIO_PAIR32;
typedef UINT64 VIRTIO_PAIR64;
#endif

/* Two UINT16, the first of them 4-byte aligned. */
VIRTIO_FORCEINLINE UINT32 VirtioLoadPair16(const UINT16 *first) {
    return *(const VIRTIO_PAIR32 *)(const void *)first;
}

VIRTIO_FORCEINLINE VOID VirtioStorePair16(UINT16 *first, UINT32 pair) {
    *(VIRTIO_PAIR32 *)(void *)first = pair;
}

/*
 * A UINT32 and the two UINT16 behind it. Volatile, lest a compiler takes the
 * store apart, or makes one of it and its neighbour by way of vector registers.
 */
VIRTIO_FORCEINLINE VOID VirtioStoreTriple(UINT32 *first, UINT64 triple) {
    *(volatile VIRTIO_PAIR64 *)(void *)first = triple;
}

/* ----------------------------------------------------------------- memory */

/* No CRT: a loop, which compilers turn into what is best. */
static __inline VOID VirtioZeroMemory(void *dst, size_t len) {
#if VIRTIO_OSDEP_KERNEL_MODE
    RtlZeroMemory(dst, len);
#else
    UINT8 *p = (UINT8 *)dst;
    size_t i;
    for (i = 0; i < len; i++) {
        p[i] = 0;
    }
#endif
}

#endif /* VIRTIO_OSDEP_H_ */
