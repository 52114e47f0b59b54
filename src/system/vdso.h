/* SPDX-License-Identifier: MIT */
/*
 * vdso.h: finds the clock-reading code that the kernel maps into every process. It is as fast as the C
 * library's clock_gettime, which uses it too, and a library that replaces clock_gettime cannot get in
 * between.
 */
#ifndef FL_VDSO_H
#define FL_VDSO_H

#include <stddef.h>
#include <time.h>

/* Returns 0, or the kernel's error. */
typedef int fl_vdso_clock(clockid_t clock, struct timespec *time);

/* Returns the calling process's, the same each time, or NULL if there is none. Any thread may call it at any
 * time. */
fl_vdso_clock *fl_vdso_find_clock(void);

/* Returns the offset of the named function in an ELF image of so many bytes, as the kernel maps it; 0 if the
 * image is damaged or has no such function. */
size_t fl_vdso_find(const void *image, size_t bytes, const char *name);

#endif
