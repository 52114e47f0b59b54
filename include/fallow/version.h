/* SPDX-License-Identifier: MIT */
/*
 * version.h: the one place that states fallow's version; the build reads it from here. docs/abi.md says what
 * stays the same from one version to the next.
 *
 * Callers pass structures that fallow reads or fills together with their size, sizeof as the caller was
 * compiled. Structures grow at their end. fallow never writes what a caller does not know; what the library
 * does not know reads as zero, and must be zero.
 */
#ifndef FALLOW_VERSION_H
#define FALLOW_VERSION_H

#define FALLOW_VERSION "0.1.0"
#define FALLOW_VERSION_NUMBER 100 /* for #if: major * 10000 + minor * 100 + patch */

/* Makes a function visible outside of the shared libraries; everything else stays inside. */
#if defined(__GNUC__)
#define FALLOW_API __attribute__((visibility("default")))
#define FALLOW_MUST_USE __attribute__((warn_unused_result))
#else
#define FALLOW_API
#define FALLOW_MUST_USE
#endif

/* For functions defined in headers: `inline` makes them one function in all C++ units, and FALLOW_ZEROS is
 * what a structure holds if the call that should fill it fails. */
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

/* Returns FALLOW_VERSION of the library that the program runs with. */
FALLOW_API const char *fallow_version(void);

#ifdef __cplusplus
}
#endif
#endif
