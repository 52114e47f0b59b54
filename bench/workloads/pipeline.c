/* SPDX-License-Identifier: MIT */
/*
 * pipeline.c: messages pass through eight stages, a thread each, on fewer cores: every stage frees the
 * message it receives and sends one of another size. This is the shape of staged servers (M. Welsh et al.,
 * "SEDA", SOSP 2001) and of dedup and ferret (C. Bienia et al., "The PARSEC benchmark suite", PACT 2008):
 * another thread frees every block, and threads often wait.
 *
 * Keys: threads=8 messages=150000 min=64 max=8k depth=64 (between two stages)
 */
#include "queue.h"

typedef struct message {
    size_t number;
    char *body;
} message;

static queue queues[THREADS_MAX]; /* the one that a stage reads */
static size_t stages, messages, min, max;

static message *sent(size_t number, uint64_t *random) {
    message *it = malloc(sizeof *it);
    if (!it)
        fail("out of memory");
    *it = (message){number, take(log_uniform(random, min, max))};
    return it;
}

static void *stage(void *index) {
    size_t me = (size_t)index;
    uint64_t random = argument("seed", 1) + me;
    for (size_t n = 0; n < messages; n++) {
        if (me) {
            message *received = queue_get(&queues[me]);
            if (received->number != n)
                fail("a message is lost or out of order");
            drop(received->body);
            free(received);
        }
        if (me + 1 < stages)
            queue_put(&queues[me + 1], sent(n, &random));
    }
    return NULL;
}

int main(int argc, char **argv) {
    (void)argc;
    begin(argv);
    stages = argument("threads", 8);
    messages = argument("messages", 150000);
    min = argument("min", 64);
    max = argument("max", 8192);
    for (size_t i = 0; i < stages; i++)
        queue_init(&queues[i], argument("depth", 64));
    run_threads(stages, stage);
    return finish(messages * (stages - 1), 0);
}
