/* SPDX-License-Identifier: MIT */
#include "fixedlists.h"

#include <errno.h>

#include "fixedlog.h"

bool fl_fixed_take_out(fallow_fixed *fixed, size_t chunk) {
    if (!is_free_chunk(fixed, chunk))
        return fl_fixed_damaged(fixed, "a free block is damaged");
    unsigned list = list_for(bytes_of(fixed, chunk));
    size_t next = *next_of(fixed, chunk), previous = *previous_of(fixed, chunk);
    if ((next && !is_chunk_place(fixed, next)) || (previous && !is_chunk_place(fixed, previous)))
        return fl_fixed_damaged(fixed, "a free block's neighbours in its list are none");
    size_t *link = previous ? next_of(fixed, previous) : &fixed->first[list];
    if (*link != chunk || (next && *previous_of(fixed, next) != chunk))
        return fl_fixed_damaged(fixed, "a free block and its neighbours in its list do not agree");
    size_t *other = next ? previous_of(fixed, next) : &fixed->filled;
    fixed_note(fixed, 0, link);
    fixed_note(fixed, 1, other);
    fixed_noted(fixed, 2);
    *link = next;
    if (next)
        *other = previous;
    else if (!previous)
        *other &= ~((size_t)1 << list);
    return true;
}

void fl_fixed_make_free(fallow_fixed *fixed, size_t chunk, size_t bytes) {
    unsigned list = list_for(bytes);
    size_t first = first_in_list(fixed, list);
    if (first && (!is_chunk_place(fixed, first) || *previous_of(fixed, first))) {
        fl_fixed_damaged(fixed, "a list of free blocks is damaged");
        return;
    }
    size_t *other = first ? previous_of(fixed, first) : &fixed->filled;
    fixed_note(fixed, 0, tag_at(fixed, chunk));
    fixed_note(fixed, 1, next_of(fixed, chunk));
    fixed_note(fixed, 2, previous_of(fixed, chunk));
    fixed_note(fixed, 3, last_word_of(fixed, chunk, bytes));
    fixed_note(fixed, 4, tag_at(fixed, chunk + bytes));
    fixed_note(fixed, 5, other);
    fixed_note(fixed, 6, &fixed->first[list]);
    fixed_noted(fixed, 7);
    *tag_at(fixed, chunk) = bytes | PREVIOUS_IN_USE; /* two free neighbours would be one */
    *next_of(fixed, chunk) = first;
    *previous_of(fixed, chunk) = 0;
    *last_word_of(fixed, chunk, bytes) = bytes;
    *tag_at(fixed, chunk + bytes) &= ~PREVIOUS_IN_USE;
    *other = first ? chunk : *other | (size_t)1 << list;
    fixed->first[list] = chunk;
}

fallow_fixed *fl_fixed_place_in(void *memory, size_t *bytes) {
    uintptr_t first = ((uintptr_t)memory + 63) & ~(uintptr_t)63;
    size_t skipped = first - (uintptr_t)memory;
    if (!memory || *bytes < skipped || *bytes - skipped < FIXED_BYTES_MIN) {
        errno = EINVAL;
        return NULL;
    }
    *bytes -= skipped;
    return (fallow_fixed *)first;
}
