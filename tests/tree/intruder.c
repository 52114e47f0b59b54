/* SPDX-License-Identifier: MIT */
/*
 * intruder.c: preloaded into a command that looks at processes, it sends process INTRUDER_PROCESS the signal
 * INTRUDER_SIGNAL before the command opens the file of /proc named INTRUDER_FILE for the INTRUDER_TURNth
 * time, and waits until that process is another program, or none: what may happen at any moment happens at
 * this one.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void program_of(pid_t process, char *program, size_t bytes) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/exe", (int)process);
    memset(program, 0, bytes);
    if (readlink(path, program, bytes - 1) < 0)
        *program = '\0';
}

static void intrude(const char *path) {
    static int turn;
    char before[4096], now[4096];
    const char *wanted = getenv("INTRUDER_FILE"), *name = strrchr(path, '/');
    if (!wanted || strncmp(path, "/proc/", 6) != 0 || strcmp(name + 1, wanted) != 0 ||
        ++turn != atoi(getenv("INTRUDER_TURN")))
        return;
    pid_t process = (pid_t)atoi(getenv("INTRUDER_PROCESS"));
    program_of(process, before, sizeof before);
    if (!*before || kill(process, atoi(getenv("INTRUDER_SIGNAL"))) != 0)
        return;
    do {
        usleep(1000);
        program_of(process, now, sizeof now);
    } while (!strcmp(before, now));
}

int open(const char *path, int flags, ...) {
    int (*real)(const char *, int, ...) = NULL;
    va_list more;
    va_start(more, flags);
    mode_t mode = flags & O_CREAT ? va_arg(more, mode_t) : 0;
    va_end(more);
    *(void **)&real = dlsym(RTLD_NEXT, "open");
    intrude(path);
    return real(path, flags, mode);
}

int open64(const char *path, int flags, ...) __attribute__((alias("open")));
