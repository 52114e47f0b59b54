# SPDX-License-Identifier: MIT
"""`fallow top` in a pseudo-terminal of 80 and of 200 columns, its keys, and the end of the process that it shows.

Usage: top_test.py FALLOW OBSERVED
"""
import fcntl, json, os, pty, re, select, signal, struct, subprocess, sys, termios, time

fallow, observed = sys.argv[1:3]
failures = 0


def check(name, held, shown=""):
    global failures
    failures += not held
    print(("ok " if held else "failed: ") + name + ("" if held else f": {shown!r:.2000}"))


class Screen:
    """A program in a terminal; what it has written, without what moves and colours."""

    def __init__(self, arguments, columns, lines=30, term="xterm-256color"):
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            time.sleep(0.2)  # until the terminal has its size
            os.environ.pop("COLUMNS", None), os.environ.pop("LINES", None)
            os.environ["TERM"] = term
            os.execv(fallow, [fallow, *arguments])
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.raw = self.text = ""

    def wait_for(self, pattern, seconds=30):
        """Reads until there is such a text, since the last one; True: there is."""
        until = time.monotonic() + seconds
        while not (found := re.search(pattern, self.text, re.S)) and time.monotonic() < until:
            if not select.select([self.terminal], [], [], 0.2)[0]:
                continue
            try:
                self.raw += os.read(self.terminal, 65536).decode(errors="replace")
            except OSError:
                self.text += " "
                return re.search(pattern, self.text, re.S) is not None
            self.text = re.sub(r"\x1b(\[[0-9;?]*[A-Za-z@`]|[()][A-Z0-9]|[=>78])", " ", self.raw)
        return found is not None

    def press(self, keys):
        self.raw = self.text = ""
        os.write(self.terminal, keys.encode())

    def end(self):
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def once(columns, *arguments):
    return subprocess.run([fallow, "top", "--once", *arguments], capture_output=True, text=True,
                          env={**os.environ, "COLUMNS": str(columns)}, timeout=60)


process = subprocess.Popen([observed, "busy"], stdout=subprocess.PIPE)
process.stdout.readline()
number = str(process.pid)

for columns in (80, 200):
    told = once(columns, number)
    lines = told.stdout.splitlines()
    check(f"once_{columns}_columns", told.returncode == 0 and max(map(len, lines)) <= columns, told)
    check(f"once_{columns}_names_the_process", lines[0].startswith(f"process {number} (observed)"), lines[0])
    bar = [line for line in lines if line.startswith("[")]
    check(f"once_{columns}_has_a_bar", len(bar) == 1 and len(bar[0]) == columns and "#" in bar[0] and "+" in bar[0], bar)
    rows = [i for i, line in enumerate(lines) if line.startswith("arenas")]
    events = [i for i, line in enumerate(lines) if re.search(r"ago +event +bytes", line)]
    check(f"once_{columns}_has_arenas", any(re.match(r" +0 malloc .*MiB", line) for line in lines), lines)
    check(f"once_{columns}_events_stand_{'beside' if columns == 200 else 'below'}",
          len(rows) == len(events) == 1 and (events[0] == rows[0]) == (columns == 200), lines)
    check(f"once_{columns}_has_events", any(re.search(r"\d s grant +\d", line) for line in lines), lines)

    screen = Screen(["top", number], columns)
    check(f"screen_{columns}_shows", screen.wait_for(rf"process {number} \(observed\).*Ready.*malloc.*known.*grant.*q quit"), screen.text)
    screen.press("c")
    check(f"screen_{columns}_size_classes", screen.wait_for("size classes"), screen.text)
    screen.press("s")
    check(f"screen_{columns}_sorts", screen.wait_for(r"\*free"), screen.text)
    screen.press("h")
    check(f"screen_{columns}_heaps", screen.wait_for("heaps.*span"), screen.text)
    screen.press(" ")
    check(f"screen_{columns}_pauses", screen.wait_for("paused"), screen.text)
    screen.press("q")
    check(f"screen_{columns}_quits", screen.end() == 0)

# The list, and from it to a process.
check("list_once", re.search(rf"^ +{number}  observed ", once(80).stdout, re.M) is not None, once(80).stdout)
screen = Screen(["top"], 80)
check("list_shows", screen.wait_for(rf"processes on fallow.*{number}.*observed.*Enter"), screen.text)
screen.press("q")
check("list_quits", screen.end() == 0)

# Events, as a program reads them.
told = json.loads(subprocess.run([fallow, "stats", "--json", number], capture_output=True, text=True).stdout)
events = told["events"]
numbers = [event["number"] for event in events]
check("events_in_order", numbers == sorted(set(numbers)) and numbers[0] >= 1 and len(events) <= 2048, numbers[:3])
check("events_few_are_dropped", numbers[-1] - numbers[0] + 1 <= len(events) + 20, len(events))
check("events_are_recent", all(told["time"] - 600 < event["time"] < told["time"] + 2 for event in events), events[-1])
check("events_of_all_kinds", {"grant", "give_back"} <= {event["event"] for event in events}, events[-1])
check("events_say_how_long", any(event["microseconds"] for event in events if event["event"] == "give_back"), events[-1])
check("events_are_whole_pages", all(event["bytes"] % 4096 == 0 and event["bytes"] for event in events), events[-1])

# A child has none of its parent's; a refusal is one.
code = """
import os, sys, time, ctypes
if len(sys.argv) > 1:
    ctypes.CDLL(None).malloc.restype = ctypes.c_void_p
    assert not ctypes.CDLL(None).malloc(ctypes.c_size_t(1 << 40))
blocks = [bytearray(100000) for _ in range(300)]
child = os.fork()
if child == 0:
    if len(sys.argv) > 1:
        more = [bytearray(3000000) for _ in range(8)]
    print(os.getpid(), flush=True)
    time.sleep(1000)
time.sleep(1000)
"""
parent = subprocess.Popen([fallow, "run", "--hard_limit=200m", "--", sys.executable, "-c", code, "more"], stdout=subprocess.PIPE, text=True)
child = parent.stdout.readline().strip()
of_parent, of_child = (json.loads(subprocess.run([fallow, "stats", "--json", which], capture_output=True, text=True).stdout)["events"]
                       for which in (str(parent.pid), child))
refused = [event for event in of_parent if event["event"] == "refusal"]
check("events_a_refusal", any(event["bytes"] >= 1 << 40 for event in refused), refused)
check("events_a_child_has_its_own", of_child and min(event["number"] for event in of_child) > max(event["number"] for event in of_parent), of_child[:1])
os.kill(int(child), signal.SIGKILL), parent.kill()

# The end, and what is no terminal.
screen = Screen(["top", number], 80)
screen.wait_for("q quit")
process.kill(), process.wait()
check("screen_says_that_it_ended", screen.wait_for(rf"process {number} \(observed\): has ended") and screen.end() == 1, screen.text)
screen = Screen(["top", str(os.getpid())], 80)
check("screen_without_fallow", screen.wait_for("there is no fallow in it") and screen.end() == 1, screen.text)
screen = Screen(["top"], 80, term="unheard-of")
check("screen_of_no_known_kind", screen.wait_for(r"fallow: top: the terminal is of no kind") and screen.end() == 2, screen.text)
told = subprocess.run([fallow, "top", str(os.getpid())], stdin=subprocess.DEVNULL, capture_output=True, text=True)
check("no_terminal", told.returncode == 2 and told.stderr.count("\n") == 1 and "--once" in told.stderr, told)
sys.exit(failures > 0)
