/* SPDX-License-Identifier: MIT */
/*
 * main.c: lives, each in a process of its own: one seed, many, or a sweep of refusals. tools/simulate is the
 * way to call it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fallow/osmem.h"
#include "one_life.h"

typedef struct options {
    uint64_t first_seed;
    double seconds; /* of exploring; 0: else */
    uint64_t seeds_max;
    unsigned failures_max;
    bool quiet, one, sweep, signals;
    const char *only, *record, *replay;
} options;

#define SWITCHES_MAX ((size_t)1 << 20)

static life_figures *shared;

static double now_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* True: nothing was found. What the life says is shown, or (silent) not. */
static bool live(const life_plan *plan, bool silent) {
    memset(shared, 0, sizeof *shared);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        if (silent && !freopen("/dev/null", "w", stderr))
            _exit(1);
        life_run(plan, shared);
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    if (WIFSIGNALED(status))
        fprintf(stderr, "seed %llu: ended by signal %d\n", (unsigned long long)plan->seed, WTERMSIG(status));
    return status == 0;
}

typedef struct totals {
    uint64_t lives, steps, switches, operations, longest_op;
    char longest_op_name[24];
} totals;

static void add(totals *all) {
    all->lives++;
    all->steps += shared->steps;
    all->switches += shared->switches;
    all->operations += shared->operations;
    if (shared->longest_op > all->longest_op) {
        all->longest_op = shared->longest_op;
        memcpy(all->longest_op_name, shared->longest_op_name, sizeof all->longest_op_name);
    }
}

static int explore(const options *options) {
    totals all = {0};
    unsigned failures = 0;
    double began_s = now_s(), now = began_s;
    uint64_t seed = options->first_seed;
    for (; now - began_s < options->seconds && all.lives < options->seeds_max; seed++) {
        life_plan plan = {.seed = seed, .only = options->only, .signals = options->signals};
        bool fine = live(&plan, options->quiet);
        now = now_s();
        add(&all);
        if (fine)
            continue;
        printf("seed %llu fails: after %.1f s and %llu lives (%.0f million points; %s)\n",
               (unsigned long long)seed, now - began_s, (unsigned long long)all.lives,
               (double)all.steps / 1e6, shared->what);
        if (++failures >= options->failures_max)
            break;
    }
    printf("%llu seeds from %llu, %llu operations, %.1f million points, %.2f million switches in %.1f s "
           "(%.2f million points a second); "
           "longest operation %llu points (%s); %u failed\n",
           (unsigned long long)all.lives, (unsigned long long)options->first_seed,
           (unsigned long long)all.operations, (double)all.steps / 1e6, (double)all.switches / 1e6,
           now - began_s, (double)all.steps / 1e6 / (now - began_s), (unsigned long long)all.longest_op,
           all.longest_op_name, failures);
    return failures ? 1 : 0;
}

/* Of one seed's life the first call of the system is refused, then the second, …, until there are no more. */
static int sweep(const options *options) {
    static const osmem_result results[] = {OSMEM_NOMEM, OSMEM_KEPT};
    totals all = {0};
    for (size_t i = 0; i < 2; i++)
        for (uint64_t nth = 1;; nth++) {
            life_plan plan = {.seed = options->first_seed,
                              .only = options->only,
                              .nth_fault = nth,
                              .nth_result = results[i]};
            bool fine = live(&plan, options->quiet);
            add(&all);
            if (!fine) {
                printf("seed %llu fails where call %llu of the system is refused (result %d)\n",
                       (unsigned long long)options->first_seed, (unsigned long long)nth, results[i]);
                return 1;
            }
            if (!shared->fault_happened)
                break;
        }
    printf("seed %llu: %llu refusals swept, %.1f million points; none failed\n",
           (unsigned long long)options->first_seed, (unsigned long long)all.lives, (double)all.steps / 1e6);
    return 0;
}

