// SPDX-License-Identifier: MIT
#include "commands.h"

#include "crc32.h"
#include "pattern.h"
#include "status.h"

namespace agent {
namespace {

constexpr uint64_t kPieceSectors = 2048; // 1 MiB: the longest transfer, or else one block
constexpr uint64_t kPrintedSectors = 128;
constexpr uint64_t kMaxSegments = 4096; // the driver's limit
constexpr uint32_t kShownMismatches = 16;

// What read, write and verify have in common.
struct Range {
    uint64_t sector;
    uint64_t count;
    uint64_t seed;
    uint64_t generation;
    uint32_t segments;
    uint32_t device;
};

void TakeRange(Args &args, Range *range, uint64_t max_count, bool pattern) {
    range->sector = args.Number("sector", 0, UINT64_MAX);
    range->count = args.Number("count", 1, max_count);
    if (range->count - 1 > UINT64_MAX - range->sector)
        args.Fail("sector", "plus count passes 2^64");
    range->segments = static_cast<uint32_t>(args.Option("segments", 0, 0, kMaxSegments));
    if (!pattern)
        return;
    range->seed = args.RequiredOption("seed", 0, UINT64_MAX);
    range->generation = args.RequiredOption("gen", 0, UINT64_MAX);
}

// A block device and one call with data for the longest piece of a range.
struct Transfer {
    Agent &agent;
    DeviceScope scope;
    Call *call;
    uint64_t piece; // sectors of one transfer at most

