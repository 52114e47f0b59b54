/* SPDX-License-Identifier: MIT */
/*
 * A process is killed inside a call on a shared fixed allocator; another goes on, and looks whether the
 * call was made wholly or not at all. Calls are cut off by stepping through them: after every instruction
 * with the argument `full`, which takes a quarter of an hour; else after some of those that changed the
 * memory, as many as STEPS_PER_SWEEP allows for. Then the same for a process that is killed while it undoes
 * such a call, and for one that is killed in a repair.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/reading.h"

#define BYTES ((size_t)24 << 10)
#define BLOCKS 40
#define STEPS_PER_SWEEP 8000
#define NOT_MADE 40 /* how a child ends */
#define MADE 41
#define STEPS_MAX 20000

typedef struct block {
    unsigned char *start;
    size_t bytes;
    unsigned char pattern;
} block;

typedef struct set {
    block all[300];
    size_t count;
} set;

static unsigned char *memory, *saved; /* saved: what it is before each victim comes */
static fallow_fixed *fixed;
static block blocks[BLOCKS];
static set before, *after; /* what lives without the call, and with it */
static size_t whole;       /* the largest block of an empty one */
static bool full;
static unsigned points, undone, done, told;

static bool into_set(void *into, void *start, size_t bytes) {
    set *it = into;
    CHECK(it->count < sizeof it->all / sizeof it->all[0]);
    it->all[it->count++] = (block){.start = start, .bytes = bytes};
    return true;
}

static set walk_all(void) {
    set it = {.count = 0};
    CHECK(fallow_fixed_walk(fixed, into_set, &it));
    return it;
}

static bool same(const set *a, const set *b) {
    for (size_t i = 0; i < a->count && i < b->count; i++)
        if (a->all[i].start != b->all[i].start || a->all[i].bytes != b->all[i].bytes)
            return false;
    return a->count == b->count;
}

static bool in_set(const set *it, const void *start) {
    for (size_t i = 0; i < it->count; i++)
        if (it->all[i].start == start)
            return true;
    return false;
}

static void fill(block *it, size_t bytes, uint64_t *random) {
    it->bytes = bytes;
    it->pattern = (unsigned char)check_random(random);
    memset(it->start, it->pattern, bytes);
}

static void verify(const block *it) {
    for (size_t i = 0; i < it->bytes; i++)
        CHECK_EQUAL(it->start[i], it->pattern);
}

static void some_steps(int steps, uint64_t *random) {
    for (int i = 0; i < steps; i++) {
        block *it = &blocks[check_random(random) % BLOCKS];
        size_t bytes =
            check_random(random) % 3 ? 40 * (1 + check_random(random) % 3) : check_random(random) % 1200;
        if (it->start) {
            verify(it);
            CHECK(fallow_fixed_free(fixed, it->start));
            it->start = NULL;
        } else if ((it->start = fallow_fixed_alloc(fixed, bytes)) != NULL) {
            CHECK(it->start >= memory && it->start + bytes <= memory + BYTES);
            fill(it, bytes, random);
        }
    }
}

static void set_up(uint64_t seed) {
    memset(blocks, 0, sizeof blocks);
    memset(memory, 0x5a, BYTES);
    CHECK(fixed = fallow_fixed_create(memory, BYTES, FALLOW_FIXED_SHARED));
    whole = any_fixed_figures(fixed).largest_bytes;
    some_steps(300, &seed);
    before = walk_all();
    memcpy(saved, memory, BYTES);
}

typedef enum call { FREE, ALLOC, MOVE, GROW, SHRINK, ALIGNED, RESET, READ, REPAIR } call;
static const char *const names[] = {"free",    "alloc", "move", "grow",  "shrink",
                                    "aligned", "reset", "undo", "repair"};

/* A block with many neighbours, whatever the seed. */
static block *subject(void) {
    for (block *it = blocks + BLOCKS / 2;; it = it + 1 < blocks + BLOCKS ? it + 1 : blocks)
        if (it->start)
            return it;
}

static void make(call which) {
    block *it = subject();
    void *result = memory;
    switch (which) {
    case FREE:
        fallow_fixed_free(fixed, it->start);
        break;
    case ALLOC:
        result = fallow_fixed_alloc(fixed, 200);
        break;
    case MOVE:
        result = fallow_fixed_realloc(fixed, it->start, it->bytes + 1300);
        break;
    case GROW:
        result = fallow_fixed_realloc(fixed, it->start, fallow_fixed_usable_bytes(it->start) + 16);
        break;
    case SHRINK:
        result = fallow_fixed_realloc(fixed, it->start, it->bytes / 3);
        break;
    case ALIGNED:
        result = fallow_fixed_alloc_aligned(fixed, 256, 300);
        break;
    case RESET:
        fallow_fixed_reset(fixed);
        break;
    case READ:
        any_fixed_figures(fixed);
        break;
    case REPAIR:
        result = fallow_fixed_repair(memory, BYTES, FALLOW_FIXED_SHARED);
        break;
    }
    if (!result)
        _exit(2);
}

