/* SPDX-License-Identifier: MIT */
#include "pace.h"

#include "../system/arithmetic.h"

#define SECOND_NS UINT64_C(1000000000)
#define QUIET_AFTER_NS (3 * SECOND_NS / 10)
#define LITTLE_PAGES 256 /* to fault less in again costs less than 0.2 % of the time */
#define MOVE_PART 128    /* of what may go, in QUIET_AFTER_NS */
#define STIR_PART 8
#define WORTH_PART 16 /* of what is Ready: taking less from a program at work gains nothing */
#define WORKS_PART 2  /* it uses a processor this part of the time */
#define PATIENCE_MAX_NS (10 * SECOND_NS)
#define UNUSED_NS (10 * SECOND_NS) /* unlikely to be wanted soon */
#define REGRET_WITHIN_NS (10 * SECOND_NS)
#define REGRETS_FREE 2
#define PEAK_LIFE_NS (14427 * SECOND_NS / 1000) /* 1/e of it; the half-life is 10 s */
#define KEEP_ABOVE_PEAK 10                      /* this part of the peak above it */
#define ALLOWANCE_PART 100
#define ALLOWANCE_MAX_NS ((int64_t)SECOND_NS / 100)
#define ALLOWANCE_DEBT_MAX_NS ((int64_t)SECOND_NS) /* made up for in 100 s of CPU time */

static uint64_t patience_ns(const fl_pace *pace) {
    uint64_t patience = QUIET_AFTER_NS;
    for (unsigned i = REGRETS_FREE; i < pace->regrets && patience < PATIENCE_MAX_NS; i++)
        patience *= 2;
    return patience < PATIENCE_MAX_NS ? patience : PATIENCE_MAX_NS;
}

/* Of a program at work. */
static uint64_t patience_at_work_ns(const fl_pace *pace) {
    return patience_ns(pace) / 2;
}

static void decay_peak(fl_pace *pace, size_t used_pages, uint64_t elapsed_ns) {
    if (pace->peak_pages <= used_pages)
        pace->peak_pages = used_pages;
    else {
        size_t above = pace->peak_pages - used_pages;
        double part = (double)elapsed_ns / (double)PEAK_LIFE_NS;
        size_t less = part < 1 ? (size_t)((double)above * part) + 1 : above;
        pace->peak_pages -= less < above ? less : above;
    }
}

static void forget_gave(fl_pace *pace) {
    pace->gave_ns = pace->gave_pages = 0;
}

/* From now on it has to be quiet anew. */
static void start_anew(fl_pace *pace, const fl_look *look) {
    pace->busy_ns = look->now_ns;
    pace->busy_cpu_ns = look->process_cpu_ns;
    pace->low_pages = pace->high_pages = look->used_pages;
    pace->before_low_pages = pace->before_high_pages = look->used_pages;
    if (pace->gave_pages < LITTLE_PAGES)
        forget_gave(pace);
}

/* Judges, in time, whether the last give-back of everything was a mistake. What has come back counts, not
 * what is there: a program may take back some while other memory still goes. */
static void judge(fl_pace *pace, const fl_look *look) {
    if (pace->gave_ns == 0)
        return;
    uint64_t came = look->grown_pages - pace->grown_seen;
    if (pace->gave_pages >= LITTLE_PAGES && came > pace->gave_pages / 2) {
        pace->regrets++;
        forget_gave(pace);
        start_anew(pace, look);
    } else if (look->now_ns - pace->gave_ns > REGRET_WITHIN_NS) {
        pace->regrets = 0;
        forget_gave(pace);
    }
}

/* A program that sleeps may be about to come back for more; one that works without new pages is less likely
 * to. */
static bool is_quiet(const fl_pace *pace, const fl_look *look) {
    uint64_t since_ns = look->now_ns - pace->busy_ns;
    bool works = look->process_cpu_ns - pace->busy_cpu_ns >= since_ns / WORKS_PART;
    return since_ns >= (works ? patience_at_work_ns(pace) : patience_ns(pace));
}

