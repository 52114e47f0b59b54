/* SPDX-License-Identifier: MIT */
/*
 * life.c: malloc's front in the life of a process: start, fork, end. Allocation works before the start and
 * after the end; what stands here only adds to it.
 */
#include "../arena/driver.h"
#include "../embed/atfork.h"
#include "../embed/livestats.h"
#include "../embed/process_api.h"
#include "../heap/guard_words.h"
#include "../heap/startup.h"
#include "../heap/thread.h"
#include "../slab/hardening.h"
#include "../system/fatal.h"
#include "../system/guest.h"
#include "../system/line.h"
#include "../system/system.h"
#include "fallow/profile.h"
#include "options.h"
#include "settings.h"

/* A program linked with -lfallow before -lfallow-malloc has two heaps, and would not be told. */
static void warn_of_another(void) {
    fl_line line;
    fl_line_start(&line);
    fl_line_add(&line,
                "fallow: libfallow comes before libfallow-malloc, so arenas, limits and figures belong "
                "to another heap than malloc's; link libfallow-malloc first, or alone\n");
    fl_line_write(&line, 2);
}

/*
 * The first constructor of all (the shared library is linked with -z initfirst). Fork runs handlers in the
 * order in which they were registered, and those before it in the reverse order. So our locks are taken after
 * all other libraries' handlers have run, which may allocate, or join a thread that does; and they are
 * dropped before handlers run again. glibc tells constructors of the environment.
 */
__attribute__((constructor(101))) static void start(int count, char **arguments, char **environment) {
    (void)count, (void)arguments, (void)environment;
#ifdef __GLIBC__
    fl_system_know_environment(environment);
#endif
    if (!fl_process_init())
        return;
    fl_guest_prepare();
    fl_thread_attach(); /* so that its end is seen, whatever it allocates */
    fl_fork_register();
    fl_option_apply(FL_OPTION_background_thread); /* its usual value does not hold without this */
    fl_options_init();
    if (FL_HARDENED && !fl_system_keeps_to_memory())
        fl_system_explain_faults(fl_guard_explain);
    if (!fl_process_api_is_own())
        warn_of_another();
}

static void add_figure(fl_line *line, const char *name, uint64_t value) {
    fl_line_add(line, " ");
    fl_line_add(line, name);
    fl_line_add(line, "=");
    fl_line_add_number(line, value);
}

/* Ends the line: no blank in the name, nor what a terminal would take for more than a letter. */
static void add_name(fl_line *line, const char *name) {
    fl_line_add(line, " program=");
    for (; *name; name++)
        fl_line_add_part(line, *name > ' ' && *name < 127 ? name : "_", 1);
}

static void add_figures(fl_line *line) {
    size_t ready_peak;
    osmem_bytes bytes = osmem_stat_read(&fl_stat_process, &ready_peak);
    fl_live live = fl_stats_live(fl_process_arena, NULL);
    add_figure(line, "reserved_bytes", bytes.reserved);
    add_figure(line, "prepared_bytes", bytes.prepared);
    add_figure(line, "ready_bytes", bytes.ready);
    add_figure(line, "ready_peak_bytes", ready_peak);
    add_figure(line, "system_calls", osmem_system_calls());
    add_figure(line, "live_bytes", live.bytes);
    add_figure(line, "live_blocks", live.blocks);
}

static void add_refused(fl_line *line, bool refused, const char *what) {
    if (!refused)
        return;
    fl_line_add(line, line->length ? "; " : "fallow: refused by the system: ");
    fl_line_add(line, what);
}

/* None of this does more than cost memory. */
static void say_what_was_refused(void) {
    fl_line line;
    fl_line_start(&line);
    add_refused(&line, !fl_system_keeps_to_memory() && !fl_system_has_fence(),
                "membarrier (sleeping threads keep the memory that they have free)");
    add_refused(&line, fl_driver_was_refused_a_thread(), "a thread of fallow's own (slow paths do its work)");
    add_refused(&line, fl_driver_is_blind() && !fl_driver_was_refused_a_thread(),
                "a file table for that thread (changes of a container's limit go unnoticed)");
    if (line.length) {
        fl_line_add(&line, "\n");
        fl_line_write(&line, 2);
    }
}

static void say_not_written(const char *option, const char *path) {
    fl_line line;
    fl_line_start(&line);
    fl_line_add(&line, "fallow: option '");
    fl_line_add(&line, option);
    fl_line_add(&line, ":");
    fl_line_add(&line, path);
    fl_line_add(&line, "': cannot write that file\n");
    fl_line_write(&line, 2);
}

/* Opens a file for each process: FILE.PID if there is a FILE already, another process's or an older one. */
static bool open_profile(int *file) {
    fl_line path;
    if (fl_system_open_new(fl_the_options.profile_file, false, file))
        return true;
    fl_line_start(&path);
    fl_line_add(&path, fl_the_options.profile_file);
    fl_line_add(&path, ".");
    fl_line_add_number(&path, fl_system_process());
    fl_line_add_part(&path, "", 1);
    return fl_system_open_new(path.text, true, file);
}

static void write_profile(void) {
    int file;
    bool written = false;
    if (open_profile(&file)) {
        written = fallow_profile_write(file);
        fl_system_close(file);
    }
    if (!written)
        say_not_written("profile_file", fl_the_options.profile_file);
}

/* Writes one line for each process, since several may append to the same file. Its form: libfallow-malloc(7).
 * `fallow run --stats` reads it. */
__attribute__((destructor)) static void end(void) {
    if (fl_the_options.verbose)
        say_what_was_refused();
    if (fl_the_options.profile_file[0] && fl_process_arena)
        write_profile();
    if (!fl_the_options.stats_file[0] || !fl_process_arena)
        return;
    fl_line line;
    fl_line_start(&line);
    fl_line_add(&line, "process=");
    fl_line_add_number(&line, fl_system_process());
    add_figures(&line);
    add_figure(&line, "time", fl_system_date_ns() / 1000000000u);
    add_figure(&line, "user", fl_system_user());
    add_name(&line, fl_system_program());
    fl_line_add(&line, "\n");
    if (!fl_system_write_file(fl_the_options.stats_file, line.text, line.length))
        say_not_written("stats_file", fl_the_options.stats_file);
}
