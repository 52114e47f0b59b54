/* SPDX-License-Identifier: MIT */
/*
 * system.h: what fallow needs of the operating system besides memory: clocks, fences, files, random numbers.
 * Its own thread is in guest.h. Together with osmem's back ends, one floor up, this is all that fallow sees
 * of the system.
 *
 * malloc leads here at any time: before the first constructor runs, and from inside libraries that replace
 * parts of the C library. So every function keeps errno, needs a few hundred bytes of stack and calls nothing
 * that other libraries like to replace; and none but the two around fork allocates or is a cancellation
 * point.
 */
#ifndef FL_SYSTEM_H
#define FL_SYSTEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Returns the size of the system's page, which never changes during a process's life. */
size_t fl_system_page_bytes(void);

/* Returns the size of a transparent huge page; 0 if there are none. */
size_t fl_system_huge_page_bytes(void);

/* Return whether the system uses huge pages for any memory (THP "always"), or for memory that asks (THP
 * "madvise"), as the last call of fl_system_follow_huge_pages found it, which reads a file. */
bool fl_system_huge_pages_always(void);
bool fl_system_huge_pages_asked(void);
void fl_system_follow_huge_pages(void);

/* Finds a range of addresses that a program may use and that nobody else tends to: away from the program, its
 * stack, and where the system places mappings of its own choice. 0, 0 if unknown. */
void fl_system_quiet_addresses(uintptr_t *first, uintptr_t *end);

/* Returns a number derived from what the system gave the process at its start. It is the same in each run if
 * the process asked for the same addresses in each run (setarch -R). Not for keys. */
uint64_t fl_system_random(void);

/* For keys: returns what the system gave the process at its start (AT_RANDOM), without a call that a sandbox
 * could refuse. */
void fl_system_secret(uint64_t out[2]);

/* Return nanoseconds of a clock that never goes back, and of the one that shows the date, which people set.
 * */
uint64_t fl_system_now_ns(void);
uint64_t fl_system_date_ns(void);
void fl_system_sleep_ns(uint64_t duration_ns);

/* Sleeps likewise, but only while the word has that value; a thread that changes the word wakes the sleepers.
 * */
void fl_system_sleep_while(_Atomic uint32_t *word, uint32_t value, uint64_t duration_ns);
void fl_system_wake(_Atomic uint32_t *word);

/*
 * For programs in a sandbox that kills them at a system call it does not know. While `keep` is in force,
 * fallow makes no call but futex and memory's own: there is no fence everywhere, the clocks of CPU time
 * return the monotonic clock's time, and osmem gives back range by range.
 */
void fl_system_keep_to_memory(bool keep);
bool fl_system_keeps_to_memory(void);

/* Return the nanoseconds of CPU time that the process and the calling thread have used. */
uint64_t fl_system_process_cpu_ns(void);
uint64_t fl_system_thread_cpu_ns(void);

/*
 * Makes every thread of the process pass a full memory fence before it returns: the caller sees whatever each
 * had written before, and each sees from then on whatever the caller had written before. Only the caller pays
 * (an asymmetric fence), which is why the owners' fast paths need no fence. Returns false if the system has
 * no such call; then nothing may rely on it.
 */
bool fl_system_fence_everywhere(void);

/* Returns whether that call works here at all. */
bool fl_system_has_fence(void);

/* Returns whether the process has more than one thread; true if that is unknown. */
bool fl_system_is_threaded(void);

/* Return the calling thread's number, and whether the process has a thread of that number. */
uint32_t fl_system_thread(void);
bool fl_system_has_thread(uint32_t thread);

/* Returns whether a word could be read just now without a fault. Its address is a multiple of 4. */
bool fl_system_can_read(const void *word);

/* Returns whether the calling thread runs main, that is, made the last call of fl_system_be_first_thread: at
 * the process's start, or in the child of a fork. */
bool fl_system_is_first_thread(void);
void fl_system_be_first_thread(void);

/* Reads the start of a file. Returns the number of bytes read; 0 if there is no such file. */
size_t fl_system_read_file(const char *path, char *buffer, size_t bytes);

/* Writes a whole new file. Returns whether that worked. */
bool fl_system_write_file(const char *path, const char *text, size_t bytes);

/* Write to a descriptor: all of a text, and the process's mappings as the system lists them. Return 0, or the
 * number of the error (of write; of opening or reading the list). */
int fl_system_write(int descriptor, const char *text, size_t bytes);
int fl_system_write_maps(int descriptor);

/* Opens a file to write and map. Without `replace` it must be new: returns false if it exists. With it, an
 * existing file is emptied. */
bool fl_system_open_new(const char *path, bool replace, int *file);
bool fl_system_set_file_bytes(int file, uint64_t bytes);
void fl_system_close(int file);

/* Passes on the environment that a constructor is given, which may run before the C library knows it. */
void fl_system_know_environment(char **environment);

/* Returns a variable of the environment; NULL if it is not set, or if the program runs with more rights than
 * whoever set it. */
const char *fl_system_environment(const char *name);

/*
 * Around fork: take and release the C library's list of streams, which its fork takes after the fork handlers
 * have run, and which other threads hold while they allocate. Taken here first, so that every thread takes it
 * in the same order.
 */
void fl_system_fork_prepare(void);
void fl_system_fork_done(bool in_child);

/* Return, for people to read, the process's number, its user's number, and the program's name without its
 * path. */
uint64_t fl_system_process(void);
uint64_t fl_system_user(void);
const char *fl_system_program(void);

#endif
