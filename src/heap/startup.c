/* SPDX-License-Identifier: MIT */
#include "startup.h"

#include <pthread.h>

#include "../arena/driver.h"
#include "../arena/scavenger.h"
#include "../osmem/birthpage.h"
#include "../profile/copies.h"
#include "reclaim.h"
#include "root.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void init(void) {
    fl_sizeclass_init();
    if (FL_HARDENED)
        fl_hardening_init();
    fl_locks_know_birth(fl_birth_page());
    fl_copies_know_main();
    fl_driver_start();
    if (!fl_window_init())
        return;
    fl_scavenger_init(fl_heap_reclaim);
    fl_process_arena = fl_arena_new("malloc", NULL, NULL);
    if (fl_process_arena)
        fl_arena_show(fl_process_arena);
    fl_root_open();
}

bool fl_process_init(void) {
    pthread_once(&once, init);
    return fl_process_arena != NULL;
}
