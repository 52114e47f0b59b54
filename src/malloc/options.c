/* SPDX-License-Identifier: MIT */
#include "options.h"

#include <string.h>

#include "../osmem/fatal.h"
#include "../osmem/line.h"
#include "../osmem/system.h"

fl_options fl_the_options = {.background_thread = true};

static bool set_background_thread(const char *value, size_t length) {
    if (length != 1 || (*value != '0' && *value != '1'))
        return false;
    fl_the_options.background_thread = *value == '1';
    return true;
}

static bool set_stats_file(const char *value, size_t length) {
    if (length == 0 || length >= sizeof fl_the_options.stats_file)
        return false;
    memcpy(fl_the_options.stats_file, value, length);
    fl_the_options.stats_file[length] = '\0';
    return true;
}

static const struct option {
    const char *name;
    const char *accepted;
    bool (*set)(const char *value, size_t length);
} options[] = {
    {"background_thread", "background_thread:0 or background_thread:1", set_background_thread},
    {"stats_file", "stats_file:PATH, a file to which figures are appended at exit", set_stats_file},
};

#define OPTION_COUNT (sizeof options / sizeof *options)
#define NAMES "background_thread, stats_file"

static void report(const char *text, size_t length, const char *accepted) {
    fl_line detail;
    fl_line_start(&detail);
    fl_line_add_part(&detail, text, length < 200 ? length : 200);
    fl_line_add_part(&detail, "", 1);
    fl_warn("option", detail.text, accepted);
}

static void set_one(const char *text, size_t length) {
    const char *colon = memchr(text, ':', length);
    size_t name_length = colon ? (size_t)(colon - text) : length;
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (strlen(options[i].name) != name_length || memcmp(options[i].name, text, name_length))
            continue;
        if (!colon || !options[i].set(colon + 1, length - name_length - 1))
            report(text, length, options[i].accepted);
        return;
    }
    report(text, length, NAMES);
}

void fl_options_init(void) {
    const char *text = fl_system_environment("FALLOW_OPTIONS");
    while (text && *text) {
        size_t length = strcspn(text, ",");
        if (length)
            set_one(text, length);
        text += length;
        if (*text == ',')
            text++;
    }
}
