/* SPDX-License-Identifier: MIT */
/*
 * profile.c: `fallow profile`: which calls hold a process's memory. It switches sampling on in a running
 * process, by a byte in the library's tables, looks on for a while, switches it off, and shows what came; or
 * it shows a profile from a file.
 */
#define _GNU_SOURCE
#include "profiled.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "commands.h"
#include "copied.h"
#include "statistics.h"
#include "survey.h"

typedef enum form { TEXT, PPROF, COLLAPSED } form;

typedef struct request {
    const char *what, *base, *output;
    double seconds;
    uint64_t mean_bytes;
    form form;
    fl_measure measure;
    bool start, stop, look, unwind;
} request;

#define LOOK_SECONDS 0.002 /* a ring of 32 holds what a busy program samples in that time */

static volatile sig_atomic_t interrupted;

static void interrupt(int signal) {
    (void)signal;
    interrupted = 1;
}

static void wait_for(double seconds) {
    struct timespec left = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    while (!interrupted && nanosleep(&left, &left) < 0 && errno == EINTR)
        ;
}

/* Writes to the process's own memory: a byte, which is never half there, or zeroes over a count that a thread
 * on a slow path looks at before use (src/heap/sampled.h); a smaller count is always right. */
static bool write_memory(int memory, uint64_t address, const void *from, size_t bytes) {
    return address <= INT64_MAX && pwrite(memory, from, bytes, (off_t)address) == (ssize_t)bytes;
}

static bool nudge_heaps(fl_target *target, int memory) {
    static char arena[16384], heap[16384];
    const fl_root *root = &target->root;
    fl_survey survey;
    const uint64_t none = 0;
    if (root->sizes[FL_OF_heap] > sizeof heap || root->sizes[FL_OF_arena] > sizeof arena ||
        !fl_survey_begin(&survey, target))
        return false;
    for (size_t i = 0; i < survey.arena_count; i++) {
        uint64_t at = fl_target_member(target, survey.arenas[i].structure, FL_AT_arena_heaps);
        for (size_t heaps = 0; at && heaps < 1u << 20; heaps++) {
            if (!fl_target_read(target, at, heap, root->sizes[FL_OF_heap]))
                break;
            write_memory(memory, at + root->places[FL_AT_heap_window_pages].offset, &none, sizeof none);
            at = fl_target_member(target, heap, FL_AT_heap_next);
        }
    }
    fl_survey_end(&survey);
    return true;
}

static bool is_followed(fl_target *target, uint8_t wanted) {
    uint8_t active = 0;
    uint64_t at = (uintptr_t)target->root.sampling + target->root.places[FL_AT_sampling_active].offset;
    return fl_target_read(target, at, &active, 1) && active == wanted;
}

static int open_memory(const fl_target *target) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task/%d/mem", (int)target->process, (int)target->thread);
    return open(path, O_RDWR | O_CLOEXEC);
}

/* wanted: the shift of the mean, plus 1; 0: off. */
static bool switch_to(fl_target *target, uint8_t wanted) {
    int memory = open_memory(target);
    uint64_t at = (uintptr_t)target->root.sampling + target->root.places[FL_AT_sampling_wanted].offset;
    bool done = memory >= 0 && write_memory(memory, at, &wanted, 1) && nudge_heaps(target, memory);
    if (!done)
        fl_target_wrong(target,
                        "its memory can be read and not be written from here; the program itself can call "
                        "fallow_profile_start, or be started with option profile");
    if (memory >= 0)
        close(memory);
    for (int tries = 0; done && tries < 100 && !is_followed(target, wanted); tries++)
        wait_for(0.01);
    return done;
}

static uint8_t shift_and_one(uint64_t mean_bytes) {
    unsigned shift = 63 - (unsigned)__builtin_clzll(mean_bytes);
    return (uint8_t)((shift < FL_SHIFT_MAX ? shift : FL_SHIFT_MAX) + 1);
}

