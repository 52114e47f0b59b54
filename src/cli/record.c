/* SPDX-License-Identifier: MIT */
/*
 * record.c: `fallow record`: has the calls of malloc and its family that a program makes written to a file,
 * whichever malloc serves them. `fallow replay` plays it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"

int fl_command_record(int count, char **arguments) {
    const char *file = NULL;
    int first = 0;
    for (; first < count && arguments[first][0] == '-'; first++) {
        if (!strcmp(arguments[first], "--")) {
            first++;
            break;
        }
        if (strcmp(arguments[first], "-o") || first + 1 >= count)
            return fl_fail(arguments[first], "unknown option; accepted: -o FILE");
        file = arguments[++first];
    }
    if (!file)
        return fl_fail("record", "no file given; expected -o FILE");
    if (first >= count)
        return fl_fail("record", "no program given");
    /* The program makes it anew; programs that it starts itself find it there and take FILE.PID. */
    if (unlink(file) < 0 && errno != ENOENT)
        return fl_fail(file, strerror(errno));
    char *whole =
        file[0] == '/' ? NULL : getcwd(NULL, 0); /* the program may go elsewhere before it starts others */
    if ((whole && (setenv("FALLOW_RECORD", whole, 1) < 0 ||
                   !fl_extend_environment("FALLOW_RECORD", file, "/", false))) ||
        (!whole && setenv("FALLOW_RECORD", file, 1) < 0))
        return fl_fail("environment", strerror(errno));
    free(whole);
    return fl_preload("libfallow-record.so") ? fl_become(arguments + first) : 2;
}
