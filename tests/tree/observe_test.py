# SPDX-License-Identifier: MIT
# `fallow stats` and `fallow map` of a process: held against what the program says it has,
# and against the kernel.
import json, os, random, re, signal, subprocess, sys, time
import xml.etree.ElementTree

fallow, mode, pid = sys.argv[1], sys.argv[2], int(sys.argv[3])


def run(*arguments):
    done = subprocess.run([fallow, *arguments, str(pid)], capture_output=True, text=True, timeout=100)
    return done.returncode, done.stdout, done.stderr


def stats():
    code, out, err = run("stats", "--json")
    assert code == 0, err
    return json.loads(out)


def known(figures):
    return next(arena for arena in figures["arenas"] if arena["name"] == "known")


READY = ("meta_bytes", "live_bytes", "free_bytes", "idle_bytes", "span_bytes", "pool_bytes", "stuck_bytes")


def smaps():
    """Every mapping: start, bytes, path, and the figures in bytes."""
    mappings = []
    for line in open(f"/proc/{pid}/smaps"):
        at = re.match(r"([0-9a-f]+)-([0-9a-f]+) \S+ \S+ \S+ \d+ *(.*)", line)
        if at:
            start, end = int(at[1], 16), int(at[2], 16)
            mappings.append((start, end - start, at[3], {}))
        elif line.endswith("kB\n"):
            name, kib = line[:-4].split(":")
            mappings[-1][3][name] = int(kib) << 10
    return mappings


def metrics(text):
    """Samples by name and labels; checks what the format wants of the whole."""
    samples, family, seen = {}, None, set()
    assert text.endswith("# EOF\n")
    for line in text.splitlines()[:-1]:
        if line.startswith("# TYPE "):
            family = line.split()[2]
            assert family not in seen, family
            seen.add(family)
        elif not line.startswith("#"):
            at = re.fullmatch(r'(\w+)((?:\{(?:\w+="(?:[^"\\]|\\.)*",?)+\})?) (\S+)', line)
            assert at and at[1].startswith(family), line
            samples[at[1], at[2]] = float(at[3])
    return samples


