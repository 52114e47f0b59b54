/* SPDX-License-Identifier: MIT */
/* What is said of a process whose root this command does not know, and of one that ends or becomes
 * another. */
#define _GNU_SOURCE
#include "../../src/cli/target.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/check.h"

/* A root of no library, in the data of this program, which is found as well; and a copy, which is none. */
static fl_root root = {.mark = FL_ROOT_MARK,
                       .self = &root,
                       .bytes = sizeof root,
                       .version = "9.8.7",
                       .counter_names = FL_COUNTER_NAMES};
static fl_root copy = {.mark = FL_ROOT_MARK, .self = &root, .opened = 1, .version = "copied"};

static fl_target target;
static int to_child[2], from_child[2];

/* The places of members and the sizes of structures, as they might be. */
static void describe(void) {
    root.layout = FL_ROOT_LAYOUT;
    root.page_shift = 14;
    root.region_shift = 22;
    root.chunk_pages = 8;
    root.events_kept = 64;
    root.entry_low_bits = 7;
    root.entry_high_shift = 47;
    for (size_t i = 0; i < FL_OF_COUNT; i++)
        root.sizes[i] = 64;
    for (size_t i = 0; i < FL_AT_COUNT; i++)
        root.places[i] = (fl_root_place){0, 8};
}

/* A child that has changed its root, and waits for a word to become another program, or for its end. */
static pid_t child_with(void (*change)(void)) {
    char word;
    CHECK(pipe(to_child) == 0 && pipe(from_child) == 0);
    pid_t child = fork();
    if (child == 0) {
        if (change)
            change();
        CHECK(copy.self == &root && write(from_child[1], "x", 1) == 1);
        if (read(to_child[0], &word, 1) == 1 && dup2(from_child[1], 1) == 1)
            execlp("sh", "sh", "-c", "echo; exec sleep 1000", (char *)NULL);
        _exit(1);
    }
    CHECK(read(from_child[0], &word, 1) == 1);
    return child;
}

static void end(pid_t child) {
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    for (int i = 0; i < 2; i++) {
        close(to_child[i]);
        close(from_child[i]);
    }
}

static bool open_target(pid_t child) {
    char number[16];
    snprintf(number, sizeof number, "%d", (int)child);
    return fl_target_open(&target, number);
}

static void check_said(void (*change)(void), const char *wanted) {
    pid_t child = child_with(change);
    CHECK(!open_target(child));
    if (!strstr(target.wrong, wanted))
        fprintf(stderr, "said: %s\n", target.wrong);
    CHECK(strstr(target.wrong, wanted));
    fl_target_close(&target);
    end(child);
}

static void of_another_version(void) {
    describe();
    root.layout = 99;
}

static void of_another_length(void) {
    describe();
    root.bytes += 8;
}

/* As long as this command's list, but not the same. */
static void of_other_counters(void) {
    describe();
    root.counter_names[0]++;
}

static void open_and_empty(void) {
    root.layout = FL_ROOT_LAYOUT;
    root.opened = 1;
}

static void open_and_beyond(void) {
    describe();
    root.opened = 1;
    root.places[FL_AT_arena_name].offset = 60;
}

static void open_and_of_no_bytes(void) {
    describe();
    root.opened = 1;
    root.places[FL_AT_heap_spans].bytes = 0;
}

static void with_bytes_for_a_terminal(void) {
    of_another_version();
    memcpy(root.version, "\033[2J", 4);
    memset(root.version + 4, 'x', sizeof root.version - 4);
}

static void open_and_sane(void) {
    describe();
    root.opened = 1;
}

static void target_says_what_root_it_is(void) {
    check_said(of_another_version, "runs fallow 9.8.7, whose tables (layout 99) this command of fallow");
    check_said(of_another_length, "does not know: use the command that came with that library");
    check_said(of_other_counters, "does not know: use the command that came with that library");
    check_said(open_and_empty, "has a damaged description");
    check_said(open_and_beyond, "has a damaged description");
    check_said(open_and_of_no_bytes, "has a damaged description");
    check_said(describe, "has served no request yet");
    check_said(with_bytes_for_a_terminal, "runs fallow ?[2Jxxxx");
}

static void target_reads_what_is_there(void) {
    pid_t child = child_with(open_and_sane);
    uint32_t opened = 0;
    char nowhere;
    CHECK(open_target(child));
    CHECK(!strncmp(target.root.version, "9.8.7", 6));
    CHECK(fl_target_read(&target, (uintptr_t)&root.opened, &opened, sizeof opened));
    CHECK_EQUAL(opened, 1);
    CHECK_EQUAL(root.opened, 0); /* its own */
    CHECK(!fl_target_read(&target, 16, &nowhere, 1));
    CHECK(!fl_target_read(&target, UINT64_MAX - 8, &nowhere, 1));
    CHECK(!fl_target_lost(&target));
    fl_target_close(&target);
    end(child);
}

static void target_ends(void) {
    pid_t child = child_with(open_and_sane);
    CHECK(open_target(child));
    kill(child, SIGKILL);
    siginfo_t unused;
    waitid(P_PID, (id_t)child, &unused, WEXITED | WNOWAIT); /* it stays, as one that has ended */
    CHECK(fl_target_lost(&target) && strstr(target.wrong, "): has ended. (If it went on as a daemon"));
    waitpid(child, NULL, 0);
    CHECK(fl_target_lost(&target) && strstr(target.wrong, "): has ended. (If it went on as a daemon"));
    CHECK(!fl_target_file(&target, "smaps") && !strcmp(strrchr(target.wrong, ':'), ": has ended"));
    fl_target_close(&target);
    CHECK(!open_target(child) && strstr(target.wrong, "does not exist here"));
    end(child);
}

static void target_becomes_another_program(void) {
    pid_t child = child_with(open_and_sane);
    char word;
    uint32_t opened;
    CHECK(open_target(child));
    CHECK(write(to_child[1], "x", 1) == 1 && read(from_child[0], &word, 1) == 1);
    CHECK(!fl_target_read(&target, (uintptr_t)&root.opened, &opened, sizeof opened));
    CHECK(fl_target_lost(&target) && strstr(target.wrong, "has become another program (exec)"));
    CHECK(!fl_target_give_up(&target) && strstr(target.wrong, "another program"));
    fl_target_close(&target);
    end(child);
}

int main(void) {
    RUN(target_says_what_root_it_is);
    RUN(target_reads_what_is_there);
    RUN(target_ends);
    RUN(target_becomes_another_program);
    return 0;
}
