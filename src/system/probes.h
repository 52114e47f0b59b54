/* SPDX-License-Identifier: MIT */
/*
 * probes.h: places where a tracer (bpftrace, perf, SystemTap) may look in: USDT probes of the provider
 * `fallow`, listed with their arguments in docs/probes.md. Each is one nop, and a note in the file, outside
 * of what is loaded; without <sys/sdt.h> at the build, nothing. On slow paths only: arguments are computed
 * whether anybody looks or not.
 */
#ifndef FL_PROBES_H
#define FL_PROBES_H

#ifdef FL_PROBES
#include <sys/sdt.h>
#define FL_PROBE3(name, a, b, c) DTRACE_PROBE3(fallow, name, a, b, c)
#else
#define FL_PROBE3(name, a, b, c) ((void)0)
#endif

#endif
