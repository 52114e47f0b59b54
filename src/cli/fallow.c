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
    "       fallow profile [--unwind] [--seconds N] [--total | --peak] [--pprof | --collapsed] [-o FILE] "
    "PID | FILE\n"
    "       fallow options\n"
    "       fallow --version | --help\n"
    "\n"
    "run      runs a program with its malloc replaced by fallow\n"
    "  --stats     when it ends, prints its memory by state on standard error\n"
    "  --hardened  uses the library that detects more misuse and is slower\n"
    "record   writes what a program allocates and frees to FILE, whichever malloc serves it;\n"
    "         programs that it starts and children that it forks write to FILE.PID\n"
    "replay   plays such a FILE on the malloc that serves this command (LD_PRELOAD=... fallow replay FILE):\n"
    "         time, live bytes and resident bytes; threads take turns in the recorded order\n"
    "  --parallel  runs threads at once; a free waits for its block if another thread allocates it\n"
    "  --curve     also prints fifty lines of live and resident bytes over the run\n"
    "stats    shows how much of a running process's memory is live, and what holds the rest,\n"
    "         by arena and size\n"
    "  --json, --metrics  print all figures, as JSON or as OpenMetrics text\n"
    "  --explain          says what each figure means\n"
    "top      shows the same, and what is going on, once a second; without PID, offers processes to choose "
    "from\n"
    "  --once   prints one picture as text\n"
    "map      draws every page of its memory, by what it is used for\n"
    "  --html   writes a page for a browser\n"
    "profile  shows which calls hold its memory: samples allocations for 30 seconds, and shows which of "
    "them\n"
    "         are still live\n"
    "  --unwind                finds callers without frame pointers: copies stacks while it samples\n"
    "  --mean BYTES            takes one sample in this many bytes\n"
    "  --start, --stop, --now  start sampling; stop it; show what has been sampled so far\n"
    "  --total, --peak         show all that was allocated, or what was live at the peak\n"
    "  --pprof, --collapsed    write the format of pprof, or of flame graphs\n"
    "  --base FILE             subtracts what FILE has\n"
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
