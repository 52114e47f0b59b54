/* SPDX-License-Identifier: MIT */
/*
 * grow.h: arrays that grow by one element at a time, and double.
 */
#ifndef FL_GROW_H
#define FL_GROW_H

#include <stdlib.h>

/* Returns the array of count elements of so many bytes, with room for one more; the caller keeps both, and
 * may count downwards too. Returns NULL if out of memory, and leaves the array as it was. */
static inline void *fl_grow(void *array, size_t count, size_t bytes) {
    return (count & (count - 1)) ? array : realloc(array, (count ? count * 2 : 1) * bytes);
}

#endif
