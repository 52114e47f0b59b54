# SPDX-License-Identifier: MIT
"""`fallow top` in a pseudo-terminal of 80 and of 200 columns, its keys, and the end of the
process that it shows.

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


def contrast(colour, background):
    """As WCAG has it, of a colour of the palette of 256 above the 16 that are the user's own."""
    level = [0, 95, 135, 175, 215, 255]
    n = colour - 16
    rgb = [level[n // 36], level[n // 6 % 6], level[n % 6]] if n < 216 else [8 + 10 * (n - 216)] * 3

    def luminance(rgb):
        linear = [c / 255 / 12.92 if c / 255 <= 0.04045 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in rgb]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] + 0.05

    one, other = luminance(rgb), luminance(background)
    return max(one, other) / min(one, other)


def check_colours(name, raw):
    """What is coloured can be read on white and on black, which 3 : 1 is enough for; and no
    colour is the user's to choose."""
    colours = [int(n) for n in re.findall(r"38;5;(\d+)m", raw)]
    check(f"{name}_has_colours", len(set(colours)) >= 3, raw)
    check(f"{name}_colours_are_nobodys_own",
          not re.search(r"\x1b\[(?:\d+;)*(?:3[0-7]|9[0-7])(?:;\d+)*m", re.sub(r"[34]8;5;\d+", "", raw)), raw)
    for colour in sorted(set(colours)):
        least = min(contrast(colour, [grey] * 3) for grey in (255, 0))
        check(f"{name}_colour_{colour}_on_white_and_on_black", colour >= 16 and least >= 3, least)


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
    check(f"once_{columns}_has_a_bar",
          len(bar) == 1 and len(bar[0]) == columns and "#" in bar[0] and "+" in bar[0], bar)
    rows = [i for i, line in enumerate(lines) if line.startswith("arenas")]
    events = [i for i, line in enumerate(lines) if re.search(r"ago +event +bytes", line)]
    check(f"once_{columns}_has_arenas", any(re.match(r" +0 malloc .*MiB", line) for line in lines), lines)
    check(f"once_{columns}_events_stand_{'beside' if columns == 200 else 'below'}",
          len(rows) == len(events) == 1 and (events[0] == rows[0]) == (columns == 200), lines)
    check(f"once_{columns}_has_events", any(re.search(r"\d s grant +\d", line) for line in lines), lines)


    screen = Screen(["top", number], columns)
    check(f"screen_{columns}_shows",
          screen.wait_for(rf"process {number} \(observed\).*Ready.*malloc.*known.*grant.*q quit"),
          screen.text)
    check_colours(f"screen_{columns}", screen.raw)
    for _ in range(6):
        screen.press("s")
        screen.wait_for(r"q quit|\*")
    check(f"screen_{columns}_shows_what_it_sorts_by", screen.wait_for(r"\*refused"), screen.text)
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

rests = subprocess.Popen([observed], stdout=subprocess.PIPE)
rests.stdout.readline()
for columns in (80, 200):
    told = once(columns, str(rests.pid)).stdout
    check(f"once_{columns}_has_names_of_18_letters",
          re.search(r"""^ +\d+ a "thread's" <own>\W""", told, re.M) is not None, told)
rests.kill()

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
check("events_in_order",
      numbers == sorted(set(numbers)) and numbers[0] >= 1 and len(events) <= 2048, numbers[:3])
check("events_few_are_dropped", numbers[-1] - numbers[0] + 1 <= len(events) + 20, len(events))
check("events_are_recent",
      all(told["time"] - 600 < event["time"] < told["time"] + 2 for event in events), events[-1])
# The ring holds less than a second of this program's, and that may be grants alone.
seen = list(events)
for _ in range(50):
    if any(event["microseconds"] for event in seen if event["event"] == "give_back"):
        break
    time.sleep(0.2)
    seen += json.loads(subprocess.run([fallow, "stats", "--json", number],
                                      capture_output=True, text=True).stdout)["events"]
check("events_of_all_kinds", {"grant", "give_back"} <= {event["event"] for event in seen}, events[-1])
check("events_say_how_long",
      any(event["microseconds"] for event in seen if event["event"] == "give_back"), events[-1])
check("events_are_whole_pages",
      all(event["bytes"] % 4096 == 0 and event["bytes"] for event in events), events[-1])

# More than the ring holds: the newest are there, in order, each whole. The sizes of the grants are 65
# pages, 66, ... 1064, 65, ...
code = """
import ctypes, sys, time
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
def rounds(first, end):
    for i in range(first, end):
        libc.free(libc.malloc(ctypes.c_size_t((65 + i % 1000) * 16384)))
        libc.malloc_trim(0)
rounds(0, 3300)
print("wrapped", flush=True)
sys.stdin.readline()
print("again", flush=True)
rounds(3300, 10**9)
"""
wraps = subprocess.Popen([fallow, "run", "--background_thread=0", "--", sys.executable, "-c", code],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
wraps.stdout.readline()


def events_of(process):
    return json.loads(subprocess.run([fallow, "stats", "--json", str(process.pid)],
                                     capture_output=True, text=True).stdout)["events"]


def grants_in_order(events):
    """Pairs of grants with nothing missing in between: the second one is a page longer."""
    grants = [(event["number"], event["bytes"] // 16384) for event in events
              if event["event"] == "grant" and event["bytes"] >= 65 * 16384]
    whole = {event["number"] for event in events}
    pairs = [(a, b) for a, b in zip(grants, grants[1:])
             if all(number in whole for number in range(a[0], b[0]))]
    return pairs, [pair for pair in pairs if pair[1][1] != (pair[0][1] - 64) % 1000 + 65]


events = events_of(wraps)
numbers, times = [event["number"] for event in events], [event["time"] for event in events]
check("events_wrapped_has_all_that_it_holds",
      numbers == list(range(numbers[-1] - 2047, numbers[-1] + 1)) and numbers[0] > 2048,
      (len(numbers), numbers[:1], numbers[-1:]))
check("events_wrapped_in_order_of_time", times == sorted(times), times)
pairs, wrong = grants_in_order(events)
last = [event["bytes"] // 16384 for event in events
        if event["event"] == "grant" and event["bytes"] >= 65 * 16384][-1]
check("events_wrapped_each_is_whole", len(pairs) > 500 and not wrong, (len(pairs), wrong[:3]))
check("events_wrapped_has_the_newest", last == 65 + 3299 % 1000, last)
wraps.stdin.write("\n"), wraps.stdin.flush()
wraps.stdout.readline()
for look in range(10):  # while it goes on
    events = events_of(wraps)
    numbers = [event["number"] for event in events]
    pairs, wrong = grants_in_order(events)
    check(f"events_at_work_{look}", numbers == sorted(set(numbers)) and
          numbers[-1] - numbers[0] < 2048 + 50 and len(pairs) > 100 and not wrong,
          (numbers[:1], numbers[-1:], len(pairs), wrong[:3]))
wraps.kill()

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
parent = subprocess.Popen([fallow, "run", "--hard_limit=200m", "--", sys.executable, "-c", code, "more"],
                          stdout=subprocess.PIPE, text=True)
child = parent.stdout.readline().strip()
of_parent, of_child = (json.loads(subprocess.run([fallow, "stats", "--json", which],
                                                 capture_output=True, text=True).stdout)["events"]
                       for which in (str(parent.pid), child))
refused = [event for event in of_parent if event["event"] == "refusal"]
check("events_a_refusal", any(event["bytes"] >= 1 << 40 for event in refused), refused)
check("events_a_child_has_its_own", of_child and
      min(event["number"] for event in of_child) > max(event["number"] for event in of_parent), of_child[:1])
os.kill(int(child), signal.SIGKILL), parent.kill()

# The map in a terminal; one of few colours, and who wants none, get none.
screen = Screen(["map", number], 80)
check("map_shows", screen.wait_for("difference: "), screen.text)
screen.end()
check_colours("map", screen.raw)
for name, kind, none in (("few_colours", "xterm", ""), ("no_colour_wanted", "xterm-256color", "1"),
                         ("unknown_terminal", "unheard-of", "")):
    os.environ["NO_COLOR"] = none
    screen = Screen(["map", number], 80, term=kind)
    check(f"map_{name}", screen.wait_for("difference: ") and "\x1b" not in screen.raw, screen.raw)
    screen.end()
os.environ.pop("NO_COLOR")

# The end, and what is no terminal.
screen = Screen(["top", number], 80)
screen.wait_for("q quit")
process.kill(), process.wait()
check("screen_says_that_it_ended",
      screen.wait_for(rf"process {number} \(observed\): has ended") and screen.end() == 1, screen.text)
screen = Screen(["top", str(os.getpid())], 80)
check("screen_without_fallow", screen.wait_for("does not run on fallow") and screen.end() == 1, screen.text)
screen = Screen(["top"], 80, term="unheard-of")
check("screen_of_no_known_kind",
      screen.wait_for(r"fallow: top: the terminal type \(TERM\) is unknown") and screen.end() == 2,
      screen.text)
told = subprocess.run([fallow, "top", str(os.getpid())], stdin=subprocess.DEVNULL,
                      capture_output=True, text=True)
check("no_terminal", told.returncode == 2 and told.stderr.count("\n") == 1 and "--once" in told.stderr, told)
sys.exit(failures > 0)
