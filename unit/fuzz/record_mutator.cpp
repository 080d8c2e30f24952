// SPDX-License-Identifier: MIT
#include "record_mutator.h"

#include <algorithm>
#include <cstring>

namespace fuzz {

namespace {

// An input under mutation, cut or padded to whole records.
struct Records {
    const RecordFormat &format;
    std::uint8_t *bytes; // of the first record
    std::size_t count;
    std::size_t room; // records that fit

    std::uint8_t *At(std::size_t i) {
        return bytes + i * format.record;
    }

    // Opens a gap of `n` records at `i`; what no longer fits falls off the end.
    std::size_t Open(std::size_t i, std::size_t n) {
        n = std::min(n, room - i);
        std::size_t tail = std::min(count - i, room - i - n);
        std::memmove(At(i + n), At(i), tail * format.record);
        count = i + n + tail;
        return n;
    }

    // Puts `n` records in before the one at `to`, as far as there is room.
    void Put(std::size_t to, const std::uint8_t *records, std::size_t n) {
        if (to < room) {
            n = Open(to, n);
            std::memcpy(At(to), records, n * format.record);
        }
    }

    void Erase(std::size_t i, std::size_t n) {
        std::memmove(At(i), At(i + n), (count - i - n) * format.record);
        count -= n;
    }
};

std::size_t RangeLength(Random &random, std::size_t most) {
    return 1 + random.Below(static_cast<std::uint32_t>(std::min<std::size_t>(most, 8)));
}

std::size_t Pick(Random &random, std::size_t count) {
    return random.Below(static_cast<std::uint32_t>(count));
}

void Insert(Records &r, Random &random) {
    std::uint8_t fresh[8 * 16];
    std::size_t n = r.format.fill_records(random, fresh, 8);
    std::size_t i = random.Below(3) == 0 ? r.count : Pick(random, r.count + 1);
    r.Put(i, fresh, n);
}

void Delete(Records &r, Random &random) {
    std::size_t i = Pick(random, r.count);
    r.Erase(i, RangeLength(random, r.count - i));
}

void Duplicate(Records &r, Random &random) {
    std::uint8_t copy[8 * 16];
    std::size_t from = Pick(random, r.count);
    std::size_t n = RangeLength(random, r.count - from);
    std::memcpy(copy, r.At(from), n * r.format.record);
    std::size_t to = random.Below(2) == 0 ? from + n : Pick(random, r.count + 1);
    r.Put(to, copy, n);
}

void Swap(Records &r, Random &random) {
    std::size_t i = Pick(random, r.count);
    std::size_t j = random.Below(2) == 0 && i + 1 < r.count ? i + 1 : Pick(random, r.count);
    std::swap_ranges(r.At(i), r.At(i) + r.format.record, r.At(j));
}

void Replace(Records &r, Random &random) {
    std::uint8_t fresh[8 * 16];
    (void)r.format.fill_records(random, fresh, 1);
    std::memcpy(r.At(Pick(random, r.count)), fresh, r.format.record);
}

// Near values first: off by one is where most mistakes are.
void Perturb(std::uint8_t *field, Random &random) {
    switch (random.Below(5)) {
    case 0:
        *field = static_cast<std::uint8_t>(*field + 1);
        break;
    case 1:
        *field = static_cast<std::uint8_t>(*field - 1);
        break;
    case 2:
        *field = static_cast<std::uint8_t>(*field ^ 1u << random.Below(8));
        break;
    case 3:
        *field = static_cast<std::uint8_t>(random.Below(5));
        break;
    default:
        *field = random.Byte();
    }
}

void Step(Records &r, std::uint8_t *header, Random &random) {
    std::uint32_t what = random.Below(16);
    if (r.count == 0 || what < 5) {
        Insert(r, random);
    } else if (what < 7) {
        Delete(r, random);
    } else if (what < 9) {
        Duplicate(r, random);
    } else if (what < 10) {
        Swap(r, random);
    } else if (what < 11) {
        Replace(r, random);
    } else if (what < 15) {
        Perturb(r.At(Pick(random, r.count)) + Pick(random, r.format.record), random);
    } else if (random.Below(4) == 0) {
        r.format.fill_header(random, header);
    } else {
        Perturb(header + Pick(random, r.format.header), random);
    }
}

} // namespace

std::size_t MutateRecords(const RecordFormat &format, std::uint8_t *data, std::size_t size,
                          std::size_t max_size, Random &random) {
    std::size_t most = std::min(max_size, format.header + format.record * format.max_records);
    if (most < format.header + format.record) {
        return size;
    }
    if (size < format.header) {
        std::memset(data + size, 0, format.header - size);
        size = format.header;
    }
    Records r{format, data + format.header, 0, (most - format.header) / format.record};
    r.count = std::min((size - format.header) / format.record, r.room);
    std::uint32_t steps = 1 + random.Below(4);
    for (std::uint32_t i = 0; i < steps; i++) {
        Step(r, data, random);
    }
    return format.header + r.count * format.record;
}

std::size_t CrossRecords(const RecordFormat &format, const std::uint8_t *a, std::size_t a_size,
                         const std::uint8_t *b, std::size_t b_size, std::uint8_t *out,
                         std::size_t max_size, Random &random) {
    std::size_t most = std::min(max_size, format.header + format.record * format.max_records);
    if (a_size < format.header || b_size < format.header || most < format.header) {
        std::size_t n = std::min(a_size, max_size);
        std::memcpy(out, a, n);
        return n;
    }
    std::size_t a_count = (a_size - format.header) / format.record;
    std::size_t b_count = (b_size - format.header) / format.record;
    std::size_t head = format.header + Pick(random, a_count + 1) * format.record;
    std::size_t from = format.header + Pick(random, b_count + 1) * format.record;
    head = std::min(head, most);
    std::size_t tail = std::min(b_count * format.record + format.header - from, most - head);
    std::memcpy(out, a, head);
    std::memcpy(out + head, b + from, tail);
    return head + tail;
}

} // namespace fuzz
