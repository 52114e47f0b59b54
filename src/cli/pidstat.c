/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "pidstat.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "printable.h"

static bool read_line(const char *path, char *text, size_t bytes) {
    FILE *file = fopen(path, "re");
    size_t length = file ? fread(text, 1, bytes - 1, file) : 0;
    if (file)
        fclose(file);
    text[length] = '\0';
    return length > 0;
}

bool fl_pidstat_read(const char *path, fl_pidstat *its) {
    char text[1024];
    *its = (fl_pidstat){.letter = '?'};
    if (!read_line(path, text, sizeof text))
        return false;
    char *name = strchr(text, '('), *at = strrchr(text, ')'); /* a program called ") (" is no way out */
    if (!name || !at)
        return false;
    snprintf(its->program, sizeof its->program, "%.*s", (int)(at - name - 1), name + 1);
    fl_make_printable(its->program, sizeof its->program);
    its->letter = at[1] ? at[2] : '?';
    for (int field = 3; (at = strchr(at + 1, ' ')) != NULL; field++) /* as proc(5) counts them */
        switch (field) {
        case 9:
            its->flags = strtoull(at, NULL, 10);
            break;
        case 10:
            its->faults = strtoull(at, NULL, 10);
            break;
        case 22:
            its->began = strtoull(at, NULL, 10);
            break;
        case 28:
            its->stack = strtoull(at, NULL, 10);
            break;
        default:
            break;
        }
    return true;
}

/* The kernel's PF_EXITING: the memory may have gone already, while the letter is still another. */
#define EXITING_FLAG 0x4

bool fl_pidstat_has_ended(const fl_pidstat *its) {
    return its->letter == 'Z' || its->letter == 'X' || (its->flags & EXITING_FLAG);
}
