/* SPDX-License-Identifier: MIT */
/* purge.h: the allocator's own call for giving everything back, whichever allocator it is. Needs
 * _GNU_SOURCE. */
#ifndef PURGE_H
#define PURGE_H

#include <dlfcn.h>
#include <stddef.h>

/* What was called. */
static inline const char *purge(void) {
    int (*ctl)(const char *, void *, size_t *, void *, size_t) = dlsym(RTLD_DEFAULT, "mallctl");
    void (*collect)(int) = dlsym(RTLD_DEFAULT, "mi_collect");
    void (*release)(void) = dlsym(RTLD_DEFAULT, "MallocExtension_ReleaseFreeMemory");
    int (*trim)(size_t) = dlsym(RTLD_DEFAULT, "malloc_trim");
    if (ctl)
        return ctl("arena.4096.purge", NULL, NULL, NULL, 0) ? "mallctl failed" : "mallctl";
    if (collect)
        return collect(1), "mi_collect";
    if (release)
        return release(), "ReleaseFreeMemory";
    return trim ? trim(0), "malloc_trim" : "none";
}

#endif
