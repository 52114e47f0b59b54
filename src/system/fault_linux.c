/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "fault.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <ucontext.h>

#include "call.h"

/* Written before the handler is set. */
static fl_fault_explain *explainer;
static struct sigaction before;

static fl_fault fault_of(const siginfo_t *info, const void *context) {
    fl_fault fault = {.address = info->si_addr};
#if defined __x86_64__
    const ucontext_t *at = context;
    fault.instruction = (uintptr_t)at->uc_mcontext.gregs[REG_RIP];
    fault.frame = (const void *)at->uc_mcontext.gregs[REG_RBP];
    fault.writes = at->uc_mcontext.gregs[REG_ERR] & 2;
#else
    (void)context;
#endif
    return fault;
}

static void on_fault(int number, siginfo_t *info, void *context);

static bool is_ours(const struct sigaction *action) {
    return action->sa_flags & SA_SIGINFO && action->sa_sigaction == on_fault;
}

static bool is_handler(const struct sigaction *action) {
    return action->sa_flags & SA_SIGINFO || (action->sa_handler != SIG_DFL && action->sa_handler != SIG_IGN);
}

static void end_as_ever(int number, siginfo_t *info) {
    struct sigaction usual = {.sa_handler = SIG_DFL};
    sigaction(number, &usual, NULL);
    /* An access is made again; what somebody has sent is sent again, and comes when this handler has
     * returned. */
    if (info->si_code <= 0)
        fl_call(SYS_rt_tgsigqueueinfo, fl_call(SYS_getpid, 0, 0, 0, 0), fl_call(SYS_gettid, 0, 0, 0, 0),
                number, (long)info);
}

/* Runs under the mask and on the stack that it asked for: this handler was set with the same. */
static void pass_on(int number, siginfo_t *info, void *context) {
    struct sigaction next = before;
    if (!is_handler(&next)) {
        if (next.sa_handler != SIG_IGN || info->si_code > 0)
            end_as_ever(number, info);
        return;
    }
    if (next.sa_flags & (int)SA_RESETHAND)
        before = (struct sigaction){.sa_handler = SIG_DFL};
    if (next.sa_flags & SA_SIGINFO)
        next.sa_sigaction(number, info, context);
    else
        next.sa_handler(number);
}

static void on_fault(int number, siginfo_t *info, void *context) {
    int saved_errno = errno;
    struct sigaction now;
    fl_fault fault = fault_of(info, context);
    bool explained = info->si_code > 0 && explainer(&fault);
    if (explained && sigaction(number, NULL, &now) == 0 && is_ours(&now)) {
        sigaction(number, &before, NULL);
        errno = saved_errno;
        return;
    }
    errno = saved_errno;
    pass_on(number, info, context);
}

/* Sets the handler under the same mask, and on the same stack, as the one before, which it may call. */
static bool stand_before(void) {
    struct sigaction action = {.sa_flags = SA_ONSTACK};
    sigemptyset(&action.sa_mask);
    if (sigaction(SIGSEGV, NULL, &before) != 0)
        return false;
    if (is_handler(&before))
        action = before;
    action.sa_sigaction = on_fault;
    action.sa_flags = (action.sa_flags & ~(int)SA_RESETHAND) | SA_SIGINFO;
    return sigaction(SIGSEGV, &action, NULL) == 0;
}

bool fl_system_explain_faults(fl_fault_explain *explain) {
    int saved_errno = errno;
    if (!explainer) {
        explainer = explain;
        if (!stand_before())
            explainer = NULL;
    }
    errno = saved_errno;
    return explainer != NULL;
}
