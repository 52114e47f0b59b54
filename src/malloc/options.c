/* SPDX-License-Identifier: MIT */
#include "options.h"

#include <stdint.h>
#include <string.h>

#include "../system/fatal.h"
#include "../system/line.h"
#include "../system/system.h"
#include "fallow/malloc.h"

fl_options fl_the_options = {.background_thread = true, .container = true, .give_back = true};

typedef enum kind { SWITCH, BYTES, PATH } kind;

static bool set_switch(bool *option, const char *value, size_t length) {
    if (length != 1 || (*value != '0' && *value != '1'))
        return false;
    *option = *value == '1';
    return true;
}

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

static bool set_path(char *option, const char *value, size_t length) {
    if (length == 0 || length >= sizeof fl_the_options.stats_file)
        return false;
    memcpy(option, value, length);
    option[length] = '\0';
    return true;
}

#define ROW(name, kind, usual, what) {#name, kind, &fl_the_options.name, #name ":" FL_ACCEPTED_##kind},
#define NAME(name, kind, usual, what) " " #name

static const struct option {
    const char *name;
    kind kind;
    void *value;
    const char *accepted;
} options[] = {FL_OPTIONS(ROW)};

#define OPTION_COUNT (sizeof options / sizeof *options)

/* Every kind is named: one that nobody handles does not compile. */
static bool set_value(const struct option *option, const char *value, size_t length) {
    switch (option->kind) {
    case SWITCH:
        return set_switch(option->value, value, length);
    case BYTES:
        return set_bytes(option->value, value, length);
    case PATH:
        return set_path(option->value, value, length);
    }
    return false;
}

/* Reported with all that was written, as far as a line holds it. */
static bool report(const char *name, size_t name_length, const char *value, size_t value_length,
                   const char *accepted) {
    fl_line detail;
    fl_line_start(&detail);
    fl_line_add_part(&detail, name, name_length < 100 ? name_length : 100);
    if (value) {
        fl_line_add(&detail, ":");
        fl_line_add_part(&detail, value, value_length < 100 ? value_length : 100);
    }
    fl_line_add_part(&detail, "", 1);
    fl_warn("option", detail.text, accepted);
    return false;
}

static bool set_one(const char *name, size_t name_length, const char *value, size_t value_length) {
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (strlen(options[i].name) != name_length || memcmp(options[i].name, name, name_length))
            continue;
        if (!value || !set_value(&options[i], value, value_length))
            return report(name, name_length, value, value_length, options[i].accepted);
        fl_option_apply((fl_option)i);
        return true;
    }
    return report(name, name_length, value, value_length, "the options" FL_OPTIONS(NAME));
}

void fl_options_init(void) {
    const char *text = fl_system_environment("FALLOW_OPTIONS");
    while (text && *text) {
        size_t length = strcspn(text, ",");
        const char *colon = memchr(text, ':', length);
        if (length && colon)
            set_one(text, (size_t)(colon - text), colon + 1, length - (size_t)(colon - text) - 1);
        else if (length)
            set_one(text, length, NULL, 0);
        text += length;
        if (*text == ',')
            text++;
    }
}

bool fallow_option_set(const char *name, const char *value) {
    return set_one(name, strlen(name), value, strlen(value));
}
