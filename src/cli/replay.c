/* SPDX-License-Identifier: MIT */
/*
 * replay.c: `fallow replay`: plays a trace on the malloc that serves this process, the C library's or a
 * preloaded one: the same calls by as many threads, with the memory touched as a program would and checked
 * before it goes. Prints the time, the peak, and live and resident bytes through the run.
 *
 * Threads take turns in the recorded order. With --parallel each goes as fast as it can, and waits only if it
 * frees or moves a block that another thread has not allocated yet. A thread that waits looks a few times and
 * then sleeps on its semaphore. What is kept about the run lies outside the malloc under test and does not
 * count.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../record/trace.h"
#include "commands.h"
#include "script.h"

#define SAMPLES 50
#define TOUCH_BYTES 4096
#define LOOKS 100 /* before a thread sleeps: on a free processor, about as long as waking it takes */

typedef struct player {
    _Alignas(128) sem_t signal; /* its turn has come, or the block that it waits for */
    _Atomic size_t live;        /* bytes that it allocated, less those that it freed: a term of a sum */
} player;

static fl_script script;
static bool parallel;
static player players[FL_SCRIPT_THREADS];
static struct { size_t live, resident; } samples[SAMPLES + 1];
static size_t resident_before;

static _Noreturn void stop(const char *why) {
    fl_fail("replay", why);
    _exit(1);
}

static size_t resident_bytes(void) {
    static int file = -1;
    char text[128] = "";
    if (file < 0)
        file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (pread(file, text, sizeof text - 1, 0) <= 0)
        return 0;
    char *second = strchr(text, ' ');
    return second ? strtoul(second, NULL, 10) * (size_t)sysconf(_SC_PAGESIZE) : 0;
}

static void await(player *me) {
    for (int i = 0; i < LOOKS; i++, sched_yield())
        if (sem_trywait(&me->signal) == 0)
            return;
    while (sem_wait(&me->signal) < 0)
        ;
}

/* Returns the block in a slot. A thread that cannot go on without it leaves there who waits, once: a block
 * goes but once. */
static char *await_block(player *me, fl_slot *slot) {
    uintptr_t block;
    for (int i = 0; i < LOOKS; i++, sched_yield())
        if ((block = atomic_load_explicit(&slot->block, memory_order_acquire)))
            return (char *)block;
    block = 0;
    if (!atomic_compare_exchange_strong_explicit(&slot->block, &block, (uintptr_t)me | 1,
                                                 memory_order_acq_rel, memory_order_acquire))
        return (char *)block;
    await(me);
    return (char *)atomic_load_explicit(&slot->block, memory_order_acquire);
}

static void hand_on(fl_slot *slot, char *block) {
    uintptr_t waits = atomic_exchange_explicit(&slot->block, (uintptr_t)block, memory_order_acq_rel);
    if (waits)
        sem_post(&((player *)(waits & ~(uintptr_t)1))->signal);
}

/* Checks a block of so many bytes: as touch left it, or, if cleared, as calloc did. Then only the ends are
 * looked at, so that pages in between stay as they are. Of a moved block, the bytes that were kept. */
static void check(const char *block, size_t bytes, size_t kept, bool cleared) {
    char mark = cleared ? 0 : (char)bytes;
    bool intact = kept < bytes || bytes == 0 || block[bytes - 1] == mark;
    for (size_t at = 0; at < kept; at += cleared ? bytes : TOUCH_BYTES)
        intact = intact && block[at] == mark;
    if (!intact)
        stop("a block does not contain what was written to it");
}

static void touch(char *block, size_t bytes) {
    for (size_t at = 0; at < bytes; at += TOUCH_BYTES)
        block[at] = (char)bytes;
    if (bytes)
        block[bytes - 1] = (char)bytes;
}

static char *allocate(const fl_event *it, char *before, size_t bytes) {
    switch (it->what) {
    case FL_TRACE_MALLOC:
        return malloc(bytes);
    case FL_TRACE_CALLOC:
        return calloc(1, bytes);
    case FL_TRACE_ALIGNED:
        return aligned_alloc((size_t)1 << it->log2_alignment, bytes);
    default:
        return realloc(before, bytes);
    }
}

