#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Lives of processes that need programs and libraries of their own: before main and after exit, many libraries
# with much thread-local storage, static programs, a program with a malloc of its own, a new user namespace.
set -u
source=$1 build=$2
preload=$build/libfallow-malloc.so
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place" || exit 1
fail() { echo "failed: $*"; exit 1; }
compile() { gcc -O1 -fno-builtin -D_GNU_SOURCE "$@" || fail "does not compile: $*"; }

# Constructors of other libraries run before ours has been constructed, their destructors
# after ours has ended.
cat >early.c <<'C'
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static char *kept;
static void *body(void *n) { return memset(malloc(5000), 1, 5000), n; }
__attribute__((constructor(101))) static void begin(void) {
    pthread_t t;
    for (int i = 1; i < 200; i++) free(memset(malloc(i * 97), 1, i * 97));
    kept = memset(malloc(300000), 3, 300000);
    pthread_create(&t, 0, body, 0), pthread_join(t, 0);
}
__attribute__((destructor(101))) static void end(void) {
    if (kept[299999] != 3) _exit(9);
    free(kept);
    for (int i = 1; i < 200; i++) free(memset(malloc(i * 97), 1, i * 97));
}
int early(void) { return kept[0]; }
C
cat >exiting.c <<'C'
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int early(void);
static void at_exit(void) { for (int i = 1; i < 2000; i++) free(memset(malloc(i * 7), 1, i * 7)); }
static void *runs_on(void *n) { for (;;) free(memset(malloc(777), 1, 777)); return n; }
int main(void) {
    pthread_t t; atexit(at_exit); pthread_create(&t, 0, runs_on, 0); return early() == 3 ? 7 : 1; }
C
compile -shared -fPIC early.c -o libearly.so
compile exiting.c -o exiting -L. -learly -Wl,-rpath,"$place"
for i in $(seq 20); do
  LD_PRELOAD=$preload timeout 20 ./exiting
  [ $? = 7 ] || fail "before main, or after exit"
done
echo "ok processes_before_main_and_after_exit"

# The embedded library comes late, when static thread-local storage has been used up.
printf '__thread char much[%d]; char *get(void) { return much; }\n' 3000 >tls.c
for i in $(seq 20); do compile -shared -fPIC -ftls-model=global-dynamic tls.c -o tls$i.so; done
cat >late.c <<'C'
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
int main(int argc, char **argv) {
    for (int i = 1; i <= 20; i++) {
        char name[64];
        snprintf(name, sizeof name, "./tls%d.so", i);
        void *it = dlopen(name, RTLD_NOW);
        if (!it) return puts(dlerror()), 1;
        char *(*get)(void) = (char *(*)(void))dlsym(it, "get");
        get()[2999] = 1;
    }
    for (int round = 0; round < 3; round++) {
        void *it = dlopen(argv[1], RTLD_NOW);
        if (!it) return puts(dlerror()), 1;
        void *(*create)(const char *, size_t) =
            (void *(*)(const char *, size_t))dlsym(it, "fallow_arena_create");
        void *(*alloc)(void *, size_t) = (void *(*)(void *, size_t))dlsym(it, "fallow_arena_alloc");
        void (*destroy)(void *) = (void (*)(void *))dlsym(it, "fallow_arena_destroy");
        void *arena = create("late", 0);
        memset(alloc(arena, 100000), 1, 100000);
        destroy(arena);
        dlclose(it);
    }
    return argc == 2 ? 7 : 2;
}
C
compile late.c -o late -ldl
./late "$build/libfallow.so"
[ $? = 7 ] || fail "dlopen after twenty libraries with thread-local storage"
echo "ok processes_dlopen_after_much_thread_local_storage"

# Static, and not position-independent.
cat >plain.c <<'C'
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/wait.h>
static void *body(void *n) {
    for (int i = 1; i < 3000; i++) free(memset(malloc(i * 11), 1, i * 11));
    return n;
}
int main(void) {
    pthread_t t[4];
    for (int i = 0; i < 4; i++) pthread_create(&t[i], 0, body, 0);
    for (int i = 0; i < 4; i++) pthread_join(t[i], 0);
    if (fork() == 0) _exit(body(0) != 0);
    int status; wait(&status);
    return status == 0 && malloc_usable_size(malloc(100)) == 112 ? 7 : 1; /* fallow's size class */
}
C
for mode in "-static -no-pie" "-static-pie -fPIE" "-no-pie" "-pie -fPIE"; do
  compile $mode plain.c -o plain -Wl,--whole-archive "$build/libfallow-malloc.a" \
    -Wl,--no-whole-archive -lpthread
  ./plain
  [ $? = 7 ] || fail "linked with $mode"
