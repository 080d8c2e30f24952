/* SPDX-License-Identifier: MIT */
/*
 * Stands for WDK 7.1's header of this name: the declarations that the library
 * uses in kernel mode, written as Microsoft documents them, so that the side of
 * virtio_osdep.h that only Microsoft's compiler sees is parsed here, too.
 */
#ifndef VQ7_COMPILE_NTDDK_H_
#define VQ7_COMPILE_NTDDK_H_

#define VOID void
typedef unsigned char UCHAR, UINT8;
typedef unsigned short USHORT, UINT16;
typedef unsigned int UINT32;
typedef unsigned __int64 UINT64;
typedef short CSHORT;
typedef long LONG, NTSTATUS;
typedef unsigned long ULONG;
typedef UCHAR BOOLEAN;
typedef void *PVOID;
#ifdef _WIN64
typedef unsigned __int64 ULONG_PTR;
#else
typedef unsigned long ULONG_PTR;
#endif
typedef ULONG_PTR PFN_NUMBER, *PPFN_NUMBER;

#define TRUE 1
#define FALSE 0
#define PAGE_SHIFT 12L
#define PAGE_SIZE 0x1000
#define NT_SUCCESS(Status) (((NTSTATUS)(Status)) >= 0)
#define STATUS_SUCCESS ((NTSTATUS)0x00000000L)

typedef struct _MDL {
    struct _MDL *Next;
    CSHORT Size;
    CSHORT MdlFlags;
    struct _EPROCESS *Process;
    PVOID MappedSystemVa;
    PVOID StartVa;
    ULONG ByteCount;
    ULONG ByteOffset;
} MDL, *PMDL;

#define MmGetMdlByteCount(Mdl) ((Mdl)->ByteCount)
#define MmGetMdlByteOffset(Mdl) ((Mdl)->ByteOffset)
#define MmGetMdlPfnArray(Mdl) ((PPFN_NUMBER)(Mdl + 1))
/* As wdm.h has it for x86 and x64: nothing. */
#define KeFlushIoBuffers(Mdl, ReadOperation, DmaOperation)

#ifdef __cplusplus
extern "C" {
#endif
void *memset(void *Destination, int Fill, size_t Length);
VOID KeMemoryBarrier(VOID);
#ifdef __cplusplus
}
#endif
#define RtlZeroMemory(Destination, Length) memset((Destination), 0, (Length))

#endif