static bool wait_and_take(fl_target *target, double seconds) {
    double left = seconds;
    bool good = true;
    struct timespec start, now;
    clock_gettime(CLOCK_MONOTONIC, &start);
    while (good && left > 0 && !interrupted) {
        wait_for(left < LOOK_SECONDS ? left : LOOK_SECONDS);
        good = fl_copied_take(target);
        clock_gettime(CLOCK_MONOTONIC, &now);
        left = seconds - (double)(now.tv_sec - start.tv_sec) - (double)(now.tv_nsec - start.tv_nsec) / 1e9;
    }
    return good;
}

/* A program without frame pointers shows mostly the function that called malloc. */
static void say_if_short(const fl_profile *profile) {
    double all = 0, is_short = 0;
    for (size_t i = 0; i < profile->stack_count; i++) {
        double bytes = profile->stacks[i].of[FL_TOTAL].bytes;
        all += bytes;
        is_short += profile->stacks[i].depth <= 2 ? bytes : 0;
    }
    if (all > 0 && is_short > all / 2)
        fprintf(stderr,
                "fallow: most of it shows no more than two calls, as of a program without frame pointers; "
                "--unwind finds all (it copies stacks, while it looks on)\n");
}

static bool look_on_for(fl_target *target, const request *asked, bool was_on, fl_profile *profile) {
    if (!asked->unwind) {
        wait_for(asked->seconds);
        return fl_profile_read_target(profile, target);
    }
    bool good = wait_and_take(target, asked->seconds);
    /* Before the last copies are taken: what is sampled behind them has none. */
    if (!was_on && !fl_copied_is_taken_over())
        switch_to(target, 0);
    good = fl_copied_end(target) && good && fl_profile_read_target(profile, target);
    if (!was_on)
        profile->mean_bytes = (uint64_t)1 << (shift_and_one(asked->mean_bytes) - 1);
    return good;
}

/* Whoever switches sampling on, or takes copies, looks on alone: at its end it would switch it off for others
 * too. The lock is on an open file, and so goes with the command, however that ends. */
static bool take_turn(fl_target *target, int memory, bool alone) {
    if (memory < 0 || flock(memory, (alone ? LOCK_EX : LOCK_SH) | LOCK_NB) == 0 || errno != EWOULDBLOCK)
        return true;
    return fl_target_wrong(target, fl_copied_are_being_taken(target)
                                       ? "another `fallow profile --unwind` looks at it just now, and only "
                                         "one can; this one can begin when that has ended"
                                       : "another `fallow profile` looks at it just now, and only one can; "
                                         "this one can begin when that has ended");
}

static bool look_on(fl_target *target, const request *asked, fl_profile *profile) {
    fl_profile before;
    if (!fl_profile_read_target(&before, target))
        return false;
    bool was_on = before.mean_bytes != 0;
    int memory = open_memory(target);
    if (!take_turn(target, memory, asked->unwind || !was_on))
        return false;
    signal(SIGINT, interrupt);
    signal(SIGTERM, interrupt);
    if (asked->unwind && !fl_copied_begin(target, memory))
        return false;
    if (!was_on && !switch_to(target, shift_and_one(asked->mean_bytes))) {
        if (asked->unwind)
            fl_copied_end(target);
        return false;
    }
    if (!was_on && !is_followed(target, shift_and_one(asked->mean_bytes)))
        fprintf(stderr, "fallow: process %d allocates nothing just now; it will be sampled when it does\n",
                (int)target->process);
    bool read = look_on_for(target, asked, was_on, profile);
    if (!was_on && !asked->unwind)
        switch_to(target, 0);
    if (!read)
        fl_target_lost(target); /* then that is what was wrong */
    if (read)
        fl_profile_subtract(profile, &before);
    if (read && asked->unwind)
        fl_copied_divide(target, profile);
    else if (read)
        say_if_short(profile);
    return read;
}

static void look_at_pools(fl_target *target, fl_profile *profile) {
    fl_statistics all;
    if (!fl_statistics_gather(&all, target))
        return;
    const uint64_t *of = all.rows[FL_GROUP_PROCESS]->values;
    if (of[FL_PROCESS_pool_bytes] >=
        of[FL_PROCESS_ready_bytes] / 64) /* less may be noise of a working process */
        profile->pool_bytes = of[FL_PROCESS_pool_bytes];
    fl_statistics_free(&all);
}