done
echo "ok processes_linked_in_four_ways"

# C++ without its library's shared form: new that fails throws, calls the handler, or gives NULL.
if command -v g++ >/dev/null; then
  cat >failing.cpp <<'C'
#include <cstdlib>
#include <malloc.h>
#include <new>
static int handled;
static void handle() { if (++handled == 3) std::set_new_handler(nullptr); }
int main() {
    volatile size_t huge = (size_t)1 << 60;
    char *volatile sink;
    int caught = 0;
    try { sink = new char[huge]; } catch (const std::bad_alloc &) { caught++; }
    if ((sink = new (std::nothrow) char[huge])) return 1;
    std::set_new_handler(handle);
    try { sink = (char *)operator new(huge, std::align_val_t(64)); }
    catch (const std::bad_alloc &) { caught++; }
    sink = new char[100];
    return caught == 2 && handled == 3 && malloc_usable_size(sink) == 112 ? 7 : 2;
}
C
  for mode in "-static" "-static-libstdc++ -static-libgcc" ""; do
    for archive in "$build/libfallow-malloc.a" \
      "-Wl,--whole-archive $build/libfallow-malloc.a -Wl,--no-whole-archive"; do
      g++ -std=c++17 -O1 $mode failing.cpp -o failing $archive -lpthread ||
        fail "C++ does not link with $mode, $archive"
      ./failing
      [ $? = 7 ] || fail "new that fails, linked with $mode, $archive"
    done
  done
  echo "ok processes_new_that_fails_where_cxx_is_static"
fi

# Both libraries in one program, in either order: the arenas and malloc are of one heap.
cat >both.c <<'C'
#include <fallow/fallow.h>
#include <stdlib.h>
int main(void) {
    fallow_arena *of = fallow_arena_of(malloc(100)), *mine = fallow_arena_create("mine", 0);
    if (!of || !mine || fallow_arena_of(fallow_arena_alloc(mine, 100)) != mine || of == mine) return 1;
    void *large = malloc(5000000);
    fallow_process_figures now;
    return fallow_process_read_sized(&now, sizeof now) && large && now.ready_bytes >= 5000000 ? 7 : 2;
}
C
for order in "fallow fallow-malloc" "fallow-malloc fallow"; do
  read -r first second <<<"$order"
  for mode in "-static" ""; do
    compile $mode -I"$source/include" both.c -o both "$build/lib$first.a" "$build/lib$second.a" -lpthread
    ./both
    [ $? = 7 ] || fail "both archives, $order $mode"
  done
  compile -I"$source/include" both.c -o both -L"$build" -l"$first" -l"$second" -Wl,-rpath,"$build"
  said=$(./both 2>&1)
  case "$?,$first,$said" in
  7,fallow-malloc,) ;;
  # Two heaps, and it says so.
  *,fallow,*"libfallow comes before libfallow-malloc"*"link libfallow-malloc first"*) ;;
  *) fail "both libraries, $order: $said" ;;
  esac
done
echo "ok processes_both_libraries_at_once"

# A program with a malloc of its own, whose pointers never come to us though we are preloaded.
cat >own.c <<'C'
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static char heap[1 << 24] __attribute__((aligned(16)));
static size_t used, calls;
void *malloc(size_t n) {
    char *p = heap + used + 16;
    used += (n + 47) & ~(size_t)15; *(size_t *)(p - 16) = n; calls++;
    return p;
}
void free(void *p) { if (p && ((char *)p < heap || (char *)p > heap + sizeof heap)) __builtin_trap(); }
void *calloc(size_t a, size_t b) { return memset(malloc(a * b), 0, a * b); }
void *realloc(void *p, size_t n) {
    void *q = malloc(n);
    if (p) { size_t m = *(size_t *)((char *)p - 16); memcpy(q, p, m < n ? m : n); }
    return q;
}
int main(void) {
    char *line = 0, *copy; size_t n = 0;
    FILE *f = fopen("/proc/self/maps", "r");
    while (getline(&line, &n, f) > 0) free(copy = strdup(line));
    fclose(f); free(line);
    if (asprintf(&copy, "%s", "x") != 1) return 1;
    free(copy);
    return calls > 10 ? 7 : 1;
}
C
compile own.c -o own
LD_PRELOAD=$preload ./own
[ $? = 7 ] || fail "a program with a malloc of its own"
echo "ok processes_program_with_its_own_malloc"

