/* SPDX-License-Identifier: MIT */
#include "fixedcheck.h"

size_t fl_fixed_behind(const fallow_fixed *fixed, size_t chunk, size_t before) {
    size_t tag = *tag_at(fixed, chunk), bytes = tag & ~TAG_BITS;
    if (fixed->lost_bytes && chunk == fixed->lost_from)
        return (tag & TAG_BITS) == (IN_USE | before) && bytes >= CHUNK_MIN && bytes <= fixed->lost_bytes
                   ? chunk + fixed->lost_bytes
                   : 0;
    if ((tag & TAG_BITS & ~IN_USE) != before || bytes < CHUNK_MIN || bytes > end_of(fixed) - chunk)
        return 0;
    if (!(tag & IN_USE) && !(before && *last_word_of(fixed, chunk, bytes) == bytes))
        return 0;
    return chunk + bytes;
}

size_t fl_fixed_bit_behind(const fallow_fixed *fixed, size_t chunk) {
    return *tag_at(fixed, chunk) & IN_USE ? PREVIOUS_IN_USE : 0;
}

bool fl_fixed_next_in_list(const fallow_fixed *fixed, unsigned list, size_t *chunk) {
    size_t before = *chunk, next = before ? *next_of(fixed, before) : first_in_list(fixed, list);
    *chunk = next;
    return next && is_free_chunk(fixed, next) && list_for(bytes_of(fixed, next)) == list &&
           *previous_of(fixed, next) == before;
}

bool fl_fixed_is_lost_possible(const fallow_fixed *fixed) {
    size_t from = fixed->lost_from, bytes = fixed->lost_bytes;
    return (!from && !bytes) || (is_chunk_place(fixed, from) && bytes >= CHUNK_MIN && bytes % 16 == 0 &&
                                 bytes <= end_of(fixed) - from);
}

bool fl_fixed_is_sound(const fallow_fixed *fixed) {
    size_t end = end_of(fixed), used_bytes = 0, blocks = 0, free_chunks = 0, free_places = 0;
    if (!fl_fixed_is_lost_possible(fixed))
        return false;
    size_t before = PREVIOUS_IN_USE;
    for (size_t chunk = FIRST_CHUNK, next; chunk < end; chunk = next) {
        if (!(next = fl_fixed_behind(fixed, chunk, before)))
            return false;
        before = fl_fixed_bit_behind(fixed, chunk);
        bool lost = is_lost(fixed, chunk);
        used_bytes += before && !lost ? next - chunk : 0;
        blocks += before && !lost;
        free_chunks += !before;
        free_places += before ? 0 : chunk;
    }
    for (unsigned list = 0; list < LISTS; list++) {
        size_t chunk = 0;
        if ((fixed->filled >> list & 1) && !fixed->first[list])
            return false;
        while (fl_fixed_next_in_list(fixed, list, &chunk)) {
            free_chunks--;
            free_places -= chunk;
        }
        if (chunk)
            return false;
    }
    return *tag_at(fixed, end) == (IN_USE | before) && used_bytes == fixed->used_bytes &&
           blocks == fixed->blocks && free_chunks == 0 && free_places == 0;
}
