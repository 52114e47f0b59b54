/* SPDX-License-Identifier: MIT */
/*
 * state.h: the four states by name, for those who count them (ledger.h) and those who check them (checker.h).
 */
#ifndef FL_STATE_H
#define FL_STATE_H

#include "fallow/osmem.h"

typedef enum fl_state { FL_NONE, FL_RESERVED, FL_PREPARED, FL_READY } fl_state;

/* So many bytes, all of them in one state. */
static inline osmem_bytes fl_bytes_in(fl_state state, size_t bytes) {
    return (osmem_bytes){.reserved = state == FL_RESERVED ? bytes : 0,
                         .prepared = state == FL_PREPARED ? bytes : 0,
                         .ready = state == FL_READY ? bytes : 0};
}

#endif
