/* SPDX-License-Identifier: MIT */
/*
 * replay.c: plays a recorded trace (src/record/trace.h) on the malloc that it is given, by LD_PRELOAD or the system's: the
 * same calls, by as many threads, in the same order within and between threads, with the memory touched as a program
 * would. Prints the time, the peak, and live and resident bytes through the run.
 *
 *   replay [--curve] TRACE
 *
 * Threads take turns: who has the next event goes on until an event of another thread comes. Of more than 64 threads,
 * several share one. What it keeps for itself lies outside the malloc under test and is not counted.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../src/record/trace.h"
#include "../tests/lib/resident.h"
#include "workloads/workload.h"

#define SAMPLES 50

/* An event with its addresses resolved: slots stand for blocks. */
typedef struct event {
    uint8_t what, log2_alignment;
    uint16_t thread;
    uint32_t slot; /* NONE: a block from before the trace */
    uint64_t bytes;
} event;

#define NONE UINT32_MAX

static event *events;
static size_t event_count, slot_count, thread_count, unknown;
static char **blocks;
static size_t *sizes;
static _Atomic size_t next_event;
static size_t live, live_peak, base;
static struct { size_t live, resident; } samples[SAMPLES + 1];

static void *outside(size_t bytes) {
    void *got = mmap(NULL, bytes ? bytes : 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (got == MAP_FAILED)
        fail("no memory for the trace");
    return got;
}

/* Addresses to slots, while the trace is read: open addressing, removal by moving up. */
typedef struct place {
    uint64_t address;
    uint32_t slot; /* + 1; 0: empty */
} place;

static place *places;
static size_t place_mask;

static size_t home(uint64_t address) {
    return (size_t)((address * UINT64_C(0x9e3779b97f4a7c15)) >> 20) & place_mask;
}

static place *look_up(uint64_t address) {
    size_t i = home(address);
    while (places[i].slot && places[i].address != address)
        i = (i + 1) & place_mask;
    return &places[i];
}

static uint32_t take_out(uint64_t address) {
    place *it = look_up(address);
    if (!it->slot) {
        unknown++;
        return NONE;
    }
    uint32_t slot = it->slot - 1;
    size_t hole = (size_t)(it - places);
    for (size_t i = (hole + 1) & place_mask; places[i].slot; i = (i + 1) & place_mask)
        if (((i - home(places[i].address)) & place_mask) >= ((i - hole) & place_mask)) {
            places[hole] = places[i];
            hole = i;
        }
    places[hole].slot = 0;
    return slot;
}

static void put_in(uint64_t address, uint32_t slot) {
    place *it = look_up(address);
    it->address = address;
    it->slot = slot + 1;
}

static uint64_t read_address(const uint8_t **at, uint64_t *last) {
    uint64_t step;
    *at = fl_trace_get(*at, &step);
    *last += (uint64_t)(fl_trace_unzigzag(step) * 16);
    return *last;
}

/* Slots that are free again, so that there are as many as blocks ever lived together. */
static uint32_t *spare;
static size_t spare_count;

static uint32_t new_slot(void) {
    return spare_count ? spare[--spare_count] : (uint32_t)slot_count++;
}

static void resolve(const uint8_t *at, const uint8_t *end) {
    uint64_t last = 0, thread = 0, value, bytes;
    static uint32_t moving[THREADS_MAX];
    for (; at < end && *at != FL_TRACE_END; event_count++) {
        event *it = &events[event_count];
        *it = (event){.what = *at++};
        switch (it->what) {
        case FL_TRACE_THREAD:
            at = fl_trace_get(at, &thread);
            thread %= THREADS_MAX;
            thread_count = thread + 1 > thread_count ? thread + 1 : thread_count;
            event_count--;
            continue;
        case FL_TRACE_ALIGNED:
            at = fl_trace_get(at, &value);
            it->log2_alignment = (uint8_t)value;
            /* fall through */
        case FL_TRACE_MALLOC:
        case FL_TRACE_CALLOC:
            at = fl_trace_get(at, &bytes);
            it->slot = new_slot();
            it->bytes = bytes;
            put_in(read_address(&at, &last), it->slot);
            break;
        case FL_TRACE_FREE:
            it->slot = take_out(read_address(&at, &last));
            if (it->slot != NONE)
                spare[spare_count++] = it->slot;
            break;
        case FL_TRACE_REALLOC:
            it->slot = moving[thread] = take_out(read_address(&at, &last));
            at = fl_trace_get(at, &bytes);
            it->bytes = bytes;
            if (it->slot == NONE) /* what it becomes is a block of ours */
                it->slot = moving[thread] = new_slot();
            break;
        case FL_TRACE_MOVED:
            put_in(read_address(&at, &last), moving[thread]);
            event_count--; /* nothing to do */
            continue;
        default:
            fail("not a trace, or a damaged one");
        }
        it->thread = (uint16_t)thread;
    }
}

static void load(const char *path) {
    int file = open(path, O_RDONLY);
    struct stat about;
    if (file < 0 || fstat(file, &about) < 0 || about.st_size < FL_TRACE_HEADER_BYTES)
        fail("cannot read the trace");
    size_t bytes = (size_t)about.st_size;
    const uint8_t *text = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, file, 0);
    if (text == MAP_FAILED || memcmp(text, FL_TRACE_HEADER, FL_TRACE_HEADER_BYTES))
        fail("not a trace");
    size_t most = bytes / 2 + 1; /* no event is shorter than two bytes */
    for (place_mask = 1024; place_mask < 2 * most; place_mask *= 2)
        ;
    places = outside(place_mask * sizeof *places);
    place_mask--;
    events = outside(most * sizeof *events);
    spare = outside(most * sizeof *spare);
    resolve(text + FL_TRACE_HEADER_BYTES, text + bytes);
    munmap((void *)text, bytes);
    munmap(places, (place_mask + 1) * sizeof *places);
    munmap(spare, most * sizeof *spare);
    blocks = outside(slot_count * sizeof *blocks);
    sizes = outside(slot_count * sizeof *sizes);
    memset(blocks, 0, slot_count * sizeof *blocks);
    memset(sizes, 0, slot_count * sizeof *sizes);
    close(file);
}

