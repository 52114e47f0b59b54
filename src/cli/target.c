/* SPDX-License-Identifier: MIT */
/*
 * target.c: another process: its memory and its files in /proc, and whether it is still the same.
 * target_root.c finds the root in it.
 */
#define _GNU_SOURCE
#include "target.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pidstat.h"
#include "rights.h"

bool fl_target_wrong(fl_target *target, const char *what) {
    snprintf(target->wrong, sizeof target->wrong, "process %d%s%s%s: %s", (int)target->process,
             *target->program ? " (" : "", target->program, *target->program ? ")" : "", what);
    return false;
}

static bool is_forbidden(fl_target *target, int code) {
    char why[400];
    target->forbidden = code == EACCES || code == EPERM;
    fl_rights_missing(target->process, code, why, sizeof why);
    return fl_target_wrong(target, why);
}

#define KERNELS_FLAG 0x200000 /* this of a process's flags: a thread of the kernel's */

static bool read_stat(const fl_target *target, pid_t thread, fl_pidstat *its) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task/%d/stat", (int)target->process, (int)thread);
    return fl_pidstat_read(path, its);
}

/* Finds a live thread: the first, unless it has ended before the others. Returns false if none is alive.
 * Through one that has ended, the system shows neither memory nor mappings, though others go on in them. */
static bool find_thread(fl_target *target, fl_pidstat *its) {
    char path[64];
    target->thread = target->process;
    if (read_stat(target, target->thread, its) && !fl_pidstat_has_ended(its))
        return true;
    snprintf(path, sizeof path, "/proc/%d/task", (int)target->process);
    DIR *threads = opendir(path);
    bool found = false;
    for (const struct dirent *entry; !found && threads && (entry = readdir(threads)) != NULL;) {
        pid_t thread = (pid_t)strtol(entry->d_name, NULL, 10);
        found = thread > 0 && read_stat(target, thread, its) && !fl_pidstat_has_ended(its);
        target->thread = found ? thread : target->thread;
    }
    if (threads)
        closedir(threads);
    return found;
}

/* Reads the process's line. Returns false if there is no process of the number. */
static bool read_process(const fl_target *target, fl_pidstat *its) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)target->process);
    return fl_pidstat_read(path, its);
}

bool fl_target_faults(fl_target *target, uint64_t *faults) {
    fl_pidstat now;
    if (!read_process(target, &now))
        return fl_target_wrong(target, "has ended");
    *faults = now.faults;
    return true;
}

bool fl_target_read(const fl_target *target, uint64_t address, void *into, size_t bytes) {
    for (size_t done = 0; done < bytes;) {
        if (address + done > INT64_MAX)
            return false;
        ssize_t got = pread(target->memory, (char *)into + done, bytes - done, (off_t)(address + done));
        if (got <= 0 && !(got < 0 && errno == EINTR))
            return false;
        done += got > 0 ? (size_t)got : 0;
    }
    return true;
}

/* Returns whether the memory that was opened is still there, as far as anything is known to be in it. */
static bool has_memory(const fl_target *target) {
    char byte;
    uint64_t self = (uint64_t)(uintptr_t)target->root.self;
    return (!self && !target->stack) || fl_target_read(target, self, &byte, 1) ||
           fl_target_read(target, target->stack, &byte, 1);
}

bool fl_target_lost(fl_target *target) {
    fl_pidstat process, thread;
    if (!read_process(target, &process) || process.began != target->began || !find_thread(target, &thread))
        return !fl_target_wrong(target, "has ended. (If it went on as a daemon, its child has another PID.)");
    /* What was opened is the memory of one program. When the process becomes another program, it is empty;
     * unless a child of vfork goes on in it. */
    return (thread.stack != target->stack || !has_memory(target)) &&
           !fl_target_wrong(target, "has become another program (exec); run this again for that one");
}

bool fl_target_give_up(fl_target *target) {
    return !fl_target_lost(target) && fl_target_wrong(target, "has tables that cannot be followed");
}

static int open_file(const fl_target *target, const char *name) {
    char path[96];
    snprintf(path, sizeof path, "/proc/%d/task/%d/%s", (int)target->process, (int)target->thread, name);
    return open(path, O_RDONLY | O_CLOEXEC);
}

static bool is_gone(int code) {
    return code == ENOENT || code == ESRCH;
}

int fl_target_descriptor(fl_target *target, const char *name) {
    fl_pidstat unused;
    int file = open_file(target, name);
    if (file < 0 && is_gone(errno) && find_thread(target, &unused))
        file = open_file(target, name);
    if (file < 0 && is_gone(errno))
        fl_target_wrong(target, "has ended");
    else if (file < 0)
        is_forbidden(target, errno);
    return file;
}

FILE *fl_target_file(fl_target *target, const char *name) {
    int descriptor = fl_target_descriptor(target, name);
    FILE *file = descriptor < 0 ? NULL : fdopen(descriptor, "r");
    if (descriptor >= 0 && !file) {
        fl_target_wrong(target, strerror(errno));
        close(descriptor);
    }
    return file;
}

bool fl_target_attach(fl_target *target, const char *number) {
    char *end;
    fl_pidstat now, thread;
    *target = (fl_target){.memory = -1};
    long process = strtol(number, &end, 10);
    if (!*number || *end || process <= 0 || process > INT32_MAX) {
        snprintf(target->wrong, sizeof target->wrong, "%.64s: not a PID", number);
        return false;
    }
    target->process = (pid_t)process;
    if (!read_process(target, &now))
        return fl_target_wrong(target,
                               "does not exist here. (PIDs inside a container differ from those outside.)");
    memcpy(target->program, now.program, sizeof target->program);
    if (!find_thread(target, &thread))
        return fl_target_wrong(target, "has ended, and waits for its parent to collect its status");
    if (now.flags & KERNELS_FLAG)
        return fl_target_wrong(target, "is a kernel thread, which has no memory of its own");
    target->began = now.began;
    target->stack = thread.stack;
    target->memory = fl_target_descriptor(target, "mem");
    return target->memory >= 0;
}

void fl_target_close(fl_target *target) {
    if (target->memory >= 0)
        close(target->memory);
    target->memory = -1;
}
