/* SPDX-License-Identifier: MIT */
#include "sealed.h"

#include "../osmem/backend.h"
#include "../slab/large.h"
#include "../slab/misused.h"
#include "../system/fatal.h"

#if FL_HARDENED

#define GUARD_BYTES ((size_t)4 << 10)
#define FILL_BYTES_MAX ((size_t)128) /* of the bytes between contents and end word */
#define MOVED_BYTES_MIN ((size_t)1 << 20)
#define RENEWED_BYTES ((size_t)32 << 20) /* see block.c */

/* In fields of the descriptor that a large block does not use otherwise: where guards have room, and which of
 * them are there. */
static bool has_lead(const fl_slab *run) {
    return run->partial;
}
static bool has_tail(const fl_slab *run) {
    return run->linked;
}
static bool is_waiting(const fl_slab *run) {
    return run->seen;
}
#define LEAD_IS_THERE 1
#define TAIL_IS_THERE 2

static char *end_of(const fl_slab *run) {
    return run->start + (run->pages << FL_PAGE_SHIFT);
}

static char *block_of(const fl_slab *run) {
    return run->start + (has_lead(run) ? GUARD_BYTES : 0);
}

/* Where the end word ends. */
static char *contents_end(const fl_slab *run) {
    return end_of(run) - (has_tail(run) ? GUARD_BYTES : 0);
}

/* A guard is an OS page of the usual size. */
static bool may_have_guards(void) {
    return fl_the_window.os_page_bytes == GUARD_BYTES;
}

static size_t run_bytes(bool lead, bool tail, size_t bytes) {
    return (lead ? GUARD_BYTES : 0) + bytes + FL_END_BYTES + (tail ? GUARD_BYTES : 0);
}

static char fill_at(size_t index) {
    return (char)(fl_the_secrets.fill >> index % sizeof fl_the_secrets.fill * 8);
}

static void write_end(fl_slab *run, size_t bytes, unsigned alignment_shift) {
    char *block = block_of(run), *end = contents_end(run);
    size_t gap = (size_t)(end - FL_END_BYTES - block) - bytes;
    size_t filled = gap < FILL_BYTES_MAX ? gap : FILL_BYTES_MAX;
    for (size_t i = 0; i < filled; i++)
        block[bytes + i] = fill_at(i);
    fl_end_write(end, fl_end_make(block, FL_END_LIVE, alignment_shift, gap));
}

/* What cannot be guarded stays accessible; the layout is the same. */
static void guard_lead(fl_slab *run) {
    if (has_lead(run) && fl_backend_guard(run->start, GUARD_BYTES))
        run->guarded |= LEAD_IS_THERE;
}
static void guard_tail(fl_slab *run) {
    if (has_tail(run) && fl_backend_guard(end_of(run) - GUARD_BYTES, GUARD_BYTES))
        run->guarded |= TAIL_IS_THERE;
}

/* Return false if the guard stays, since the system refuses what it did before. */
static bool unguard_lead(fl_slab *run) {
    if (run->guarded & LEAD_IS_THERE && fl_backend_unguard(run->start, GUARD_BYTES))
        run->guarded &= (uint8_t)~LEAD_IS_THERE;
    return !(run->guarded & LEAD_IS_THERE);
}
static bool unguard_tail(fl_slab *run) {
    if (run->guarded & TAIL_IS_THERE && fl_backend_unguard(end_of(run) - GUARD_BYTES, GUARD_BYTES))
        run->guarded &= (uint8_t)~TAIL_IS_THERE;
    return !(run->guarded & TAIL_IS_THERE);
}

static void begin(fl_slab *run, bool lead, bool tail, size_t bytes, unsigned alignment_shift) {
    run->partial = lead;
    run->linked = tail;
    run->seen = run->guarded = false;
    write_end(run, bytes, alignment_shift);
    guard_lead(run);
    guard_tail(run);
}

void *fl_sealed_alloc(fl_heap *heap, size_t alignment, size_t bytes, bool zeroed) {
    bool tail = may_have_guards(), lead = tail && alignment <= GUARD_BYTES;
    size_t all = run_bytes(lead, tail, bytes);
    if (bytes > PTRDIFF_MAX || alignment > PTRDIFF_MAX || all > PTRDIFF_MAX)
        return NULL;
    if (all <= FL_CLASS_BYTES_MAX) /* makes it a run, whatever its alignment */
        all = FL_CLASS_BYTES_MAX + 1;
    bool is_zero;
    char *start = fl_large_alloc_known(heap->arena, &heap->kept, all,
                                       alignment > FL_PAGE_BYTES ? alignment >> FL_PAGE_SHIFT : 1, &is_zero);
    if (!start)
        return NULL;
    if (zeroed && !is_zero && !(bytes >= RENEWED_BYTES && fl_large_renew(start)))
        memset(start, 0, all);
    fl_slab *run = fl_entry_slab(fl_entry_of(start));
    begin(run, lead, tail, bytes, alignment > 16 ? (unsigned)__builtin_ctzl(alignment) : 0);
    return block_of(run);
}

