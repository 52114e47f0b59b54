/* SPDX-License-Identifier: MIT */
/*
 * target.h: another process, looked at from outside: its memory, and the root of fallow's tables in it
 * (../heap/root.h).
 *
 * It is neither stopped nor told. What is read of it is as of different moments, may be half written, and
 * may be anything where the program has written past its blocks: every address and every count is to be
 * taken for what a stranger says.
 */
#ifndef FL_TARGET_H
#define FL_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "../heap/root.h"

typedef struct fl_target {
    pid_t process;
    pid_t thread; /* of the process: one that lives, through which the system shows what all of them share */
    char program[32];
    int memory;
    uint64_t began, stack; /* of the program that was opened: see fl_pidstat */
    fl_root root;
    char library[64]; /* the name of the file that the root is in */
    char others[256]; /* of those with roots that are as good, and not shown; empty: there are none */
    char wrong[512];  /* why the last call has failed, for people */
    bool forbidden;   /* since it may not be looked into */
} fl_target;

/* Finds a process by its number. False: target->wrong says why not. */
bool fl_target_attach(fl_target *target, const char *number);

/* The same, and the root in it: only written pages of data of programs and libraries are read for that. */
bool fl_target_open(fl_target *target, const char *number);
void fl_target_close(fl_target *target);

/* Memory of the process. False: it is not there any more, or the process is not; fl_target_lost tells. */
bool fl_target_read(const fl_target *target, uint64_t address, void *into, size_t bytes);

/* Has the process that was opened ended, or become another program? wrong then says which. Who has gathered what is
 * to be of one program asks at the end: what is in /proc is the new one's from then on. */
bool fl_target_lost(fl_target *target);

/* wrong says what it is, and of whom. Returns false. */
bool fl_target_wrong(fl_target *target, const char *what);

/* Its tables lead nowhere: wrong says that, or what has become of the process. Returns false. */
bool fl_target_give_up(fl_target *target);

/* A file of the process's in /proc, to be closed; -1, NULL: wrong says why. */
int fl_target_descriptor(fl_target *target, const char *name);
FILE *fl_target_file(fl_target *target, const char *name);

/* Page faults of the process so far that took no disk. */
bool fl_target_faults(fl_target *target, uint64_t *faults);

/* A member of a structure as it was read: an integer or an address; or, of an array of such, one of them. */
uint64_t fl_target_member(const fl_target *target, const void *structure, fl_root_member member);
uint64_t fl_target_item(const fl_target *target, const void *structure, fl_root_member member, size_t index,
                        size_t bytes);

#endif
