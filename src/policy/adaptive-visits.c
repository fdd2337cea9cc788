/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * What a pass with smart_scan will pass over. mm/ksm.c looks at a page that did not merge in the
 * first four of these passes, then skips one, two, four, and from then on eight of them each time.
 * So it is enough to count the passes, by generations of pages, to know what the next one costs
 * and what it cannot see.
 */

#include "adaptive-parts.h"

#define ROUND_FROM 23 /* from there on every ninth pass looks */
#define COVERS     0.1

static bool looks(unsigned visit)
{
        return visit <= 4 || visit == 6 || visit == 9 || visit == 14 || visit == ROUND_FROM;
}

static unsigned next_visit(unsigned visit)
{
        return visit + 1 < ADAPTIVE_VISITS ? visit + 1 : ROUND_FROM;
}

static double unmerged_pages(const struct adaptive_view *view)
{
        return clamp(difference(view->known_pages, view->merged_pages), 0, 1e15);
}

double adaptive_skipped_pages(const struct adaptive_state *state, const struct adaptive_view *view)
{
        double skipped = 0, most = unmerged_pages(view);

        if (view->sample->ksm.smart_scan < 0)
                return 0;
        for (unsigned v = 0; v < ADAPTIVE_VISITS; v++)
                skipped += looks(next_visit(v)) ? 0 : state->visits[v];
        return skipped < most ? skipped : most;
}

bool adaptive_smart_covers(const struct adaptive_state *state, const struct adaptive_view *view)
{
        return view->sample->ksm.smart_scan >= 0 &&
               adaptive_skipped_pages(state, view) <= COVERS * unmerged_pages(view);
}

static void grow_older(struct adaptive_state *state)
{
        double last = state->visits[ADAPTIVE_VISITS - 1];

        for (unsigned v = ADAPTIVE_VISITS - 1; v > 0; v--)
                state->visits[v] = state->visits[v - 1];
        state->visits[0] = 0;
        state->visits[ROUND_FROM] += last;
}

void adaptive_count_visits(struct adaptive_state *state, const struct adaptive_view *view,
                           double new_pages, bool complete)
{
        double before = 0, sum = 0, unmerged = unmerged_pages(view), excess;
        unsigned youngest;

        for (unsigned v = 0; v < ADAPTIVE_VISITS; v++)
                before += state->visits[v];
        state->visits[0] += new_pages;
        if (state->pass_smart && complete)
                grow_older(state);
        for (unsigned v = 0; v < ADAPTIVE_VISITS; v++)
                sum += state->visits[v];
        excess = sum - unmerged;
        /* It is the young that merge, but none that this pass has met for the first time. */
        youngest = state->pass_smart && complete ? 2 : 1;
        for (unsigned i = 0; i < ADAPTIVE_VISITS && excess > 0; i++) {
                unsigned v = (youngest + i) % ADAPTIVE_VISITS;
                double gone = clamp(state->visits[v], 0, excess);

                state->visits[v] -= gone;
                excess -= gone;
        }
        /* Those that broke up are young. Of those of which nothing is known pages may be at any
         * point of the round, if any were ever skipped. */
        for (unsigned v = ROUND_FROM; v < ADAPTIVE_VISITS && excess < 0; v++)
                state->visits[before > 0 || view->sample->ksm.pages_skipped <= 0 ? 2 : v] -=
                        excess / (ADAPTIVE_VISITS - ROUND_FROM);
}
