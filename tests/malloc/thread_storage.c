/* SPDX-License-Identifier: MIT */
/* thread_storage.c: a library that is loaded late, with much storage for each thread: from malloc, at a
 * thread's first use. */
static __thread char storage[1 << 20];

void touch_storage(void) {
    for (unsigned i = 0; i < sizeof storage; i += 4096)
        *(volatile char *)&storage[i] = 1;
}