static _Noreturn void misuse(const fl_slab *run, const char *doing, const void *block, const char *found) {
    fl_line line;
    fl_fatal_begin(&line, doing, block, found);
    fl_line_add(&line, "; a large block of ");
    fl_line_add_number(&line, run->pages);
    fl_line_add(&line, " pages at ");
    fl_line_add_address(&line, block_of(run));
    fl_line_add(&line, ", arena '");
    fl_line_add(&line, run->arena->name);
    fl_line_add(&line, "'; valgrind or -fsanitize=address show who did it");
    fl_fatal_end(&line);
}

void fl_sealed_check(const fl_slab *run, const void *block, const char *doing) {
    if (block != block_of(run))
        misuse(run, doing, block, "not the start of a block (it lies inside a large one)");
    if (is_waiting(run))
        misuse(run, doing, block, "freed twice, or used after it was freed (it waits in quarantine)");
    uint64_t end = fl_end_code(block, fl_end_read(contents_end(run)));
    size_t gap = fl_end_gap(end), filled = gap < FILL_BYTES_MAX ? gap : FILL_BYTES_MAX;
    if (!fl_end_is_live(end))
        misuse(run, doing, block, "written to behind its end (its end word is damaged)");
    const char *fill = contents_end(run) - FL_END_BYTES - gap;
    for (size_t i = 0; i < filled; i++)
        if (fill[i] != fill_at(i))
            misuse(run, doing, block, "written to behind its end (what lies there is not as it was)");
}

size_t fl_sealed_bytes(const fl_slab *run, const void *block) {
    const char *end = contents_end(run);
    return (size_t)(end - FL_END_BYTES - (const char *)block) -
           fl_end_gap(fl_end_code(block, fl_end_read(end)));
}

unsigned fl_sealed_alignment_shift(const fl_slab *run) {
    return fl_end_alignment_shift(fl_end_code(block_of(run), fl_end_read(contents_end(run))));
}

/* A freed run some of whose guards stay: nobody can have these pages again. They count as a freed block's
 * that waits, for ever; what lies between goes back. */
static void keep_ends(fl_kept *kept, fl_slab *run) {
    run->seen = true;
    fl_slab *last = fl_large_cut(kept, run);
    if (!last)
        return;
    last->partial = last->linked = false;
    last->seen = true;
}

void fl_sealed_give(fl_kept *kept, fl_slab *run) {
    bool waits = is_waiting(run);
    if (waits && !fl_backend_unguard(run->start, run->pages << FL_PAGE_SHIFT))
        return; /* nobody's for ever, without memory behind it */
    bool no_lead = waits || unguard_lead(run), no_tail = waits || unguard_tail(run);
    if (!no_lead || !no_tail) {
        keep_ends(kept, run);
        return;
    }
    run->partial = run->linked = run->seen = false;
    fl_large_give(kept, run, run->start);
}

bool fl_sealed_close(fl_slab *run) {
    run->seen = has_tail(run) && fl_backend_guard(run->start, run->pages << FL_PAGE_SHIFT);
    return run->seen;
}

const char *fl_sealed_touched(const fl_slab *run, const char *address) {
    if (is_waiting(run))
        return "used after it was freed (it waits in quarantine)";
    if (has_lead(run) && address < block_of(run))
        return "an underflow (a guard page lies before the block)";
    return has_tail(run) && address >= contents_end(run) ? "an overflow (a guard page lies behind the block)"
                                                         : NULL;
}

/* The lead's guard would be in the way of a copy. Returns NULL if it stays, too. */
static void *move(fl_heap *heap, fl_slab *run, size_t bytes, unsigned alignment_shift) {
    bool lead = has_lead(run), tail = has_tail(run);
    if (!unguard_lead(run))
        return NULL;
    char *start = fl_large_move(heap->arena, &heap->kept, run, run_bytes(lead, tail, bytes));
    if (!start) {
        guard_lead(run);
        return NULL;
    }
    run = fl_entry_slab(fl_entry_of(start));
    begin(run, lead, tail, bytes, alignment_shift);
    return block_of(run);
}

void *fl_sealed_resize(fl_heap *heap, fl_slab *run, void *block, size_t bytes) {
    size_t all = run_bytes(has_lead(run), has_tail(run), bytes), before = fl_sealed_bytes(run, block);
    unsigned shift = fl_sealed_alignment_shift(run);
    if (bytes > PTRDIFF_MAX || all > PTRDIFF_MAX || all <= FL_CLASS_BYTES_MAX)
        return NULL;
    if (!unguard_tail(run))
        return NULL;
    void *moved = block;
    if (fl_large_resize(run, all)) {
        write_end(run, bytes, shift);
        guard_tail(run);
    } else if (bytes < before || before < MOVED_BYTES_MIN || !(moved = move(heap, run, bytes, shift))) {
        guard_tail(run);
        return NULL;
    }
    return moved;
}

#else
typedef int fl_no_guards; /* a file must not be empty */
#endif
