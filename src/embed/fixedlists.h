/* SPDX-License-Identifier: MIT */
/*
 * fixedlists.h: puts free chunks of a fixed allocator into their lists, and takes them out; and finds its
 * place in the memory.
 */
#ifndef FL_FIXEDLISTS_H
#define FL_FIXEDLISTS_H

#include "fixedbooks.h"

/* Writes a free chunk's tags, its place in a list, and what the chunk behind says of it. */
void fl_fixed_make_free(fallow_fixed *fixed, size_t chunk, size_t bytes);

/* Takes a free chunk out of its list. Returns false if it is damaged. */
bool fl_fixed_take_out(fallow_fixed *fixed, size_t chunk);

/* Returns the allocator's place in the memory, and what is left from there on; NULL with errno EINVAL. */
fallow_fixed *fl_fixed_place_in(void *memory, size_t *bytes);

#endif
