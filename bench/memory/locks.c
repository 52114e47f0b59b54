/* SPDX-License-Identifier: MIT */
/*
 * locks.c: which locks a pair of malloc and free takes, how long each is held, and how many threads such
 * pairs would keep it busy.
 *
 * fallow's own sources are in this program, and call the functions below where a lock is taken and dropped
 * (held.h). Each pattern runs in two threads, in an arena that both share, and touches a byte of each OS page
 * of its blocks: once to warm up, once for the processor time of a pair, once with clocks at every lock. What
 * the clocks themselves take is subtracted.
 *
 * A lock is busy for half of the time where so many threads do nothing but this: half the processor time of a
 * pair, over the time for which a pair holds the lock. "own": a lock of a heap or an arena that one thread
 * alone allocates from.
 *
 *     locks [SCALE]      1, if not given; 0.01 is a hundredth of the work
 */
#define _GNU_SOURCE
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "../../src/system/lock.h"
#include "../../tests/lib/check.h"
#include "fallow/fallow.h"
#include "measure.h"

#define THREADS 2
#define TOUCH_BYTES 4096
#define ENOUGH_THREADS 256.0

/* The hooks. */

#define NESTED_MAX 32

typedef struct hold {
    const void *lock;
    uint64_t since_ns;
    unsigned within; /* locks that were taken and dropped meanwhile */
} hold;

typedef struct sum {
    _Atomic uint64_t count;
    _Atomic uint64_t held_ns;
    _Atomic uint64_t longest_ns;
} sum;

static _Atomic bool watching;
static _Thread_local hold holds[NESTED_MAX];
static _Thread_local unsigned depth;
static sum sums[FL_LOCK_COUNT];
static uint64_t clock_ns,
    hook_ns; /* one look at the clock; a lock that is taken and dropped, more than without hooks */

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void fl_held_want(const void *lock, fl_rank rank) {
    (void)lock, (void)rank;
}

void fl_held_add(const void *lock, fl_rank rank) {
    (void)rank;
    if (watching && depth < NESTED_MAX)
        holds[depth++] = (hold){lock, now_ns(), 0};
}

static void add_hold(fl_rank rank, uint64_t ns) {
    sum *to = &sums[rank];
    uint64_t longest = to->longest_ns;
    to->count++;
    to->held_ns += ns;
    while (ns > longest && !atomic_compare_exchange_weak(&to->longest_ns, &longest, ns))
        ;
}

/* Locks are dropped in any order: those above move down. */
void fl_held_remove(const void *lock, fl_rank rank) {
    if (!watching)
        return;
    uint64_t now = now_ns();
    unsigned at = depth;
    while (at > 0 && holds[at - 1].lock != lock)
        at--;
    if (at == 0)
        return;
    hold of = holds[at - 1];
    depth--;
    memmove(&holds[at - 1], &holds[at], (depth - at + 1) * sizeof *holds);
    for (unsigned i = 0; i < depth; i++)
        holds[i].within++;
    uint64_t ns = now - of.since_ns, ours = clock_ns + of.within * hook_ns;
    add_hold(rank, ns > ours ? ns - ours : 0);
}

bool fl_held_is(const void *lock) {
    (void)lock;
    return true;
}

static void calibrate(void) {
    enum { TIMES = 100000 };
    uint64_t least = UINT64_MAX;
    for (int i = 0; i < TIMES; i++) {
        uint64_t start = now_ns(), took = now_ns() - start;
        least = took < least ? took : least;
    }
    clock_ns = least;
    watching = true;
    uint64_t start = now_ns();
    for (int i = 0; i < TIMES; i++) {
        fl_held_add(&start, FL_LOCK_FIXED);
        fl_held_remove(&start, FL_LOCK_FIXED);
    }
    hook_ns = (now_ns() - start) / TIMES;
    watching = false;
}

/* Patterns: each returns how many pairs a thread has done. */

static double scale = 1;
static fallow_arena *arena; /* both threads' */

