/* SPDX-License-Identifier: MIT */
#include "guard_words.h"

#include "../slab/arenas.h"
#include "../slab/units.h"
#include "../system/place.h"
#include "../system/report.h"
#include "sealed.h"

#if FL_HARDENED

/* The page map knows only the first pages of a large block: the nearest entry before tells. */
#define LOOKS_MAX ((size_t)1 << 20)

static const fl_slab *owner_of(const char *address) {
    size_t page = fl_page_of(address);
    if (page >= atomic_load_explicit(&fl_the_window.pages, memory_order_acquire))
        return NULL;
    for (size_t looks = 0; looks < LOOKS_MAX && looks <= page; looks++) {
        fl_entry entry = atomic_load_explicit(&fl_the_window.table[page - looks], memory_order_relaxed);
        if (entry)
            return address < fl_entry_slab(entry)->start + (fl_entry_slab(entry)->pages << FL_PAGE_SHIFT)
                       ? fl_entry_slab(entry)
                       : NULL;
    }
    return NULL;
}

/* Returns what is said of an access; NULL: nothing is known. */
static const char *what_it_was(const fl_slab *slab, const char *address) {
    if (!slab)
        return NULL;
    if (slab->kind == FL_KIND_LARGE)
        return fl_sealed_touched(slab, address);
    return slab->kind == FL_KIND_SLAB && fl_slab_is_guard(slab, address)
               ? "an overflow out of a slab, or an underflow into it (a guard page lies behind its blocks)"
               : NULL;
}

static void add_owner(fl_line *line, const fl_slab *slab) {
    bool large = slab->kind == FL_KIND_LARGE;
    fl_line_add(line, large ? "; a large block of " : "; ");
    fl_line_add_number(line, large ? slab->pages : slab->capacity);
    fl_line_add(line, large ? " pages" : " blocks of ");
    if (!large) {
        fl_line_add_number(line, slab->block_bytes);
        fl_line_add(line, " bytes");
    }
    fl_line_add(line, " at ");
    fl_line_add_address(line, slab->start);
    fl_line_add(line, ", arena '");
    fl_line_add(line, slab->arena->name);
    fl_line_add(line, "'");
}

bool fl_guard_explain(const fl_fault *fault) {
    const fl_slab *slab = owner_of(fault->address);
    const char *what = what_it_was(slab, fault->address);
    if (!what)
        return false;
    fl_line *line = fl_report_begin();
    fl_report_add_access(line, fault);
    fl_line_add(line, what);
    add_owner(line, slab);
    if (fault->instruction) {
        fl_line_add(line, "; by ");
        fl_line_add_place(line, fault->instruction);
    }
    fl_line_add(line, "; valgrind or -fsanitize=address show whose it was\n");
    fl_line_write(line, 2);
    fl_report_end();
    return true;
}

#else
typedef int fl_no_guard_words; /* a file must not be empty */
#endif
