/* SPDX-License-Identifier: MIT */
/*
 * system.h: what fallow needs of the operating system besides memory in its states: clocks, fences, files,
 * random numbers. (Its own thread: guest.h.) With the back ends of osmem, one floor up, this is all of the system that fallow sees.
 *
 * No function here but the two around fork allocates or is a point where a thread can be
 * cancelled; all keep errno, need a few hundred bytes of stack, and call nothing that other libraries like to replace, since
 * malloc leads here at any time: before the first constructor, and from inside such a library.
 */
#ifndef FL_SYSTEM_H
#define FL_SYSTEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The page of the system's memory management: the same for the life of a process. */
size_t fl_system_page_bytes(void);

/* 0 where there are no transparent huge pages. */
size_t fl_system_huge_page_bytes(void);

/* Does the system use them by itself, for any memory (THP "always")? As fl_system_follow_huge_pages, which opens a file, last
 * found it. */
bool fl_system_huge_pages_always(void);
/* Or for what asks (THP "madvise")? */
bool fl_system_huge_pages_asked(void);
void fl_system_follow_huge_pages(void);

/* The first and the end of the addresses that a program may be given and that nobody else tends to use:
 * away from the program, its stack, and where the system puts what it is free to place. 0, 0: unknown. */
void fl_system_quiet_addresses(uintptr_t *first, uintptr_t *end);

/* Unpredictable, from what the system gave the process at its start; always the same where the process is to have the same
 * addresses in each run (setarch -R). Not for keys. */
uint64_t fl_system_random(void);

/* For keys: what the system gave the process at its start (AT_RANDOM), so without a call that a sandbox could refuse. */
void fl_system_secret(uint64_t out[2]);

/* Nanoseconds of a clock that never goes back; of the one that shows the date, which people set. */
uint64_t fl_system_now_ns(void);
uint64_t fl_system_date_ns(void);
void fl_system_sleep_ns(uint64_t duration_ns);

/* The same, but only as long as the word has that value: who changes it wakes the sleepers. */
void fl_system_sleep_while(_Atomic uint32_t *word, uint32_t value, uint64_t duration_ns);
void fl_system_wake(_Atomic uint32_t *word);

/*
 * For programs in a sandbox that ends them at any system call it does not know: from now on (or no longer) none is made but futex
 * and memory's: no fence, no clock of CPU time, which is then the other clock's, and osmem gives back range by range.
 */
void fl_system_keep_to_memory(bool keep);
bool fl_system_keeps_to_memory(void);

/* Nanoseconds of CPU time that the process, the calling thread has used. */
uint64_t fl_system_process_cpu_ns(void);
uint64_t fl_system_thread_cpu_ns(void);

/*
 * After this call, every thread of the process has passed a full memory fence: what each had written before
 * is seen by the caller, and what the caller had written before is seen by each from then on. Its price is
 * paid by the caller alone, which is why the owners' fast paths need no fence (an asymmetric fence).
 * False where the system has none: then the other side needs real fences, and nothing may rely on this.
 */
bool fl_system_fence_everywhere(void);

/* Does it work here at all? */
bool fl_system_has_fence(void);

/* Has the process more than one thread? Unknown is answered with true. */
bool fl_system_is_threaded(void);

/* The calling thread as a number; has the process a thread of that number? */
uint32_t fl_system_thread(void);
bool fl_system_has_thread(uint32_t thread);

/* Could a word at an address be read just now, without a fault? Its address is a multiple of 4. */
bool fl_system_can_read(const void *word);

/* Is the calling thread the one that runs main? As the last call of the other says: at the start, and in the child of a fork. */
bool fl_system_is_first_thread(void);
void fl_system_be_first_thread(void);

/* Reads the start of a file. Returns how many bytes; 0 where there is no such file. */
size_t fl_system_read_file(const char *path, char *buffer, size_t bytes);

/* Writes a whole new file; true where that worked. */
bool fl_system_write_file(const char *path, const char *text, size_t bytes);

/* Writes all of it to a descriptor; the process's mappings, as the system lists them. */
bool fl_system_write(int descriptor, const char *text, size_t bytes);
bool fl_system_write_maps(int descriptor);

/* A file to write and map: a new one, false where there is one already; or (replace) whatever was there, emptied. */
bool fl_system_open_new(const char *path, bool replace, int *file);
bool fl_system_set_file_bytes(int file, uint64_t bytes);
void fl_system_close(int file);

/* What a constructor is told of the environment: for one that runs before the C library knows it. */
void fl_system_know_environment(char **environment);

/* A variable of the environment; NULL where there is none, or where the program runs with more rights than
 * whoever set it. */
const char *fl_system_environment(const char *name);

/*
 * Around fork: what the C library's own fork takes after the handlers that ran before it, and other threads hold while they
 * allocate: the list of all streams. Taken first, so that the order is the same for all.
 */
void fl_system_fork_prepare(void);
void fl_system_fork_done(bool in_child);

/* The process, and the user that it runs as, as numbers for people; the program's name, without its path. */
uint64_t fl_system_process(void);
uint64_t fl_system_user(void);
const char *fl_system_program(void);

#endif
