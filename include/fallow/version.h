/* SPDX-License-Identifier: MIT */
/*
 * version.h: the one place where fallow's version stands; the build reads it from here.
 */
#ifndef FALLOW_VERSION_H
#define FALLOW_VERSION_H

#define FALLOW_VERSION "0.1.0"

/*
 * How functions of the shared libraries are made visible; everything else stays inside.
 */
#if defined(__GNUC__)
#define FALLOW_API __attribute__((visibility("default")))
#define FALLOW_MUST_USE __attribute__((warn_unused_result))
#else
#define FALLOW_API
#define FALLOW_MUST_USE
#endif

#endif
