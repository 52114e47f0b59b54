/* SPDX-License-Identifier: MIT */
/*
 * state.h: the four states by name, for those who count them (ledger.h) and those who check them (checker.h).
 */
#ifndef FL_STATE_H
#define FL_STATE_H

typedef enum fl_state { FL_NONE, FL_RESERVED, FL_PREPARED, FL_READY } fl_state;

#endif
