/* SPDX-License-Identifier: MIT */
/* stops.h: a mistake that has to stop the process, made in a child. */
#ifndef STOPS_H
#define STOPS_H

#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

/* What a child wrote on standard error, and how it ended, as waitpid says it. */
static inline int words_of(void (*run)(void), char *text, size_t text_bytes) {
    int ends[2], status;
    fflush(stdout);
    CHECK_EQUAL(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        dup2(ends[1], 2);
        close(ends[0]);
        close(ends[1]);
        run();
        _exit(0);
    }
    close(ends[1]);
    size_t length = 0;
    for (ssize_t got; (got = read(ends[0], text + length, text_bytes - 1 - length)) > 0;)
        length += (size_t)got;
    text[length] = '\0';
    close(ends[0]);
    CHECK_EQUAL(waitpid(child, &status, 0), child);
    return status;
}

/* The same, and the signal that ended it; 0: none. */
static inline const char *last_words(void (*run)(void), int *signal_number) {
    static char text[2048];
    int status = words_of(run, text, sizeof text);
    *signal_number = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    return text;
}

/* It ends by SIGABRT, with one line of fallow's in which that stands. */
static inline void expect_stop(void (*run)(void), const char *says) {
    int signal_number;
    const char *text = last_words(run, &signal_number);
    if (signal_number != SIGABRT || strncmp(text, "fallow: ", 8) != 0 || !strstr(text, says)) {
        fprintf(stderr, "wanted '%s', got '%s'\n", says, text);
        CHECK(false);
    }
}

#endif
