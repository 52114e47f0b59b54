/* SPDX-License-Identifier: MIT */
#include "options.h"

#include <stdint.h>
#include <string.h>

#include "../osmem/fatal.h"
#include "../osmem/line.h"
#include "../osmem/system.h"

fl_options fl_the_options = {.background_thread = true, .give_back = true};

static bool set_switch(bool *option, const char *value, size_t length) {
    if (length != 1 || (*value != '0' && *value != '1'))
        return false;
    *option = *value == '1';
    return true;
}

/* A number of bytes, with k, m, g or t behind it for powers of 1024. */
static bool set_bytes(size_t *option, const char *value, size_t length) {
    size_t bytes = 0, i = 0;
    for (; i < length && value[i] >= '0' && value[i] <= '9'; i++) {
        if (bytes > (SIZE_MAX - 9) / 10)
            return false;
        bytes = bytes * 10 + (size_t)(value[i] - '0');
    }
    static const char units[] = "kmgt";
    const char *unit = i && i + 1 == length ? strchr(units, value[i] | 0x20) : NULL;
    unsigned shift = unit ? 10 * (unsigned)(unit - units + 1) : 0;
    if (i == 0 || (i < length && !unit) || bytes > SIZE_MAX >> shift)
        return false;
    *option = bytes << shift;
    return true;
}

static bool set_background_thread(const char *value, size_t length) {
    return set_switch(&fl_the_options.background_thread, value, length);
}

static bool set_give_back(const char *value, size_t length) {
    return set_switch(&fl_the_options.give_back, value, length);
}

static bool set_soft_limit(const char *value, size_t length) {
    return set_bytes(&fl_the_options.soft_limit, value, length);
}

static bool set_hard_limit(const char *value, size_t length) {
    return set_bytes(&fl_the_options.hard_limit, value, length);
}

static bool set_idle_max(const char *value, size_t length) {
    return set_bytes(&fl_the_options.idle_max, value, length);
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
    {"give_back", "give_back:0 or give_back:1", set_give_back},
    {"hard_limit", "hard_limit:BYTES, with k, m, g or t behind the number if you like", set_hard_limit},
    {"idle_max", "idle_max:BYTES, with k, m, g or t behind the number if you like", set_idle_max},
    {"soft_limit", "soft_limit:BYTES, with k, m, g or t behind the number if you like", set_soft_limit},
    {"stats_file", "stats_file:PATH, a file to which figures are appended at exit", set_stats_file},
};

#define OPTION_COUNT (sizeof options / sizeof *options)
#define NAMES "background_thread, give_back, hard_limit, idle_max, soft_limit, stats_file"

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
