/* SPDX-License-Identifier: MIT */
/* queue.h: a bounded queue between threads, for what is handed over. */
#ifndef QUEUE_H
#define QUEUE_H

#include "workload.h"

#define DEPTH_MAX 256

typedef struct queue {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    void *items[DEPTH_MAX];
    size_t depth, head, count;
} queue;

static inline void queue_init(queue *it, size_t depth) {
    if (depth == 0 || depth > DEPTH_MAX)
        fail("depth is 1 to 256");
    pthread_mutex_init(&it->lock, NULL);
    pthread_cond_init(&it->changed, NULL);
    it->depth = depth;
}

/* Waits while the queue is full. */
static inline void queue_put(queue *it, void *item) {
    pthread_mutex_lock(&it->lock);
    while (it->count == it->depth)
        pthread_cond_wait(&it->changed, &it->lock);
    it->items[(it->head + it->count++) % it->depth] = item;
    pthread_cond_signal(&it->changed);
    pthread_mutex_unlock(&it->lock);
}

/* Waits while the queue is empty. */
static inline void *queue_get(queue *it) {
    pthread_mutex_lock(&it->lock);
    while (it->count == 0)
        pthread_cond_wait(&it->changed, &it->lock);
    void *item = it->items[it->head];
    it->head = (it->head + 1) % it->depth;
    it->count--;
    pthread_cond_signal(&it->changed);
    pthread_mutex_unlock(&it->lock);
    return item;
}

#endif
