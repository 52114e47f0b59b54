/* SPDX-License-Identifier: MIT */
/* fixedlists.h: free chunks of a fixed allocator, in and out of their lists; and where in the memory it lies. */
#ifndef FL_FIXEDLISTS_H
#define FL_FIXEDLISTS_H

#include "fixedbooks.h"

/* A free chunk's tags, its place in a list, and what the chunk behind says of it. */
void fl_fixed_make_free(fallow_fixed *fixed, size_t chunk, size_t bytes);

/* A free chunk out of its list; false: it is damaged. */
bool fl_fixed_take_out(fallow_fixed *fixed, size_t chunk);

/* The allocator's place in the memory, and what is left from there on; NULL with errno EINVAL. */
fallow_fixed *fl_fixed_place_in(void *memory, size_t *bytes);

#endif
