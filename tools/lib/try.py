# SPDX-License-Identifier: MIT
"""The second half of tools/try: runs the programs, compares their outputs, prints the table.

Each program runs on every allocator in turn, and that several times: the time is the median of the ratios to
the system's malloc within a round, so that a slow moment of the machine meets all alike.
"""
import glob
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROUNDS = 3
HERE = os.path.dirname(os.path.abspath(__file__))


def find(pattern):
    found = sorted(glob.glob("/lib/*/" + pattern) + glob.glob("/usr/lib/*/" + pattern))
    return found[0] if found else ""


def environment(library, **more):
    env = {key: value for key, value in os.environ.items() if key not in ("LD_PRELOAD", "MALLOC_CONF")}
    env.update(LC_ALL="C", **more)
    if library:
        env["LD_PRELOAD"] = library
    return env


def run_python(library, folder):
    figures = os.path.join(folder, "figures")
    result = subprocess.run(["/usr/bin/python3", os.path.join(HERE, "workload.py"), figures], text=True,
                            env=environment(library, PYTHONMALLOC="malloc"), capture_output=True)
    if result.returncode != 0:
        sys.exit("python3 failed with %s:\n%s" % (library or "the system's malloc", result.stderr))
    with open(figures) as file:
        return json.load(file), result.stdout


def status_kib(process, field):
    with open("/proc/%d/status" % process) as status:
        return next(int(line.split()[1]) for line in status if line.startswith(field))


def proves_library(process, library):
    with open("/proc/%d/maps" % process) as maps:
        return os.path.realpath(library) in maps.read() if library else True


def run_redis(library, folder):
    """Debian's redis-server is linked with jemalloc; naming the C library first in the search makes its
    malloc the one that serves. So all three are preloaded into the same binary."""
    library = library or find("libc.so.6")
    socket = os.path.join(folder, "redis.sock")
    server = subprocess.Popen(["redis-server", "--port", "0", "--unixsocket", socket, "--save", "",
                               "--dir", folder, "--enable-debug-command", "yes"], env=environment(library),
                              stdout=subprocess.DEVNULL)

    def ask(*words):
        return subprocess.run(["redis-cli", "-s", socket, *words], text=True, capture_output=True).stdout

    for _ in range(100):
        if ask("ping") == "PONG\n":
            break
        time.sleep(0.1)
    else:
        sys.exit("redis-server does not answer on " + library)
    assert proves_library(server.pid, library), library
    start = time.perf_counter()
    subprocess.run(["redis-benchmark", "-s", socket, "-P", "16", "-n", "80000", "-q", "-d", "100",
                    "-t", "set,get,lpush,sadd,hset"], check=True, stdout=subprocess.DEVNULL)
    output = ask("eval",
                 "for i = 1, 200000 do redis.call('set', 'k' .. i, string.rep('v', i % 600)) end return 1",
                 "0")
    output += ask("eval",
                  "for i = 1, 200000 do if i % 20 > 0 then redis.call('del', 'k' .. i) end end return 2", "0")
    output += ask("debug", "reload")
    seconds = time.perf_counter() - start
    output += ask("dbsize")
    output += ask("eval",
                  "local n = 0 for i = 1, 200000 do n = n + redis.call('strlen', 'k' .. i) end return n", "0")
    time.sleep(2)
    figures = {"seconds": seconds, "peak_kib": status_kib(server.pid, "VmHWM"),
               "after_kib": status_kib(server.pid, "VmRSS")}
    ask("shutdown", "nosave")
    server.wait()
    return figures, output


def measure(label, run, allocators):
    results = {name: [] for name in allocators}
    outputs = set()
    for round_ in range(ROUNDS):
        print("  %s, round %d of %d" % (label, round_ + 1, ROUNDS), flush=True)
        for name, library in allocators.items():
            with tempfile.TemporaryDirectory() as folder:
                figures, output = run(library, folder)
            results[name].append(figures)
            outputs.add(output)
    if len(outputs) != 1:
        sys.exit("%s: the outputs differ: %s" % (label, outputs))
    return results


def print_rows(label, results):
    first = next(iter(results.values()))
    for name, runs in results.items():
        ratio = statistics.median(run["seconds"] / base["seconds"] for run, base in zip(runs, first))
        seconds = statistics.median(run["seconds"] for run in runs)
        peak, after = (statistics.median(run[key] for run in runs) / 1024
                       for key in ("peak_kib", "after_kib"))
        print("%-14s %-9s %8.2f s %8.2f %10.1f MiB %10.1f MiB" % (label, name, seconds, ratio, peak, after))
        label = ""


def main():
    build = os.path.abspath(sys.argv[1])
    fallow = os.path.join(build, "libfallow-malloc.so")
    allocators = {"system": "", "jemalloc": find("libjemalloc.so.2"), "fallow": fallow}
    print("step 3 of 4: programs, on %s" % ", ".join(allocators))
    rows = {"python3": measure("python3", run_python, allocators)}
    if shutil.which("redis-server") and shutil.which("redis-benchmark"):
        rows["redis-server"] = measure("redis-server", run_redis, allocators)
    else:
        print("  redis-server is not on this machine: left out")
    print("step 4 of 4: all outputs are the same on all allocators\n")
    print("%-14s %-9s %10s %8s %14s %14s" % ("program", "malloc", "time", "ratio", "peak resident",
                                             "2 s after"))
    for label, results in rows.items():
        print_rows(label, results)
    print("\nNow your own program:\n\n    %s run --stats -- PROGRAM ARGUMENTS...\n\n"
          "or, without the command:\n\n"
          "    LD_PRELOAD=%s PROGRAM ARGUMENTS..." % (os.path.join(build, "fallow"), fallow))


main()