static bool has_moved(const fl_pace *pace, const fl_look *look) {
    size_t used = look->used_pages;
    size_t move = fl_larger(LITTLE_PAGES / 2, look->spare_pages / MOVE_PART);
    size_t stir = fl_larger(LITTLE_PAGES, look->spare_pages / STIR_PART);
    return used > pace->before_high_pages + move || used + move < pace->before_low_pages ||
           pace->high_pages - pace->low_pages > stir;
}

static bool is_worth_it(const fl_pace *pace, const fl_look *look) {
    return !pace->stirs || look->spare_pages > 2 * LITTLE_PAGES + look->ready_pages / WORTH_PART;
}

bool fl_pace_look(fl_pace *pace, const fl_look *look) {
    if (pace->looked_ns == 0 || has_moved(pace, look))
        start_anew(pace, look);
    pace->stirs = look->activity != pace->activity_seen;
    pace->activity_seen = look->activity;
    decay_peak(pace, look->used_pages, pace->looked_ns ? look->now_ns - pace->looked_ns : 0);
    pace->looked_ns = look->now_ns;
    judge(pace, look);
    return is_quiet(pace, look) && is_worth_it(pace, look);
}

size_t fl_pace_keep(const fl_pace *pace, size_t used_pages) {
    size_t goal = pace->peak_pages + pace->peak_pages / KEEP_ABOVE_PEAK;
    return fl_above(goal, used_pages);
}

size_t fl_pace_keep_quiet(const fl_pace *pace, size_t used_pages) {
    return pace->stirs ? fl_above(pace->high_pages, used_pages) : 0;
}

uint64_t fl_pace_unused_ns(const fl_pace *pace, bool quiet) {
    return quiet ? patience_at_work_ns(pace) : UNUSED_NS;
}

void fl_pace_upkeep_begins(fl_pace *pace, size_t used_pages) {
    pace->upkeep_low_pages = pace->low_pages;
    pace->upkeep_high_pages = pace->high_pages;
    pace->upkeep_used_pages = used_pages;
}

void fl_pace_upkeep_ends(fl_pace *pace, size_t used_pages) {
    size_t returned_pages = fl_above(pace->upkeep_used_pages, used_pages);
    pace->low_pages = fl_above(pace->upkeep_low_pages, returned_pages);
    pace->high_pages = fl_above(pace->upkeep_high_pages, returned_pages);
    pace->before_low_pages = fl_above(pace->before_low_pages, returned_pages);
    fl_pace_use(pace, used_pages);
}

void fl_pace_gave(fl_pace *pace, uint64_t now_ns, size_t gone_pages, uint64_t grown_pages) {
    /* Several ticks of one give-back count as one. */
    if (pace->gave_ns == 0) {
        pace->gave_ns = now_ns;
        pace->grown_seen = grown_pages;
    }
    pace->gave_pages += gone_pages;
}

bool fl_work_look(fl_work *work, uint64_t now_ns, uint64_t process_cpu_ns) {
    uint64_t since_ns = now_ns - work->seen_ns;
    if (since_ns >= QUIET_AFTER_NS) {
        work->goes_on = work->seen_ns == 0 || process_cpu_ns - work->seen_cpu_ns >= since_ns / FL_WORK_PART;
        work->seen_ns = now_ns;
        work->seen_cpu_ns = process_cpu_ns;
    }
    return work->goes_on;
}

uint64_t fl_allowance_look(fl_allowance *allowance, uint64_t process_cpu_ns) {
    if (allowance->cpu_seen_ns)
        allowance->left_ns += (int64_t)((process_cpu_ns - allowance->cpu_seen_ns) / ALLOWANCE_PART);
    allowance->cpu_seen_ns = process_cpu_ns;
    if (allowance->left_ns > ALLOWANCE_MAX_NS)
        allowance->left_ns = ALLOWANCE_MAX_NS;
    return allowance->left_ns > 0 ? (uint64_t)allowance->left_ns : 0;
}

void fl_allowance_spend(fl_allowance *allowance, uint64_t spent_ns) {
    allowance->left_ns -= (int64_t)spent_ns;
    if (allowance->left_ns < -ALLOWANCE_DEBT_MAX_NS)
        allowance->left_ns = -ALLOWANCE_DEBT_MAX_NS;
}
