/* SPDX-License-Identifier: MIT */
/*
 * pagemap.h: what lies behind each page of a process: /proc/PID/pagemap, read some pages ahead. Reading it
 * makes nothing resident.
 */
#ifndef FL_PAGEMAP_H
#define FL_PAGEMAP_H

#include "target.h"

typedef struct fl_pagemap {
    int file; /* -1 if there is none */
    uint64_t page_bytes;
    uint64_t first; /* the page of the first word */
    size_t count;
    uint64_t words[4096];
} fl_pagemap;

typedef enum fl_backing {
    FL_BACKING_UNKNOWN, /* the system does not say */
    FL_BACKING_NONE,
    FL_BACKING_SWAPPED,
    FL_BACKING_FILE,   /* or memory that is shared */
    FL_BACKING_PRIVATE /* the process's own; of a private mapping of a file, what it has written */
} fl_backing;

void fl_pagemap_open(fl_pagemap *pages, fl_target *target);
void fl_pagemap_close(fl_pagemap *pages);

fl_backing fl_pagemap_backing(fl_pagemap *pages, uint64_t address);

uint64_t fl_pagemap_resident(fl_pagemap *pages, uint64_t start, uint64_t bytes);

#endif
