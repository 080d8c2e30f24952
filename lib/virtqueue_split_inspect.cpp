// SPDX-License-Identifier: MIT
//
// Split virtqueue: accessors and the debug dump. The dump formats by itself,
// so that it needs no CRT and treats whatever the device wrote as numbers.

#include "virtqueue_split_private.h"

UINT16 VirtqSplitQueueSize(const VIRTQ_SPLIT *vq) {
    return (UINT16)(vq != NULL ? vq->qsz : 0);
}

UINT16 VirtqSplitNumFree(const VIRTQ_SPLIT *vq) {
    return (UINT16)(vq != NULL ? vq->num_free : 0);
}

UINT16 VirtqSplitInFlight(const VIRTQ_SPLIT *vq) {
    if (vq == NULL) {
        return 0;
    }
    return vq->broken_status == STATUS_SUCCESS ? VirtqInFlight(vq) : vq->broken_in_flight;
}

UINT16 VirtqSplitMaxChain(const VIRTQ_SPLIT *vq) {
    return VirtqSplitQueueSize(vq);
}

BOOLEAN VirtqSplitIsBroken(const VIRTQ_SPLIT *vq) {
    return (BOOLEAN)(VirtqSplitBrokenStatus(vq) != STATUS_SUCCESS);
}

NTSTATUS VirtqSplitBrokenStatus(const VIRTQ_SPLIT *vq) {
    return vq != NULL ? vq->broken_status : STATUS_SUCCESS;
}

UINT32 VirtqSplitMisuseCount(const VIRTQ_SPLIT *vq) {
    return vq != NULL ? vq->misuse_count : 0;
}

NTSTATUS VirtqSplitLastMisuse(const VIRTQ_SPLIT *vq) {
    return vq != NULL ? vq->last_misuse : STATUS_SUCCESS;
}

namespace {

// A line under construction; what does not fit is cut off.
class Line {
  public:
    Line() : length_(0) {
        text_[0] = '\0';
    }

    Line &Text(const char *text) {
        for (; *text != '\0'; text++) {
            Put(*text);
        }
        return *this;
    }

    Line &Dec(UINT32 value) {
        char digits[10];
        UINT32 count = 0;
        do {
            digits[count++] = (char)('0' + value % 10);
            value /= 10;
        } while (value != 0);
        while (count > 0) {
            Put(digits[--count]);
        }
        return *this;
    }

    Line &Hex(UINT64 value, int digits) {
        Text("0x");
        for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4) {
            Put("0123456789abcdef"[(UINT32)(value >> shift) & 0xF]);
        }
        return *this;
    }

    VOID Send(void (*logfn)(const char *line, void *ctx), void *ctx) {
        logfn(text_, ctx);
        length_ = 0;
        text_[0] = '\0';
    }

  private:
    VOID Put(char c) {
        if (length_ < VIRTQ_SPLIT_DUMP_LINE_SIZE - 1) {
            text_[length_++] = c;
            text_[length_] = '\0';
        }
    }

    char text_[VIRTQ_SPLIT_DUMP_LINE_SIZE];
    UINT32 length_;
};

const UINT16 HEADER_LINES = 7;

VOID DumpChain(const VIRTQ_SPLIT *vq, UINT16 head, Line &line) {
    const VIRTQ_SPLIT_CHAIN *chain = &vq->chains[head];

    line.Text("  head ").Dec(head);
    line.Text(chain->state == VIRTQ_CHAIN_ADDED ? " added" : " in flight");
    line.Text(" count ").Dec(chain->count).Text(" writable ").Dec(chain->writable);
    if (chain->table == VIRTQ_OWN_TABLE) {
        line.Text(" table of its own");
    } else if (chain->table != VIRTQ_SPLIT_NO_DESC) {
        line.Text(" table ").Dec(chain->table);
    }
    line.Text(" cookie ").Hex((size_t)chain->cookie, 2 * (int)sizeof(void *));
}

VOID DumpShared(const VIRTQ_SPLIT *vq, Line &line) {
    line.Text("  shared: avail flags ").Hex(VirtioReadU16(&vq->avail->flags), 4);
    line.Text(" idx ").Dec(VirtioReadU16(&vq->avail->idx));
    line.Text(" used_event ").Dec(VirtioReadU16(VirtqAvailUsedEvent(vq->avail, vq->qsz)));
    line.Text("; used flags ").Hex(VirtioReadU16(&vq->used->flags), 4);
    line.Text(" idx ").Dec(VirtioReadU16(&vq->used->idx));
    line.Text(" avail_event ").Dec(VirtioReadU16(VirtqUsedAvailEvent(vq->used, vq->qsz)));
}

VOID DumpHeader(const VIRTQ_SPLIT *vq, Line &line, void (*logfn)(const char *, void *), void *ctx) {
    line.Text("virtqueue size ").Dec(vq->qsz);
    line.Text(vq->event_idx ? " event_idx" : "").Text(vq->indirect ? " indirect" : "");
    line.Send(logfn, ctx);
    line.Text("  device addresses: desc ").Hex(vq->desc_pa, 16);
    line.Text(" avail ").Hex(vq->avail_pa, 16).Text(" used ").Hex(vq->used_pa, 16);
    line.Send(logfn, ctx);
    line.Text("  driver: avail_idx ").Dec(vq->avail_idx);
    line.Text(" last_used_idx ").Dec(vq->last_used_idx);
    line.Text(" free ").Dec(vq->num_free).Text(" in flight ").Dec(VirtqSplitInFlight(vq));
    line.Text(" added ").Dec(vq->num_added);
    line.Text(vq->interrupts_off ? " interrupts off" : "");
    line.Send(logfn, ctx);
    DumpShared(vq, line);
    line.Send(logfn, ctx);
    line.Text("  indirect tables: ").Dec(vq->indirect_table_count);
    line.Text(" of ").Dec(vq->indirect_max_desc);
    if (vq->own_tables) {
        line.Text(", one for each descriptor");
    } else {
        line.Text(", free ").Dec(vq->indirect_num_free);
    }
    line.Text(", above ").Dec(vq->indirect_threshold).Text(" segments");
    line.Send(logfn, ctx);
    line.Text("  broken: ").Hex((UINT32)vq->broken_status, 8);
    line.Text(" misuse: ").Dec(vq->misuse_count);
    line.Text(" last ").Hex((UINT32)vq->last_misuse, 8);
    line.Send(logfn, ctx);
}

} // namespace

VOID VirtqSplitDump(const VIRTQ_SPLIT *vq, void (*logfn)(const char *line, void *ctx), void *ctx) {
    Line line;
    UINT16 lines = HEADER_LINES; // the one line of "more" included
    UINT32 hidden = 0;

    if (logfn == NULL) {
        return;
    }
    if (vq == NULL || vq->qsz == 0) {
        line.Text("virtqueue: none");
        line.Send(logfn, ctx);
        return;
    }
    DumpHeader(vq, line, logfn, ctx);
    for (UINT16 head = 0; head < vq->qsz; head++) {
        UINT16 state = vq->chains[head].state;
        if (state != VIRTQ_CHAIN_ADDED && state != VIRTQ_CHAIN_IN_FLIGHT) {
            continue;
        }
        if (lines == VIRTQ_SPLIT_DUMP_MAX_LINES) {
            hidden++;
            continue;
        }
        DumpChain(vq, head, line);
        line.Send(logfn, ctx);
        lines++;
    }
    if (hidden != 0) {
        line.Text("  and ").Dec(hidden).Text(" more");
        line.Send(logfn, ctx);
    }
}