# A new user namespace wants a process of one thread.
cat >namespace.c <<'C'
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
int main(void) {
    for (int i = 0; i < 300; i++) free(memset(malloc(100000), 1, 100000));
    int failed = unshare(CLONE_NEWUSER);
    printf("%d\n", failed ? errno : 0);
    return 0;
}
C
compile namespace.c -o namespace
without=$(./namespace) with=$(LD_PRELOAD=$preload ./namespace)
[ "$without" = "$with" ] || fail "unshare says $with, without fallow $without"
echo "ok processes_new_user_namespace (errno $with, as without)"

# A program of C that loads C++ for itself: a new that fails throws there, calls the handler, or gives NULL.
cat >plugin.cpp <<'C'
#include <cstdio>
#include <new>
static int asked;
static void handler() { if (++asked == 3) std::set_new_handler(nullptr); }
extern "C" int plugin() {
    volatile std::size_t too_much = std::size_t(1) << 50;
    try { delete[] new char[too_much]; return 1; } catch (const std::bad_alloc &) { std::puts("thrown"); }
    try { operator delete(operator new(too_much, std::align_val_t(64)), std::align_val_t(64)); return 1; }
    catch (const std::bad_alloc &) { std::puts("thrown aligned"); }
    if (new (std::nothrow) char[too_much]) return 1;
    std::set_new_handler(handler);
    try { delete[] new char[too_much]; return 1; }
    catch (const std::bad_alloc &) { std::printf("asked %d times\n", asked); }
    return 7;
}
C
cat >host.c <<'C'
#include <dlfcn.h>
#include <stdio.h>
int main(void) {
    void *library = dlopen("./plugin.so", RTLD_NOW | RTLD_LOCAL);
    int (*plugin)(void) = library ? (int (*)(void))dlsym(library, "plugin") : 0;
    return plugin ? plugin() : (puts(dlerror()), 1);
}
C
compile -o host host.c -ldl
for flags in "" -static-libstdc++; do
  g++ -std=c++17 -O1 -shared -fPIC $flags -o plugin.so plugin.cpp || fail "the plugin does not compile"
  LD_PRELOAD=$preload ./host >host.out 2>&1
  [ $? = 7 ] && [ "$(paste -sd, host.out)" = "thrown,thrown aligned,asked 3 times" ] ||
    fail "new in a plug-in of C++ ($flags): $(cat host.out)"
done
echo "ok processes_new_in_a_plugin_of_cxx"

# Handlers of fork that another library has registered before us allocate in all three places; one
# joins a thread that does.
cat >forks.c <<'C'
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int forks_where;
static void *work(void *unused) {
    for (size_t i = 1; i < 40; i++) free(memset(malloc(i * 50000), 1, 100));
    return unused;
}
static void at(int where) {
    pthread_t thread;
    if (!(forks_where & where)) return;
    work(0);
    if (forks_where & 8 && !pthread_create(&thread, 0, work, 0)) pthread_join(thread, 0);
}
static void prepare(void) { at(1); }
static void parent(void) { at(2); }
static void child(void) { alarm(20); at(4); }
__attribute__((constructor)) static void start(void) { pthread_atfork(prepare, parent, child); }
C
cat >forking.c <<'C'
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
extern int forks_where;
int main(int c, char **v) {
    int status = 0;
    (void)c;
    alarm(60);
    forks_where = atoi(v[1]);
    for (int i = 0; i < 20; i++) {
        if (fork() == 0) { free(malloc(100)); _exit(7); }
        if (wait(&status) < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 7) return 1;
    }
    return 0;
}
C
compile -shared -fPIC -o libforks.so forks.c
compile -o forking forking.c -L. -lforks -Wl,-rpath,.
for where in 1 2 4 7 9 15; do
  LD_PRELOAD=$preload ./forking $where || fail "handlers of fork that allocate ($where)"
  "$build/fallow" record -o forking.trace -- ./forking $where ||
    fail "handlers of fork that allocate, recorded ($where)"
done
echo "ok processes_handlers_of_fork_registered_before_ours"