def resting():
    told = dict(word.split("=") for word in open(sys.argv[4]).read().split())
    figures = stats()
    process, arena = figures["process"], known(figures)
    # The program's own count, and the ledger's.
    assert arena["live_bytes"] == int(told["live_bytes"]), (arena, told)
    assert arena["live_blocks"] == int(told["live_blocks"]), (arena, told)
    assert arena["hard_limit_bytes"] == 256 << 20
    assert arena["pool_bytes"] >= 3000000
    assert process["ready_bytes"] == sum(process[name] for name in READY), process
    for name in ("live_bytes", "live_blocks", "free_bytes", "decommitted_bytes", "slabs", "slab_bytes"):
        assert process[name] == sum(arena[name] for arena in figures["arenas"]), name
        if name not in ("live_bytes", "live_blocks"):
            assert process[name] == sum(of[name] for of in figures["classes"]), name
    assert (process["live_bytes"] - process["large_bytes"] ==
            sum(of["live_bytes"] for of in figures["classes"]))
    assert sum(heap["slabs"] for heap in figures["heaps"]) <= process["slabs"]
    assert (sum(cause["given_bytes"] for cause in figures["causes"]) ==
            sum(a["given_bytes"] for a in figures["arenas"]))
    if "keeps" in sys.argv:  # what the program's threads have freed is still there
        assert process["idle_bytes"] > 0 and process["span_bytes"] > 0, process
        assert process["span_bytes"] == sum(heap["span_bytes"] for heap in figures["heaps"]), process
    if "guarded" in sys.argv:  # pages between guards are mappings of their own
        assert process["mappings"] > 200 and process["reserved_bytes"] > 1 << 20, process
    # The kernel's. fallow's mappings lie apart from all others, and have no file.
    base = int(re.search(r"^([0-9a-f]{9,}) ", run("map")[1], re.M)[1], 16)
    ours = [m for m in smaps()
            if abs(m[0] - base) < 1 << 40 and not m[2].startswith(("/", "[heap]", "[stack]"))]
    assert process["mappings"] == len(ours), (process["mappings"], ours)
    assert process["resident_bytes"] == sum(m[3]["Rss"] for m in ours)
    assert process["process_resident_bytes"] == sum(m[3]["Rss"] for m in smaps())
    mapped = sum(m[1] for m in ours)
    assert (process["ready_bytes"] + process["prepared_bytes"] + process["reserved_bytes"] == mapped), (
        process, mapped)
    text = run("map")[1]
    assert "difference: 0 bytes\n" in text, text
    assert f"{mapped / (1 << 20):.3f} MiB  in {len(ours)} mappings" in text, (mapped, text)
    print("ok observe_adds_up")
    # All formats say the same.
    samples = metrics(run("stats", "--metrics")[1])
    labels = {"process": ("", ()), "causes": ("", ("cause",)), "arenas": ("arena_", ("number", "name")),
              "classes": ("class_", ("block_bytes",)), "heaps": ("heap_", ("tag", "name"))}
    compared = 0
    for group, (prefix, names) in labels.items():
        for row in [figures[group]] if group == "process" else figures[group]:
            quoted = ",".join(
                f'{name}="{json.dumps(row[name])[1:-1] if isinstance(row[name], str) else row[name]}"'
                for name in names)
            for name, value in row.items():
                if name in names:
                    continue
                key = f"fallow_{prefix}{name}", "{" + quoted + "}" if quoted else ""
                if key not in samples:
                    key = key[0] + "_total", key[1]
                assert abs(samples.pop(key) - value) < 1e-6, key
                compared += 1
    assert compared > 500 and [key[0] for key in samples] == ["fallow_info"], (compared, samples)
    table = run("stats")[1]
    for name, value in process.items():
        assert bool(value) == bool(re.search(rf"^{name} ", table, re.M)), name
    assert re.search(r"^0 malloc ", table, re.M) and re.search(r"^1 known ", table, re.M)
    assert all(len(line) <= 80 for line in table.splitlines())
    print("ok observe_formats_agree")
    page = sys.argv[4] + ".html"
    assert run("map", "--html", page)[0] == 0
    text = open(page).read()
    data = re.search(r"^rows:\[\n(.*?)\]\};$", text, re.M | re.S)[1]
    rows = json.loads("[" + data + "]")
    bytes_on_page = sum(sum(row[8::2]) for row in rows)
    shares = {at[1]: int(at[2]) for at in re.finditer(r'name:"(\w+)",bytes:(\d+)', text)}
    assert "unexplained:0,absent:0" in text and f"inSmaps:{mapped}" in text
    assert sum(shares.values()) == mapped and bytes_on_page <= mapped
    assert sum(row[1] for row in rows) * 16384 == bytes_on_page
    # Bookkeeping is no part of the picture, nor what lies aside of the window.
    assert mapped - bytes_on_page < (12 if "guarded" in sys.argv else 4) << 20
    assert shares["live"] == process["live_bytes"] and shares["free"] == process["free_bytes"]
    assert not re.search(r"https?://(?!www\.w3\.org)", text) and "<own>" not in text
    print("ok observe_page_adds_up")


def busy():
    """Sums stay within what there is, and what does not change is exact, whatever goes on around it."""
    first = None
    for _ in range(20):
        figures = stats()
        process, arena = figures["process"], known(figures)
        now = arena["live_bytes"], arena["live_blocks"]
        first = first or now
        assert now == first and now[1] == 20000, (now, first)
        assert (sum(process[name] for name in READY) <=
                process["ready_peak_bytes"] + process["prepared_bytes"] + (64 << 20))
        assert 20000 <= process["live_blocks"] < 10**7
        assert process["live_bytes"] <= process["ready_peak_bytes"]
        assert all(of["live_blocks"] * of["block_bytes"] == of["live_bytes"] for of in figures["classes"]
                   if of["decommitted_bytes"] == 0)
        code, out, err = run("map")
        assert code == 0, err
        on_map, in_mappings = (float(re.search(rf"^  {side} +(\S+) MiB", out, re.M)[1])
                               for side in ("the map", "the kernel"))
        difference = int(re.search(r"difference: (\d+) bytes", out)[1]) / (1 << 20)
        # No page is on it twice: else more would be common to both sides than one of them has.
        assert abs(on_map - in_mappings) - 0.01 <= difference <= on_map + in_mappings + 0.01, out
        metrics(run("stats", "--metrics")[1])
    print("ok observe_busy")


