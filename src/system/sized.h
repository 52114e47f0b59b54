/* SPDX-License-Identifier: MIT */
/*
 * sized.h: structures of the public interface, which grow at their end from version to version (docs/abi.md). The
 * caller's may be shorter than ours, or longer; nothing behind it is ever written.
 */
#ifndef FL_SIZED_H
#define FL_SIZED_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* Fills the caller's with as much of ours as it has, the rest of it with zeroes. False: shorter than the first version
 * that was released; it is untouched. */
static inline bool fl_sized_fill(void *theirs, size_t their_bytes, const void *ours, size_t our_bytes,
                                 size_t first_bytes) {
    if (their_bytes < first_bytes)
        return false;
    size_t shared = their_bytes < our_bytes ? their_bytes : our_bytes;
    memcpy(theirs, ours, shared);
    memset((char *)theirs + shared, 0, their_bytes - shared);
    return true;
}

/* Ours, all zero before, becomes what the caller's has. False: shorter than the first version, or it asks for what we do
 * not know. */
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
