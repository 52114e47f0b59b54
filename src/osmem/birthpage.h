/* SPDX-License-Identifier: MIT */
/*
 * birthpage.h: a page that tells a child of the process that it is one, however it was made: by fork, or by hand (clone), which
 * runs no handlers. The system wipes it there.
 *
 *     None ──▶ Ready      fl_birth_page; it stays so to the end of the process, and is counted in no stat
 */
#ifndef FL_BIRTHPAGE_H
#define FL_BIRTHPAGE_H

/* A new page, zero, and zero again in every child. NULL: the system has none such, or none left. errno is kept. */
volatile char *fl_birth_page(void);

#endif
