/* SPDX-License-Identifier: MIT */
#include "grant.h"

#include "../system/system.h"
#include "scavenger.h"

#define SHEDS_MAX 16 /* a call-back that frees too little each time */

/* What the process's soft limit is made of: the program's word, else the container's. 0: none. Each thread that changes one of
 * them puts them together from what it sees; who comes last sees all. */
static _Atomic size_t soft_set_bytes, container_bytes;
static _Atomic bool container_is_ignored;

static size_t pages_of_limit(size_t bytes) {
    return bytes ? bytes >> FL_PAGE_SHIFT : SIZE_MAX;
}

void fl_limits_set(fl_arena *arena, size_t soft_bytes, size_t hard_bytes) {
    atomic_store_explicit(&arena->limits.soft_pages, pages_of_limit(soft_bytes), memory_order_relaxed);
    atomic_store_explicit(&arena->limits.hard_pages, pages_of_limit(hard_bytes), memory_order_relaxed);
}

void fl_limits_set_idle_max(fl_arena *arena, size_t bytes) {
    atomic_store_explicit(&arena->limits.idle_pages, pages_of_limit(bytes), memory_order_relaxed);
}

void fl_limits_set_policy(fl_arena *arena, bool keeps, bool at_once) {
    atomic_store_explicit(&arena->limits.keeps_idle, keeps, memory_order_relaxed);
    if (at_once)
        atomic_store_explicit(&arena->limits.idle_pages, 0, memory_order_relaxed);
}

static void put_soft_together(void) {
    size_t soft = atomic_load_explicit(&soft_set_bytes, memory_order_seq_cst);
    if (!soft && !atomic_load_explicit(&container_is_ignored, memory_order_seq_cst))
        soft = atomic_load_explicit(&container_bytes, memory_order_seq_cst);
    atomic_store_explicit(&fl_process_soft_pages, pages_of_limit(soft), memory_order_seq_cst);
}

void fl_limits_set_process(size_t soft_bytes, size_t hard_bytes) {
    atomic_store_explicit(&soft_set_bytes, soft_bytes, memory_order_seq_cst);
    atomic_store_explicit(&fl_process_hard_pages, pages_of_limit(hard_bytes), memory_order_relaxed);
    put_soft_together();
}

void fl_limits_on_shortage(fl_arena *arena, bool (*shed)(void *context, size_t bytes), void *context) {
    fl_lock_take(&arena->lock);
    arena->limits.shed = shed;
    arena->limits.shed_context = context;
    fl_lock_drop(&arena->lock);
}

void fl_limits_fork_child(fl_arena *arena) {
    fl_lock_init_checking(&arena->shed_lock, FL_LOCK_SHED);
}

void fl_limits_heed_container(bool heed) {
    atomic_store_explicit(&container_is_ignored, !heed, memory_order_seq_cst);
    put_soft_together();
}

void fl_limits_follow_container(void) {
    size_t limit = fl_system_memory_limit();
    atomic_store_explicit(&container_bytes, limit - limit / 10, memory_order_seq_cst);
    put_soft_together();
}

/* Asks the owner. False: there is none, it has nothing, or it is the owner that is asking. */
static bool shed(fl_arena *arena, size_t bytes) {
    fl_lock_take(&arena->lock);
    bool (*ask)(void *, size_t) = arena->limits.shed;
    void *context = arena->limits.shed_context;
    fl_lock_drop(&arena->lock);
    if (!ask)
        return false;
    if (!fl_lock_take_unless_mine(&arena->shed_lock))
        return false;
    bool worth_it = ask(context, bytes);
    fl_lock_drop(&arena->shed_lock);
    return worth_it;
}

/* The ladder. Returns whether another try makes sense. */
static bool make_room(fl_arena *arena, const fl_shortage *shortage, unsigned step, size_t pages) {
    if (shortage->why == FL_REFUSED_NEVER)
        return false;
    /* Whose limit it is knows best what can be spared below it; else the owner of the arena itself. */
    if (step > SHEDS_MAX ||
        (step > 0 && !(shortage->whose && shed(shortage->whose, pages << FL_PAGE_SHIFT)) &&
         !(shortage->whose != arena && shed(arena, pages << FL_PAGE_SHIFT))))
        return false;
    /* The system counts what is mapped: it gains by whole chunks that can be unmapped. */
    size_t wanted = shortage->pages;
    if (shortage->why == FL_REFUSED_SYSTEM && wanted < FL_REGION_PAGES)
        wanted = FL_REGION_PAGES;
    /* What was shed may be idle in another arena now. */
    fl_scavenger_give_back(shortage->whose, wanted, FL_CAUSE_LIMIT, shortage->why != FL_REFUSED_SOFT);
    if (shortage->why == FL_REFUSED_SYSTEM)
        fl_scavenger_unmap_spare();
    return true;
}

char *fl_grant(fl_arena *arena, size_t pages, size_t alignment_pages, bool *zeroed) {
    fl_shortage shortage;
    for (unsigned step = 0;; step++) {
        char *start = fl_pages_try(arena, pages, alignment_pages, step == 0, zeroed, &shortage);
        if (start || !make_room(arena, &shortage, step, pages))
            return start;
    }
}
