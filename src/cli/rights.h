/* SPDX-License-Identifier: MIT */
/*
 * rights.h: which right is missing to look into another process, and how to come by it.
 */
#ifndef FL_RIGHTS_H
#define FL_RIGHTS_H

#include <stddef.h>
#include <sys/types.h>

/* Why the system has refused it with this error: one sentence. */
void fl_rights_missing(pid_t process, int code, char *why, size_t bytes);

#endif
