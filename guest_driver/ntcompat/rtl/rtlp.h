// SPDX-License-Identifier: MIT
//
// Formatting core of the kernel: _vsnprintf, _vsnwprintf, DbgPrint and KdPrint_
// are thin fronts of it. Touches nothing but its arguments; any IRQL (strings of
// %ws/%wZ are the caller's memory).
//
// Conversions: d i u x X o p c C s S Z and %%; flags - + space # 0, width and
// precision as numbers or *, sizes h l ll I I32 I64 w z t. %Z is an ANSI_STRING, %wZ a
// UNICODE_STRING; %ws, %ls and %S (in a narrow format) are wide strings.
// Anything else stops the guest by KdUnimplemented: a silent gap in a message hides a bug.
#ifndef NTC_RTLP_H_
#define NTC_RTLP_H_

#include <stdarg.h>
#include <stddef.h>

#include "ntc_ddk.h"

#ifdef __cplusplus
extern "C" {
#endif

// Writes at most `size` characters with the terminating 0, which is always there
// when size > 0. Returns the length the whole text has.
size_t RtlpFormat(char *buffer, size_t size, const char *format, va_list arguments);
size_t RtlpFormatWide(wchar_t *buffer, size_t size, const wchar_t *format, va_list arguments);

// Exports of the C runtime that the freestanding headers don't declare.
__declspec(dllexport) int _vsnprintf(char *buffer, size_t count, const char *format,
                                     va_list arguments);
__declspec(dllexport) int _snprintf(char *buffer, size_t count, const char *format, ...);
__declspec(dllexport) int _snwprintf(wchar_t *buffer, size_t count, const wchar_t *format, ...);
__declspec(dllexport) int _vsnwprintf(wchar_t *buffer, size_t count, const wchar_t *format,
                                      va_list arguments);

#ifdef __cplusplus
}
#endif

#endif // NTC_RTLP_H_
