/* SPDX-License-Identifier: MIT */
/* tasks.h: how many threads the calling process has, as the kernel says. */
#ifndef TASKS_H
#define TASKS_H

#include <dirent.h>

#include "check.h"

static inline int thread_count(void) {
    int count = 0;
    DIR *tasks = opendir("/proc/self/task");
    CHECK(tasks);
    for (struct dirent *task; (task = readdir(tasks)) != NULL;)
        count += task->d_name[0] != '.';
    closedir(tasks);
    return count;
}

#endif
