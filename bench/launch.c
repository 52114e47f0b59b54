/* SPDX-License-Identifier: MIT */
/*
 * launch.c: runs a command on an allocator and says what it used. A process of its own between the harness
 * and the command, because the peak resident memory that the kernel reports of a process includes what it was
 * before exec: here that is less than 2 MiB.
 *
 *   launch RESULT-FILE LIBRARY-OR-EMPTY COMMAND ARGUMENTS...
 *
 * Writes: exit status (128 + signal for a signal), seconds, user and system CPU seconds, peak resident KiB,
 * page faults; of the command and of its children that it waited for.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double seconds(struct timeval it) {
    return (double)it.tv_sec + (double)it.tv_usec / 1e6;
}

int main(int argc, char **argv) {
    struct timespec start, end;
    struct rusage usage;
    int status;
    if (argc < 4)
        return 125;
    clock_gettime(CLOCK_MONOTONIC, &start);
    pid_t child = fork();
    if (child == 0) {
        if (argv[2][0])
            setenv("LD_PRELOAD", argv[2], 1);
        execvp(argv[3], argv + 3);
        perror(argv[3]);
        _exit(127);
    }
    if (child < 0 || wait4(child, &status, 0, &usage) != child)
        return 125;
    clock_gettime(CLOCK_MONOTONIC, &end);
    FILE *result = fopen(argv[1], "w");
    if (!result)
        return 125;
    fprintf(result, "%d %.9f %.6f %.6f %ld %ld\n",
            WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status),
            (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) / 1e9,
            seconds(usage.ru_utime), seconds(usage.ru_stime), usage.ru_maxrss,
            usage.ru_minflt + usage.ru_majflt);
    fclose(result);
    return 0;
}
