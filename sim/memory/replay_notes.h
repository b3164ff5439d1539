/* What a replay tells a policy of sessions (evict_policy.note), from the trace alone and by what it declared:
 *
 * NEED_SESSION      STARTED before a request, after it TURN with the context's length, or TOOL where the
 * trace says that its answer calls a tool. Whether the session returns is
 * not said (-1), but to who declares NEED_FUTURE: 1 or 0, the truth. NEED_AGENT_GRAPH  STEPS after a request: its
 * session runs again after so many more requests; not said when never. NEED_QUEUE        QUEUED, with ids: a request
 * enters the queue when `queue` others are before it.
 *
 * All but STARTED and TURN are the trace's future: tables mark policies that ask for it. */
#ifndef SIM_MEMORY_REPLAY_NOTES_H
#define SIM_MEMORY_REPLAY_NOTES_H

#include "sim/memory/replay.h"

struct replay_notes {
    const struct replay_trace *trace;
    uint32_t *next_of; /* by request: the next of its session, UINT32_MAX for none; NULL: nobody asks */
    uint64_t *ids;
    unsigned needs;
    uint32_t queue, queued; /* its length; requests below `queued` have entered it */
    void (*tell)(void *self, const struct session_note *note, int64_t now);
    void *self;
};

void replay_notes_create(struct replay_notes *notes, const struct replay_setup *setup);
void replay_notes_destroy(struct replay_notes *notes);
/* Before the accesses of request r, and after them. */
void replay_notes_before(struct replay_notes *notes, uint32_t r, int64_t now);
void replay_notes_after(struct replay_notes *notes, uint32_t r, int64_t now);

#endif
