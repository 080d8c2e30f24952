// SPDX-License-Identifier: MIT
//
// The formatting core (rtlp.h). One template for narrow and wide text, so that
// both kinds of _snprintf agree. The size prefixes are Microsoft's (I64, I32, w).
#include "rtlp.h"

#include "ntc.h"

namespace {

enum Flags : unsigned {
    kLeft = 1,
    kPlus = 2,
    kSpace = 4,
    kZero = 8,
    kAlternate = 16,
    kUpper = 32,
};

enum class Size { Default, Char, Short, Long, LongLong, Wide };

template <typename Char> class Formatter {
  public:
    // `limit` is the number of characters to store, without a terminating 0.
    Formatter(Char *buffer, size_t limit) : buffer_(buffer), limit_(limit) {}

    size_t Run(const Char *format, va_list arguments);

  private:
    struct Spec {
        unsigned flags = 0;
        int width = 0;
        int precision = -1;
        Size size = Size::Default;
        Char conversion = 0;
    };

    void Put(Char c) {
        if (length_ < limit_)
            buffer_[length_] = c;
        ++length_;
    }
    void Pad(Char c, int count) {
        for (; count > 0; --count)
            Put(c);
    }
    const Char *ParseSpec(const Char *format, va_list *arguments, Spec *spec);
    const Char *ParseSize(const Char *format, Spec *spec);
    void Convert(const Spec &spec, va_list *arguments);
    void Integer(const Spec &spec, uint64_t value, bool negative, unsigned base);
    void Signed(const Spec &spec, va_list *arguments);
    uint64_t UnsignedArgument(const Spec &spec, va_list *arguments);
    template <typename Text> void String(const Spec &spec, const Text *text, size_t limit);
    void Strings(const Spec &spec, va_list *arguments);
    void Counted(const Spec &spec, va_list *arguments);
    bool IsWide(const Spec &spec) const;

    Char *buffer_;
    size_t limit_;
    size_t length_ = 0;
};

// The characters of a wide string in a narrow message: Windows uses the ANSI code
// page; here whatever isn't ASCII becomes a question mark.
inline char Narrow(wchar_t c, char) {
    return c < 0x80 ? static_cast<char>(c) : '?';
}
inline char Narrow(char c, char) {
    return c;
}
inline wchar_t Narrow(wchar_t c, wchar_t) {
    return c;
}
inline wchar_t Narrow(char c, wchar_t) {
    return static_cast<unsigned char>(c);
}

template <typename Char> const Char *Formatter<Char>::ParseSize(const Char *format, Spec *spec) {
    if (format[0] == 'I' && format[1] == '6' && format[2] == '4') {
        spec->size = Size::LongLong;
        return format + 3;
    }
    if (format[0] == 'I' && format[1] == '3' && format[2] == '2')
        return format + 3;
    switch (*format) {
    case 'l':
        if (format[1] == 'l') {
            spec->size = Size::LongLong;
            return format + 2;
        }
        spec->size = Size::Long;
        return format + 1;
    case 'h':
        if (format[1] == 'h') {
            spec->size = Size::Char;
            return format + 2;
        }
        spec->size = Size::Short;
        return format + 1;
    case 'w':
        spec->size = Size::Wide;
        return format + 1;
    case 'I':
    case 'z':
    case 't':
        spec->size = Size::LongLong;
        return format + 1;
    default:
        return format;
    }
}

template <typename Char>
const Char *Formatter<Char>::ParseSpec(const Char *format, va_list *arguments, Spec *spec) {
    for (;; ++format) {
        if (*format == '-')
            spec->flags |= kLeft;
        else if (*format == '+')
            spec->flags |= kPlus;
        else if (*format == ' ')
            spec->flags |= kSpace;
        else if (*format == '0')
            spec->flags |= kZero;
        else if (*format == '#')
            spec->flags |= kAlternate;
        else
            break;
    }
    if (*format == '*') {
        spec->width = va_arg(*arguments, int);
        if (spec->width < 0) {
            spec->flags |= kLeft;
            spec->width = -spec->width;
        }
        ++format;
    } else {
        for (; *format >= '0' && *format <= '9'; ++format)
            spec->width = spec->width * 10 + (*format - '0');
    }
    if (*format == '.') {
        spec->precision = 0;
        if (*++format == '*') {
            spec->precision = va_arg(*arguments, int);
            ++format;
        } else {
            for (; *format >= '0' && *format <= '9'; ++format)
                spec->precision = spec->precision * 10 + (*format - '0');
        }
    }
    format = ParseSize(format, spec);
    spec->conversion = *format;
    return *format ? format + 1 : format;
}

template <typename Char>
void Formatter<Char>::Integer(const Spec &spec, uint64_t value, bool negative, unsigned base) {
    const char *digits = (spec.flags & kUpper) ? "0123456789ABCDEF" : "0123456789abcdef";
    char text[24];
    int count = 0;
    for (uint64_t rest = value; rest; rest /= base)
        text[count++] = digits[rest % base];
    if (count == 0 && spec.precision != 0)
        text[count++] = '0';

    char prefix[3];
    int prefix_length = 0;
    if (negative)
        prefix[prefix_length++] = '-';
    else if (spec.flags & kPlus)
        prefix[prefix_length++] = '+';
    else if (spec.flags & kSpace)
        prefix[prefix_length++] = ' ';
    if ((spec.flags & kAlternate) && base == 16 && value) {
        prefix[prefix_length++] = '0';
        prefix[prefix_length++] = (spec.flags & kUpper) ? 'X' : 'x';
    }
    int zeros = spec.precision > count ? spec.precision - count : 0;
    if ((spec.flags & kAlternate) && base == 8 && zeros == 0 && value)
        zeros = 1;
    if ((spec.flags & (kZero | kLeft)) == kZero && spec.precision < 0 &&
        spec.width > prefix_length + count)
        zeros = spec.width - prefix_length - count;
    const int pad = spec.width - prefix_length - zeros - count;
    if (!(spec.flags & kLeft))
        Pad(' ', pad);
    for (int i = 0; i < prefix_length; ++i)
        Put(prefix[i]);
    Pad('0', zeros);
    while (count > 0)
        Put(text[--count]);
    if (spec.flags & kLeft)
        Pad(' ', pad);
}

template <typename Char>
uint64_t Formatter<Char>::UnsignedArgument(const Spec &spec, va_list *arguments) {
    switch (spec.size) {
    case Size::LongLong:
        return va_arg(*arguments, unsigned long long);
    case Size::Char:
        return static_cast<unsigned char>(va_arg(*arguments, unsigned int));
    case Size::Short:
        return static_cast<unsigned short>(va_arg(*arguments, unsigned int));
    default: // Microsoft's long is 32 bits wide
        return va_arg(*arguments, unsigned int);
    }
}

template <typename Char> void Formatter<Char>::Signed(const Spec &spec, va_list *arguments) {
    int64_t value;
    if (spec.size == Size::LongLong)
        value = va_arg(*arguments, long long);
    else
        value = va_arg(*arguments, int);
    if (spec.size == Size::Char)
        value = static_cast<signed char>(value);
    else if (spec.size == Size::Short)
        value = static_cast<short>(value);
    const bool negative = value < 0;
    const uint64_t magnitude =
        negative ? 0 - static_cast<uint64_t>(value) : static_cast<uint64_t>(value);
    Integer(spec, magnitude, negative, 10);
}

template <typename Char>
template <typename Text>
void Formatter<Char>::String(const Spec &spec, const Text *text, size_t limit) {
    static const Text null_text[] = {'(', 'n', 'u', 'l', 'l', ')', 0};
    if (!text) {
        text = null_text;
        limit = 6;
    }
    if (spec.precision >= 0 && static_cast<size_t>(spec.precision) < limit)
        limit = static_cast<size_t>(spec.precision);
    size_t count = 0;
    while (count < limit && text[count])
        ++count;
    const int pad = spec.width - static_cast<int>(count);
    if (!(spec.flags & kLeft))
        Pad((spec.flags & kZero) ? '0' : ' ', pad);
    for (size_t i = 0; i < count; ++i)
        Put(Narrow(text[i], Char()));
    if (spec.flags & kLeft)
        Pad(' ', pad);
}

// c and s are of the format's own kind, C and S of the other; h and l override.
template <typename Char> bool Formatter<Char>::IsWide(const Spec &spec) const {
    const bool same = spec.conversion == 'c' || spec.conversion == 's';
    if (spec.size == Size::Short)
        return false;
    if (spec.size == Size::Long || spec.size == Size::Wide)
        return true;
    return (sizeof(Char) == sizeof(wchar_t)) == same;
}

template <typename Char> void Formatter<Char>::Strings(const Spec &spec, va_list *arguments) {
    if (spec.conversion == 'c' || spec.conversion == 'C') {
        const int value = va_arg(*arguments, int);
        const wchar_t wide = static_cast<wchar_t>(value);
        const char narrow = static_cast<char>(value);
        const int pad = spec.width - 1;
        if (!(spec.flags & kLeft))
            Pad(' ', pad);
        Put(IsWide(spec) ? Narrow(wide, Char()) : Narrow(narrow, Char()));
        if (spec.flags & kLeft)
            Pad(' ', pad);
    } else if (IsWide(spec)) {
        String(spec, va_arg(*arguments, const wchar_t *), SIZE_MAX);
    } else {
        String(spec, va_arg(*arguments, const char *), SIZE_MAX);
    }
}

template <typename Char> void Formatter<Char>::Counted(const Spec &spec, va_list *arguments) {
    if (spec.size == Size::Wide || spec.size == Size::Long) {
        auto *text = va_arg(*arguments, const UNICODE_STRING *);
        String(spec, text ? text->Buffer : nullptr, text ? text->Length / sizeof(WCHAR) : 0);
    } else {
        auto *text = va_arg(*arguments, const ANSI_STRING *);
        String(spec, text ? text->Buffer : nullptr, text ? text->Length : 0);
    }
}

template <typename Char> void Formatter<Char>::Convert(const Spec &given, va_list *arguments) {
    Spec spec = given;
    switch (spec.conversion) {
    case '%':
        Put('%');
        break;
    case 'd':
    case 'i':
        Signed(spec, arguments);
        break;
    case 'u':
        spec.flags &= ~(kPlus | kSpace);
        Integer(spec, UnsignedArgument(spec, arguments), false, 10);
        break;
    case 'X':
        spec.flags |= kUpper;
        [[fallthrough]];
    case 'x':
        spec.flags &= ~(kPlus | kSpace);
        Integer(spec, UnsignedArgument(spec, arguments), false, 16);
        break;
    case 'o':
        spec.flags &= ~(kPlus | kSpace);
        Integer(spec, UnsignedArgument(spec, arguments), false, 8);
        break;
    case 'p': // all digits, upper case, as Microsoft's
        spec.flags |= kUpper;
        spec.precision = 2 * sizeof(void *);
        Integer(spec, reinterpret_cast<uintptr_t>(va_arg(*arguments, void *)), false, 16);
        break;
    case 'c':
    case 'C':
    case 's':
    case 'S':
        Strings(spec, arguments);
        break;
    case 'Z':
        Counted(spec, arguments);
        break;
    default:
        KdUnimplemented("conversion in a format string");
    }
}

template <typename Char> size_t Formatter<Char>::Run(const Char *format, va_list list) {
    // A copy, since the address of a va_list parameter has another type on some
    // targets that the unit tests run on.
    va_list arguments;
    va_copy(arguments, list);
    while (*format) {
        if (*format != '%') {
            Put(*format++);
            continue;
        }
        Spec spec;
        format = ParseSpec(format + 1, &arguments, &spec);
        if (!spec.conversion)
            break; // a lone % at the end
        Convert(spec, &arguments);
    }
    va_end(arguments);
    return length_;
}

template <typename Char>
size_t Terminated(Char *buffer, size_t size, const Char *format, va_list arguments) {
    const size_t room = size ? size - 1 : 0;
    const size_t length = Formatter<Char>(buffer, room).Run(format, arguments);
    if (size)
        buffer[length < room ? length : room] = 0;
    return length;
}

// Microsoft's _vsnprintf: no terminating 0 when the text fills the buffer, and -1
// when it doesn't fit. Without a buffer, the length.
template <typename Char>
int Microsoft(Char *buffer, size_t count, const Char *format, va_list arguments) {
    const size_t length = Formatter<Char>(buffer, buffer ? count : 0).Run(format, arguments);
    if (!buffer || length == count)
        return static_cast<int>(length);
    if (length > count)
        return -1;
    buffer[length] = 0;
    return static_cast<int>(length);
}

} // namespace

extern "C" size_t RtlpFormat(char *buffer, size_t size, const char *format, va_list arguments) {
    return Terminated(buffer, size, format, arguments);
}

extern "C" size_t RtlpFormatWide(wchar_t *buffer, size_t size, const wchar_t *format,
                                 va_list arguments) {
    return Terminated(buffer, size, format, arguments);
}

NTC_EXPORT int _vsnprintf(char *buffer, size_t count, const char *format, va_list arguments) {
    return Microsoft(buffer, count, format, arguments);
}

NTC_EXPORT int _vsnwprintf(wchar_t *buffer, size_t count, const wchar_t *format,
                           va_list arguments) {
    return Microsoft(buffer, count, format, arguments);
}