def many():
    """An arena has one number and one name, wherever it is shown; the page knows what it does not list."""
    figures = {arena["number"]: arena for arena in stats()["arenas"]}
    assert len(figures) == 2101 and 1 not in figures and figures[2]["name"] == "caf?? 0", figures.get(2)
    assert run("map", "--html", sys.argv[4])[0] == 0
    text = open(sys.argv[4]).read()
    listed = json.loads("[" + re.search(r"^arenas:\[(.*)\],$", text, re.M)[1] + "]")
    rows = json.loads("[" + re.search(r"^rows:\[\n(.*?)\]\};$", text, re.M | re.S)[1] + "]")
    groups = json.loads("[" + re.search(r"^byArena:\[(.*)\],$", text, re.M)[1] + "]")
    assert listed == [[number, figures[number]["name"]] for number in sorted(figures)[:2000]]
    assert "\nmoreArenas:101,\n" in text
    assert {row[3] for row in rows} - {-1} == set(figures)
    for (number, _), (live, *_) in zip(listed, groups):
        assert live == figures[number]["live_bytes"], (number, live)
    assert (len(groups) == 2001 and
            groups[2000][0] == sum(figures[number]["live_bytes"] for number in sorted(figures)[2000:]))
    print("ok observe_many_arenas")


def told_by_itself(path):
    """What the process says in malloc_info: rows of each kind, by their names."""
    if os.path.exists(path):
        os.remove(path)
    os.kill(pid, signal.SIGUSR1)
    until = time.monotonic() + 60
    while (not (os.path.exists(path) and open(path).read().endswith("</malloc>\n")) and
           time.monotonic() < until):
        time.sleep(0.02)
    its = xml.etree.ElementTree.parse(path).getroot().find("fallow")
    rows = {kind: [{name: value if name in ("name", "cause") else float(value) for name, value in row.items()}
                   for row in its.iter(kind)] for kind in ("process", "arena", "class", "given")}
    return {"process": rows["process"][0], "arenas": rows["arena"], "classes": rows["class"],
            "causes": rows["given"]}


def rollup():
    return int(re.search(r"^Rss: +(\d+) kB", open(f"/proc/{pid}/smaps_rollup").read(), re.M)[1]) << 10


