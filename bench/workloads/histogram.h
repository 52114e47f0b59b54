/* SPDX-License-Identifier: MIT */
/* histogram.h: how often something took how long, sixteen buckets to a doubling: the error is below 7 %. */
#ifndef HISTOGRAM_H
#define HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define BUCKETS (64 * 16)

typedef struct histogram {
    uint64_t counts[BUCKETS], max;
} histogram;

static inline void note(histogram *it, uint64_t value) {
    unsigned bits = value < 16 ? 0 : 60 - (unsigned)__builtin_clzll(value);
    it->counts[value < 16 ? value : 16 * bits + (value >> bits)]++;
    it->max = value > it->max ? value : it->max;
}

static inline uint64_t value_of(size_t bucket) {
    size_t bits = bucket < 32 ? 0 : bucket / 16 - 1;
    return bucket < 32 ? bucket : (uint64_t)(bucket - 16 * bits) << bits;
}

/* One line of all of them together: p50 p99 p99.9 p99.99 max. */
static inline void print(const char *name, const histogram *all, size_t count, double scale) {
    static const double parts[] = {0.5, 0.99, 0.999, 0.9999};
    histogram sum = {{0}, 0};
    uint64_t total = 0, seen = 0;
    for (size_t t = 0; t < count; t++) {
        for (size_t b = 0; b < BUCKETS; b++)
            sum.counts[b] += all[t].counts[b];
        sum.max = all[t].max > sum.max ? all[t].max : sum.max;
    }
    for (size_t b = 0; b < BUCKETS; b++)
        total += sum.counts[b];
    printf("%s", name);
    for (size_t b = 0, part = 0; b < BUCKETS; b++) {
        seen += sum.counts[b];
        for (; part < 4 && (double)seen >= parts[part] * (double)total; part++)
            printf(" %.0f", (double)value_of(b) * scale);
    }
    printf(" %.0f\n", (double)sum.max * scale);
}

#endif
