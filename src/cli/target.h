/* SPDX-License-Identifier: MIT */
/*
 * target.h: another process, looked at from outside: its memory, and the root of fallow's tables in it
 * (../heap/root.h).
 *
 * The process is neither stopped nor told. What is read of it is of different moments, may be half written,
 * and may be anything if the program has written past its blocks: trust no address and no count more than a
 * stranger's word.
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
    pid_t thread; /* a live one of the process, through which the system shows what all of them share */
    char program[32];
    int memory;
    uint64_t began, stack; /* of the program that was opened: see fl_pidstat */
    fl_root root;
    char library[64]; /* the name of the file that the root is in */
    char others[256]; /* of files with roots as good, which are not shown; empty if there are none */
    char wrong[512];  /* why the last call failed, for people */
    bool forbidden;   /* that was because this user may not look into it */
} fl_target;

/* Finds a process by its number. Returns false if that fails; target->wrong says why. */
bool fl_target_attach(fl_target *target, const char *number);

/* The same, and finds the root in it: this reads only written pages of data of programs and libraries. */
bool fl_target_open(fl_target *target, const char *number);
void fl_target_close(fl_target *target);

/* Reads memory of the process. Returns false if the memory is gone, or the process; fl_target_lost tells
 * which. */
bool fl_target_read(const fl_target *target, uint64_t address, void *into, size_t bytes);

/* Returns whether the process that was opened has ended, or become another program; `wrong` then says which.
 * A caller that has gathered what should be of one program asks this last: by then, /proc may be about the
 * new one. */
bool fl_target_lost(fl_target *target);

/* Writes to `wrong` what is wrong, and with which process. Returns false. */
bool fl_target_wrong(fl_target *target, const char *what);

/* Gives up on tables that lead nowhere: `wrong` says that, or what has become of the process. Returns
 * false. */
bool fl_target_give_up(fl_target *target);

/* Open a file of the process's in /proc; the caller closes it. Return -1 or NULL if that fails; `wrong` says
 * why. */
int fl_target_descriptor(fl_target *target, const char *name);
FILE *fl_target_file(fl_target *target, const char *name);

/* Reads how many page faults of the process so far took no disk. */
bool fl_target_faults(fl_target *target, uint64_t *faults);

/* Return a member of a structure that was read: an integer or an address; or one item of a member that is an
 * array of such. */
uint64_t fl_target_member(const fl_target *target, const void *structure, fl_root_member member);
uint64_t fl_target_item(const fl_target *target, const void *structure, fl_root_member member, size_t index,
                        size_t bytes);

#endif
