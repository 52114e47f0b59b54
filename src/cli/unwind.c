/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "unwind.h"

#ifdef FL_DW

#include <dlfcn.h>
#include <elfutils/libdwfl.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define FUNCTIONS(X)               \
    X(dwfl_begin)                  \
    X(dwfl_end)                    \
    X(dwfl_report_begin)           \
    X(dwfl_report_end)             \
    X(dwfl_linux_proc_report)      \
    X(dwfl_linux_proc_find_elf)    \
    X(dwfl_attach_state)           \
    X(dwfl_getthread_frames)       \
    X(dwfl_frame_pc)               \
    X(dwfl_thread_state_registers) \
    X(dwfl_addrmodule) X(dwfl_getmodules) X(dwfl_module_eh_cfi)

#define POINTER(name) __typeof__(name) *name;
static struct { FUNCTIONS(POINTER) } its;

static Dwfl *dwfl;
static pid_t process;
static bool attached;
static time_t reported; /* when its files were last looked up */

/* What is being unwound. */
static struct {
    const uint64_t *registers;
    const unsigned char *stack;
    size_t bytes;
    uint64_t *calls;
    unsigned count, max;
    bool ran_out; /* libdw takes a word that cannot be had for the end */
} now;

static const char *load(void) {
    static void *library;
    if (!library)
        library = dlopen("libdw.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return "--unwind needs elfutils' libdw.so.1, which is not there (Debian and Ubuntu: apt install "
               "libdw1)";
#define FIND(name)                                                 \
    if (!(its.name = (__typeof__(its.name))dlsym(library, #name))) \
        return "--unwind needs elfutils' libdw.so.1 with " #name ", and this one has none";
    FUNCTIONS(FIND)
    return NULL;
}

/* The process may have another root than this command. */
static int find_elf(Dwfl_Module *module, void **data, const char *name, Dwarf_Addr base, char **file,
                    Elf **elf) {
    char path[4200];
    if (name[0] == '/') {
        snprintf(path, sizeof path, "/proc/%d/root%s", (int)process, name);
        int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (descriptor >= 0) {
            *file = strdup(path);
            return descriptor;
        }
    }
    return its.dwfl_linux_proc_find_elf(module, data, name, base, file, elf);
}

/* Names come from addr2line; and libdw would ask servers for them. */
static int find_nothing(Dwfl_Module *module, void **data, const char *name, Dwarf_Addr base, const char *file,
                        const char *link, GElf_Word sum, char **found) {
    (void)module, (void)data, (void)name, (void)base, (void)file, (void)link, (void)sum, (void)found;
    return -1;
}

static pid_t next_thread(Dwfl *of, void *argument, void **thread) {
    (void)of;
    bool first = *thread == NULL;
    *thread = argument;
    return first ? process : 0;
}

static bool get_thread(Dwfl *of, pid_t thread, void *argument, void **its_argument) {
    (void)of, (void)thread;
    *its_argument = argument;
    return true;
}

static bool read_stack(Dwfl *of, Dwarf_Addr address, Dwarf_Word *word, void *argument) {
    (void)of, (void)argument;
    uint64_t at = address - now.registers[7];
    if (now.bytes < sizeof *word || at > now.bytes - sizeof *word) {
        now.ran_out = true;
        return false;
    }
    memcpy(word, now.stack + at, sizeof *word);
    return true;
}

static bool set_registers(Dwfl_Thread *thread, void *argument) {
    (void)argument;
    Dwarf_Word all[FL_UNWIND_REGISTERS];
    for (int i = 0; i < FL_UNWIND_REGISTERS; i++)
        all[i] = now.registers[i];
    return its.dwfl_thread_state_registers(thread, 0, FL_UNWIND_REGISTERS, all);
}

static int take_frame(Dwfl_Frame *frame, void *argument) {
    (void)argument;
    Dwarf_Addr pc;
    if (now.count == now.max || !its.dwfl_frame_pc(frame, &pc, NULL))
        return DWARF_CB_ABORT;
    now.calls[now.count++] = pc;
    return DWARF_CB_OK;
}

static bool report(void) {
    its.dwfl_report_begin(dwfl);
    reported = time(NULL);
    return its.dwfl_linux_proc_report(dwfl, process) == 0 && its.dwfl_report_end(dwfl, NULL, NULL) == 0;
}

/* Reads a file's tables now: when the first stack wanted them, samples would come meanwhile. */
static int read_tables(Dwfl_Module *module, void **data, const char *name, Dwarf_Addr base, void *argument) {
    (void)data, (void)name, (void)base, (void)argument;
    Dwarf_Addr bias;
    its.dwfl_module_eh_cfi(module, &bias);
    return DWARF_CB_OK;
}

const char *fl_unwind_open(pid_t of) {
    static const Dwfl_Callbacks callbacks = {.find_elf = find_elf, .find_debuginfo = find_nothing};
    static const Dwfl_Thread_Callbacks threads = {.next_thread = next_thread,
                                                  .get_thread = get_thread,
                                                  .memory_read = read_stack,
                                                  .set_initial_registers = set_registers};
    const char *wrong = load();
    if (wrong)
        return wrong;
    process = of;
    dwfl = its.dwfl_begin(&callbacks);
    attached = dwfl && report() && its.dwfl_attach_state(dwfl, NULL, process, &threads, &now);
    if (attached)
        its.dwfl_getmodules(dwfl, read_tables, NULL, 0);
    else
        fl_unwind_close();
    return attached ? NULL : "libdw finds no program in it whose stacks it could unwind";
}

void fl_unwind_close(void) {
    if (dwfl)
        its.dwfl_end(dwfl);
    dwfl = NULL;
}

unsigned fl_unwind(const uint64_t *registers, const unsigned char *stack, size_t bytes, uint64_t *calls,
                   unsigned calls_max, bool *whole) {
    for (int tries = 0; tries < 2; tries++) {
        now.registers = registers, now.stack = stack, now.bytes = bytes;
        now.calls = calls, now.count = 0, now.max = calls_max, now.ran_out = false;
        *whole = its.dwfl_getthread_frames(dwfl, process, take_frame, &now) == 0 && !now.ran_out;
        /* A library that the process has loaded meanwhile. */
        if (now.count == 0 || its.dwfl_addrmodule(dwfl, calls[now.count - 1] - 1) || time(NULL) == reported ||
            !report())
            break;
    }
    return now.count;
}

#else

const char *fl_unwind_open(pid_t process) {
    (void)process;
    return "this command was built without elfutils' libdw, which --unwind needs";
}

void fl_unwind_close(void) {
}

unsigned fl_unwind(const uint64_t *registers, const unsigned char *stack, size_t bytes, uint64_t *calls,
                   unsigned calls_max, bool *whole) {
    (void)registers, (void)stack, (void)bytes, (void)calls, (void)calls_max;
    *whole = false;
    return 0;
}

#endif
