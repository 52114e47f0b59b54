/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "pagemap.h"

#include <unistd.h>

/* Bits of a word of the kernel's (Documentation/admin-guide/mm/pagemap.rst). */
#define PRESENT (UINT64_C(1) << 63)
#define SWAPPED (UINT64_C(1) << 62)
#define OF_FILE (UINT64_C(1) << 61)

void fl_pagemap_open(fl_pagemap *pages, fl_target *target) {
    pages->file = fl_target_descriptor(target, "pagemap");
    pages->page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
    pages->count = 0;
}

void fl_pagemap_close(fl_pagemap *pages) {
    if (pages->file >= 0)
        close(pages->file);
    pages->file = -1;
}

static bool read_ahead(fl_pagemap *pages, uint64_t page) {
    ssize_t got = pages->file < 0 ? -1
                                  : pread(pages->file, pages->words, sizeof pages->words,
                                          (off_t)(page * sizeof *pages->words));
    pages->first = page;
    pages->count = got > 0 ? (size_t)got / sizeof *pages->words : 0;
    return pages->count > 0;
}

fl_backing fl_pagemap_backing(fl_pagemap *pages, uint64_t address) {
    uint64_t page = address / pages->page_bytes;
    if (page - pages->first >= pages->count && !read_ahead(pages, page))
        return FL_BACKING_UNKNOWN;
    uint64_t word = pages->words[page - pages->first];
    return word & PRESENT   ? word & OF_FILE ? FL_BACKING_FILE : FL_BACKING_PRIVATE
           : word & SWAPPED ? FL_BACKING_SWAPPED
                            : FL_BACKING_NONE;
}

uint64_t fl_pagemap_resident(fl_pagemap *pages, uint64_t start, uint64_t bytes) {
    uint64_t resident = 0;
    for (uint64_t at = start; at < start + bytes; at += pages->page_bytes) {
        fl_backing backing = fl_pagemap_backing(pages, at);
        if (backing == FL_BACKING_UNKNOWN)
            return resident;
        resident += backing >= FL_BACKING_FILE ? pages->page_bytes : 0;
    }
    return resident;
}
