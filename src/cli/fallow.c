/* SPDX-License-Identifier: MIT */
/*
 * fallow.c: the `fallow` command. It runs beside fallow, not on it: an ordinary program.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "fallow/version.h"

static const char usage[] =
    "usage: fallow run [--stats] [--hardened] [--OPTION=VALUE...] [--] PROGRAM [ARGUMENT...]\n"
    "       fallow record -o FILE [--] PROGRAM [ARGUMENT...]\n"
    "       fallow replay [--parallel] [--curve] FILE\n"
    "       fallow stats [--json | --metrics] PID | --explain\n"
    "       fallow top [--once] [PID]\n"
    "       fallow map [--html FILE] PID\n"
    "       fallow profile [--seconds N] [--total | --peak] [--pprof | --collapsed] [-o FILE] PID | FILE\n"
    "       fallow options\n"
    "       fallow --version | --help\n"
    "\n"
    "run      runs a program with its malloc replaced by fallow\n"
    "  --stats  when it has ended, prints its memory by state on standard error\n"
    "  --hardened  with the library that finds more of misuse, and is slower\n"
    "record   writes what a program allocates and frees into FILE, whichever malloc serves it;\n"
    "         what it starts and what it forks write FILE.PID\n"
    "replay   plays such a FILE on whichever malloc serves it (LD_PRELOAD=... fallow replay FILE):\n"
    "         time, live and resident bytes; threads take turns in the recorded order\n"
    "  --parallel  threads run at once; a free waits for its block if another thread allocates that\n"
    "  --curve     also fifty lines of live and resident bytes through the run\n"
    "stats    how much of a running process's memory is live, and what holds the rest, by arena and size\n"
    "  --json, --metrics  all figures, as JSON or OpenMetrics text\n"
    "  --explain  what each figure means\n"
    "top      the same and what goes on, once a second; without PID, of a process to choose\n"
    "  --once   one picture, as text\n"
    "map      every page of it as a picture, by what it is for\n"
    "  --html   as one page for a browser\n"
    "profile  which calls hold its memory: samples what it allocates for 30 seconds, and shows what of that "
    "lives\n"
    "  --mean BYTES  one sample in so many; --start, --stop, --now: on, off, what there is\n"
    "  --pprof, --collapsed  for pprof, for flame graphs; --base FILE: less what FILE has\n"
    "options  lists the options\n";

static int run_command(int argc, char **argv) {
    const char *command = argc > 1 ? argv[1] : "";
    if (!strcmp(command, "run"))
        return fl_command_run(argc - 2, argv + 2);
    if (!strcmp(command, "record"))
        return fl_command_record(argc - 2, argv + 2);
    if (!strcmp(command, "replay"))
        return fl_command_replay(argc - 2, argv + 2);
    if (!strcmp(command, "stats"))
        return fl_command_stats(argc - 2, argv + 2);
    if (!strcmp(command, "top"))
        return fl_command_top(argc - 2, argv + 2);
    if (!strcmp(command, "map"))
        return fl_command_map(argc - 2, argv + 2);
    if (!strcmp(command, "profile"))
        return fl_command_profile(argc - 2, argv + 2);
    if (!strcmp(command, "options"))
        return fl_command_options();
    if (!strcmp(command, "--version")) {
        puts("fallow " FALLOW_VERSION);
        return 0;
    }
    if (!strcmp(command, "--help")) {
        fputs(usage, stdout);
        return 0;
    }
    if (*command)
        fprintf(stderr, "fallow: unknown command '%s'\n", command);
    fputs(usage, stderr);
    return 2;
}

/* What a command has printed has arrived, or it says that it has not: a collector must not take half of
 * it. */
int main(int argc, char **argv) {
    int status = run_command(argc, argv);
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    int wrong = fl_fail("standard output", errno ? strerror(errno) : "not all of it could be written");
    return status ? status : wrong;
}
