// SPDX-License-Identifier: MIT
//
// The registers of a virtio-pci device (Virtio 1.2, 4.1.4.3, 4.1.4.10).
#include "pci_model.h"

void PciModel::PowerUp() {
    RtlZeroMemory(this, sizeof(*this));
    cfg[0x00] = 0xF4;
    cfg[0x01] = 0x1A;
    Identify(0x1001, 0);
    cfg[0x06] = 0x10; // there is a capability list
    cfg[0x2E] = 2;
    cfg[0x34] = 0x40;
    bars[0] = LegacyBar;
    bars[4] = ModernBar;
    PutCapability(0x40, 0x54, 1, 4, Common, 56);
    PutCapability(0x54, 0x68, 2, 4, Notify, 0x100);
    PutCapability(0x68, 0x78, 3, 4, Isr, 4);
    PutCapability(0x78, 0x88, 4, 4, Config, sizeof(config));
    cfg[0x88] = 0x11; // MSI-X, which the library passes over
    cfg[0x89] = 0x90;
    PutCapability(0x90, 0, 5, 4, 0, 0); // PCI access, likewise
    features = 1ull << 32 | 1ull << 29 | 1ull << 28 | 1ull << 34 | 1;
    num_queues = Queues;
    config_vector = 0xFFFF;
    for (ULONG i = 0; i < Queues; i++) {
        queues[i].most = queues[i].size = 64;
        queues[i].notify_off = (USHORT)i;
        queues[i].vector = 0xFFFF;
    }
    for (ULONG i = 0; i < sizeof(config); i++)
        config[i] = (UCHAR)(0x10 + i);
}

void PciModel::Identify(USHORT device_id, UCHAR revision) {
    cfg[0x02] = (UCHAR)device_id;
    cfg[0x03] = (UCHAR)(device_id >> 8);
    cfg[0x08] = revision;
}

void PciModel::PutCapability(UCHAR at, UCHAR next, UCHAR type, UCHAR bar, ULONG offset,
                             ULONG length) {
    cfg[at] = 0x09;
    cfg[at + 1] = next;
    cfg[at + 2] = type == 2 ? 20 : 16;
    cfg[at + 3] = type;
    cfg[at + 4] = bar;
    RtlCopyMemory(&cfg[at + 8], &offset, 4);
    RtlCopyMemory(&cfg[at + 12], &length, 4);
    if (type == 2)
        cfg[at + 16] = 4; // notify_off_multiplier
}

PciModel::QueueRegisters *PciModel::Selected() {
    return select < 64 ? &queues[select] : nullptr;
}

void PciModel::SetStatus(UCHAR value) {
    if (value == 0) {
        isr = 0;
        accepted = 0;
        for (QueueRegisters &q : queues) {
            q.enable = 0;
            q.pfn = 0;
            q.size = q.most;
        }
        if (slow_reset != 0)
            return; // the status stays for a while
    }
    status = (UCHAR)(refuse_features ? value & ~8u : value);
}

UCHAR PciModel::Status() {
    const UCHAR now = status;
    if (slow_reset != 0 && --slow_reset == 0)
        status = 0;
    return now;
}

ULONG PciModel::ReadConfig(ULONG offset, ULONG width) {
    ULONG value = 0;
    if (restless) {
        generation++;
        config[offset]++;
    }
    RtlCopyMemory(&value, &config[offset], width);
    return value;
}

void PciModel::WriteConfig(ULONG offset, ULONG width, ULONG value) {
    RtlCopyMemory(&config[offset], &value, width);
}

// struct virtio_pci_common_cfg: each field is read by its own width (4.1.3.1).
ULONG PciModel::ReadCommon(ULONG offset, ULONG width) {
    QueueRegisters *q = Selected();
    switch (offset << 8 | width) {
    case 4 << 8 | 4:
        return (ULONG)(feature_select == 0 ? features : features >> 32);
    case 16 << 8 | 2:
        return config_vector;
    case 18 << 8 | 2:
        return num_queues;
    case 20 << 8 | 1:
        return Status();
    case 21 << 8 | 1:
        return generation;
    case 24 << 8 | 2:
        return q ? q->size : 0;
    case 26 << 8 | 2:
        return q ? q->vector : 0;
    case 28 << 8 | 2:
        return q ? q->enable : 0;
    case 30 << 8 | 2:
        return q ? q->notify_off : 0;
    }
    wrong++;
    return 0;
}

ULONG PciModel::ReadModern(ULONG offset, ULONG width) {
    if (offset >= Config && offset + width <= Config + sizeof(config))
        return ReadConfig(offset - Config, width);
    if (offset == Isr && width == 1) {
        const UCHAR was = isr;
        isr = 0;
        return was;
    }
    return ReadCommon(offset, width);
}

static void PutHalf(ULONG64 *field, ULONG half, ULONG value) {
    ((ULONG *)field)[half] = value;
}

