/* SPDX-License-Identifier: MIT */
/*
 * options.h: what a user may set, in FALLOW_OPTIONS="name:value,name:value". One table; a wrong name or
 * value is reported by name and ignored.
 */
#ifndef FL_OPTIONS_H
#define FL_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

typedef struct fl_options {
    bool background_thread; /* idle memory goes back by a thread of fallow's own */
    bool give_back;         /* idle memory goes back at all; else only at limits and on request */
    size_t soft_limit;      /* bytes, of the process; 0: the container's */
    size_t hard_limit;      /* bytes, of the process; 0: none */
    size_t idle_max;        /* bytes, of malloc's arena; 0: none */
    char stats_file[256];   /* figures are appended there when the process exits; empty: nowhere */
} fl_options;

extern fl_options fl_the_options;

/* Reads the environment. Once, from the library's constructor. */
void fl_options_init(void);

#endif