static int usage(const char *wrong, const char *word) {
    fprintf(stderr, "simulate: %s%s%s\n", wrong, word ? " " : "", word ? word : "");
    fprintf(stderr, "one of  --seed N [--record FILE | --replay FILE], --sweep N, --seconds S [--from N] "
                    "[--seeds N] [--failures N] [--quiet];\n"
                    "to any  [--signals] [--only OPERATIONS]\n");
    return 2;
}

static bool number(const char *word, uint64_t *out) {
    char *end;
    errno = 0;
    *out = strtoull(word, &end, 10);
    return *word >= '0' && *word <= '9' && !*end && !errno;
}

static bool has_flag(const char *word, options *options) {
    options->quiet |= strcmp(word, "--quiet") == 0;
    options->signals |= strcmp(word, "--signals") == 0;
    return strcmp(word, "--quiet") == 0 || strcmp(word, "--signals") == 0;
}

/* False: there is no such word, or its value is none. */
static bool has_value(const char *word, const char *value, options *options) {
    uint64_t count;
    char *end;
    if (strcmp(word, "--only") == 0) {
        options->only = value;
        return true;
    }
    if (strcmp(word, "--record") == 0 || strcmp(word, "--replay") == 0) {
        *(strcmp(word, "--record") == 0 ? &options->record : &options->replay) = value;
        return true;
    }
    if (strcmp(word, "--seconds") == 0) {
        options->seconds = strtod(value, &end);
        return options->seconds > 0 && !*end;
    }
    if (!number(value, &count))
        return false;
    if (strcmp(word, "--seed") == 0 || strcmp(word, "--sweep") == 0 || strcmp(word, "--from") == 0) {
        options->first_seed = count;
        options->one |= strcmp(word, "--seed") == 0;
        options->sweep |= strcmp(word, "--sweep") == 0;
    } else if (strcmp(word, "--seeds") == 0)
        options->seeds_max = count;
    else if (strcmp(word, "--failures") == 0)
        options->failures_max = (unsigned)count;
    else
        return false;
    return true;
}

/* Lines of a step, the thread that runs from there on, and whether the one before it had to wait. */
static bool read_schedule(const char *path, life_plan *plan) {
    static sim_switch switches[SWITCHES_MAX];
    unsigned long long step;
    unsigned to;
    FILE *file = fopen(path, "r");
    if (!file)
        return false;
    plan->switches = switches;
    for (int waits; plan->switch_count < SWITCHES_MAX && fscanf(file, "%llu %u %d", &step, &to, &waits) == 3;)
        switches[plan->switch_count++] = (sim_switch){step, to, waits != 0};
    bool whole = feof(file) != 0;
    fclose(file);
    return whole;
}

static int one(const options *options) {
    life_plan plan = {
        .seed = options->first_seed, .logs = true, .only = options->only, .signals = options->signals};
    if (options->record)
        plan.record_to = open(options->record, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (plan.record_to < 0)
        return usage("cannot be written:", options->record);
    if (options->replay && !read_schedule(options->replay, &plan))
        return usage("no schedule that --record has written:", options->replay);
    bool fine = live(&plan, false);
    printf("seed %llu: %s; %llu points, %llu switches, %llu operations (%s)\n", (unsigned long long)plan.seed,
           fine ? "nothing found" : "failed", (unsigned long long)shared->steps,
           (unsigned long long)shared->switches, (unsigned long long)shared->operations, shared->what);
    return fine ? 0 : 1;
}

int main(int count, char **words) {
    options options = {.failures_max = 1, .seeds_max = UINT64_MAX};
    for (int i = 1; i < count; i++) {
        if (has_flag(words[i], &options))
            continue;
        if (i + 1 == count || !has_value(words[i], words[i + 1], &options))
            return usage("no such word, or no value that it takes:", words[i]);
        i++;
    }
    if (options.one + options.sweep + (options.seconds > 0) != 1)
        return usage("one thing at a time", NULL);
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return 2;
    return options.one ? one(&options) : options.sweep ? sweep(&options) : explore(&options);
}