    explicit Transfer(Agent &owner) : agent(owner), scope(owner.devices), call(nullptr), piece(0) {}
    ~Transfer() {
        FreeCall(call);
    }
    // False: answered.
    bool Open(const Range &range) {
        VQ7_BLK_INFO info;
        if (!OpenDevice(agent, range.device, kVirtioTypeBlock, &scope) ||
            !ReadBlkInfo(agent, scope.handle, &info))
            return false;
        uint64_t block = info.block_size / kSectorSize;
        if (range.sector % block)
            return RefuseBlock(agent, "sector", range.sector, "sectors", info.block_size);
        if (range.count % block)
            return RefuseBlock(agent, "count", range.count, "sectors", info.block_size);
        piece = kPieceSectors < block ? block : kPieceSectors;
        uint64_t sectors = Piece(range, 0);
        call = NewCall(static_cast<size_t>(sectors * kSectorSize));
        if (call)
            return true;
        agent.answer.Error(kNoMemory, "no memory for the data");
        return false;
    }
    // False: answered. `sectors` must fit the call's data.
    bool Run(const Range &range, uint64_t done, uint64_t sectors, uint32_t code) {
        uint64_t sector = range.sector + done;
        SetTransfer(call, sector, static_cast<uint32_t>(sectors * kSectorSize), range.segments);
        uint32_t status = agent.devices.Execute(scope.handle, &call, code, agent.answer, true);
        if (Succeeded(status))
            return true;
        Text<96> what;
        what.Str(code == IOCTL_VQ7_BLK_READ ? "reading" : "writing");
        what.Str(" sectors from ").Dec(sector).Str(" on failed");
        AnswerDriverError(agent, status, what.CStr());
        return false;
    }
    uint64_t Piece(const Range &range, uint64_t done) const {
        uint64_t left = range.count - done;
        return left < piece ? left : piece;
    }
    uint64_t *Sector(uint64_t index) {
        return reinterpret_cast<uint64_t *>(call->data + index * kSectorSize);
    }
};

void BusyAfter(Agent &agent, uint64_t done) {
    if (!agent.answer.BusyDue())
        return;
    Text<64> text;
    text.Key("sectors", done);
    agent.answer.Busy(text);
}

void AnswerBytes(Agent &agent, uint64_t bytes, uint32_t crc) {
    Text<64> values;
    values.Key("bytes", bytes).KeyHex("crc", crc, 8);
    agent.answer.Ok(values);
}

} // namespace

void CommandBlkInfo(Agent &agent, Args &args) {
    uint32_t index;
    DeviceScope scope(agent.devices);
    if (!FinishWithDevice(agent, args, &index) ||
        !OpenDevice(agent, index, kVirtioTypeBlock, &scope))
        return;
    VQ7_BLK_INFO info;
    if (!ReadBlkInfo(agent, scope.handle, &info))
        return;
    Text<384> values;
    values.Key("capacity", info.capacity).Key("block_size", info.block_size);
    values.Key("seg_max", info.seg_max).Key("size_max", info.size_max);
    values.Key("max_segments", info.max_segments).Key("max_transfer", info.max_transfer);
    values.Key("read_only", info.read_only).Key("flush", info.flush);
    values.Key("write_cache", info.write_cache);
    agent.answer.Ok(values);
}

void CommandBlkRead(Agent &agent, Args &args) {
    Range range{};
    TakeRange(args, &range, kPieceSectors, false);
    bool quiet = args.Option("quiet", 0, 0, 1) != 0;
    if (!quiet && range.count > kPrintedSectors)
        args.Fail("count", "above 128 needs quiet=1");
    Transfer transfer(agent);
    if (!FinishWithDevice(agent, args, &range.device) || !transfer.Open(range) ||
        !transfer.Run(range, 0, range.count, IOCTL_VQ7_BLK_READ))
        return;
    size_t bytes = static_cast<size_t>(range.count * kSectorSize);
    if (!quiet)
        PrintData(agent.answer, transfer.call->data, bytes);
    AnswerBytes(agent, bytes, Crc32(0, transfer.call->data, bytes));
}

void CommandBlkWrite(Agent &agent, Args &args) {
    Range range{};
    TakeRange(args, &range, UINT64_MAX / kSectorSize, true);
    Transfer transfer(agent);
    if (!FinishWithDevice(agent, args, &range.device) || !transfer.Open(range))
        return;
    uint32_t crc = 0;
    for (uint64_t done = 0; done < range.count;) {
        uint64_t piece = transfer.Piece(range, done);
        for (uint64_t i = 0; i < piece; i++)
            PatternFill(transfer.Sector(i), range.seed, range.sector + done + i, range.generation);
        if (!transfer.Run(range, done, piece, IOCTL_VQ7_BLK_WRITE))
            return;
        crc = Crc32(crc, transfer.call->data, static_cast<size_t>(piece * kSectorSize));
        done += piece;
        BusyAfter(agent, done);
    }
    AnswerBytes(agent, range.count * kSectorSize, crc);
}

void CommandBlkVerify(Agent &agent, Args &args) {
    Range range{};
    TakeRange(args, &range, UINT64_MAX / kSectorSize, true);
    Transfer transfer(agent);
    if (!FinishWithDevice(agent, args, &range.device) || !transfer.Open(range))
        return;
    uint64_t bad = 0;
    for (uint64_t done = 0; done < range.count;) {
        uint64_t piece = transfer.Piece(range, done);
        // Data of the piece before must not pass for this one's.
        for (uint64_t i = 0; i < piece * kSectorWords; i++)
            transfer.Sector(0)[i] = ~0ull;
        if (!transfer.Run(range, done, piece, IOCTL_VQ7_BLK_READ))
            return;
        for (uint64_t i = 0; i < piece; i++) {
            Mismatch mismatch;
            if (PatternCheck(transfer.Sector(i), range.seed, range.sector + done + i,
                             range.generation, &mismatch))
                continue;
            if (bad++ < kShownMismatches) {
                Text<256> line;
                PutMismatch(line, "sector", mismatch);
                agent.answer.Line(line);
            }
        }
        done += piece;
        BusyAfter(agent, done);
    }
    Text<96> text;
    if (bad) {
        text.Dec(bad).Str(" of ").Dec(range.count).Str(" sectors do not hold the pattern");
        agent.answer.Error(kMiscompare, text);
        return;
    }
    text.Key("sectors", range.count);
    agent.answer.Ok(text);
}

void CommandBlkFlush(Agent &agent, Args &args) {
    uint32_t index;
    DeviceScope scope(agent.devices);
    if (!FinishWithDevice(agent, args, &index) ||
        !OpenDevice(agent, index, kVirtioTypeBlock, &scope))
        return;
    uint32_t status =
        agent.devices.Query(scope.handle, IOCTL_VQ7_BLK_FLUSH, nullptr, 0, agent.answer);
    if (Succeeded(status))
        agent.answer.Ok();
    else
        AnswerDriverError(agent, status, "the flush failed");
}

void CommandBlkId(Agent &agent, Args &args) {
    uint32_t index;
    DeviceScope scope(agent.devices);
    if (!FinishWithDevice(agent, args, &index) ||
        !OpenDevice(agent, index, kVirtioTypeBlock, &scope))
        return;
    VQ7_BLK_ID id;
    uint32_t status =
        agent.devices.Query(scope.handle, IOCTL_VQ7_BLK_GET_ID, &id, sizeof(id), agent.answer);
    if (!Succeeded(status)) {
        AnswerDriverError(agent, status, "the device's id can't be read");
        return;
    }
    // Virtio 1.2, 5.2.6.1: 20 bytes, ended by NUL only if shorter.
    Text<96> values;
    values.Key("id");
    for (size_t i = 0; i < 20 && id.id[i]; i++) {
        uint8_t c = static_cast<uint8_t>(id.id[i]);
        bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                     c == '-' || c == '.' || c == '_' || c == '~';
        if (plain)
            values.Char(static_cast<char>(c));
        else
            values.Char('%').Hex(c, 2);
    }
    agent.answer.Ok(values);
}

} // namespace agent
