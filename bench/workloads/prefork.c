/* SPDX-License-Identifier: MIT */
/*
 * prefork.c: a server fills a cache and then forks its workers so that they share it, as Apache's prefork,
 * Unicorn and gunicorn --preload do. Workers serve requests of their own, and replace a small part of the
 * cache that they inherited. A page that a worker or its allocator writes is shared no longer: the figure
 * private_mib_by_worker says what a worker has to itself at the end (Private_Dirty of smaps_rollup, the mean
 * of all), while the parent and all workers are alive.
 *
 * Keys: workers=4 cache=64m requests=40000 (a worker) replaced=2 (% of the cache, by each worker)
 */
#include <sys/wait.h>
#include <unistd.h>

#include "workload.h"

#define WORKERS_MAX 64

static char **entries;
static size_t count;

static size_t filled(size_t bytes, uint64_t *random) {
    size_t total = 0, room = bytes / 64;
    entries = malloc(room * sizeof *entries);
    if (!entries)
        fail("out of memory");
    for (; total < bytes && count < room; count++) {
        entries[count] = take(log_uniform(random, 64, 4096));
        total += verified(entries[count]);
    }
    return total;
}

static void serve(size_t requests, size_t replaced, uint64_t random) {
    for (size_t i = 0; i < requests; i++) {
        void *parts[20];
        for (size_t k = 0; k < 20; k++)
            parts[k] = take(log_uniform(&random, 16, 8192));
        verified(entries[random_below(&random, count)]);
        if (random_below(&random, requests) < count * replaced / 100) {
            size_t k = random_below(&random, count);
            drop(entries[k]);
            entries[k] = take(log_uniform(&random, 64, 4096));
        }
        for (size_t k = 0; k < 20; k++)
            drop(parts[k]);
    }
}

static double private_mib(pid_t process) {
    char path[64], line[256];
    size_t kib = 0;
    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)process);
    FILE *file = fopen(path, "r");
    if (!file)
        return 0;
    while (fgets(line, sizeof line, file))
        if (sscanf(line, "Private_Dirty: %zu kB", &kib) == 1)
            break;
    fclose(file);
    return (double)kib / 1024;
}

/* Serves, says that it is done, and stays until the parent has looked. */
static void work(const int *done, const int *looked, size_t requests, size_t replaced, uint64_t seed) {
    char byte = 0;
    close(looked[1]);
    serve(requests, replaced, seed);
    if (write(done[1], &byte, 1) != 1 || close(done[1]) || read(looked[0], &byte, 1) != 0)
        fail("the parent is gone");
    for (size_t k = 0; k < count; k++)
        verified(entries[k]);
    _exit(0);
}

int main(int argc, char **argv) {
    (void)argc;
    begin(argv);
    uint64_t random = argument("seed", 1);
    size_t workers = argument("workers", 4), requests = argument("requests", 40000),
           live = filled(argument("cache", 64 << 20), &random);
    pid_t processes[WORKERS_MAX];
    int done[2], looked[2], status;
    double mib = 0;
    char byte;
    if (workers == 0 || workers > WORKERS_MAX || pipe(done) || pipe(looked))
        fail("workers are 1 to 64, and need pipes");
    for (size_t i = 0; i < workers; i++) {
        processes[i] = fork();
        if (processes[i] < 0)
            fail("no process");
        if (processes[i] == 0)
            work(done, looked, requests, argument("replaced", 2), random + i);
    }
    close(done[1]);
    for (size_t i = 0; i < workers; i++)
        if (read(done[0], &byte, 1) != 1)
            fail("a worker has failed");
    for (size_t i = 0; i < workers; i++)
        mib += private_mib(processes[i]) / (double)workers;
    close(looked[1]);
    for (size_t i = 0; i < workers; i++)
        if (waitpid(processes[i], &status, 0) != processes[i] || status)
            fail("a worker has failed");
    for (size_t k = 0; k < count; k++)
        drop(entries[k]);
    free(entries);
    say_figure("private_mib_by_worker", mib);
    return finish(workers * requests, live);
}
