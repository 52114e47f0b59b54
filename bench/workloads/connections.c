/* SPDX-License-Identifier: MIT */
/*
 * connections.c: a TLS proxy holds thousands of connections, most of them idle. Each has a small state; an
 * active one also holds a buffer for a TLS record (16 KiB and its frame, which OpenSSL frees in between with
 * SSL_MODE_RELEASE_BUFFERS) and up to eight buffers of 4 KiB (nginx: proxy_buffers 8 4k). Every buffer lives
 * for a random time, log-uniform.
 *
 * Keys: threads=2 connections=4000 (a thread) steps=100000 (a thread)
 */
#include "workload.h"

#define RECORD (16384 + 325)
#define WHEEL 8192 /* steps that a wheel of timers can look ahead */

typedef struct timer {
    struct timer *next;
    char *buffer;
    size_t owner;
} timer;

typedef struct connection {
    char *state;
    size_t buffers;
} connection;

static size_t connections, steps;

static void open_buffer(timer **wheel, size_t now, size_t owner, size_t bytes, uint64_t *random) {
    timer *it = malloc(sizeof *it), **slot = &wheel[(now + log_uniform(random, 16, WHEEL - 1)) % WHEEL];
    if (!it)
        fail("out of memory");
    *it = (timer){*slot, take(bytes), owner};
    *slot = it;
}

static void expire(timer **slot, connection *all) {
    for (timer *it = *slot, *next; it; it = next) {
        next = it->next;
        if (it->owner >= connections || all[it->owner].buffers-- == 0)
            fail("a buffer's owner is not what was written");
        drop(it->buffer);
        free(it);
    }
    *slot = NULL;
}

static void *serve(void *index) {
    uint64_t random = argument("seed", 1) + (size_t)index;
    connection *all = calloc(connections, sizeof *all);
    timer **wheel = calloc(WHEEL, sizeof *wheel);
    if (!all || !wheel)
        fail("out of memory");
    for (size_t now = 0; now < steps; now++) {
        size_t k = random_below(&random, connections);
        expire(&wheel[now % WHEEL], all);
        if (!all[k].buffers && random_below(&random, 4) == 0) { /* this one has gone, another comes */
            drop(all[k].state);
            all[k].state = take(log_uniform(&random, 512, 4096));
        }
        size_t upstream = random_below(&random, 9);
        open_buffer(wheel, now, k, RECORD, &random);
        for (size_t i = 0; i < upstream; i++)
            open_buffer(wheel, now, k, 4096, &random);
        all[k].buffers += 1 + upstream;
    }
    for (size_t i = 0; i < WHEEL; i++)
        expire(&wheel[i], all);
    for (size_t k = 0; k < connections; k++)
        drop(all[k].state);
    free(wheel);
    free(all);
    return NULL;
}

int main(int argc, char **argv) {
    (void)argc;
    begin(argv);
    size_t threads = argument("threads", 2);
    connections = argument("connections", 4000);
    steps = argument("steps", 100000);
    run_threads(threads, serve);
    return finish(threads * steps, 0);
}
