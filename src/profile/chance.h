/* SPDX-License-Identifier: MIT */
/*
 * chance.h: a sample by bytes. Points are strewn over all allocated bytes, one in 2^shift of them on average,
 * each byte as likely as any other; a block with one or more points is sampled. In integers alone: malloc
 * leaves floating point's flags untouched.
 */
#ifndef FL_CHANCE_H
#define FL_CHANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FL_SHIFT_MAX 40
#define FL_WEIGHT_ONE ((uint64_t)1 << 16)

/* Returns the number of bytes to the next point. Changes the state, which is the caller's. */
uint64_t fl_chance_gap(uint64_t *state, unsigned shift);

/* Returns whether a block of so many bytes has a point, for callers without a state. Threads: any. */
bool fl_chance_hits(size_t bytes, unsigned shift);

/* Returns how many blocks of its size a sampled block stands for, times FL_WEIGHT_ONE: 1 / (1 - e^(-bytes /
 * 2^shift)). */
uint64_t fl_chance_weight(size_t bytes, unsigned shift);

/* Returns the number of events up to and including the next one that counts, if each counts with a chance of
 * one in `mean`, which is not 0. Changes the state. */
uint32_t fl_chance_step(uint64_t *state, uint32_t mean);

/* Returns a state that was not given out before. */
uint64_t fl_chance_seed(void);

#endif
