/* SPDX-License-Identifier: MIT */
#include "processes.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "grow.h"
#include "statistics.h"

static uint64_t resident_bytes(const char *number) {
    char path[300];
    unsigned long long size = 0, resident = 0;
    snprintf(path, sizeof path, "/proc/%s/statm", number);
    FILE *file = fopen(path, "re");
    if (file && fscanf(file, "%llu %llu", &size, &resident) != 2)
        resident = 0;
    if (file)
        fclose(file);
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static bool look_at(fl_processes *its, const char *number) {
    static fl_target target;
    bool added = true;
    if (fl_target_open(&target, number)) {
        fl_process *more = fl_grow(its->all, its->count, sizeof *more);
        added = more != NULL;
        its->all = added ? more : its->all;
        if (added) {
            fl_process *new = &its->all[its->count++];
            *new = (fl_process){.process = target.process, .resident_bytes = resident_bytes(number)};
            memcpy(new->program, target.program, sizeof new->program);
            memcpy(new->version, target.root.version, sizeof new->version - 1);
        }
    } else
        its->forbidden += target.forbidden;
    fl_target_close(&target);
    return added;
}

static int by_size(const void *a, const void *b) {
    uint64_t left = ((const fl_process *)a)->resident_bytes, right = ((const fl_process *)b)->resident_bytes;
    return (left < right) - (left > right);
}

bool fl_processes_find(fl_processes *its) {
    *its = (fl_processes){0};
    DIR *folder = opendir("/proc");
    bool done = folder != NULL;
    for (const struct dirent *entry; done && (entry = readdir(folder)) != NULL;)
        if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' && strtol(entry->d_name, NULL, 10) != getpid())
            done = look_at(its, entry->d_name);
    if (folder)
        closedir(folder);
    if (its->count)
        qsort(its->all, its->count, sizeof *its->all, by_size);
    return done;
}

void fl_processes_free(fl_processes *its) {
    free(its->all);
    *its = (fl_processes){0};
}

void fl_processes_draw(const fl_processes *its, size_t chosen, fl_frame *frame) {
    size_t room = frame->lines > 5 ? frame->lines - 5 : 1,
           first = chosen < room || chosen >= its->count ? 0 : chosen - room + 1;
    fl_frame_put(frame, 0, 0, FL_STYLE_STRONG, "processes on fallow: %zu", its->count);
    if (its->forbidden)
        fl_frame_put(frame, 0, 32, FL_STYLE_PLAIN, "(%zu may not be read: run this as root)", its->forbidden);
    fl_frame_put(frame, 2, 0, FL_STYLE_STRONG, "%10s  %-32s%12s  %s", "PID", "program", "resident", "fallow");
    for (size_t i = first; i < its->count && i < first + room; i++) {
        char bytes[32];
        fl_format_bytes(its->all[i].resident_bytes, bytes, sizeof bytes);
        fl_frame_put(frame, 3 + (unsigned)(i - first), 0, i == chosen ? FL_STYLE_CHOSEN : FL_STYLE_PLAIN,
                     "%10d  %-32s%12s  %s", (int)its->all[i].process, its->all[i].program, bytes,
                     its->all[i].version);
    }
    if (its->count == 0)
        fl_frame_put(frame, 3, 0, FL_STYLE_PLAIN, "none (start one with fallow run -- PROGRAM)");
    fl_frame_put(frame, frame->lines - 1, 0, FL_STYLE_CHOSEN, "up, down, Enter choose  r refresh  q quit");
}