static void touch(char *block, size_t bytes) {
    for (size_t at = 0; at < bytes; at += 4096)
        block[at] = (char)bytes;
    if (bytes)
        block[bytes - 1] = (char)bytes;
}

static void play(const event *it) {
    if (it->slot == NONE)
        return;
    char *block = blocks[it->slot];
    switch (it->what) {
    case FL_TRACE_MALLOC:
        block = malloc(it->bytes);
        break;
    case FL_TRACE_CALLOC:
        block = calloc(1, it->bytes);
        break;
    case FL_TRACE_ALIGNED:
        block = aligned_alloc((size_t)1 << it->log2_alignment, it->bytes);
        break;
    case FL_TRACE_REALLOC:
        block = realloc(block, it->bytes);
        break;
    default:
        free(block);
        block = NULL;
    }
    if (!block && it->what != FL_TRACE_FREE)
        fail("out of memory");
    if (block && it->what != FL_TRACE_CALLOC)
        touch(block, it->bytes);
    live += it->bytes - sizes[it->slot];
    live_peak = live > live_peak ? live : live_peak;
    sizes[it->slot] = it->bytes;
    blocks[it->slot] = block;
}

static void sample(size_t i) {
    if (i % (event_count / SAMPLES + 1) == 0) {
        size_t now = resident_bytes();
        samples[i / (event_count / SAMPLES + 1)].live = live;
        samples[i / (event_count / SAMPLES + 1)].resident = now > base ? now - base : 0;
    }
}

/* What is not atomic is handed on with the turn: release by who ends one, acquire by who begins the next. */
static void *body(void *index) {
    size_t me = (size_t)index, i;
    while ((i = atomic_load_explicit(&next_event, memory_order_acquire)) < event_count) {
        if (events[i].thread != me) {
            sched_yield();
            continue;
        }
        for (; i < event_count && events[i].thread == me; i++) {
            sample(i);
            play(&events[i]);
        }
        atomic_store_explicit(&next_event, i, memory_order_release);
    }
    return NULL;
}

int main(int argc, char **argv) {
    int curve = argc > 1 && !strcmp(argv[1], "--curve");
    if (argc != 2 + curve)
        fail("usage: replay [--curve] TRACE");
    load(argv[argc - 1]);
    pthread_t *threads = outside(thread_count * sizeof *threads);
    free(malloc(1));
    base = resident_bytes();
    begin(argv);
    start_threads(threads, thread_count, body);
    join_threads(threads, thread_count);
    finish(event_count, live);
    size_t resident_peak = 0, at_peak = 0;
    double over = 0;
    int counted = 0;
    for (int i = 0; i <= SAMPLES; i++) {
        if (samples[i].resident > resident_peak) {
            resident_peak = samples[i].resident;
            at_peak = samples[i].live;
        }
        if (samples[i].live > live_peak / 20) {
            over += (double)samples[i].resident / (double)samples[i].live;
            counted++;
        }
        if (curve)
            printf("%d %zu %zu\n", i, samples[i].live, samples[i].resident);
    }
    printf("threads %zu blocks_before_the_trace %zu live_peak %zu resident_peak %zu live_then %zu "
           "resident_over_live %.3f\n",
           thread_count, unknown, live_peak, resident_peak, at_peak, counted ? over / counted : 0.0);
    return 0;
}