static bool of_process(const request *asked, fl_profile *profile) {
    static fl_target target;
    bool done = fl_target_open(&target, asked->what);
    if (done && !target.root.sampling)
        done = fl_target_wrong(&target, "runs the hardened library, which does not sample");
    if (done && asked->start)
        done = switch_to(&target, shift_and_one(asked->mean_bytes));
    else if (done && asked->stop)
        done = switch_to(&target, 0);
    else if (done)
        done = asked->look ? fl_profile_read_target(profile, &target) : look_on(&target, asked, profile);
    if (done && asked->form == TEXT && asked->measure == FL_LIVE)
        look_at_pools(&target, profile);
    if (!done)
        fprintf(stderr, "fallow: %s\n", target.wrong);
    fl_target_close(&target);
    return done;
}

static bool is_number(const char *text) {
    return *text && text[strspn(text, "0123456789")] == '\0';
}

static int show(const request *asked, fl_profile *profile) {
    FILE *out = asked->output ? fopen(asked->output, "we") : stdout;
    if (!out)
        return fl_fail(asked->output, strerror(errno));
    bool good = true;
    if (asked->form == PPROF)
        good = fl_profile_print_pprof(profile, out);
    else
        (asked->form == TEXT ? fl_profile_print : fl_profile_print_collapsed)(profile, asked->measure, out);
    if (asked->output && (fclose(out) != 0 || !good))
        return fl_fail(asked->output, "not all of it could be written");
    return good ? 0 : 1;
}

static bool take(request *asked, int *i, int count, char **arguments) {
    const char *word = arguments[*i], *value = *i + 1 < count ? arguments[*i + 1] : NULL;
    char *end = NULL;
    if (!strcmp(word, "--collapsed") || !strcmp(word, "--pprof"))
        asked->form = word[2] == 'p' ? PPROF : COLLAPSED;
    else if (!strcmp(word, "--total") || !strcmp(word, "--peak"))
        asked->measure = word[2] == 't' ? FL_TOTAL : FL_PEAK;
    else if (!strcmp(word, "--start"))
        asked->start = true;
    else if (!strcmp(word, "--stop"))
        asked->stop = true;
    else if (!strcmp(word, "--unwind"))
        asked->unwind = true;
    else if (!strcmp(word, "--now"))
        asked->look = true;
    else if (!strcmp(word, "--seconds") && value && (asked->seconds = strtod(value, &end)) > 0 && !*end)
        ++*i;
    else if (!strcmp(word, "--mean") && value && (asked->mean_bytes = strtoull(value, &end, 10)) > 0 && !*end)
        ++*i;
    else if (!strcmp(word, "--base") && value)
        asked->base = arguments[++*i];
    else if (!strcmp(word, "-o") && value)
        asked->output = arguments[++*i];
    else if (word[0] != '-' && !asked->what)
        asked->what = word;
    else
        return false;
    return true;
}

int fl_command_profile(int count, char **arguments) {
    request asked = {.seconds = 30, .mean_bytes = 512 << 10};
    fl_profile profile = {0}, base;
    for (int i = 0; i < count; i++)
        if (!take(&asked, &i, count, arguments))
            return fl_fail(arguments[i],
                           "unknown, or without its value; accepted: PID or FILE, --seconds N, --mean BYTES, "
                           "--unwind, --now, --start, --stop, --total, --peak, --pprof, --collapsed, --base "
                           "FILE, -o FILE");
    if (!asked.what)
        return fl_fail("profile", "no process given, and no file; wanted: its number, or a path");
    bool process = is_number(asked.what);
    if (asked.unwind && (!process || asked.start || asked.stop || asked.look))
        return fl_fail(
            "--unwind",
            "copies stacks while it looks on; accepted with a PID, and without --now, --start, --stop");
    if (!(process ? of_process(&asked, &profile) : fl_profile_read_file(&profile, asked.what)))
        return 1;
    if (process && (asked.start || asked.stop))
        return 0;
    if (asked.base && !fl_profile_read_file(&base, asked.base))
        return 1;
    if (asked.base)
        fl_profile_subtract(&profile, &base);
    return show(&asked, &profile);
}
