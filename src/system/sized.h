/* SPDX-License-Identifier: MIT */
/*
 * sized.h: copies structures of the public interface, which grow at their end from version to version
 * (docs/abi.md). The caller's structure may be shorter or longer than ours; nothing behind it is ever
 * written.
 */
#ifndef FL_SIZED_H
#define FL_SIZED_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* Fills the caller's structure with as much of ours as it has room for, and what is left of it with zeroes.
 * Returns false, with theirs untouched, if it is shorter than the first version released. */
static inline bool fl_sized_fill(void *theirs, size_t their_bytes, const void *ours, size_t our_bytes,
                                 size_t first_bytes) {
    if (their_bytes < first_bytes)
        return false;
    size_t shared = their_bytes < our_bytes ? their_bytes : our_bytes;
    memcpy(theirs, ours, shared);
    memset((char *)theirs + shared, 0, their_bytes - shared);
    return true;
}

/* Copies the caller's structure into ours, which is all zero. Returns false if theirs is shorter than the
 * first version released, or sets something that this version does not know. */
static inline bool fl_sized_take(void *ours, size_t our_bytes, const void *theirs, size_t their_bytes,
                                 size_t first_bytes) {
    if (their_bytes < first_bytes)
        return false;
    for (size_t i = our_bytes; i < their_bytes; i++)
        if (((const char *)theirs)[i])
            return false;
    memcpy(ours, theirs, their_bytes < our_bytes ? their_bytes : our_bytes);
    return true;
}

#endif
