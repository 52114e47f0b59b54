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
        snprintf(why, bytes, "has ended meanwhile");
        return;
    }
    find_number(status, "CapPrm:", 16, &its_rights);
    find_number("/proc/self/status", "CapEff:", 16, &our_rights);
    find_number("/proc/sys/kernel/yama/ptrace_scope", "", 10, &scope);
    if (code != EACCES && code != EPERM)
        snprintf(why, bytes, "its memory cannot be read: %s", strerror(code));
    else if (scope == 3)
        snprintf(
            why, bytes,
            "nobody may look into another process here until the next start (kernel.yama.ptrace_scope is 3)");
    else if (is_another_namespace("/proc/self/ns/user", namespace))
        snprintf(
            why, bytes,
            "it is in another user namespace, as containers have them: ask from inside of that, or as root "
            "outside of it");
    else if (geteuid() == 0)
        snprintf(
            why, bytes,
            our_rights >> SYS_PTRACE & 1
                ? "the system forbids even root to look into it: a security module, or another namespace?"
                : "root is without CAP_SYS_PTRACE here, as in containers: --cap-add=SYS_PTRACE gives it, or "
                  "ask from outside");
    else if (its_user != geteuid())
        snprintf(why, bytes, "it is another user's (%u): ask as that user or as root (sudo)",
                 (unsigned)its_user);
    else if (scope > 0)
        snprintf(why, bytes,
                 "only %s may look into it (kernel.yama.ptrace_scope is %u): ask as root (sudo), or allow it "
                 "to all of "
                 "the same user with sysctl kernel.yama.ptrace_scope=0",
                 scope == 1 ? "who started it" : "root", (unsigned)scope);
    else if (stat(folder, &about) == 0 && about.st_uid != its_user)
        snprintf(why, bytes,
                 "it has more rights than its user, or had, or wants no looks into it (PR_SET_DUMPABLE): ask "
                 "as root "
                 "(sudo)");
    else if (its_rights & ~our_rights)
        snprintf(why, bytes, "it has capabilities that you have not: ask as root (sudo)");
    else
        snprintf(why, bytes, "the system forbids to look into it (%s): seccomp, or a security module?",
                 strerror(code));
}
