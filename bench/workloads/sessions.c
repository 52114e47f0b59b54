/* SPDX-License-Identifier: MIT */
/*
 * sessions.c: a server starts a thread for each connection, as MySQL does without its thread pool: thousands
 * of short threads, a few at a time. Each leaves sessions behind in a table that outlives it by far, and
 * every survivor lies among blocks that its thread has freed.
 *
 * Keys: threads=4 lives=10000 (threads in all) requests=60 (each) table=20000 (sessions that are kept)
 */
#include "workload.h"

typedef struct session {
    size_t parts;
    char *part[4];
} session;

static _Atomic(session *) *table;
static size_t room, requests;
static _Atomic size_t next_life;

static void end(session *it) {
    if (!it)
        return;
    if (it->parts == 0 || it->parts > 4)
        fail("a session is not what was written");
    for (size_t i = 0; i < it->parts; i++)
        drop(it->part[i]);
    free(it);
}

static void *life(void *unused) {
    (void)unused;
    size_t number = atomic_fetch_add(&next_life, 1);
    uint64_t random = argument("seed", 1) + number;
    void *request[16];
    for (size_t i = 0; i < requests; i++) {
        for (size_t k = 0; k < 16; k++)
            request[k] = take(log_uniform(&random, 16, 2048));
        if (i % (requests / 2 + 1) == 0) {
            session *it = malloc(sizeof *it);
            if (!it)
                fail("out of memory");
            it->parts = 1 + random_below(&random, 4);
            for (size_t k = 0; k < it->parts; k++)
                it->part[k] = take(log_uniform(&random, 32, 1024));
            end(atomic_exchange(&table[random_below(&random, room)], it));
        }
        for (size_t k = 0; k < 16; k++)
            drop(request[k]);
    }
    return NULL;
}

int main(int argc, char **argv) {
    (void)argc;
    begin(argv);
    size_t threads = argument("threads", 4), lives = argument("lives", 10000);
    requests = argument("requests", 60);
    room = argument("table", 20000);
    table = calloc(room, sizeof *table);
    if (!table)
        fail("out of memory");
    for (size_t n = 0; n < lives; n += threads)
        run_threads(threads, life);
    for (size_t i = 0; i < room; i++)
        end(table[i]);
    free(table);
    return finish(lives * requests, 0);
}
