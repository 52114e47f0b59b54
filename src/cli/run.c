/* SPDX-License-Identifier: MIT */
/*
 * run.c: `fallow run`: a program with libfallow-malloc.so preloaded, or (--hardened)
 * libfallow-malloc-hardened.so.
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

/* Reads the line of the program itself; its children may have written theirs too, or a program that it
 * became. */
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
        fprintf(stderr, "fallow: no figures, because the program ended without running its exit handlers\n");
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

/* What others send to us is meant for the program. */
static const int passed_on[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGALRM, SIGWINCH};

#define PASSED_ON (sizeof passed_on / sizeof *passed_on)

static volatile pid_t program;

/* What the terminal sends, it sends to both of us. */
static void pass_on(int signal, siginfo_t *info, void *unused) {
    int saved_errno = errno;
    (void)unused;
    if (info->si_code <= 0 && info->si_pid != program && program > 0)
        kill(program, signal);
    errno = saved_errno;
}

/* Ignored signals stay ignored, in both of us. before gets what was. */
static void pass_on_signals(struct sigaction before[PASSED_ON]) {
    struct sigaction action = {.sa_sigaction = pass_on, .sa_flags = SA_SIGINFO | SA_RESTART};
    for (size_t i = 0; i < PASSED_ON; i++)
        if (sigaction(passed_on[i], NULL, &before[i]) == 0 && before[i].sa_handler != SIG_IGN)
            sigaction(passed_on[i], &action, NULL);
}

/* Ends as the program did: with its status, or by its signal, without a second core. */
static int end_like(int status) {
    if (!WIFSIGNALED(status))
        return WEXITSTATUS(status);
    struct rlimit none = {0, 0};
    sigset_t its;
    setrlimit(RLIMIT_CORE, &none);
    signal(WTERMSIG(status), SIG_DFL);
    sigemptyset(&its);
    sigaddset(&its, WTERMSIG(status));
    raise(WTERMSIG(status));
    sigprocmask(SIG_UNBLOCK, &its, NULL);
    return 128 + WTERMSIG(status);
}

/* Runs the program to its end as a child, so that we are left to print. */
static int run_with_stats(char **arguments) {
    char path[] = "/tmp/fallow-stats-XXXXXX";
    char option[sizeof path + 16];
    struct sigaction before[PASSED_ON];
    sigset_t all, mask;
    int file = mkstemp(path);
    if (file < 0)
        return fl_fail("cannot create a file for the figures", strerror(errno));
    close(file);
    snprintf(option, sizeof option, "stats_file:%s", path);
    if (!fl_extend_environment("FALLOW_OPTIONS", option, ",", false))
        return fl_fail("environment", strerror(errno));
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &mask); /* none is lost before there is somebody to pass it on to */
    pass_on_signals(before);
    program = fork();
    if (program == 0) {
        for (size_t i = 0; i < PASSED_ON; i++)
            sigaction(passed_on[i], &before[i], NULL);
        sigprocmask(SIG_SETMASK, &mask, NULL);
        _exit(fl_become(arguments));
    }
    int code = errno;
    sigprocmask(SIG_SETMASK, &mask, NULL);
    struct rusage usage;
    int status = 0;
    while (program > 0 && wait4(program, &status, 0, &usage) < 0 && errno == EINTR)
        ;
    if (program > 0)
        print_figures(path, program, &usage);
    unlink(path);
    return program < 0 ? fl_fail("fork", strerror(code)) : end_like(status);
}

int fl_command_run(int count, char **arguments) {
    bool stats = false, hardened = false;
    int first = 0;
    for (; first < count && arguments[first][0] == '-'; first++) {
        if (!strcmp(arguments[first], "--")) {
            first++;
            break;
        }
        if (!strcmp(arguments[first], "--stats"))
            stats = true;
        else if (!strcmp(arguments[first], "--hardened"))
            hardened = true;
        else if (!fl_pass_option(arguments[first]))
            return 2;
    }
    if (first >= count)
        return fl_fail("run", "no program given");
    if (!fl_preload(hardened ? "libfallow-malloc-hardened.so." FALLOW_SOVERSION
                             : "libfallow-malloc.so." FALLOW_SOVERSION))
        return 2;
    if (stats)
        return run_with_stats(arguments + first);
    return fl_become(arguments + first);
}
