// SPDX-License-Identifier: MIT
//
// Any queue of PROOF_SIZE descriptors that calls of the library, in any number and
// order, with any device behind it, can have made of one: all states for which
// IsSound holds. That no call leads out of these states is part of every proof in
// virtqueue_split_proof.cpp, and that Init leads into them is proved beside them,
// so together they hold for histories of any length.
#pragma once

#include "proof.h"
#include "virtqueue_split_private.h"

#define QSZ PROOF_SIZE
// Longest indirect table here; longer ones are only partly used (2.7.5.3.1).
#define TABLE_MAX (QSZ + 1)

VIRTQ_SPLIT g_vq;
// Each of exactly its size, so that one element beyond is seen.
VIRTQ_SPLIT_CHAIN g_chains[QSZ];
VIRTQ_DESC g_desc[QSZ];
UINT16 g_avail[3 + QSZ];
UINT16 g_used[3 + 4 * QSZ];
VIRTQ_DESC g_pool[QSZ * TABLE_MAX];

// The device may write all of the shared memory at any time.
void ProofDeviceWrites() {
    __CPROVER_havoc_object(&g_desc[0]);
    __CPROVER_havoc_object(&g_avail[0]);
    __CPROVER_havoc_object(&g_used[0]);
    __CPROVER_havoc_object(&g_pool[0]);
}

extern "C" unsigned long long ProofLoad(volatile void *address, size_t size) {
    Prove(__CPROVER_same_object((void *)address, &g_used[0]));
    Prove((size_t)((UINT8 *)address - (UINT8 *)&g_used[0]) <= sizeof(g_used) - size);
    ProofDeviceWrites();
    return nondet_u64();
}

bool IsLive(UINT16 state) {
    return state == VIRTQ_CHAIN_ADDED || state == VIRTQ_CHAIN_IN_FLIGHT;
}

UINT16 InFlight(const VIRTQ_SPLIT *vq) {
    return vq->broken_status == STATUS_SUCCESS ? (UINT16)(vq->avail_idx - vq->last_used_idx)
                                               : vq->broken_in_flight;
}

// A bit for each descriptor or table.
bool TakeBit(UINT16 *set, UINT16 index, UINT16 limit) {
    if (index >= limit || (*set >> index & 1) != 0) {
        return false;
    }
    *set = (UINT16)(*set | 1u << index);
    return true;
}

// The free list: num_free descriptors, none of them a head.
bool FreeListIsSound(UINT16 *taken) {
    UINT16 index = g_vq.free_head;

    for (UINT16 i = 0; i < g_vq.num_free; i++) {
        if (i == QSZ || !TakeBit(taken, index, QSZ) || IsLive(g_chains[index].state)) {
            return false;
        }
        index = g_chains[index].next;
    }
    return index == VIRTQ_SPLIT_NO_DESC;
}

// One chain: its descriptors belong to nobody else.
bool ChainIsSound(UINT16 head, UINT16 *taken) {
    UINT16 index = head;

    if (g_chains[head].count == 0 || g_chains[head].count > QSZ || !TakeBit(taken, head, QSZ)) {
        return false;
    }
    for (UINT16 i = 1; i < g_chains[head].count; i++) {
        index = g_chains[index].next;
        if (!TakeBit(taken, index, QSZ) || IsLive(g_chains[index].state)) {
            return false;
        }
    }
    return g_chains[head].last == index &&
           (g_chains[head].table == VIRTQ_SPLIT_NO_DESC || g_chains[head].count == 1);
}

bool FreeTablesAreSound(UINT16 *taken) {
    UINT16 table = g_vq.indirect_free_head;

    if (g_vq.own_tables) {
        return true;
    }
    for (UINT16 i = 0; i < g_vq.indirect_num_free; i++) {
        if (i == QSZ || !TakeBit(taken, table, g_vq.indirect_table_count)) {
            return false;
        }
        table = g_chains[table].table_next;
    }
    return table == VIRTQ_SPLIT_NO_DESC;
}

