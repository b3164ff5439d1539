#include "sim/memory/roles.h"

#include <stdlib.h>
#include <string.h>

#include "sim/base/arena.h"

const char *const role_names[ROLES] = {"tools", "system", "shared", "history", "new"};

#define MANY UINT32_MAX

/* Does any session ask twice? */
static bool has_sessions(const struct replay_trace *trace) {
    bool twice = false;
    uint32_t most = 0;
    for (uint32_t r = 0; r < trace->request_count; r++)
        most = trace->requests[r].session > most ? trace->requests[r].session : most;
    uint8_t *seen = lazy_alloc((size_t)most + 1, sizeof *seen);
    for (uint32_t r = 0; r < trace->request_count && !twice; r++) {
        twice = seen[trace->requests[r].session];
        seen[trace->requests[r].session] = 1;
    }
    lazy_free(seen, (size_t)most + 1, sizeof *seen);
    return twice;
}

/* sessions[r], from 0 on: by what prompts continue. */
static void infer_sessions(const struct replay_trace *trace, uint32_t *sessions) {
    uint32_t *ends = lazy_alloc(trace->unique + 1, sizeof *ends),
             count = 0; /* by id: session + 1 whose text ends there */
    for (uint32_t r = 0; r < trace->request_count; r++) {
        const struct replay_request *request = &trace->requests[r];
        const uint32_t *ids = trace->ids + request->first;
        uint32_t full = trace->block_tokens ? request->tokens / trace->block_tokens : 0, session = 0;
        full = full < request->blocks ? full : request->blocks;
        for (uint32_t i = full; i-- > 0 && session == 0;) {
            session = ends[ids[i]];
            ends[ids[i]] = 0;
        }
        sessions[r] = session > 0 ? session - 1 : count++;
        if (full > 0)
            ends[ids[full - 1]] = sessions[r] + 1;
    }
    lazy_free(ends, trace->unique + 1, sizeof *ends);
}

/* asked_by[id]: session + 1, or MANY. */
static void find_shared(const struct replay_trace *trace, const uint32_t *sessions, uint32_t *asked_by) {
    for (uint32_t r = 0; r < trace->request_count; r++) {
        const struct replay_request *request = &trace->requests[r];
        for (uint32_t i = 0; i < request->blocks; i++) {
            uint32_t *by = &asked_by[trace->ids[request->first + i]];
            *by = *by == 0 || *by == sessions[r] + 1 ? sessions[r] + 1 : MANY;
        }
    }
}

uint8_t *replay_roles(const struct replay_trace *trace) {
    uint8_t *roles = malloc(trace->count + 1);
    MUST(roles != NULL);
    uint32_t *sessions = lazy_alloc((size_t)trace->request_count + 1, sizeof *sessions);
    uint32_t *asked_by = lazy_alloc(trace->unique + 1, sizeof *asked_by);
    uint8_t *seen = lazy_alloc(trace->unique + 1, sizeof *seen);
    if (has_sessions(trace))
        for (uint32_t r = 0; r < trace->request_count; r++)
            sessions[r] = trace->requests[r].session;
    else
        infer_sessions(trace, sessions);
    find_shared(trace, sessions, asked_by);
    for (uint32_t r = 0; r < trace->request_count; r++) {
        const struct replay_request *request = &trace->requests[r];
        struct replay_stated stated = trace->stated ? trace->stated[r] : (struct replay_stated){0};
        for (uint32_t i = 0; i < request->blocks; i++) {
            uint32_t id = trace->ids[request->first + i];
            uint64_t end = (uint64_t)(i + 1) * trace->block_tokens; /* a block with other text in it is not of them */
            enum role role = end <= stated.tool_tokens                          ? ROLE_TOOLS
                             : end <= stated.tool_tokens + stated.system_tokens ? ROLE_SYSTEM
                             : asked_by[id] == MANY                             ? ROLE_SHARED
                             : seen[id]                                         ? ROLE_HISTORY
                                                                                : ROLE_NEW;
            roles[request->first + i] = (uint8_t)role;
            seen[id] = 1;
        }
    }
    lazy_free(seen, trace->unique + 1, sizeof *seen);
    lazy_free(asked_by, trace->unique + 1, sizeof *asked_by);
    lazy_free(sessions, (size_t)trace->request_count + 1, sizeof *sessions);
    return roles;
}

void replay_count_by(const struct replay_trace *trace, const uint8_t *marks, const uint8_t *of, uint32_t skip,
                     struct role_counts *counts, uint32_t count_room) {
    memset(counts, 0, count_room * sizeof *counts);
    for (uint32_t r = skip; r < trace->request_count; r++) {
        const struct replay_request *request = &trace->requests[r];
        for (uint64_t at = request->first; at < request->first + request->blocks; at++) {
            uint32_t which = of ? of[at] : request->tenant;
            MUST(which < count_room);
            counts[which].accesses++;
            counts[which].hits += marks[at];
        }
    }
}