static void play(player *me, const fl_event *it) {
    char *before = it->from == FL_NONE ? NULL : await_block(me, &script.slots[it->from]);
    size_t bytes_before = it->from == FL_NONE ? 0 : script.slots[it->from].bytes, bytes = 0;
    if (it->what == FL_TRACE_FREE) {
        check(before, bytes_before, bytes_before, it->was_cleared);
        free(before);
    } else {
        fl_slot *slot = &script.slots[it->to];
        bytes = slot->bytes;
        char *block = allocate(it, before, bytes);
        if (!block)
            stop("out of memory");
        if (it->what == FL_TRACE_CALLOC) {
            check(block, bytes, bytes, true);
        } else {
            check(block, bytes_before, bytes < bytes_before ? bytes : bytes_before, it->was_cleared);
            touch(block, bytes);
        }
        if (it->handed_on)
            hand_on(slot, block);
        else
            atomic_store_explicit(&slot->block, (uintptr_t)block, memory_order_relaxed);
    }
    size_t live = atomic_load_explicit(&me->live, memory_order_relaxed);
    atomic_store_explicit(&me->live, live + bytes - bytes_before, memory_order_relaxed);
}

static void take_sample(size_t i) {
    size_t live = 0, now = resident_bytes();
    for (size_t thread = 0; thread < script.thread_count; thread++)
        live += atomic_load_explicit(&players[thread].live, memory_order_relaxed);
    samples[i].live =
        live < SIZE_MAX / 2 ? live : 0; /* threads that go on meanwhile may make it seem negative */
    samples[i].resident = now > resident_before ? now - resident_before : 0;
}

static uint32_t events_a_sample(void) {
    return (uint32_t)(script.event_count / SAMPLES + 1);
}

/* With turns, a thread has one for each row of its events; in parallel, one for all that it does. */
static void *body(void *argument) {
    player *me = argument;
    uint32_t i = script.first[me - players];
    while (i != FL_NONE) {
        await(me);
        uint32_t after;
        do {
            fl_event *it = &script.events[i];
            if (it->sampled)
                take_sample(i / events_a_sample());
            play(me, it);
            after = i + 1;
            i = it->next;
        } while (i != FL_NONE && (parallel || i == after));
        if (!parallel && after < script.event_count)
            sem_post(&players[script.events[after].thread].signal);
    }
    return NULL;
}

/* Returns the seconds from when all threads were there. */
static double run(void) {
    pthread_t threads[FL_SCRIPT_THREADS];
    struct timespec start, end;
    for (size_t i = 0; i < script.thread_count; i++)
        if (sem_init(&players[i].signal, 0, 0) < 0 || pthread_create(&threads[i], NULL, body, &players[i]))
            stop("cannot start a thread");
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (size_t i = 0; i < script.thread_count; i++)
        if (parallel || script.first[i] == 0)
            sem_post(&players[i].signal);
    for (size_t i = 0; i < script.thread_count; i++)
        pthread_join(threads[i], NULL);
    clock_gettime(CLOCK_MONOTONIC, &end);
    return (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) / 1e9;
}

static void print_figures(double seconds, bool curve) {
    size_t resident_peak = 0, live_then = 0;
    size_t live_peak =
        parallel ? 0 : script.live_peak_bytes; /* threads without turns have a peak of their own */
    double over = 0;
    int counted = 0;
    for (int i = 0; i <= SAMPLES; i++)
        live_peak = samples[i].live > live_peak ? samples[i].live : live_peak;
    for (int i = 0; i <= SAMPLES; i++) {
        if (samples[i].resident > resident_peak) {
            resident_peak = samples[i].resident;
            live_then = samples[i].live;
        }
        if (samples[i].live > live_peak / 20) {
            over += (double)samples[i].resident / (double)samples[i].live;
            counted++;
        }
        if (curve)
            printf("%d %zu %zu\n", i, samples[i].live, samples[i].resident);
    }
    printf("operations %zu seconds %.6f per_second %.0f live_bytes %zu\n", script.event_count, seconds,
           (double)script.event_count / seconds, script.live_end_bytes);
    printf("threads %zu blocks_before_the_trace %zu live_peak %zu resident_peak %zu live_then %zu "
           "resident_over_live %.3f\n",
           script.thread_count, script.unknown, live_peak, resident_peak, live_then,
           counted ? over / counted : 0.0);
}

int fl_command_replay(int count, char **arguments) {
    bool curve = false;
    int first = 0;
    for (; first < count && arguments[first][0] == '-'; first++) {
        if (!strcmp(arguments[first], "--")) {
            first++;
            break;
        }
        if (!strcmp(arguments[first], "--parallel"))
            parallel = true;
        else if (!strcmp(arguments[first], "--curve"))
            curve = true;
        else
            return fl_fail(arguments[first], "unknown option; accepted: --parallel, --curve");
    }
    if (first != count - 1)
        return fl_fail("replay", first < count ? "more than one file given" : "no file given");
    const char *wrong = fl_script_load(&script, arguments[first]);
    if (wrong)
        return fl_fail(arguments[first], wrong);
    for (size_t i = 0; i < script.event_count; i += events_a_sample())
        script.events[i].sampled = true;
    free(malloc(1));
    resident_before = resident_bytes();
    print_figures(run(), curve);
    return 0;
}
