/* SPDX-License-Identifier: MIT */
/*
 * preload.c: what commands share that start a program with one of our libraries in front. It looks for a
 * library beside the command, as in a build folder, then where libraries are installed.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"

#ifndef FALLOW_LIBRARY_DIR
#error "the build says where the library is installed"
#endif

static bool library_path(const char *name, char *path, size_t bytes) {
    char own[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", own, sizeof own - 1);
    if (length > 0) {
        own[length] = '\0';
        *strrchr(own, '/') = '\0';
        if (snprintf(path, bytes, "%s/%s", own, name) < (int)bytes && access(path, R_OK) == 0)
            return true;
    }
    /* Libraries for this command alone have a folder of their own there. */
    static const char *const folders[] = {FALLOW_LIBRARY_DIR, FALLOW_LIBRARY_DIR "/fallow"};
    for (int i = 0; i < 2; i++)
        if (snprintf(path, bytes, "%s/%s", folders[i], name) < (int)bytes && access(path, R_OK) == 0)
            return true;
    return false;
}

bool fl_extend_environment(const char *name, const char *value, const char *separator, bool first) {
    const char *before = getenv(name);
    char *joined;
    if (!before || !*before)
        return setenv(name, value, 1) == 0;
    if (asprintf(&joined, "%s%s%s", first ? value : before, separator, first ? before : value) < 0)
        return false;
    bool done = setenv(name, joined, 1) == 0;
    free(joined);
    return done;
}

int fl_fail(const char *what, const char *why) {
    fprintf(stderr, "fallow: %s: %s\n", what, why);
    return 2;
}

bool fl_preload(const char *name) {
    char path[PATH_MAX];
    if (!library_path(name, path, sizeof path))
        fl_fail(name, "found neither beside the command nor in " FALLOW_LIBRARY_DIR);
    else if (strpbrk(path, " :"))
        fl_fail(path,
                "LD_PRELOAD cannot hold a path that contains a space or a colon; install fallow elsewhere");
    else if (!fl_extend_environment("LD_PRELOAD", path, ":", true))
        fl_fail("environment", strerror(errno));
    else
        return true;
    return false;
}

int fl_become(char **arguments) {
    execvp(arguments[0], arguments);
    int code = errno;
    fl_fail(arguments[0], strerror(code));
    return code == ENOENT ? 127 : 126;
}
