/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "rights.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SYS_PTRACE 19 /* the capability's number */

/* Reads a number behind a word at the start of a line of a file. */
static bool find_number(const char *path, const char *word, int base, uint64_t *number) {
    char line[512];
    bool found = false;
    FILE *file = fopen(path, "re");
    while (file && !found && fgets(line, sizeof line, file))
        if (!strncmp(line, word, strlen(word))) {
            *number = strtoull(line + strlen(word), NULL, base);
            found = true;
        }
    if (file)
        fclose(file);
    return found;
}

static bool is_another_namespace(const char *own, const char *its) {
    char ours[64] = "", theirs[64] = "";
    return readlink(own, ours, sizeof ours - 1) > 0 && readlink(its, theirs, sizeof theirs - 1) > 0 &&
           strcmp(ours, theirs) != 0;
}

void fl_rights_missing(pid_t process, int code, char *why, size_t bytes) {
    char status[64], folder[64], namespace[64];
    uint64_t its_user = 0, its_rights = 0, our_rights = 0, scope = 0;
    struct stat about;
    snprintf(status, sizeof status, "/proc/%d/status", (int)process);
    snprintf(folder, sizeof folder, "/proc/%d", (int)process);
    snprintf(namespace, sizeof namespace, "/proc/%d/ns/user", (int)process);
    if (code == ENOENT || code == ESRCH || !find_number(status, "Uid:", 10, &its_user)) {
        snprintf(why, bytes, "has ended");
        return;
    }
    find_number(status, "CapPrm:", 16, &its_rights);
    find_number("/proc/self/status", "CapEff:", 16, &our_rights);
    find_number("/proc/sys/kernel/yama/ptrace_scope", "", 10, &scope);
    if (code != EACCES && code != EPERM)
        snprintf(why, bytes, "its memory cannot be read: %s", strerror(code));
    else if (scope == 3)
        snprintf(why, bytes,
                 "no process may read another one here until the next boot (kernel.yama.ptrace_scope is 3)");
    else if (is_another_namespace("/proc/self/ns/user", namespace))
        snprintf(
            why, bytes,
            "it is in another user namespace, as in a container: run this inside that namespace, or as root "
            "outside");
    else if (geteuid() == 0)
        snprintf(
            why, bytes,
            our_rights >> SYS_PTRACE & 1
                ? "the system forbids even root to read it: is there a security module, or another namespace?"
                : "root lacks CAP_SYS_PTRACE here, as in containers: add it with --cap-add=SYS_PTRACE, or "
                  "run this outside");
    else if (its_user != geteuid())
        snprintf(why, bytes, "it belongs to another user (%u): run this as that user or as root (sudo)",
                 (unsigned)its_user);
    else if (scope > 0)
        snprintf(why, bytes,
                 "only %s may read it (kernel.yama.ptrace_scope is %u): run this as root (sudo), or allow "
                 "all processes of "
                 "the same user with sysctl kernel.yama.ptrace_scope=0",
                 scope == 1 ? "the process that started it" : "root", (unsigned)scope);
    else if (stat(folder, &about) == 0 && about.st_uid != its_user)
        snprintf(why, bytes,
                 "it has or had more rights than its user, or refuses to be read (PR_SET_DUMPABLE): run this "
                 "as root "
                 "(sudo)");
    else if (its_rights & ~our_rights)
        snprintf(why, bytes, "it has capabilities that you lack: run this as root (sudo)");
    else
        snprintf(why, bytes, "the system forbids reading it (%s): is there seccomp, or a security module?",
                 strerror(code));
}
