#include "sim/memory/replay_notes.h"

#include <stdlib.h>

#include "sim/base/int_map.h"

void replay_notes_create(struct replay_notes *notes, const struct replay_setup *setup) {
    const struct replay_trace *trace = setup->trace;
    *notes = (struct replay_notes){.trace = trace, .needs = setup->policy->policy.needs, .queue = setup->queue};
    if (!setup->policy->note)
        return;
    notes->next_of = malloc(((size_t)trace->request_count + 1) * sizeof *notes->next_of);
    notes->ids = malloc(((size_t)trace->longest + 1) * sizeof *notes->ids);
    MUST(notes->next_of != NULL && notes->ids != NULL);
    struct int_map *later = int_map_create();
    for (uint32_t r = trace->request_count; r-- > 0;) {
        notes->next_of[r] = int_map_get(later, trace->requests[r].session); /* INT_MAP_NONE is UINT32_MAX */
        int_map_put(later, trace->requests[r].session, r);
    }
    int_map_destroy(later);
}

void replay_notes_destroy(struct replay_notes *notes) {
    free(notes->next_of);
    free(notes->ids);
}

static void tell(struct replay_notes *notes, enum session_event event, uint32_t r, uint32_t position, int64_t now) {
    const struct replay_request *request = &notes->trace->requests[r];
    struct session_note note = {.event = event,
                                .position = position,
                                .session = request->session,
                                .context_tokens = request->tokens,
                                .returns = -1};
    if (event == SESSION_TURN && notes->needs & NEED_FUTURE)
        note.returns = notes->next_of[r] != UINT32_MAX;
    if (event == SESSION_TURN && notes->trace->stated && notes->trace->stated[r].calls_tool)
        note.event = SESSION_TOOL;
    if (event == SESSION_QUEUED) {
        for (uint32_t i = 0; i < request->blocks; i++)
            notes->ids[i] = notes->trace->ids[request->first + i];
        note.ids = notes->ids;
        note.count = request->blocks;
    }
    notes->tell(notes->self, &note, now);
}

void replay_notes_before(struct replay_notes *notes, uint32_t r, int64_t now) {
    if (!notes->next_of)
        return;
    uint64_t end = (uint64_t)r + notes->queue + 1;
    for (; notes->needs & NEED_QUEUE && notes->queued < notes->trace->request_count && notes->queued < end;
         notes->queued++)
        tell(notes, SESSION_QUEUED, notes->queued, notes->queued - r, now);
    tell(notes, SESSION_STARTED, r, 0, now);
}

void replay_notes_after(struct replay_notes *notes, uint32_t r, int64_t now) {
    if (!notes->next_of)
        return;
    if (notes->needs & NEED_SESSION)
        tell(notes, SESSION_TURN, r, 0, now);
    if (notes->needs & NEED_AGENT_GRAPH && notes->next_of[r] != UINT32_MAX)
        tell(notes, SESSION_STEPS, r, notes->next_of[r] - r, now);
}
