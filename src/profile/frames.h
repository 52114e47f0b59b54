/* SPDX-License-Identifier: MIT */
/*
 * frames.h: the calls that led to here, by frame pointers.
 *
 * From a function of fallow's that keeps its frame, the walk finds every caller that was compiled to keep its
 * own (-fno-omit-frame-pointer). Behind one that was not, callers may be left out, or the chain ends. The
 * function that called malloc is always found, since every function of fallow's in between has a frame. The
 * walk never follows an address that is none: before it reads another page, it asks the system whether that
 * can be read.
 */
#ifndef FL_FRAMES_H
#define FL_FRAMES_H

#include <stddef.h>
#include <stdint.h>

#define FL_FRAMES_MAX 48

/* Gives the calling function a frame of its own: for each function between malloc and a sample. */
#define FL_KEEP_FRAME() __asm__ volatile("" : : "r"(__builtin_frame_address(0)))

/* Finds return addresses, the newest first, from a function's frame on (__builtin_frame_address(0)). Returns
 * how many. */
unsigned fl_frames_walk(const void *frame, uintptr_t calls[FL_FRAMES_MAX]);

/* Tells the walk of C++'s operator new, which calls malloc, is too dear for a frame, and saves one register
 * or none. entries: each one's address, 0 behind the last. */
void fl_frames_know_new(const uintptr_t *entries);

#endif