def agree():
    """Four threads at work: every format has the same figures, and they agree with each
    other and with the kernel."""
    mib = 1 << 20
    for turn in range(5):
        before = rollup()
        figures, samples, table = stats(), metrics(run("stats", "--metrics")[1]), run("stats")[1]
        own = told_by_itself(sys.argv[4])
        after = rollup()
        process = figures["process"]
        of_metrics = {name.removeprefix("fallow_").removesuffix("_total"): value
                      for (name, labels), value in samples.items() if not labels}
        assert set(of_metrics) == set(process)
        kernels = [name for name in process if name not in own["process"]]
        assert kernels == ["resident_bytes", "lazy_free_bytes", "huge_bytes", "swapped_bytes", "locked_bytes",
                           "mappings", "process_resident_bytes", "faults"], kernels
        assert [set(row) for row in own["arenas"][:1]] == [set(row) for row in figures["arenas"][:1]]
        assert [set(row) for row in own["classes"][:1]] == [set(row) for row in figures["classes"][:1]]
        assert [row["cause"] for row in own["causes"]] == [row["cause"] for row in figures["causes"]]
        # What nobody changes is the same in all of them.
        one = known(figures)
        for name in ("live_bytes", "live_blocks", "large_bytes", "large_blocks", "slabs", "slab_bytes",
                     "decommitted_bytes", "hard_limit_bytes"):
            label = '{number="%d",name="known"}' % one["number"]
            assert known(own)[name] == one[name] == samples["fallow_arena_" + name, label], (
                name, known(own), one)
        assert re.search(r"^%d known " % one["number"], table, re.M)
        # What they change differs by what happens between two looks.
        for name in ("ready_bytes", "live_bytes", "meta_bytes", "pool_bytes", "slab_bytes"):
            all_say = process[name], of_metrics[name], own["process"][name]
            assert max(all_say) - min(all_say) < 64 * mib, (name, all_say)
            unit, value = re.search(rf"^{name} +([\d.]+) (\w+)", table, re.M).group(2, 1)
            assert abs(float(value) * {"B": 1, "KiB": 1024, "MiB": mib, "GiB": 1 << 30}[unit] -
                       process[name]) < 64 * mib
        for it in (process, own["process"]):
            assert abs(it["ready_bytes"] - sum(it[name] for name in READY)) < 64 * mib, it
        # Counters only go up: in malloc's arena, which lives on.
        assert own["arenas"][0]["grown_bytes"] >= figures["arenas"][0]["grown_bytes"] > 0
        # The kernel has no more than that.
        assert (min(before, after) - 64 * mib < process["process_resident_bytes"] <
                max(before, after) + 64 * mib), (before, process, after)
        assert process["resident_bytes"] <= process["process_resident_bytes"]
        assert process["resident_bytes"] < process["ready_bytes"] + 64 * mib
        assert process["process_resident_bytes"] - process["resident_bytes"] < 32 * mib  # code and stacks
    print("ok observe_formats_agree_at_work")


def garbled():
    """The tables of a process that is stopped are written over, again and again: the command says
    something, or that it cannot."""
    os.kill(pid, signal.SIGSTOP)
    base = int(re.search(r"^([0-9a-f]{9,}) ", run("map")[1], re.M)[1], 16)
    tables = [m for m in smaps() if base - (1 << 40) < m[0] < base and m[3]["Rss"]]
    words = [line.split() for line in open(f"/proc/{pid}/maps")]
    data = [[int(at, 16) for at in w[0].split("-")] for w in words if w[1] == "rw-p" and "libfallow" in w[-1]]
    assert tables and data
    data += [at for at in ([int(at, 16) for at in w[0].split("-")] for w in words)
             if at[0] == data[0][1]]  # .bss
    dice, said = random.Random(7), set()

    def write_over(memory, start, size):
        garbage = [dice.randbytes(8), bytes(8), b"\xff" * 8,
                   (start + dice.randrange(size)).to_bytes(8, "little")]
        memory.seek(start + dice.randrange(size // 8) * 8)
        memory.write(dice.choice(garbage))

    with open(f"/proc/{pid}/mem", "r+b", buffering=0) as memory:
        memory.seek(data[0][0])
        whole = memory.read(data[-1][1] - data[0][0])
        for turn in range(60):
            memory.seek(data[0][0])
            memory.write(whole)
            for _ in range(2 ** (turn % 9)):
                write_over(memory, *dice.choice(tables)[:2])
            for _ in range(turn % 4 * 50):
                write_over(memory, data[0][0], len(whole))
            for command in (("stats", "--json"), ("map",), ("map", "--html", "/dev/null"), ("stats",)):
                code, out, err = run(*command)
                assert code in (0, 1), (turn, command, code, err)
                assert code == 0 or re.fullmatch(r"fallow: process \d+ \(observed\): .*\n", err), err
                if code == 0 and "--json" in command:
                    json.loads(out)
                said.add(code)
    os.kill(pid, signal.SIGKILL)
    print("ok observe_garbled", sorted(said))


{"resting": resting, "busy": busy, "agree": agree, "garbled": garbled, "many": many}[mode]()
