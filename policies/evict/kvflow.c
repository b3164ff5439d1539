/* KVFlow: the blocks of the agent that runs farthest ahead go first.
 *
 * Rule     all blocks of an agent (that it used last) have as key the step at which it runs again; of the leaves, the
 *          farthest goes first, those of agents that are not said to run again before all others. Ties: the least
 *          recently used.
 * Needs    the agent graph (steps until an agent runs), sessions, the tree. Lift: leaf.
 * Cost     O(log n) a hook, O(blocks of an agent) when its next step is said; 60 bytes a slot, 32 to 64 an agent.
 * Source   Pan et al., KVFlow, arXiv 2507.07400.
 * Differs  its prefetch of the agents that run next is no eviction; a block shared by agents is its last user's. In
 *          `tiersim cache` the steps are those of the trace: its future, so tables mark it. */
#include <stdlib.h>

#include "policies/evict/list.h"
#include "policies/evict/rank.h"
#include "sim/base/int_map.h"

struct kvflow {
    struct ranking leaves;
    struct int_map *head_of;  /* agent -> the first of its blocks */
    struct slot_link *others; /* by slot: of the same agent, slot + 1; 0: none */
    uint64_t *agent;          /* by slot */
    uint32_t slots;
    int64_t step, clock; /* requests so far; orders uses */
};

static void *kvflow_create(const struct evict_context *context) {
    struct kvflow *state = calloc(1, sizeof *state);
    MUST(state != NULL);
    ranking_create(&state->leaves, context, true);
    state->head_of = int_map_create();
    state->others = links_create(context->slots);
    state->agent = lazy_alloc(context->slots, sizeof *state->agent);
    state->slots = context->slots;
    return state;
}
static void kvflow_destroy(void *self) {
    struct kvflow *state = self;
    ranking_destroy(&state->leaves);
    int_map_destroy(state->head_of);
    links_destroy(state->others, state->slots);
    lazy_free(state->agent, state->slots, sizeof *state->agent);
    free(state);
}
static void join_agent(struct kvflow *state, uint32_t slot) {
    uint64_t agent = state->leaves.facts[slot].owner;
    uint32_t head = int_map_get(state->head_of, agent);
    state->agent[slot] = agent;
    state->others[slot] = (struct slot_link){0, head == INT_MAP_NONE ? 0 : head + 1};
    if (head != INT_MAP_NONE)
        state->others[head].before = slot + 1;
    int_map_put(state->head_of, agent, slot);
}
static void leave_agent(struct kvflow *state, uint32_t slot) {
    struct slot_link link = state->others[slot];
    if (link.after)
        state->others[link.after - 1].before = link.before;
    if (link.before)
        state->others[link.before - 1].after = link.after;
    else if (link.after)
        int_map_put(state->head_of, state->agent[slot], link.after - 1);
    else
        int_map_delete(state->head_of, state->agent[slot]);
}
enum { RUNS_NOW = 0 }; /* the nearest: until its request ends and its agent's next step is said */
static void kvflow_insert(void *self, uint32_t slot, int64_t now) {
    (void)now;
    struct kvflow *state = self;
    join_agent(state, slot);
    ranking_insert(&state->leaves, slot, (struct slot_key){RUNS_NOW, state->clock++});
}
static void kvflow_touch(void *self, uint32_t slot, int64_t now) {
    (void)now;
    struct kvflow *state = self;
    leave_agent(state, slot);
    join_agent(state, slot);
    ranking_set(&state->leaves, slot, (struct slot_key){RUNS_NOW, state->clock++});
}
static void kvflow_remove(void *self, uint32_t slot, bool evicted, int64_t now) {
    (void)evicted, (void)now;
    struct kvflow *state = self;
    leave_agent(state, slot);
    ranking_remove(&state->leaves, slot);
}
static void kvflow_note(void *self, const struct session_note *note, int64_t now) {
    (void)now;
    struct kvflow *state = self;
    state->step += note->event == SESSION_STARTED;
    bool ends = note->event == SESSION_TURN || note->event == SESSION_TOOL || note->event == SESSION_ENDED;
    if (note->event != SESSION_STEPS && !ends)
        return;
    /* At its end a request's agent runs never again, unless STEPS says otherwise. */
    int64_t key = ends ? INT64_MIN : -(state->step + note->position);
    uint32_t at = int_map_get(state->head_of, note->session);
    for (at = at == INT_MAP_NONE ? 0 : at + 1; at; at = state->others[at - 1].after)
        ranking_set(&state->leaves, at - 1, (struct slot_key){key, ranking_key(&state->leaves, at - 1).second});
}

static const struct evict_policy kvflow = {
    .policy = {.abi = POLICY_ABI,
               .name = "kvflow",
               .rule = "of the leaves, the one whose agent runs farthest ahead goes first",
               .source = "Pan et al., arXiv 2507.07400",
               .needs = NEED_AGENT_GRAPH | NEED_SESSION | NEED_TREE},
    .lifts = LIFT_LEAF,
    .create = kvflow_create,
    .destroy = kvflow_destroy,
    .insert = kvflow_insert,
    .touch = kvflow_touch,
    .hold = ranked_hold,
    .release = ranked_release,
    .victim = ranked_victim,
    .remove = kvflow_remove,
    .note = kvflow_note};
POLICY_REGISTER(evict, kvflow)
