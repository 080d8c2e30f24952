// SPDX-License-Identifier: MIT
//
// Init and reset lead into the states that virtqueue_split_proof.cpp starts from;
// the arithmetic of sizes and addresses is right for all arguments.
#include "any_queue.h"

#include "virtqueue_split_setup.cpp"

typedef unsigned __int128 WIDE;

// State of exactly VirtqSplitStateSize(QSZ) bytes.
struct STATE {
    VIRTQ_SPLIT vq;
    UINT8 rest[sizeof(VIRTQ_SPLIT_CHAIN) * QSZ - sizeof(void *)];
};
STATE g_state;

#define PROOF_ALIGN 32
#define RING_BYTES (((16 * QSZ + 6 + 2 * QSZ + 31) & ~31) + 6 + 8 * QSZ)
UINT16 g_ring[RING_BYTES / 2];

// What Init made is a queue that AnyQueue() could have given.
void ProveInitialized(VIRTQ_SPLIT *vq, UINT16 tables, UINT16 table_max) {
    Prove(vq->chains == (VIRTQ_SPLIT_CHAIN *)(void *)&vq->storage[0]);
    g_vq = *vq;
    for (UINT16 i = 0; i < QSZ; i++) {
        g_chains[i] = vq->chains[i];
    }
    Prove(IsSound());
    Prove(g_vq.broken_status == STATUS_SUCCESS && g_vq.num_free == QSZ && g_vq.misuse_count == 0);
    if (g_vq.indirect_table_count != 0) {
        Reached("with tables");
        Prove(g_vq.indirect_table_count <= tables &&
              g_vq.indirect_max_desc == (table_max < QSZ ? table_max : QSZ));
    }
}

extern "C" void ProofInit() {
    size_t size = VirtqSplitRingMemSize(QSZ, PROOF_ALIGN, TRUE);
    UINT8 *ring = (UINT8 *)(void *)&g_ring[0];
    UINT64 pa = nondet_u64();
    UINT16 tables = nondet_u16(), table_max = nondet_u16();
    void *pool = nondet_u8() ? (void *)&g_pool[0] : NULL;

    Assume(tables <= QSZ + 1 && table_max <= TABLE_MAX);
    Prove(VirtqSplitStateSize(QSZ) == sizeof(g_state));
    Prove(size == sizeof(g_ring));
    __CPROVER_havoc_object(&g_state);
    NTSTATUS status = VirtqSplitInit(&g_state.vq, QSZ, nondet_u8(), nondet_u8(), ring, pa,
                                     PROOF_ALIGN, pool, nondet_u64(), tables, table_max);
    if (status != STATUS_SUCCESS) {
        Reached("refused");
        Prove(status == STATUS_INVALID_PARAMETER);
        return;
    }
    Reached("taken");
    Prove(((size_t)ring & 15) == 0 && (pa & 15) == 0 && (WIDE)pa + size <= (WIDE)1 << 64);
    Prove((UINT8 *)g_state.vq.used + VirtqSplitUsedAreaSize(QSZ) == ring + size);
    Prove(((size_t)g_state.vq.used & 3) == 0 && g_state.vq.used_pa % 4 == 0);
    Prove(g_state.vq.used_pa - pa == (size_t)((UINT8 *)g_state.vq.used - ring));
    ProveInitialized(&g_state.vq, tables, table_max);
}

extern "C" void ProofInitAreas() {
    VIRTQ_SPLIT_AREAS areas;
    UINT16 tables = nondet_u16(), table_max = nondet_u16();

    areas.desc_va = &g_desc[0];
    areas.avail_va = &g_avail[0];
    areas.used_va = &g_used[0];
    areas.desc_pa = nondet_u64();
    areas.avail_pa = nondet_u64();
    areas.used_pa = nondet_u64();
    Assume(tables <= QSZ + 1 && table_max <= TABLE_MAX);
    __CPROVER_havoc_object(&g_state);
    NTSTATUS status = VirtqSplitInitAreas(&g_state.vq, QSZ, nondet_u16(), nondet_u8(), nondet_u8(),
                                          &areas, &g_pool[0], nondet_u64(), tables, table_max);
    if (status != STATUS_SUCCESS) {
        Reached("refused");
        return;
    }
    Reached("taken");
    WIDE desc = areas.desc_pa, avail = areas.avail_pa, used = areas.used_pa;
    Prove(desc + 16 * QSZ <= avail || avail + 6 + 2 * QSZ <= desc);
    Prove(desc + 16 * QSZ <= used || used + 6 + 8 * QSZ <= desc);
    Prove(avail + 6 + 2 * QSZ <= used || used + 6 + 8 * QSZ <= avail);
    ProveInitialized(&g_state.vq, tables, table_max);
}

