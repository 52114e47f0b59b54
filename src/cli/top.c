/* SPDX-License-Identifier: MIT */
/*
 * top.c: `fallow top`: the figures of a process once a second, or a list of processes to choose one from. It
 * takes at most a fifth of a processor itself: what takes long to read is read more rarely.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "commands.h"
#include "processes.h"
#include "screen.h"
#include "terminal.h"
#include "top_picture.h"

#define PERIOD_MS 1000
#define REST_PARTS 4 /* a look is followed by a rest of so many times its length */
#define ONCE_LINES 40

static fl_target target;

static double now_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

typedef struct looks {
    fl_top top;
    double at, next; /* of the last look; when the next is due */
} looks;

/* A first look is compared with itself: all rates are zero. */
static bool look(looks *its) {
    fl_statistics new;
    double began = now_seconds();
    if (!fl_statistics_gather(&new, &target))
        return false;
    if (its->at > 0) {
        fl_statistics_free(&its->top.before);
        its->top.before = its->top.now;
        its->top.seconds = began - its->at;
    } else if (!fl_statistics_gather(&its->top.before, &target)) {
        fl_statistics_free(&new);
        return false;
    }
    its->top.now = new;
    its->at = began;
    double rest = (now_seconds() - began) * REST_PARTS;
    its->next = began + (rest > PERIOD_MS / 1e3 ? rest : PERIOD_MS / 1e3);
    return true;
}

static void forget(looks *its) {
    fl_statistics_free(&its->top.now);
    fl_statistics_free(&its->top.before);
}

static int tell_wrong(void) {
    fprintf(stderr, "fallow: %s\n", target.wrong);
    return 1;
}

static void show(const looks *its) {
    fl_frame frame;
    unsigned lines, columns;
    fl_screen_size(&lines, &columns);
    if (!fl_frame_make(&frame, lines, columns))
        return;
    fl_top_draw(&its->top, &frame);
    fl_screen_show(&frame);
    fl_frame_free(&frame);
}

static void obey(fl_top *top, int key) {
    fl_group view = key == 'a'   ? FL_GROUP_ARENA
                    : key == 'c' ? FL_GROUP_CLASS
                    : key == 'h' ? FL_GROUP_HEAP
                                 : top->view;
    top->sort = view == top->view ? top->sort : 0;
    top->view = view;
    if (key == 's')
        top->sort = (top->sort + 1) % fl_top_columns(view);
    if (key == ' ')
        top->paused = !top->paused;
}

/* Shows the process until the user wants no more of it (q), or wants the list (l), or it is gone: 0. */
static int watch(void) {
    looks its = {.top.view = FL_GROUP_ARENA};
    int key = look(&its) ? FL_KEY_NONE : 0;
    while (key && key != 'q' && key != 'l') {
        show(&its);
        double wait = its.next - now_seconds();
        key = fl_screen_key(its.top.paused || wait > PERIOD_MS / 1e3 ? PERIOD_MS
                            : wait > 0                               ? (int)(wait * 1e3)
                                                                     : 0);
        obey(&its.top, key);
        bool due = now_seconds() >= its.next;
        if (key != 'q' && key != 'l' && due && (its.top.paused ? fl_target_lost(&target) : !look(&its)))
            key = 0;
    }
    forget(&its);
    return key;
}

/* Returns the process; 0 if none was wanted. */
static pid_t choose(void) {
    fl_processes all;
    pid_t chosen = 0;
    size_t at = 0;
    int key = 'r';
    for (bool found = fl_processes_find(&all); found && key != 'q' && !chosen;) {
        fl_frame frame;
        unsigned lines, columns;
        fl_screen_size(&lines, &columns);
        if (!fl_frame_make(&frame, lines, columns))
            break;
        fl_processes_draw(&all, at, &frame);
        fl_screen_show(&frame);
        fl_frame_free(&frame);
        key = fl_screen_key(PERIOD_MS);
        at = key == FL_KEY_UP && at > 0 ? at - 1 : key == FL_KEY_DOWN && at + 1 < all.count ? at + 1 : at;
        chosen = key == FL_KEY_ENTER && all.count ? all.all[at].process : 0;
        if (key == 'r') {
            fl_processes_free(&all);
            found = fl_processes_find(&all);
            at = at < all.count ? at : 0;
        }
    }
    fl_processes_free(&all);
    return chosen;
}

static int run_screen(const char *number) {
    char text[16];
    if (!isatty(0) || !isatty(1))
        return fl_fail("top", "standard input and output are not a terminal; --once prints one picture");
    if (number && !fl_target_open(&target, number))
        return tell_wrong();
    const char *wrong = fl_screen_open();
    if (wrong)
        return fl_fail("top", wrong);
    int key = 'l';
    while (key == 'l') {
        pid_t chosen = number ? 0 : choose();
        if (!number && !chosen)
            break;
        if (chosen) {
            snprintf(text, sizeof text, "%d", (int)chosen);
            key = fl_target_open(&target, text) ? 'l' : 0;
        }
        if (key)
            key = watch();
        fl_target_close(&target);
        number = NULL;
    }
    fl_screen_close();
    return key ? 0 : tell_wrong();
}

static int print_once(const char *number) {
    fl_frame frame;
    looks its = {.top.view = FL_GROUP_ARENA};
    fl_processes all;
    if (!fl_frame_make(&frame, ONCE_LINES, fl_terminal_columns(stdout)))
        return fl_fail("top", "out of memory");
    bool told = true;
    if (!number) {
        told = fl_processes_find(&all);
        fl_processes_draw(&all, SIZE_MAX, &frame);
        fl_processes_free(&all);
    } else if ((told = fl_target_open(&target, number) && look(&its)) == true) {
        usleep(PERIOD_MS * 1000);
        if ((told = look(&its)) == true)
            fl_top_draw(&its.top, &frame);
    }
    if (told)
        fl_frame_print(&frame, stdout);
    forget(&its);
    fl_target_close(&target);
    fl_frame_free(&frame);
    return told ? 0 : number ? tell_wrong() : fl_fail("/proc", "cannot be read");
}

int fl_command_top(int count, char **arguments) {
    const char *number = NULL;
    bool once = false;
    for (int i = 0; i < count; i++)
        if (!strcmp(arguments[i], "--once"))
            once = true;
        else if (arguments[i][0] == '-' || number)
            return fl_fail(arguments[i], "unknown argument; accepted: PID, --once");
        else
            number = arguments[i];
    return once ? print_once(number) : run_screen(number);
}
