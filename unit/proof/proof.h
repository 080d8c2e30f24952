// SPDX-License-Identifier: MIT
//
// The words of a proof. CBMC follows every path of the function that it is given
// with every value of Any*(), and reports what can go wrong on any of them.
#pragma once

#include "proof_osdep.h"

extern "C" {
// CBMC gives any value for a function without a body that is named so.
UINT8 nondet_u8();
UINT16 nondet_u16();
UINT32 nondet_u32();
UINT64 nondet_u64();
size_t nondet_size();
void *nondet_pointer();

// CBMC has this by itself in C, but not in C++: what an access through a pointer
// to no object would read. It is reported where it happens.
UINT8 __CPROVER_memory[16];

void __CPROVER_assume(bool);
void __CPROVER_assert(bool, const char *);
bool __CPROVER_same_object(void *, void *);
void __CPROVER_havoc_object(void *);
}

#define Assume(condition) __CPROVER_assume(condition)
#define Prove(condition) __CPROVER_assert((condition), "proof: " #condition)

// A place that some path must come to, or what is proved beyond it would be true
// of nothing: prove.py wants these to fail.
#define Reached(what) __CPROVER_assert(false, "reach: " what)
