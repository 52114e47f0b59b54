/* SPDX-License-Identifier: MIT */
#include "quarantine.h"

#include "../slab/misused.h"
#include "sealed.h"

#if FL_HARDENED

_Static_assert(FL_RING_SLOTS == 32 + 16 + 4, "all rings");
_Static_assert(32 * (1 << 10) + 16 * (8 << 10) + 4 * (32 << 10) <= FL_QUARANTINE_BYTES, "as documented");

void fl_quarantine_init(fl_heap *heap) {
    memset(&heap->quarantine, 0, sizeof heap->quarantine);
    heap->quarantine.chance = (uint32_t)fl_hardening_random();
}

bool fl_quarantine_is_waiting(const void *block) {
    return fl_mark_of(block)[0] == ((uintptr_t)block ^ fl_the_secrets.wait);
}

_Noreturn void fl_quarantine_stop(const void *block) {
    fl_misuse(fl_entry_slab(fl_entry_of(block)), "look at", block,
              "written to after it was freed (it waits in quarantine, and is not as it was)");
}

static fl_slab *take_oldest_run(fl_heap *heap) {
    fl_quarantine *it = &heap->quarantine;
    if (it->run_count == 0)
        return NULL;
    fl_slab *run = it->runs[it->first_run];
    it->first_run = (uint16_t)((it->first_run + 1) % FL_RUNS);
    it->run_count--;
    it->run_bytes -= run->pages << FL_PAGE_SHIFT;
    fl_quarantine_count(heap, -1);
    return run;
}

fl_slab *fl_quarantine_put_run(fl_heap *heap, fl_slab *run) {
    fl_quarantine *it = &heap->quarantine;
    size_t bytes = run->pages << FL_PAGE_SHIFT;
    fl_slab *over = run;
    fl_heap_enter(heap, heap);
    if (fl_quarantine_is_open(heap)) {
        bool has_room = it->run_count < FL_RUNS && it->run_bytes + bytes <= FL_QUARANTINE_RUN_BYTES;
        over = has_room ? NULL : take_oldest_run(heap);
        if (has_room) {
            it->runs[(it->first_run + it->run_count++) % FL_RUNS] = run;
            it->run_bytes += bytes;
            fl_quarantine_count(heap, 1);
        }
    }
    fl_heap_leave(heap);
    return over;
}

void *fl_quarantine_take(fl_heap *heap, fl_slab **slab) {
    for (fl_slab *run; (run = take_oldest_run(heap)) != NULL;)
        fl_sealed_give(NULL, run);
    for (void **slot = heap->quarantine.slots; slot < heap->quarantine.slots + FL_RING_SLOTS; slot++) {
        void *block = *slot;
        if (!block)
            continue;
        *slot = NULL;
        fl_quarantine_count(heap, -1);
        fl_quarantine_end(block);
        *slab = fl_entry_slab(fl_entry_of(block));
        return block;
    }
    return NULL;
}

#else
typedef int fl_no_quarantine; /* a file must not be empty */
#endif