extern "C" void ProofReset() {
    VIRTQ_SPLIT *vq = AnyQueue();
    UINT16 free = vq->num_free;
    NTSTATUS status = VirtqSplitResetChecked(vq);

    Prove(IsSound());
    if (status == STATUS_SUCCESS) {
        Reached("reset");
        Prove(free == QSZ && vq->num_free == QSZ && vq->broken_status == STATUS_SUCCESS);
    } else {
        Reached("left");
        Prove(free != QSZ && vq->num_free == free && vq->broken_status != STATUS_SUCCESS);
    }
}

// The table in 2.7, for every queue size and alignment.
extern "C" void ProofSizes() {
    UINT16 qsz = nondet_u16();
    UINT32 align = nondet_u32();
    bool is_size = qsz == 1 || qsz == 2 || qsz == 4 || qsz == 8 || qsz == 16 || qsz == 32 ||
                   qsz == 64 || qsz == 128 || qsz == 256 || qsz == 512 || qsz == 1024 ||
                   qsz == 2048 || qsz == 4096 || qsz == 8192 || qsz == 16384 || qsz == 32768;
    bool is_align = align >= 4 && (align & (align - 1)) == 0;
    size_t size = VirtqSplitRingMemSize(qsz, align, nondet_u8());

    Prove(VirtqSplitDescAreaSize(qsz) == (is_size ? (size_t)16 * qsz : (size_t)0));
    Prove(VirtqSplitAvailAreaSize(qsz) == (is_size ? (size_t)2 * qsz + 6 : (size_t)0));
    Prove(VirtqSplitUsedAreaSize(qsz) == (is_size ? (size_t)8 * qsz + 6 : (size_t)0));
    if (!is_size || !is_align) {
        Reached("refused");
        Prove(size == 0);
        return;
    }
    Reached("taken");
    WIDE front = (WIDE)18 * qsz + 6;
    WIDE used = front & (align - 1) ? (front | (align - 1)) + 1 : front;
    Prove(size == used + 8 * qsz + 6);
}

// No sum of an address and a size wraps; overlap is seen.
extern "C" void ProofAddresses() {
    UINT64 pa = nondet_u64(), other = nondet_u64();
    size_t size = nondet_size(), other_size = nondet_size();
    size_t va = nondet_size();
    UINT32 align = 1u << (nondet_u8() & 15);

    Assume(size != 0 && other_size != 0);
    bool valid = va != 0 && (va & (align - 1)) == 0 && (pa & (align - 1)) == 0 &&
                 (WIDE)va + size <= (WIDE)1 << (8 * sizeof(size_t)) &&
                 (WIDE)pa + size <= (WIDE)1 << 64;
    Prove((IsValidArea((void *)va, pa, size, align) != 0) == valid);
    if (valid && (WIDE)other + other_size <= (WIDE)1 << 64) {
        Reached("valid");
        bool apart = (WIDE)pa + size <= other || (WIDE)other + other_size <= pa;
        Prove((IsApart(pa, size, other, other_size) != 0) == apart);
    }
}

extern "C" void ProofPools() {
    UINT64 pa = nondet_u64();
    size_t va = nondet_size();
    UINT16 tables = nondet_u16(), most = nondet_u16();

    // Products of two 16-bit numbers take CBMC hours; those of smaller ones show
    // the same sums.
    Assume(tables < 64 && most < 16);
    if (IsValidPool((void *)va, pa, tables, most)) {
        Reached("pool");
        WIDE bytes = (UINT64)((UINT32)tables * most) * 16;
        Prove(bytes != 0 && pa + bytes <= (WIDE)1 << 64);
        Prove(va + bytes <= (WIDE)1 << (8 * sizeof(size_t)));
    }
}
