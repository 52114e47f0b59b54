/* SPDX-License-Identifier: MIT */
/*
 * trace.h: the format of a recorded trace: a header, then events of a few bytes each, in the order in which
 * they happened in the process, threads mixed. recorder.c writes it, ../cli/script.c reads it.
 *
 *   header    "fallow trace 1\n", 16 bytes, the last of them 0
 *   event     a byte that says what, then numbers (seven bits to a byte, lowest first, top bit: "more")
 *
 *     END       0                                   what an unfinished file reads as behind its last event
 *     THREAD    thread                              whose events follow (0, 1, … as they came)
 *     MALLOC    bytes, address                      after it returned
 *     CALLOC    bytes, address
 *     ALIGNED   log2 of the alignment, bytes, address
 *     FREE      address                             before it happened
 *     REALLOC   address, bytes                      of a block that is not NULL, before it happened
 *     MOVED     address                             of the thread's last REALLOC; the old one if that failed
 *
 * An address is written as the difference to the last one, divided by 16 (zigzag: 0, -1, 1, -2, 2, …). A call
 * that failed is not an event. Frees of blocks from before the trace are in it, and have no MALLOC.
 */
#ifndef FL_TRACE_H
#define FL_TRACE_H

#include <stdint.h>

#define FL_TRACE_HEADER "fallow trace 1\n"
#define FL_TRACE_HEADER_BYTES 16
#define FL_TRACE_KIND_BYTES 13 /* the kinds that every version has */

typedef enum fl_trace_what {
    FL_TRACE_END,
    FL_TRACE_THREAD,
    FL_TRACE_MALLOC,
    FL_TRACE_CALLOC,
    FL_TRACE_ALIGNED,
    FL_TRACE_FREE,
    FL_TRACE_REALLOC,
    FL_TRACE_MOVED
} fl_trace_what;

static inline uint8_t *fl_trace_put(uint8_t *at, uint64_t number) {
    for (; number >= 128; number >>= 7)
        *at++ = (uint8_t)(number | 128);
    *at++ = (uint8_t)number;
    return at;
}

static inline const uint8_t *fl_trace_get(const uint8_t *at, uint64_t *number) {
    *number = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        *number |= (uint64_t)(*at & 127) << shift;
        if (!(*at++ & 128))
            break;
    }
    return at;
}

static inline uint64_t fl_trace_zigzag(int64_t number) {
    return ((uint64_t)number << 1) ^ (uint64_t)(number >> 63);
}

static inline int64_t fl_trace_unzigzag(uint64_t number) {
    return (int64_t)(number >> 1) ^ -(int64_t)(number & 1);
}

#endif