typedef struct pattern {
    const char *name;
    size_t (*body)(const struct pattern *it, unsigned thread);
    size_t min, max; /* bytes of a block */
    size_t pairs;    /* for each thread */
    bool own_arenas;
} pattern;

static size_t scaled(size_t count) {
    return (size_t)ceil((double)count * scale);
}

static void *take(fallow_arena *from, size_t bytes) {
    char *block = fallow_arena_alloc(from, bytes);
    CHECK(block);
    for (size_t at = 0; at < bytes; at += TOUCH_BYTES)
        ((volatile char *)block)[at] = 1;
    return block;
}

/* As many in each doubling. */
static size_t random_size(const pattern *it, uint64_t *random) {
    double at = (double)(check_random(random) >> 11) / (double)(UINT64_C(1) << 53);
    return (size_t)((double)it->min * pow((double)it->max / (double)it->min, at));
}

static size_t pairs(const pattern *it, unsigned thread) {
    (void)thread;
    size_t count = scaled(it->pairs);
    for (size_t i = 0; i < count; i++)
        fallow_arena_free(arena, take(arena, it->max));
    return count;
}

/* So many are allocated, and freed in that order. */
static size_t batches(const pattern *it, unsigned thread) {
    enum { BATCH = 64 };
    (void)thread;
    void *blocks[BATCH];
    size_t count = scaled(it->pairs / BATCH);
    for (size_t round = 0; round < count; round++) {
        for (size_t i = 0; i < BATCH; i++)
            blocks[i] = take(arena, it->max);
        for (size_t i = 0; i < BATCH; i++)
            fallow_arena_free(arena, blocks[i]);
    }
    return count * BATCH;
}

/* One thread allocates, the other frees. */
enum { HANDED = 256 };
static pthread_mutex_t queue_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t queue_moved = PTHREAD_COND_INITIALIZER;
static void *queue[HANDED];
static bool queue_full;

static void wait_until(bool full) {
    pthread_mutex_lock(&queue_mutex);
    while (queue_full != full)
        pthread_cond_wait(&queue_moved, &queue_mutex);
    pthread_mutex_unlock(&queue_mutex);
}

static void say(bool full) {
    pthread_mutex_lock(&queue_mutex);
    queue_full = full;
    pthread_cond_broadcast(&queue_moved);
    pthread_mutex_unlock(&queue_mutex);
}

static size_t handing(const pattern *it, unsigned thread) {
    void *blocks[HANDED];
    size_t at_once = it->max > (64u << 10) ? HANDED / 16 : HANDED, count = scaled(it->pairs / at_once);
    uint64_t random = 1;
    for (size_t round = 0; round < count; round++) {
        if (thread == 0) {
            for (size_t i = 0; i < at_once; i++)
                blocks[i] = take(arena, random_size(it, &random));
            wait_until(false);
            memcpy(queue, blocks, at_once * sizeof *blocks);
            say(true);
            continue;
        }
        wait_until(true);
        memcpy(blocks, queue, at_once * sizeof *blocks);
        say(false);
        for (size_t i = 0; i < at_once; i++)
            fallow_arena_free(arena, blocks[i]);
    }
    return thread == 0 ? count * at_once : 0;
}

/* Blocks at random places of a live set are replaced by others. */
static size_t replacing(const pattern *it, unsigned thread) {
    enum { SLOTS_MAX = 65536 };
    static void *blocks[THREADS][SLOTS_MAX];
    uint64_t random = thread + 1;
    size_t slots = ((size_t)8 << 20) / sqrt((double)it->min * (double)it->max), count = scaled(it->pairs);
    slots = slots > SLOTS_MAX ? SLOTS_MAX : slots;
    for (size_t i = 0; i < slots; i++)
        blocks[thread][i] = take(arena, random_size(it, &random));
    for (size_t i = 0; i < count; i++) {
        void **slot = &blocks[thread][check_random(&random) % slots];
        fallow_arena_free(arena, *slot);
        *slot = take(arena, random_size(it, &random));
    }
    for (size_t i = 0; i < slots; i++)
        fallow_arena_free(arena, blocks[thread][i]);
    return count + slots;
}

