// SPDX-License-Identifier: MIT
//
// The public DDK headers, seen from the inside: for code that is linked into
// ntoskrnl.exe or HAL.dll.
//
// Exports. Whatever the DDK headers declare as imported (NTKERNELAPI, NTSYSAPI,
// NTHALAPI) and a folder defines here becomes an export of the image under its
// own name; nothing more is needed than including this header before the
// definition. Three cases need a macro:
//
//   NTC_EXPORT        a function that the headers declare without an import
//                     attribute, or not at all:
//                         NTC_EXPORT void *memcpy(void *d, const void *s, size_t n) {...}
//   NTC_EXPORT_AS     a name that the headers define as an inline function or a
//                     macro: write the function under another name, and then
//                         NTC_EXPORT_AS(KeLowerIrql, NtcKeLowerIrql);
//   NTC_EXPORT_DATA   data the headers do not declare (extern "C" pointers ...)
//
// Function-like macros of the headers (KeInitializeCallbackRecord, ExAllocatePool
// under POOL_TAGGING ...) may be undefined by the source that defines the export.
#ifndef NTC_DDK_H_
#define NTC_DDK_H_

// ntdef.h says what "imported" means; the headers that follow expand it.
#define NT_INCLUDED
#define _CTYPE_DISABLE_MACROS
#include <excpt.h>
#include <ntdef.h>
#if defined(NTC_KERNEL_IMAGE) // set for ntoskrnl.exe and HAL.dll by CMakeLists.txt
#undef DECLSPEC_IMPORT
#define DECLSPEC_IMPORT __declspec(dllexport)
#endif

#include <ntifs.h>

#ifdef __cplusplus
#define NTC_EXTERN_C extern "C"
#else
#define NTC_EXTERN_C
#endif

#define NTC_EXPORT NTC_EXTERN_C __declspec(dllexport)
#define NTC_EXPORT_DATA __declspec(dllexport)

// At namespace scope; `implementation` must be extern "C" and not static.
#define NTC_EXPORT_AS(name, implementation)                                                        \
    __asm__(".section .drectve,\"yn\"\n\t"                                                         \
            ".ascii \" -export:" #name "=" #implementation "\"\n\t"                                \
            ".text")

#endif // NTC_DDK_H_
