/* SPDX-License-Identifier: MIT */
#include "container.h"

#include <stdbool.h>
#include <string.h>

#include "lock.h"
#include "system.h"

#define PATH_BYTES 1024
#define FILE_BYTES 4096

typedef struct cgroup_path {
    char text[PATH_BYTES];
    size_t length;
} cgroup_path;

/* Static because a caller of malloc may not have the stack to spare. Guarded by the lock of files: the
 * group's folder, the file being read, its text, and /proc/self/cgroup. */
static cgroup_path folder, file;
static char text[FILE_BYTES], groups[FILE_BYTES];

/* Returns false, with the path unchanged, if it would be too long. */
static bool add(cgroup_path *path, const char *part, size_t length) {
    if (length >= PATH_BYTES - path->length)
        return false;
    memcpy(path->text + path->length, part, length);
    path->length += length;
    path->text[path->length] = '\0';
    return true;
}

static bool add_text(cgroup_path *path, const char *part) {
    return add(path, part, strlen(part));
}

static void cut(cgroup_path *path, size_t length) {
    path->length = length;
    path->text[length] = '\0';
}

/* Returns up to FILE_BYTES - 1 bytes of a file's text; "" if there is no such file. */
static const char *read_into(char *buffer, const char *where, const char *name) {
    size_t got = 0;
    cut(&file, 0);
    if (add_text(&file, where) && add_text(&file, name))
        got = fl_system_read_file(file.text, buffer, FILE_BYTES - 1);
    buffer[got] = '\0';
    return buffer;
}

/* Returns the text of a file in the folder. */
static const char *read_text(const char *name) {
    return read_into(text, folder.text, name);
}

/* Returns the number at the start of a text; 0 if there is none ("max"). */
static uint64_t number(const char *digits) {
    uint64_t value = 0;
    for (; *digits >= '0' && *digits <= '9'; digits++) {
        if (value > (UINT64_MAX - 9) / 10)
            return 0;
        value = value * 10 + (uint64_t)(*digits - '0');
    }
    return value;
}

static void lower(size_t *limit, uint64_t other) {
    /* Version 1 says "none" as a number near 2^63. */
    if (other && other < (uint64_t)1 << 62 && (*limit == 0 || other < *limit))
        *limit = (size_t)other;
}

/* Finds the group that a line of /proc/self/cgroup names for a controller: "4:memory:/path", "0::/path"
 * (version 2). */
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

/* Enters a group's folder under its mount; if the process does not see that path, because it is in a
 * namespace or a container, the mount itself. */
static bool enter_group(const char *root, const char *mount, const char *group, size_t length,
                        const char *probe, size_t *top) {
    cut(&folder, 0);
    if (!add_text(&folder, root) || !add_text(&folder, mount))
        return false;
    *top = folder.length;
    while (length && group[length - 1] == '/')
        length--;
    if (!add(&folder, group, length))
        return false;
    if (*read_text(probe) == '\0')
        cut(&folder, *top);
    return true;
}

/* Returns the smallest limit in the named files of the folder and those above it, up to the mount. */
static void lower_by_folders(size_t top, const char *const *names, size_t count, size_t *limit) {
    for (;;) {
        for (size_t i = 0; i < count; i++)
            lower(limit, number(read_text(names[i])));
        if (folder.length <= top)
            return;
        while (folder.length > top && folder.text[folder.length - 1] != '/')
            folder.length--;
        cut(&folder, folder.length > top ? folder.length - 1 : top);
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

static const char *groups_of_process(const char *root) {
    return read_into(groups, root, "/proc/self/cgroup");
}

static size_t limit_of_process(const char *root) {
    const char *lines = groups_of_process(root), *group;
    size_t limit = 0, length, top;
    for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++) {
        const version *it = &versions[i];
        if (find_group(lines, it->controller, &group, &length) &&
            enter_group(root, it->mount, group, length, it->probe, &top))
            lower_by_folders(top, it->limits, it->limits[1] ? 2 : 1, &limit);
    }
    return limit;
}

size_t fl_container_limit(const char *root) {
    fl_lock_take(fl_lock_of(FL_LOCK_FILES));
    size_t limit = limit_of_process(root);
    fl_lock_drop(fl_lock_of(FL_LOCK_FILES));
    return limit;
}

/* "some avg10=0.00 avg60=0.00 avg300=0.00 total=123", in microseconds. */
static bool find_stalls(const char *line, uint64_t *ns) {
    static const char total[] = "total=";
    for (bool some = strncmp(line, "some ", 5) == 0; some && *line && *line != '\n'; line++)
        if (strncmp(line, total, sizeof total - 1) == 0) {
            *ns = number(line + sizeof total - 1) * 1000;
            return true;
        }
    return false;
}

static uint64_t stalls_of_process_ns(const char *root) {
    const char *lines = groups_of_process(root), *group;
    size_t length, top;
    uint64_t ns = 0;
    if (find_group(lines, "", &group, &length) &&
        enter_group(root, "/sys/fs/cgroup", group, length, "/memory.pressure", &top) &&
        find_stalls(read_text("/memory.pressure"), &ns))
        return ns;
    find_stalls(read_into(text, root, "/proc/pressure/memory"), &ns);
    return ns;
}

uint64_t fl_container_stalls_ns(const char *root) {
    fl_lock_take(fl_lock_of(FL_LOCK_FILES));
    uint64_t ns = stalls_of_process_ns(root);
    fl_lock_drop(fl_lock_of(FL_LOCK_FILES));
    return ns;
}
