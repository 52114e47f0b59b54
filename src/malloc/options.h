/* SPDX-License-Identifier: MIT */
/*
 * options.h: what a user may set, in FALLOW_OPTIONS="name:value,name:value". One table; a wrong name or
 * value is reported by name and ignored.
 */
#ifndef FL_OPTIONS_H
#define FL_OPTIONS_H

#include <stdbool.h>

typedef struct fl_options {
    bool background_thread; /* idle memory goes back by a thread of fallow's own */
    char stats_file[256];   /* figures are appended there when the process exits; empty: nowhere */
} fl_options;

extern fl_options fl_the_options;

/* Reads the environment. Once, from the library's constructor. */
void fl_options_init(void);

#endif
