/* SPDX-License-Identifier: MIT */
/*
 * birthpage.h: a page by which a child process knows that it is one, whether fork made it or clone, which
 * runs no handlers: the system wipes the page in every child.
 *
 *     None ──▶ Ready      fl_birth_page; it stays Ready to the end of the process, and no stat counts it
 */
#ifndef FL_BIRTHPAGE_H
#define FL_BIRTHPAGE_H

/* Returns a new page that is zero, and zero again in every child; NULL if the system has none to give. Keeps
 * errno. */
volatile char *fl_birth_page(void);

#endif
