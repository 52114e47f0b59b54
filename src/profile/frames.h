/* SPDX-License-Identifier: MIT */
/*
 * frames.h: the calls that led to here, by frame pointers.
 *
 * On from a function of fallow's that keeps its frame, every caller is found that was compiled to keep its own
 * (-fno-omit-frame-pointer). Below one that was not, callers may be left out, or the chain ends; the function that called malloc is
 * there all the same, since nothing of fallow's stands between them that has no frame. An address that is none is never followed: before
 * another page is read, the system is asked whether it can be.
 */
#ifndef FL_FRAMES_H
#define FL_FRAMES_H

#include <stddef.h>
#include <stdint.h>

#define FL_FRAMES_MAX 48

/* The calling function has a frame of its own then: for each that stands between malloc and a sample. */
#define FL_KEEP_FRAME() __asm__ volatile("" : : "r"(__builtin_frame_address(0)))

/* Return addresses, the newest first, from the frame of a function on (__builtin_frame_address(0)). Returns how many. */
unsigned fl_frames_walk(const void *frame, uintptr_t calls[FL_FRAMES_MAX]);

/* C++'s operator new calls malloc, is too dear for a frame, and saves one register or none. Each entry, 0 behind the last. */
void fl_frames_know_new(const uintptr_t *entries);

#endif
