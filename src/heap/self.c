/* SPDX-License-Identifier: MIT */
#include "self.h"

fl_thread fl_thread_unknown;
fl_thread fl_thread_ended;

_Thread_local fl_heap *fl_thread_heap = &fl_empty_heap;
_Thread_local fl_recent_heap *fl_thread_self = &fl_thread_unknown.recent;
