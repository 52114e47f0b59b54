/* SPDX-License-Identifier: MIT */
/*
 * grow.h: arrays that get one more element at a time, and double.
 */
#ifndef FL_GROW_H
#define FL_GROW_H

#include <stdlib.h>

/* The array of count elements of so many bytes, with room for one more; the caller keeps it, and counts, downwards too. NULL: out of
 * memory, the array is as before. */
static inline void *fl_grow(void *array, size_t count, size_t bytes) {
    return (count & (count - 1)) ? array : realloc(array, (count ? count * 2 : 1) * bytes);
}

#endif
