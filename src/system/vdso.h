/* SPDX-License-Identifier: MIT */
/*
 * vdso.h: the kernel's own code for reading a clock, which it maps into every process: as fast as the C library's
 * clock_gettime, which uses it too, but out of reach for a library that replaces that one.
 */
#ifndef FL_VDSO_H
#define FL_VDSO_H

#include <stddef.h>
#include <time.h>

/* 0, or an error of the kernel's. */
typedef int fl_vdso_clock(clockid_t clock, struct timespec *time);

/* In the calling process; NULL: there is none. At any time, from any thread; the same each time. */
fl_vdso_clock *fl_vdso_find_clock(void);

/* In an image of an ELF object of so many bytes, as the kernel maps it; 0: no such function, or a damaged image. The offset
 * of a function by its name. */
size_t fl_vdso_find(const void *image, size_t bytes, const char *name);

#endif