static int end_of_child(pid_t child) {
    int status;
    CHECK_EQUAL(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
}

static pid_t start_victim(call which) {
    memcpy(memory, saved, BYTES);
    fflush(stdout);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL))
            _exit(3);
        raise(SIGSTOP);
        make(which);
        _exit(0);
    }
    int status;
    CHECK_EQUAL(waitpid(child, &status, 0), child);
    CHECK(WIFSTOPPED(status));
    return child;
}

/* False: it has come to its end. */
static bool one_step(pid_t child) {
    int status;
    if (ptrace(PTRACE_SINGLESTEP, child, NULL, NULL))
        return false;
    CHECK_EQUAL(waitpid(child, &status, 0), child);
    return WIFSTOPPED(status);
}

static void kill_after(call which, unsigned steps) {
    pid_t child = start_victim(which);
    for (unsigned i = 0; i < steps && one_step(child); i++)
        ;
    kill(child, SIGKILL);
    while (waitpid(child, NULL, 0) == child)
        ;
}

/* As many as do not take too long, evenly, and always the last. */
static unsigned thin_out(unsigned *steps, unsigned count, call which) {
    unsigned long sum = 0;
    for (unsigned i = 0; i < count; i++)
        sum += steps[i];
    unsigned each, kept = 0;
    each =
        (unsigned)(sum / (STEPS_PER_SWEEP * (which == REPAIR ? 5 : 1))) + 1; /* which looks at everything */
    for (unsigned i = (unsigned)which % each; i < count; i += each)
        steps[kept++] = steps[i];
    steps[kept++] = steps[count - 1];
    return kept;
}

/* Where a call is to be cut off: the numbers of steps. The last is behind the last change of the memory. */
static unsigned find_points(call which, unsigned *steps) {
    static unsigned char last[BYTES];
    unsigned count = 0, step = 0;
    pid_t child = start_victim(which);
    memcpy(last, memory, BYTES);
    while (one_step(child)) {
        step++;
        bool changed = memcmp(last, memory, BYTES);
        if (changed)
            memcpy(last, memory, BYTES);
        if (changed || (full && which != REPAIR)) {
            CHECK(count < STEPS_MAX);
            steps[count++] = step;
        }
    }
    return full ? count : thin_out(steps, count, which);
}

/* Another process goes on. Has the call been made? */
static int go_on(call which) {
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(20);
        set now = walk_all();
        bool is_undone = same(&now, &before);
        CHECK(is_undone || same(&now, after));
        CHECK(fallow_fixed_open(memory, BYTES)); /* which looks at everything */
        if (!is_undone && (which == MOVE || which == SHRINK))
            subject()->bytes /= 3;
        for (block *it = blocks; it < blocks + BLOCKS; it++) {
            if (it->start && in_set(&now, it->start))
                verify(it);
            else
                it->start = NULL;
        }
        uint64_t random = 7;
        some_steps(100, &random);
        now = walk_all();
        for (size_t i = 0; i < now.count; i++)
            CHECK(fallow_fixed_free(fixed, now.all[i].start));
        CHECK_EQUAL(any_fixed_figures(fixed).largest_bytes, whole);
        _exit(is_undone ? NOT_MADE : MADE);
    }
    int end = end_of_child(child);
    if (end != NOT_MADE)
        CHECK_EQUAL(end, MADE);
    return end == MADE;
}

static void sweep(call which) {
    static unsigned steps[STEPS_MAX];
    pid_t child = fork();
    if (child == 0) {
        make(which);
        *after = walk_all();
        _exit(0);
    }
    if (end_of_child(child) != 0) /* nothing that large is free: another seed has it */
        return;
    unsigned count = find_points(which, steps);
    bool was_done = false;
    for (unsigned i = 0; i < count; i++) {
        kill_after(which, steps[i]);
        bool is_done = go_on(which);
        CHECK(is_done || !was_done || same(&before, after));
        was_done = is_done;
        points++;
        *(is_done ? &done : &undone) += 1;
    }
    CHECK(was_done || same(&before, after));
}

static void report(const char *what) {
    printf("%s: killed at %u places: undone %u, done %u, told by an error %u, undetected 0\n", what, points,
           undone, done, told);
    points = undone = done = told = 0;
}

