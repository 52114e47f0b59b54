/* SPDX-License-Identifier: MIT */
/*
 * process_api.h: which library the program's calls of fallow_… reach.
 */
#ifndef FL_PROCESS_API_H
#define FL_PROCESS_API_H

#include <stdbool.h>

#include "fallow/process.h"

/* Returns whether they reach this library; they do not if another copy of them was loaded before it. */
bool fl_process_api_is_own(void);

fallow_process_figures fl_process_figures(void);

#endif
