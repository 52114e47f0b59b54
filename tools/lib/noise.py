# SPDX-License-Identifier: MIT
"""What else the machine did while a run went on: the time that the hypervisor took (steal), that other
processes took, how long some task waited for a processor (PSI), the load average.

Disturbed is judged by steal and by other processes alone: waiting and load come of the run's own threads too,
and who makes his threads wait would be given more tries. This file must never look at how long a run took
compared with another.
"""
import os
import time

DISTURBED = 0.10  # of all processors' time; below, ticks of a hundredth of a second could be meant


def first_line(path):
    try:
        with open(path) as file:
            return file.readline().split()
    except OSError:
        return []


def snapshot():
    """Seconds since the start of the machine, of all processors together; None: the system does not say."""
    ticks = [int(word) / os.sysconf("SC_CLK_TCK") for word in first_line("/proc/stat")[1:9]]
    waiting, load = first_line("/proc/pressure/cpu"), first_line("/proc/loadavg")
    return {"at": time.monotonic(), "busy": sum(ticks[:3] + ticks[5:7]), "steal": ticks[7],
            "waiting": int(waiting[-1].split("=")[1]) / 1e6 if waiting else None,
            "load": float(load[0]) if load else None}


def between(before, after, own_seconds):
    """Of a run that used so much CPU time itself."""
    found = {"seconds": after["at"] - before["at"], "steal": after["steal"] - before["steal"],
             "others": max(0.0, after["busy"] - before["busy"] - own_seconds), "load": before["load"],
             "waiting": None if before["waiting"] is None else after["waiting"] - before["waiting"]}
    return {key: value if value is None else round(value, 4) for key, value in found.items()}


def share(several):
    """Of the processors' time in some runs: what went to others, and to the hypervisor."""
    seconds = sum(it["seconds"] for it in several) * os.cpu_count()
    return sum(it["steal"] + it["others"] for it in several) / seconds if seconds else 0.0
