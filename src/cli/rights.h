/* SPDX-License-Identifier: MIT */
/*
 * rights.h: which right is missing to look into another process, and how to get it.
 */
#ifndef FL_RIGHTS_H
#define FL_RIGHTS_H

#include <stddef.h>
#include <sys/types.h>

/* Says in one sentence why the system has refused it with this error. */
void fl_rights_missing(pid_t process, int code, char *why, size_t bytes);

#endif