static void fixed_killed_in_a_call(void) {
    for (call which = FREE; which <= RESET; which++) {
        for (uint64_t seed = 1; seed <= (full ? 6 : 1); seed++) {
            set_up(seed);
            sweep(which);
        }
        report(names[which]);
    }
}

/* The first is killed where it has noted most; who comes next undoes that, is killed too, at every place. */
static void fixed_killed_in_an_undo(void) {
    static unsigned steps[STEPS_MAX];
    for (call which = full ? FREE : MOVE; which <= (full ? RESET : MOVE); which++) {
        set_up(which + 1);
        unsigned count = find_points(which, steps);
        for (unsigned part = 1; part <= 3; part++) {
            kill_after(which, steps[count * part / 4]);
            unsigned char *begun = malloc(BYTES);
            CHECK(begun);
            memcpy(begun, memory, BYTES);
            pid_t child = fork();
            if (child == 0) {
                *after = walk_all();
                _exit(0);
            }
            CHECK_EQUAL(end_of_child(child), 0);
            memcpy(saved, begun, BYTES);
            free(begun);
            static unsigned inner[STEPS_MAX];
            unsigned inner_count = find_points(READ, inner);
            for (unsigned i = 0; i < inner_count; i++) {
                kill_after(READ, inner[i]);
                *(go_on(which) ? &done : &undone) += 1;
                points++;
            }
            set_up(which + 1);
        }
    }
    report(names[READ]);
}

/* What the victim of a repair has left is an error or right; and then it is repaired. Was it right? */
static int go_on_after_repair(void) {
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(20);
        errno = 0;
        bool is_told = !fallow_fixed_alloc(fixed, 1) && errno == ENOTRECOVERABLE;
        CHECK(is_told || fallow_fixed_open(memory, BYTES));
        CHECK(fallow_fixed_repair(memory, BYTES, FALLOW_FIXED_SHARED) == fixed);
        CHECK(fallow_fixed_open(memory, BYTES) == fixed);
        for (void *block; (block = fallow_fixed_alloc(fixed, 1)) != NULL;)
            memset(block, 0x77, fallow_fixed_usable_bytes(block));
        CHECK_EQUAL(errno, ENOMEM);
        for (block *it = blocks; it < blocks + BLOCKS; it++)
            if (it->start)
                verify(it);
        CHECK(fallow_fixed_reset(fixed));
        CHECK_EQUAL(any_fixed_figures(fixed).largest_bytes, whole);
        _exit(is_told ? NOT_MADE : MADE);
    }
    int end = end_of_child(child);
    if (end != NOT_MADE)
        CHECK_EQUAL(end, MADE);
    return end == MADE;
}

static void fixed_killed_in_a_repair(void) {
    static unsigned steps[STEPS_MAX];
    for (uint64_t seed = 1; seed <= (full ? 6 : 1); seed++) {
        set_up(seed);
        block *it = subject();
        memset(it->start + fallow_fixed_usable_bytes(it->start), 0xff, 8); /* the next one's tag */
        CHECK(!fallow_fixed_free(fixed, it->start) && errno == ENOTRECOVERABLE);
        memcpy(saved, memory, BYTES);
        unsigned count = find_points(REPAIR, steps);
        for (unsigned i = 0; i < count; i++) {
            kill_after(REPAIR, steps[i]);
            *(go_on_after_repair() ? &done : &told) += 1;
            points++;
        }
    }
    report(names[REPAIR]);
}

static bool can_step(void) {
    pid_t child = fork();
    if (child == 0) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL))
            _exit(3);
        raise(SIGSTOP);
        _exit(0);
    }
    int status;
    CHECK_EQUAL(waitpid(child, &status, 0), child);
    if (!WIFSTOPPED(status))
        return false;
    bool can = one_step(child);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    return can;
}

static void *shared(size_t bytes) {
    void *start = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(start != MAP_FAILED);
    return start;
}

int main(int argc, char **argv) {
    cpu_set_t one; /* a step is a switch between two processes, and cheap on one processor */
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    sched_setaffinity(0, sizeof one, &one);
    full = argc > 1 && !strcmp(argv[1], "full");
    if (!can_step()) {
        puts("skipped: a process may not be stepped through here");
        return 77;
    }
    memory = shared(BYTES);
    after = shared(sizeof *after);
    CHECK(saved = malloc(BYTES));
    RUN(fixed_killed_in_a_call);
    RUN(fixed_killed_in_an_undo);
    RUN(fixed_killed_in_a_repair);
    free(saved);
    return 0;
}