void PciModel::WriteModern(ULONG offset, ULONG width, ULONG value) {
    QueueRegisters *q = Selected();
    if (offset >= Notify && width == 2) {
        const ULONG number = (offset - Notify) / 4;
        if (number < Queues && value == number)
            queues[number].notified++;
        else
            wrong++;
        return;
    }
    if (offset >= Config && offset + width <= Config + sizeof(config)) {
        WriteConfig(offset - Config, width, value);
        return;
    }
    switch (offset << 8 | width) {
    case 0 << 8 | 4:
        feature_select = value;
        return;
    case 8 << 8 | 4:
        accept_select = value;
        return;
    case 12 << 8 | 4:
        PutHalf(&accepted, accept_select & 1, value);
        return;
    case 16 << 8 | 2:
        config_vector = refuse_vectors ? (USHORT)0xFFFF : (USHORT)value;
        return;
    case 20 << 8 | 1:
        SetStatus((UCHAR)value);
        return;
    case 22 << 8 | 2:
        select = (USHORT)value;
        return;
    }
    if (!q || q->most == 0) {
        wrong++;
        return;
    }
    switch (offset << 8 | width) {
    case 24 << 8 | 2:
        q->size = refuse_size ? q->most : (USHORT)value;
        return;
    case 26 << 8 | 2:
        q->vector = refuse_vectors ? (USHORT)0xFFFF : (USHORT)value;
        return;
    case 28 << 8 | 2:
        q->enable = (USHORT)value;
        return;
    }
    if (width == 4 && offset >= 32 && offset < 56 && offset % 4 == 0) {
        ULONG64 *const fields[] = {&q->desc, &q->driver, &q->device};
        PutHalf(fields[(offset - 32) / 8], offset / 4 % 2, value);
        return;
    }
    wrong++;
}

// 4.1.4.10: two vectors before the configuration while MSI-X is on.
ULONG PciModel::ReadLegacy(ULONG offset, ULONG width) {
    QueueRegisters *q = Selected();
    const ULONG config_at = msix ? 24 : 20;
    if (offset >= config_at && offset + width <= config_at + sizeof(config))
        return ReadConfig(offset - config_at, width);
    switch (offset << 8 | width) {
    case 0 << 8 | 4:
        return (ULONG)features;
    case 8 << 8 | 4:
        return q ? q->pfn : 0;
    case 12 << 8 | 2:
        return q ? q->most : 0;
    case 18 << 8 | 1:
        return Status();
    case 19 << 8 | 1: {
        const UCHAR was = isr;
        isr = 0;
        return was;
    }
    case 20 << 8 | 2:
        return config_vector;
    case 22 << 8 | 2:
        return q ? q->vector : 0;
    }
    wrong++;
    return 0;
}

void PciModel::WriteLegacy(ULONG offset, ULONG width, ULONG value) {
    QueueRegisters *q = Selected();
    const ULONG config_at = msix ? 24 : 20;
    if (offset >= config_at && offset + width <= config_at + sizeof(config)) {
        WriteConfig(offset - config_at, width, value);
        return;
    }
    switch (offset << 8 | width) {
    case 4 << 8 | 4:
        accepted = value;
        return;
    case 8 << 8 | 4:
        if (q)
            q->pfn = value;
        return;
    case 14 << 8 | 2:
        select = (USHORT)value;
        return;
    case 16 << 8 | 2:
        if (value < Queues)
            queues[value].notified++;
        return;
    case 18 << 8 | 1:
        SetStatus((UCHAR)value);
        return;
    case 20 << 8 | 2:
        config_vector = refuse_vectors ? (USHORT)0xFFFF : (USHORT)value;
        return;
    case 22 << 8 | 2:
        if (q)
            q->vector = refuse_vectors ? (USHORT)0xFFFF : (USHORT)value;
        return;
    }
    wrong++;
}

ULONG PciModel::Read(UCHAR bar, ULONG offset, ULONG width) {
    if (gone)
        return 0xFFFFFFFFu >> (32 - 8 * width);
    if (offset + width > bars[bar]) {
        wrong++;
        return 0;
    }
    return bar == 0 ? ReadLegacy(offset, width) : ReadModern(offset, width);
}

void PciModel::Write(UCHAR bar, ULONG offset, ULONG width, ULONG value) {
    if (gone)
        return;
    if (offset + width > bars[bar]) {
        wrong++;
        return;
    }
    if (bar == 0)
        WriteLegacy(offset, width, value);
    else
        WriteModern(offset, width, value);
}

// ---- the library's register table ---------------------------------------------------

static PciModel *Of(void *context) {
    return (PciModel *)context;
}

template <class T> static T ConfigRead(void *context, UINT16 offset) {
    T value;
    RtlCopyMemory(&value, &Of(context)->cfg[offset], sizeof(value));
    return value;
}

template <class T> static T ReadRegister(void *context, UINT8 bar, UINT32 offset) {
    return (T)Of(context)->Read(bar, offset, sizeof(T));
}

template <class T> static VOID WriteRegister(void *context, UINT8 bar, UINT32 offset, T value) {
    Of(context)->Write(bar, offset, sizeof(T), value);
}

static UINT64 BarLength(void *context, UINT8 bar) {
    return Of(context)->bars[bar];
}

static VOID Stall(void *context, UINT32 microseconds) {
    Of(context)->stalled += microseconds;
}

const VIRTIO_PCI_IO ModelIo = {
    ConfigRead<UINT8>,
    ConfigRead<UINT16>,
    ConfigRead<UINT32>,
    BarLength,
    ReadRegister<UINT8>,
    ReadRegister<UINT16>,
    ReadRegister<UINT32>,
    WriteRegister<UINT8>,
    WriteRegister<UINT16>,
    WriteRegister<UINT32>,
    Stall,
};