enum { IN_A_LIFE = 100 };

static void *live(void *pattern_of_it) {
    const pattern *it = pattern_of_it;
    void *blocks[IN_A_LIFE];
    uint64_t random = 1;
    for (size_t i = 0; i < IN_A_LIFE; i++)
        blocks[i] = take(arena, random_size(it, &random));
    for (size_t i = 0; i < IN_A_LIFE; i++)
        fallow_arena_free(arena, blocks[i]);
    return NULL;
}

static size_t threads_come_and_go(const pattern *it, unsigned thread) {
    (void)thread;
    size_t count = scaled(it->pairs / IN_A_LIFE);
    for (size_t i = 0; i < count; i++) {
        pthread_t one;
        CHECK_EQUAL(pthread_create(&one, NULL, live, (void *)(uintptr_t)it), 0);
        CHECK_EQUAL(pthread_join(one, NULL), 0);
    }
    return count * IN_A_LIFE;
}

/* A pair here is a block that goes with its arena. */
static size_t arenas_come_and_go(const pattern *it, unsigned thread) {
    uint64_t random = thread + 1;
    size_t count = scaled(it->pairs / IN_A_LIFE);
    for (size_t i = 0; i < count; i++) {
        fallow_arena *own = fallow_arena_create("own", 0);
        CHECK(own);
        for (size_t k = 0; k < IN_A_LIFE; k++)
            take(own, random_size(it, &random));
        fallow_arena_destroy(own);
    }
    return count * IN_A_LIFE;
}

/* A pair here is a step of a block that grows by half. */
static size_t growing(const pattern *it, unsigned thread) {
    (void)thread;
    size_t steps = 0, count = scaled(it->pairs);
    while (steps < count) {
        size_t bytes = it->min;
        char *block = take(arena, bytes);
        for (; bytes < it->max; steps++) {
            size_t more = bytes / 2;
            block = fallow_arena_realloc(arena, block, bytes + more);
            CHECK(block);
            memset(block + bytes, 1, more);
            bytes += more;
        }
        fallow_arena_free(arena, block);
    }
    return steps;
}

#define KIB(n) ((size_t)(n) << 10)

static const pattern patterns[] = {
    {"pairs", pairs, 0, 16, 4000000, false},
    {"pairs", pairs, 0, 256, 4000000, false},
    {"pairs", pairs, 0, KIB(4), 2000000, false},
    {"pairs", pairs, 0, KIB(32), 1000000, false},
    {"pairs", pairs, 0, KIB(128), 1000000, false},
    {"pairs", pairs, 0, KIB(192), 1000000, false},
    {"pairs", pairs, 0, KIB(512), 500000, false},
    {"pairs", pairs, 0, KIB(1024), 500000, false},
    {"pairs", pairs, 0, KIB(1536), 200000, false},
    {"pairs", pairs, 0, KIB(2048), 200000, false},
    {"pairs", pairs, 0, KIB(4096), 100000, false},
    {"batches", batches, 0, 256, 4000000, false},
    {"batches", batches, 0, KIB(4), 1000000, false},
    {"batches", batches, 0, KIB(32), 500000, false},
    {"batches", batches, 0, KIB(192), 200000, false},
    {"handed over", handing, 16, 256, 2000000, false},
    {"handed over", handing, 256, KIB(4), 1000000, false},
    {"handed over", handing, KIB(4), KIB(64), 500000, false},
    {"handed over", handing, KIB(128), KIB(1024), 20000, false},
    {"replaced", replacing, 16, 256, 4000000, false},
    {"replaced", replacing, 256, KIB(4), 2000000, false},
    {"replaced", replacing, KIB(4), KIB(64), 1000000, false},
    {"replaced", replacing, KIB(128), KIB(2048), 100000, false},
    {"threads come, go", threads_come_and_go, 16, KIB(1), 200000, false},
    {"arenas come, go", arenas_come_and_go, 16, KIB(1), 200000, true},
    {"grown by half", growing, KIB(128), KIB(32768), 600, false},
};

