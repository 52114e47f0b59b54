/* SPDX-License-Identifier: MIT */
#include "container.h"

#include <stdbool.h>
#include <string.h>

#include "system.h"

#define PATH_BYTES 1024
#define FILE_BYTES 4096

typedef struct path {
    char text[PATH_BYTES];
    size_t length;
} path;

/* False, and unchanged: it would be too long. */
static bool add(path *path, const char *text, size_t length) {
    if (length >= PATH_BYTES - path->length)
        return false;
    memcpy(path->text + path->length, text, length);
    path->length += length;
    path->text[path->length] = '\0';
    return true;
}

static bool add_text(path *path, const char *text) {
    return add(path, text, strlen(text));
}

static void cut(path *path, size_t length) {
    path->length = length;
    path->text[length] = '\0';
}

/* The file's text, up to FILE_BYTES - 1 of it; "" where there is none. */
static const char *read_text(const path *path, const char *name, char *buffer) {
    struct path whole = *path;
    size_t got = 0;
    if (add_text(&whole, name))
        got = fl_system_read_file(whole.text, buffer, FILE_BYTES - 1);
    buffer[got] = '\0';
    return buffer;
}

/* A number at the start of a text; 0: there is none ("max"). */
static uint64_t number(const char *text) {
    uint64_t value = 0;
    for (; *text >= '0' && *text <= '9'; text++) {
        if (value > (UINT64_MAX - 9) / 10)
            return 0;
        value = value * 10 + (uint64_t)(*text - '0');
    }
    return value;
}

static void lower(size_t *limit, uint64_t other) {
    /* Version 1 says "none" as a number near 2^63. */
    if (other && other < (uint64_t)1 << 62 && (*limit == 0 || other < *limit))
        *limit = (size_t)other;
}

/* The group that a line of /proc/self/cgroup names for a controller: "4:memory:/path", "0::/path" (version 2). */
static bool find_group(const char *lines, const char *controller, const char **start, size_t *length) {
    size_t wanted = strlen(controller);
    while (*lines) {
        const char *end = strchr(lines, '\n');
        end = end ? end : lines + strlen(lines);
        const char *list = memchr(lines, ':', (size_t)(end - lines));
        const char *group = list ? memchr(list + 1, ':', (size_t)(end - list - 1)) : NULL;
        for (const char *name = list + 1; group && name <= group;) {
            const char *stop = name;
            while (*stop != ',' && *stop != ':')
                stop++;
            if ((size_t)(stop - name) == wanted && memcmp(name, controller, wanted) == 0) {
                *start = group + 1;
                *length = (size_t)(end - group - 1);
                return true;
            }
            name = stop + 1;
        }
        lines = *end ? end + 1 : end;
    }
    return false;
}

/* A group's folder under its mount; where the process does not see that path (it is in a namespace or a
 * container), the mount itself. */
static bool group_folder(const char *root, const char *mount, const char *group, size_t length,
                         const char *probe, path *folder, size_t *top) {
    char buffer[FILE_BYTES];
    cut(folder, 0);
    if (!add_text(folder, root) || !add_text(folder, mount))
        return false;
    *top = folder->length;
    while (length && group[length - 1] == '/')
        length--;
    if (!add(folder, group, length))
        return false;
    if (*read_text(folder, probe, buffer) == '\0')
        cut(folder, *top);
    return true;
}

/* The limits in the named files, of a folder and of those above it up to the mount. */
static void lower_by_folders(path *folder, size_t top, const char *const *names, size_t count,
                             size_t *limit) {
    char buffer[FILE_BYTES];
    for (;;) {
        for (size_t i = 0; i < count; i++)
            lower(limit, number(read_text(folder, names[i], buffer)));
        if (folder->length <= top)
            return;
        while (folder->length > top && folder->text[folder->length - 1] != '/')
            folder->length--;
        cut(folder, folder->length > top ? folder->length - 1 : top);
    }
}

typedef struct version {
    const char *controller;
    const char *mount;
    const char *probe; /* a file that every group below the root has */
    const char *limits[2];
} version;

static const version versions[] = {
    {"", "/sys/fs/cgroup", "/memory.max", {"/memory.max", "/memory.high"}},
    {"", "/sys/fs/cgroup/unified", "/memory.max", {"/memory.max", "/memory.high"}},
    {"memory", "/sys/fs/cgroup/memory", "/memory.limit_in_bytes", {"/memory.limit_in_bytes", NULL}},
};

static const char *groups_of_process(const char *root, char *buffer) {
    path file = {.length = 0};
    add_text(&file, root);
    return read_text(&file, "/proc/self/cgroup", buffer);
}

size_t fl_container_limit(const char *root) {
    char lines[FILE_BYTES];
    groups_of_process(root, lines);
    size_t limit = 0;
    for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++) {
        const version *it = &versions[i];
        const char *group;
        size_t length, top;
        path folder = {.length = 0};
        if (find_group(lines, it->controller, &group, &length) &&
            group_folder(root, it->mount, group, length, it->probe, &folder, &top))
            lower_by_folders(&folder, top, it->limits, it->limits[1] ? 2 : 1, &limit);
    }
    return limit;
}

/* "some avg10=0.00 avg60=0.00 avg300=0.00 total=123", in microseconds. */
static bool stalls(const path *folder, const char *name, uint64_t *ns) {
    char buffer[FILE_BYTES];
    const char *text = read_text(folder, name, buffer);
    const char *total = strncmp(text, "some ", 5) == 0 ? strstr(text, "total=") : NULL;
    if (total)
        *ns = number(total + 6) * 1000;
    return total != NULL;
}

uint64_t fl_container_stalls_ns(const char *root) {
    char lines[FILE_BYTES];
    groups_of_process(root, lines);
    const char *group;
    size_t length, top;
    path folder = {.length = 0};
    uint64_t ns = 0;
    if (find_group(lines, "", &group, &length) &&
        group_folder(root, "/sys/fs/cgroup", group, length, "/memory.pressure", &folder, &top) &&
        stalls(&folder, "/memory.pressure", &ns))
        return ns;
    cut(&folder, 0);
    add_text(&folder, root);
    stalls(&folder, "/proc/pressure/memory", &ns);
    return ns;
}
