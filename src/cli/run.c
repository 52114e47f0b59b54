/* SPDX-License-Identifier: MIT */
/*
 * run.c: `fallow run`: a program with libfallow-malloc.so preloaded.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "commands.h"

static double mib(unsigned long long bytes) {
    return (double)bytes / (1 << 20);
}

/* The line of the program itself; its children may have written theirs too, or a program that it became. */
static bool read_figures(const char *path, pid_t process, unsigned long long figures[5]) {
    FILE *file = fopen(path, "r");
    char line[1024];
    bool found = false;
    while (file && fgets(line, sizeof line, file)) {
        unsigned long long its, read[5];
        if (sscanf(
                line,
                "process=%llu reserved_bytes=%llu prepared_bytes=%llu ready_bytes=%llu ready_peak_bytes=%llu "
                "system_calls=%llu",
                &its, &read[0], &read[1], &read[2], &read[3], &read[4]) == 6 &&
            its == (unsigned long long)process) {
            memcpy(figures, read, sizeof read);
            found = true;
        }
    }
    if (file)
        fclose(file);
    return found;
}

static void print_figures(const char *path, pid_t process, const struct rusage *usage) {
    unsigned long long figures[5];
    if (!read_figures(path, process, figures)) {
        fprintf(stderr, "fallow: no figures: the program ended without running its exit handlers\n");
        fprintf(stderr, "fallow: peak resident %13.1f MiB\n",
                mib((unsigned long long)usage->ru_maxrss << 10));
        return;
    }
    fprintf(stderr,
            "fallow: at exit, in MiB:   Reserved %.1f   Prepared %.1f   Ready %.1f   (None: the rest)\n"
            "fallow: peak Ready    %13.1f MiB\n"
            "fallow: peak resident %13.1f MiB   (the whole process)\n"
            "fallow: system calls by osmem %5llu\n",
            mib(figures[0]), mib(figures[1]), mib(figures[2]), mib(figures[3]),
            mib((unsigned long long)usage->ru_maxrss << 10), figures[4]);
}

/* Runs the program to its end as a child, so that something is left to print. */
static int run_with_stats(char **arguments) {
    char path[] = "/tmp/fallow-stats-XXXXXX";
    char option[sizeof path + 16];
    int file = mkstemp(path);
    if (file < 0)
        return fl_fail("cannot make a file for the figures", strerror(errno));
    close(file);
    snprintf(option, sizeof option, "stats_file:%s", path);
    if (!fl_extend_environment("FALLOW_OPTIONS", option, ",", false))
        return fl_fail("environment", strerror(errno));
    /* What the terminal sends is for the program; we stay to print. */
    signal(SIGINT, SIG_IGN);
    signal(SIGQUIT, SIG_IGN);
    pid_t process = fork();
    if (process == 0) {
        signal(SIGINT, SIG_DFL);
        signal(SIGQUIT, SIG_DFL);
        _exit(fl_become(arguments));
    }
    struct rusage usage;
    int status = 0;
    while (process > 0 && wait4(process, &status, 0, &usage) < 0 && errno == EINTR)
        ;
    if (process > 0)
        print_figures(path, process, &usage);
    unlink(path);
    if (process < 0)
        return fl_fail("fork", strerror(errno));
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int fl_command_run(int count, char **arguments) {
    bool stats = false;
    int first = 0;
    for (; first < count && arguments[first][0] == '-'; first++) {
        if (!strcmp(arguments[first], "--")) {
            first++;
            break;
        }
        if (!strcmp(arguments[first], "--stats"))
            stats = true;
        else if (!fl_pass_option(arguments[first]))
            return fl_fail(
                arguments[first],
                "unknown option; accepted: --stats, and --name=value as `fallow options` lists them");
    }
    if (first >= count)
        return fl_fail("run", "no program given");
    if (!fl_preload("libfallow-malloc.so." FALLOW_SOVERSION))
        return 2;
    if (stats)
        return run_with_stats(arguments + first);
    return fl_become(arguments + first);
}
