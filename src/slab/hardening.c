/* SPDX-License-Identifier: MIT */
#include "hardening.h"

#include <stdatomic.h>

#include "../system/arithmetic.h"
#include "../system/system.h"

#if FL_HARDENED

/* Not zeroes: the empty slab's list has to end before there are secrets. */
fl_secrets fl_the_secrets = {.link = 0x5bd1e995a1b2c3d5,
                             .mark = 0x9e3779b97f4a7c15,
                             .wait = 0xbf58476d1ce4e5b9,
                             .end = 0x94d049bb133111a5,
                             .fill = 0xa5a5a5a5a5a5a5a5};

static _Alignas(64) uint64_t state; /* apart from the secrets, which everybody reads */

void fl_hardening_init(void) {
    uint64_t seed[2];
    fl_system_secret(seed);
    uint64_t at = seed[0];
    fl_secrets *it = &fl_the_secrets;
    uint64_t *const words[] = {&it->link, &it->mark, &it->wait, &it->end};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        *words[i] = fl_mixed((at += FL_MIXED_STEP) ^ seed[1]);
    state = fl_mixed(fl_system_random()); /* without random addresses, each run has the same orders */
    it->fill = 0;
    for (unsigned byte = 0; byte < sizeof it->fill; byte++)
        it->fill = it->fill << 8 | (fl_mixed(at += FL_MIXED_STEP) % 255 + 1);
    it->end = (it->end & ~(uint64_t)0xff) | (it->fill & 0xff);
}

uint64_t fl_hardening_random(void) {
    /* Relaxed, and not in one step: two threads may get the same number. */
    uint64_t now = __atomic_load_n(&state, __ATOMIC_RELAXED) + FL_MIXED_STEP;
    __atomic_store_n(&state, now, __ATOMIC_RELAXED);
    return fl_mixed(now);
}

#else
typedef int fl_no_hardening; /* a file must not be empty */
#endif