// Descriptors, tables and the counts of them.
bool BooksAreSound() {
    UINT16 taken = 0, tables = 0, live_tables = 0, in_flight = 0;

    if (!FreeListIsSound(&taken) || !FreeTablesAreSound(&tables)) {
        return false;
    }
    for (UINT16 head = 0; head < QSZ; head++) {
        if (g_chains[head].state > VIRTQ_CHAIN_DONE) {
            return false;
        }
        if (!IsLive(g_chains[head].state)) {
            continue;
        }
        if (!ChainIsSound(head, &taken) || head < g_vq.detach_next) {
            return false;
        }
        in_flight = (UINT16)(in_flight + (g_chains[head].state == VIRTQ_CHAIN_IN_FLIGHT ? 1 : 0));
        if (g_chains[head].table != VIRTQ_SPLIT_NO_DESC && g_vq.own_tables) {
            if (g_chains[head].table != VIRTQ_OWN_TABLE) {
                return false;
            }
        } else if (g_chains[head].table != VIRTQ_SPLIT_NO_DESC) {
            live_tables++;
            if (!TakeBit(&tables, g_chains[head].table, g_vq.indirect_table_count)) {
                return false;
            }
        }
    }
    return taken == (1u << QSZ) - 1 && InFlight(&g_vq) == in_flight &&
           g_vq.indirect_num_free + live_tables == g_vq.indirect_table_count;
}

bool IsSound() {
    if (g_vq.qsz != QSZ || g_vq.num_free > QSZ || g_vq.detach_next > QSZ || g_vq.own_tables > 1 ||
        g_vq.event_idx > 1 || (g_vq.follow != NULL && !g_vq.event_idx) ||
        (g_vq.follow != NULL && g_vq.follow != VirtqAvailUsedEvent(g_vq.avail, QSZ)) ||
        g_vq.mask != QSZ - 1 || g_vq.indirect_table_count > QSZ || g_vq.indirect_max_desc > QSZ ||
        g_vq.own_tables != (g_vq.indirect_table_count == QSZ) ||
        g_vq.indirect_table_stride < g_vq.indirect_max_desc * sizeof(VIRTQ_DESC) ||
        g_vq.indirect_table_stride % sizeof(VIRTQ_DESC) != 0) {
        return false;
    }
    if (g_vq.broken_status == STATUS_SUCCESS && g_vq.detach_next != 0) {
        return false;
    }
    return BooksAreSound();
}

// The pool ends with its array, so that an entry beyond it is seen.
void PlacePool() {
    UINT16 tables = g_vq.indirect_table_count;
    UINT32 most = g_vq.indirect_table_stride / sizeof(VIRTQ_DESC);

    Assume(tables <= QSZ && most <= TABLE_MAX);
    g_vq.indirect_pool_va = tables == 0 ? NULL : &g_pool[0] + (QSZ * TABLE_MAX - tables * most);
    Assume((UINT64)tables * most * sizeof(VIRTQ_DESC) <= ~(UINT64)0 - g_vq.indirect_pool_pa);
    Assume(tables == 0 || most != 0);
}

VIRTQ_SPLIT *AnyQueue() {
    __CPROVER_havoc_object(&g_vq);
    __CPROVER_havoc_object(&g_chains[0]);
    ProofDeviceWrites();
    g_vq.desc = &g_desc[0];
    g_vq.avail = (VIRTQ_AVAIL *)(void *)&g_avail[0];
    g_vq.used = (VIRTQ_USED *)(void *)&g_used[0];
    g_vq.chains = &g_chains[0];
    g_vq.follow = nondet_u16() != 0 ? VirtqAvailUsedEvent(g_vq.avail, QSZ) : NULL;
    PlacePool();
    Assume(IsSound());
    return &g_vq;
}
