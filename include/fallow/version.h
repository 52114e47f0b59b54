/* SPDX-License-Identifier: MIT */
/*
 * version.h: the one place where fallow's version stands; the build reads it from here. What stays as it is from one
 * version to the next is said in docs/abi.md.
 *
 * Structures that fallow reads or fills are given with their size: sizeof as the caller was compiled. They grow at their
 * end; what a caller does not know is not written, and what the library does not know is zero, or has to be.
 */
#ifndef FALLOW_VERSION_H
#define FALLOW_VERSION_H

#define FALLOW_VERSION "0.1.0"
#define FALLOW_VERSION_NUMBER 100 /* the same for #if: major * 10000 + minor * 100 + patch */

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

/*
 * Of the functions that stand whole in the headers: inline to every C++ unit the same function, and what a call that failed has not
 * written is zero.
 */
#ifdef __cplusplus
#define FALLOW_INLINE inline
#define FALLOW_ZEROS \
    {}
#else
#define FALLOW_INLINE static inline
#define FALLOW_ZEROS \
    { 0 }
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* FALLOW_VERSION of the library that the program runs with. */
FALLOW_API const char *fallow_version(void);

#ifdef __cplusplus
}
#endif
#endif
