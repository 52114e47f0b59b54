/* SPDX-License-Identifier: MIT */
#include "settings.h"

#include "../arena/driver.h"
#include "../arena/huge.h"
#include "../arena/limits.h"
#include "../heap/sampled.h"
#include "../slab/arenas.h"
#include "../slab/trap_words.h"
#include "../system/system.h"
#include "fallow/profile.h"

#define USUAL(name, kind, usual, what) .name = usual,

fl_options fl_the_options = {FL_OPTIONS(USUAL)};

/* A user who wants neither a thread nor files is in a sandbox. */
static void keep_to_memory(void) {
    fl_system_keep_to_memory(!fl_the_options.background_thread && !fl_the_options.container);
}

/* Every option is named: one that is not does not compile. */
void fl_option_apply(fl_option which) {
    switch (which) {
    case FL_OPTION_background_thread:
        fl_driver_allow_thread(fl_the_options.background_thread);
        keep_to_memory();
        return;
    case FL_OPTION_container:
        fl_limits_heed_container(fl_the_options.container);
        keep_to_memory();
        return;
    case FL_OPTION_guard_sampling:
        if (fl_the_options.guard_sampling)
            fl_system_explain_faults(fl_trap_explain);
        fl_sampling_trap(fl_the_options.guard_sampling);
        return;
    case FL_OPTION_give_back:
        fl_driver_switch(fl_the_options.give_back);
        return;
    case FL_OPTION_huge_pages:
        fl_huge_pages_ask(fl_the_options.huge_pages);
        return;
    case FL_OPTION_hard_limit:
        fl_limits_set_process_hard(fl_the_options.hard_limit);
        return;
    case FL_OPTION_idle_max:
        fl_limits_set_idle_max(&fl_process_arena->pages, fl_the_options.idle_max);
        return;
    case FL_OPTION_profile:
        if (fl_the_options.profile)
            fallow_profile_start(fl_the_options.profile);
        else
            fallow_profile_stop();
        return;
    case FL_OPTION_soft_limit:
        fl_limits_set_process_soft(fl_the_options.soft_limit);
        return;
    case FL_OPTION_profile_file:
    case FL_OPTION_stats_file: /* read at the end; so with the next */
    case FL_OPTION_verbose:
    case FL_OPTION_COUNT:
        return;
    }
}
