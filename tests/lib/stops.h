/* SPDX-License-Identifier: MIT */
/* stops.h: a mistake that has to stop the process, made in a child. */
#ifndef STOPS_H
#define STOPS_H

#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

/* It ends by SIGABRT, with one line of fallow's in which that stands. */
static inline void expect_stop(void (*run)(void), const char *says) {
    int ends[2], status;
    char text[1024];
    size_t length = 0;
    CHECK_EQUAL(pipe(ends), 0);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], 2);
        run();
        _exit(0);
    }
    close(ends[1]);
    for (ssize_t got; (got = read(ends[0], text + length, sizeof text - 1 - length)) > 0;)
        length += (size_t)got;
    text[length] = '\0';
    close(ends[0]);
    CHECK_EQUAL(waitpid(child, &status, 0), child);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT || strncmp(text, "fallow: ", 8) != 0 ||
        !strstr(text, says)) {
        fprintf(stderr, "wanted '%s', got '%s'\n", says, text);
        CHECK(false);
    }
}

#endif
