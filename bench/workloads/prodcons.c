/* SPDX-License-Identifier: MIT */
/*
 * prodcons.c: threads that only allocate hand blocks to threads that only free (C. Lever and D. Boreham,
 * "malloc() performance in a multithreaded Linux environment", USENIX 2000). Blocks travel in batches through
 * bounded queues.
 *
 * Keys: min=16 max=256 blocks=2000000 (in all) batch=100 depth=16 (batches in a queue); threads: half of them
 * produce
 */
#include "queue.h"

static queue queues[THREADS_MAX];
static size_t min, max, batch, batches_each;

static void *produce(void *index) {
    queue *to = &queues[(size_t)index];
    uint64_t random = argument("seed", 1) + (size_t)index;
    for (size_t n = 0; n < batches_each; n++) {
        void **blocks = malloc(batch * sizeof *blocks);
        for (size_t i = 0; i < batch; i++)
            blocks[i] = take(log_uniform(&random, min, max));
        queue_put(to, blocks);
    }
    return NULL;
}

static void *consume(void *index) {
    queue *from = &queues[(size_t)index];
    for (size_t n = 0; n < batches_each; n++) {
        void **blocks = queue_get(from);
        for (size_t i = 0; i < batch; i++)
            drop(blocks[i]);
        free(blocks);
    }
    return NULL;
}

int main(int argc, char **argv) {
    (void)argc;
    begin(argv);
    pthread_t producers[THREADS_MAX], consumers[THREADS_MAX];
    size_t pairs = argument("threads", 2) / 2, blocks = argument("blocks", 2000000);
    min = argument("min", 16);
    max = argument("max", 256);
    batch = argument("batch", 100);
    if (pairs == 0)
        fail("threads is at least 2");
    batches_each = blocks / pairs / batch;
    for (size_t i = 0; i < pairs; i++)
        queue_init(&queues[i], argument("depth", 16));
    start_threads(producers, pairs, produce);
    start_threads(consumers, pairs, consume);
    join_threads(producers, pairs);
    join_threads(consumers, pairs);
    return finish(pairs * batches_each * batch, 0);
}
