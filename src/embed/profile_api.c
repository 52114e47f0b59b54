/* SPDX-License-Identifier: MIT */
/*
 * profile_api.c: the public face of the profile; and its text, which src/cli/profile_read.c reads.
 */
#include "fallow/profile.h"

#include <errno.h>

#include "../heap/sampled.h"
#include "../heap/startup.h"
#include "../system/line.h"
#include "../system/system.h"

static void want(unsigned shift_and_one) {
    atomic_store_explicit(&fl_the_sampling.wanted, (uint8_t)shift_and_one, memory_order_relaxed);
    fl_sampling_follow();
}

bool fallow_profile_start(size_t mean_bytes) {
    if (mean_bytes == 0 || FL_HARDENED || !fl_process_init()) {
        errno = mean_bytes == 0 ? EINVAL : FL_HARDENED ? ENOTSUP : ENOMEM;
        return false;
    }
    unsigned shift = 63 - (unsigned)__builtin_clzll(mean_bytes);
    want((shift < FL_SHIFT_MAX ? shift : FL_SHIFT_MAX) + 1);
    return true;
}

void fallow_profile_stop(void) {
    if (fl_process_init())
        want(0);
}

static void add(fl_line *line, uint64_t number) {
    fl_line_add(line, " ");
    fl_line_add_number(line, number);
}

/* Writes a line for a site: counts, calls, and at its end the arena's name, which may have blanks in it.
 * Returns 0, or the number of the error. */
static int write_site(const fl_site *site, int descriptor) {
    fl_line line;
    fl_line_start(&line);
    fl_line_add(&line, "site");
    add(&line, site->live_blocks), add(&line, site->live_bytes);
    add(&line, site->total_blocks), add(&line, site->total_bytes);
    add(&line, site->peak_blocks), add(&line, site->peak_bytes);
    add(&line, site->depth);
    int error = fl_system_write(descriptor, line.text, line.length);
    for (uint32_t i = 0; !error && i < site->depth; i++) {
        fl_line_start(&line);
        add(&line, site->calls[i]);
        error = fl_system_write(descriptor, line.text, line.length);
    }
    fl_line_start(&line);
    fl_line_add(&line, " ");
    fl_line_add(&line, site->arena);
    fl_line_add(&line, "\n");
    return error ? error : fl_system_write(descriptor, line.text, line.length);
}

bool fallow_profile_write(int descriptor) {
    fl_site copy;
    fl_line line;
    fl_line_start(&line);
    fl_line_add(&line, "fallow profile 1\nmean");
    add(&line, fl_sampling_shift() < 0 ? 0 : (uint64_t)1 << fl_sampling_shift());
    fl_line_add(&line, "\n");
    int error = fl_system_write(descriptor, line.text, line.length);
    for (const fl_site *site = NULL; !error && (site = fl_sites_next(site, &copy)) != NULL;)
        error = write_site(&copy, descriptor);
    if (!error)
        error = fl_system_write(descriptor, "maps\n", 5);
    if (!error)
        error = fl_system_write_maps(descriptor);
    if (error)
        errno = error;
    return error == 0;
}