/* Running them. */

typedef struct job {
    const pattern *it;
    unsigned thread;
    size_t pairs;
} job;

static void *work(void *argument) {
    job *mine = argument;
    mine->pairs = mine->it->body(mine->it, mine->thread);
    return NULL;
}

/* Returns how many pairs were done. */
static size_t run(const pattern *it) {
    pthread_t threads[THREADS];
    job jobs[THREADS];
    size_t all = 0;
    for (unsigned i = 0; i < THREADS; i++) {
        jobs[i] = (job){it, i, 0};
        CHECK_EQUAL(pthread_create(&threads[i], NULL, work, &jobs[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        CHECK_EQUAL(pthread_join(threads[i], NULL), 0);
        all += jobs[i].pairs;
    }
    return all;
}

#define ROW(name, kind, text, what) {text, kind},
enum { ONE, MANY, NEST };
static const struct {
    const char *text;
    int kind;
} table[] = {FL_LOCKS(ROW)};

/* Does one thread alone come to locks of this rank? */
static bool is_own(const pattern *it, unsigned rank) {
    return rank == FL_LOCK_HEAP || (it->own_arenas && table[rank].kind != ONE);
}

static void print_size(size_t bytes, const char *after) {
    const char *units[] = {"", " KiB", " MiB"};
    unsigned unit = 0;
    for (; unit < 2 && bytes >= 1024 && bytes % 512 == 0; unit++)
        if (bytes % 1024 && bytes < 2048)
            break;
        else
            bytes /= 1024;
    char text[32];
    snprintf(text, sizeof text, "%zu%s", bytes, units[unit]);
    printf("%s%s", text, after);
}

/* Returns whether the lock would be busy too early. */
static bool print_lock(const pattern *it, unsigned rank, double pair_ns, size_t count) {
    const sum *of = &sums[rank];
    double a_pair = (double)of->count / (double)count, mean_ns = (double)of->held_ns / (double)of->count;
    double threads = 0.5 * pair_ns / (a_pair * (mean_ns > 1 ? mean_ns : 1));
    bool own = is_own(it, rank), early = !own && threads < ENOUGH_THREADS;
    printf("    %-12s %10.6f a pair  %8.0f ns  longest %8.1f us  ", table[rank].text, a_pair, mean_ns,
           (double)of->longest_ns / 1000);
    if (own)
        printf("     own\n");
    else
        printf("%8.0f threads%s\n", threads, early ? "  (!)" : "");
    return early;
}

static unsigned measure(const pattern *it) {
    unsigned early = 0;
    run(it);
    double start = clock_s(CLOCK_PROCESS_CPUTIME_ID);
    double pair_ns = (double)run(it);
    pair_ns = (clock_s(CLOCK_PROCESS_CPUTIME_ID) - start) * 1e9 / pair_ns;
    memset(sums, 0, sizeof sums);
    watching = true;
    size_t count = run(it);
    watching = false;
    printf("%s, ", it->name);
    if (it->min)
        print_size(it->min, " to ");
    print_size(it->max, "");
    printf(": %.0f ns a pair\n", pair_ns);
    for (unsigned rank = 0; rank < FL_LOCK_COUNT; rank++)
        if (sums[rank].count)
            early += print_lock(it, rank, pair_ns, count);
    fflush(stdout);
    return early;
}

int main(int argc, char **argv) {
    unsigned early = 0;
    scale = argc > 1 ? atof(argv[1]) : 1;
    CHECK(scale > 0);
    calibrate();
    arena = fallow_arena_create("locks", 0);
    CHECK(arena);
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++)
        early += measure(&patterns[i]);
    printf("busy half of the time below %.0f threads: %u\n", ENOUGH_THREADS, early);
    return 0;
}
