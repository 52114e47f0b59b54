# SPDX-License-Identifier: MIT
"""The rows that are compared: those of bench/rows, or the user's own program; and what bench/growth
measures at several points."""
import os
import shlex
import shutil
from dataclasses import dataclass, field

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


@dataclass
class Row:
    kind: str
    name: str
    weight: float
    command: list
    variables: dict = field(default_factory=dict)
    preloads_itself: bool = False
    output_counts: bool = True
    set: int = 1


def parse_command(row, text, build):
    words = shlex.split(text.replace("{here}", os.path.join(ROOT, "bench")))
    while words and "=" in words[0] and not words[0].startswith(("/", "@")):
        key, value = words.pop(0).split("=", 1)
        row.variables[key] = value
    if words[0].startswith("@"):
        words[0] = words[0][1:]
        row.preloads_itself = True
    if row.kind == "workload":
        words[0] = os.path.join(build, "bench", "workload_" + words[0])
        row.output_counts = False  # it prints its time, and checks itself
    row.command = words


def lines(name):
    """Of a file of bench/, without comments."""
    with open(os.path.join(ROOT, "bench", name)) as file:
        return [line.strip() for line in file if line.strip() and not line.startswith("#")]


def read(build, quick):
    """The rows, and the names of those whose program is not on this machine."""
    rows, missing, set_ = [], [], 1
    for line in lines("rows"):
        if line.split()[0] == "set":
            set_ = int(line.split()[1])
            continue
        kind, name, weight, when, command = line.split(None, 4)
        if quick and when != "quick":
            continue
        row = Row(kind, name, float(weight), [], set=set_)
        parse_command(row, command, build)
        program = "redis-server" if name == "redis" else row.command[0]
        (rows if shutil.which(program) else missing).append(row)
    return rows, [row.name for row in missing]


def growth(build):
    """{name: (command, {point: its Row})} of bench/growth."""
    found = {}
    for line in lines("growth"):
        name, points, command = line.split(None, 2)
        found[name] = command, {}
        for point in points.split(","):
            row = found[name][1][int(point)] = Row("workload", "%s %s" % (name, point), 1.0, [])
            parse_command(row, command.replace("{n}", point), build)
    return found


def own(command):
    return [Row("program", os.path.basename(command[0]), 1.0, command)]
