/* SPDX-License-Identifier: MIT */
/*
 * sawtooth.c: a load that comes and goes: what does it cost to have given the memory back in between?
 *
 *   sawtooth pulse|ramp PERIOD_SECONDS TEETH MIB
 *
 * pulse: allocates and touches so many MiB (log-uniform from 16 bytes to 64 KiB) as fast as it can, frees
 * them, and does nothing for the rest of the period. ramp: the same work spread over the period, up in its
 * first half and down in the second. Prints the medians over all teeth but the first two: time at work, CPU
 * time of the whole process, page faults; and the resident memory at the end of a tooth. Any malloc:
 * LD_PRELOAD.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "../../tests/lib/check.h"
#include "../../tests/lib/resident.h"
#include "measure.h"

#define BLOCKS_MAX ((size_t)1 << 20)
#define TEETH_MAX 1000
#define STEPS 100 /* of a ramp, each way */

typedef struct tooth {
    double work_s, cpu_s, faults, resident_mib;
} tooth;

static char **blocks;
static size_t count;
static tooth teeth[TEETH_MAX];

static double now_s(void) {
    return clock_s(CLOCK_MONOTONIC);
}

static void rest_until(double then_s) {
    double left = then_s - now_s();
    if (left > 0) {
        struct timespec duration = {(time_t)left, (long)((left - (double)(time_t)left) * 1e9)};
        nanosleep(&duration, NULL);
    }
}

static size_t take(size_t bytes, uint64_t *random) {
    size_t total = 0;
    while (total < bytes && count < BLOCKS_MAX) {
        unsigned bits = 4 + (unsigned)(check_random(random) % 12);
        size_t size = ((size_t)1 << bits) + check_random(random) % ((size_t)1 << bits);
        blocks[count] = malloc(size);
        CHECK(blocks[count]);
        memset(blocks[count++], 1, size);
        total += size;
    }
    return total;
}

static void give(size_t down_to) {
    while (count > down_to)
        free(blocks[--count]);
}

/* Returns the time at work. */
static double pulse(size_t bytes, double start_s, double period_s, uint64_t *random) {
    take(bytes, random);
    give(0);
    double worked_s = now_s() - start_s;
    rest_until(start_s + period_s);
    return worked_s;
}

static double ramp(size_t bytes, double start_s, double period_s, uint64_t *random) {
    double worked_s = 0;
    for (int step = 1; step <= 2 * STEPS; step++) {
        double before_s = now_s();
        if (step <= STEPS)
            take(bytes / STEPS, random);
        else
            give(count * (size_t)(2 * STEPS - step) / (size_t)(2 * STEPS - step + 1));
        worked_s += now_s() - before_s;
        rest_until(start_s + period_s * step / (2 * STEPS));
    }
    return worked_s;
}

static double median(size_t offset, int n) {
    double values[TEETH_MAX];
    int used = 0;
    for (int i = n > 3 ? 2 : 0; i < n; i++)
        values[used++] = *(double *)((char *)&teeth[i] + offset);
    return median_of(values, (size_t)used);
}

int main(int argc, char **argv) {
    CHECK(argc == 5);
    double period_s = strtod(argv[2], NULL);
    int n = atoi(argv[3]);
    CHECK(n > 0 && n <= TEETH_MAX);
    size_t bytes = (size_t)atol(argv[4]) << 20;
    uint64_t random = 1;
    blocks =
        mmap(NULL, BLOCKS_MAX * sizeof *blocks, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(blocks != MAP_FAILED);
    memset(blocks, 0, BLOCKS_MAX * sizeof *blocks);
    for (int i = 0; i < n; i++) {
        struct rusage before, after;
        getrusage(RUSAGE_SELF, &before);
        double start_s = now_s(), cpu_s = clock_s(CLOCK_PROCESS_CPUTIME_ID);
        random = 1; /* the same work in every tooth */
        teeth[i].work_s = (strcmp(argv[1], "ramp") == 0 ? ramp : pulse)(bytes, start_s, period_s, &random);
        teeth[i].cpu_s = clock_s(CLOCK_PROCESS_CPUTIME_ID) - cpu_s;
        getrusage(RUSAGE_SELF, &after);
        teeth[i].faults = (double)(after.ru_minflt - before.ru_minflt);
        teeth[i].resident_mib = (double)resident_bytes() / (1 << 20);
    }
    printf("%s %s s: work %.4f s cpu %.4f s faults %.0f resident %.1f MiB\n", argv[1], argv[2],
           median(offsetof(tooth, work_s), n), median(offsetof(tooth, cpu_s), n),
           median(offsetof(tooth, faults), n), median(offsetof(tooth, resident_mib), n));
    return 0;
}
