/* SPDX-License-Identifier: MIT */
/*
 * chance.h: a sample by bytes: points are strewn over all bytes that are allocated, one in 2^shift of them on the mean, each byte
 * as likely as any other; a block that has one or more is sampled. Integers alone: malloc leaves floating point's flags alone.
 */
#ifndef FL_CHANCE_H
#define FL_CHANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FL_SHIFT_MAX 40
#define FL_WEIGHT_ONE ((uint64_t)1 << 16)

/* Bytes to the next point. The state is the caller's, and is another one afterwards. */
uint64_t fl_chance_gap(uint64_t *state, unsigned shift);

/* Has a block of so many bytes a point? For who keeps no state. Threads: any. */
bool fl_chance_hits(size_t bytes, unsigned shift);

/* For how many blocks of its size a sampled one stands, times FL_WEIGHT_ONE: 1 / (1 - e^(-bytes / 2^shift)). */
uint64_t fl_chance_weight(size_t bytes, unsigned shift);

/* Returns the number of events up to and including the next one that counts, if each counts with a chance of
 * one in `mean`, which is not 0. Changes the state. */
uint32_t fl_chance_step(uint64_t *state, uint32_t mean);

/* Another state than any that was given out before. */
uint64_t fl_chance_seed(void);

#endif
