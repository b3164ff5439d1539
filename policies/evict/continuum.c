/* Continuum: after a tool call a context stays for as long as its return is worth the room.
 *
 * Rule     when a request ends in a tool call, its blocks are pinned for the time t that maximises
 *              P(the tool takes at most t) * (seconds to get the context back + queueing)
 *                  - E[min(duration, t)] * (share of the cache that it holds),
 *          P and E over the last 256 durations of that tool; while there are fewer than 16, for as long as the second
 *          term is the first with P = 1. Getting back is computing or fetching, what is less. Of the leaves, the least
 *          recently used goes first, pinned ones only when nothing else is left, those that run out soonest first. When
 *          a pin runs out its block has the place of its last use again (as in vLLM's free queue, where the paper's
 *          evicted contexts go), or with `expired: first` goes first.
 * Needs    sessions (and their tool calls), cost, time, the tree. Lift: leaf.
 * Cost     O(log n) a hook, O(256) a tool call; 96 bytes a slot, 24 to 64 a session.
 * Source   Continuum, arXiv 2511.02230.
 * Differs  there a pin is a promise, here a preference. Queueing is an option, there it is measured. Traces do not name
 *          tools, so all calls are of one. In `tiersim cache` a duration includes the answer's own time. On the agentic
 *          sessions it hits 44.4 and 63.1 % of tokens at 10,000 and 20,000 blocks, where LRU hits 39.6 and 57.8 %; with
 *          more room it is behind LRU: 73.1 against 74.7 % at 40,000. */
#include <stddef.h>
#include <stdlib.h>

#include "policies/evict/rank.h"
#include "policies/evict/recent.h"
#include "sim/base/int_map.h"

enum { EXPIRED, USED, PINNED };
static const char *const expired_names[] = {"first", "by-use", NULL};

struct continuum_options {
    double queueing_s;
    int expired;
};
static const struct option continuum_table[] = {{.name = "expired",
                                                 .kind = OPTION_CHOICE,
                                                 .offset = offsetof(struct continuum_options, expired),
                                                 .fallback = "by-use",
                                                 .choices = expired_names,
                                                 .help = "a block whose pin has run out goes first, or in its turn"},
                                                {.name = "queueing",
                                                 .kind = OPTION_REAL,
                                                 .unit = UNIT_SECONDS,
                                                 .offset = offsetof(struct continuum_options, queueing_s),
                                                 .fallback = "0 s",
                                                 .min = 0,
                                                 .max = 1e6,
                                                 .help = "what a context that is gone waits before it is got back"},
                                                OPTION_END};

enum { TOOLS = 16, DURATIONS = 256, DURATIONS_FEWEST = 16 };
/* The last durations of a tool, and the same sorted. */
struct tool {
    int64_t ring[DURATIONS], sorted[DURATIONS];
    uint32_t count, next;
};
struct call {
    int64_t at; /* EVICT_NEVER: none is under way */
    uint32_t tool;
};
struct continuum {
    struct ranking leaves;
    struct slot_heap pins; /* pinned blocks, leaves or not, by when they run out */
    struct recent recent;
    struct tool *tools;
    struct int_map *call_of; /* session -> its place in calls */
    struct call *calls;
    uint32_t call_count, call_room, capacity;
    const struct evict_costs *costs;
    double queueing_s;
    int64_t clock, expired; /* expired: the key's first part of a block whose pin has run out */
};

static void *continuum_create(const struct evict_context *context) {
    struct continuum *state = calloc(1, sizeof *state);
    MUST(state != NULL);
    ranking_create(&state->leaves, context, true);
    slot_heap_create(&state->pins, context->slots);
    recent_create(&state->recent, context->slots);
    state->tools = lazy_alloc(TOOLS, sizeof *state->tools);
    state->call_of = int_map_create();
    state->capacity = context->capacity;
    state->costs = context->costs;
    const struct continuum_options *options = context->options;
    state->queueing_s = options ? options->queueing_s : 0;
    state->expired = options && options->expired == EXPIRED ? EXPIRED : USED;
    return state;
}
static void continuum_destroy(void *self) {
    struct continuum *state = self;
    ranking_destroy(&state->leaves);
    slot_heap_destroy(&state->pins);
    recent_destroy(&state->recent);
    lazy_free(state->tools, TOOLS, sizeof *state->tools);
    int_map_destroy(state->call_of);
    free(state->calls);
    free(state);
}

/* Pins that have run out are pins no more. */
static void expire(struct continuum *state, int64_t now) {
    uint32_t slot;
    while ((slot = slot_heap_first(&state->pins)) != EVICT_NONE && state->pins.keys[slot].first <= now) {
        int64_t used = state->pins.keys[slot].second;
        slot_heap_remove(&state->pins, slot);
        ranking_set(&state->leaves, slot, (struct slot_key){state->expired, used});
    }
}
static void continuum_insert(void *self, uint32_t slot, int64_t now) {
    (void)now;
    struct continuum *state = self;
    recent_add(&state->recent, slot);
    ranking_insert(&state->leaves, slot, (struct slot_key){USED, state->clock++});
}
static void continuum_touch(void *self, uint32_t slot, int64_t now) {
    (void)now;
    struct continuum *state = self;
    slot_heap_remove(&state->pins, slot);
    recent_add(&state->recent, slot);
    ranking_set(&state->leaves, slot, (struct slot_key){USED, state->clock++});
}
static int64_t continuum_timer(void *self, int64_t now) {
    struct continuum *state = self;
    expire(state, now);
    uint32_t first = slot_heap_first(&state->pins);
    return first == EVICT_NONE ? EVICT_NEVER : state->pins.keys[first].first;
}
static uint32_t continuum_victim(void *self, int64_t now) {
    expire(self, now);
    return ranked_victim(self, now);
}
static void continuum_remove(void *self, uint32_t slot, bool evicted, int64_t now) {
    (void)evicted, (void)now;
    struct continuum *state = self;
    recent_drop(&state->recent, slot);
    slot_heap_remove(&state->pins, slot);
    ranking_remove(&state->leaves, slot);
}

static struct call *call_of(struct continuum *state, uint64_t session) {
    uint32_t place = int_map_get(state->call_of, session);
    if (place == INT_MAP_NONE) {
        if (state->call_count == state->call_room) {
            state->call_room = state->call_room ? 2 * state->call_room : 64;
            state->calls = realloc(state->calls, state->call_room * sizeof *state->calls);
            MUST(state->calls != NULL);
        }
        place = state->call_count++;
        state->calls[place] = (struct call){EVICT_NEVER, 0};
        int_map_put(state->call_of, session, place);
    }
    return &state->calls[place];
}

static void learn(struct tool *tool, int64_t duration) {
    uint32_t at = tool->count;
    if (tool->count == DURATIONS) { /* the oldest leaves */
        int64_t old = tool->ring[tool->next];
        for (at = 0; tool->sorted[at] != old; at++)
            ;
        for (; at + 1 < DURATIONS; at++)
            tool->sorted[at] = tool->sorted[at + 1];
    } else
        tool->count++;
    tool->ring[tool->next] = duration;
    tool->next = (tool->next + 1) % DURATIONS;
    for (; at > 0 && tool->sorted[at - 1] > duration; at--)
        tool->sorted[at] = tool->sorted[at - 1];
    tool->sorted[at] = duration;
}

/* ns for which a context is worth its room, that takes back_s to get back and holds `share` of the cache. */
static int64_t worth_ns(const struct tool *tool, double back_s, double share) {
    if (tool->count < DURATIONS_FEWEST) {
        double ns = 1e9 * back_s / share;
        return ns < 1e18 ? (int64_t)ns : (int64_t)1e18;
    }
    double best = 0, sum_s = 0;
    int64_t best_ns = 0;
    for (uint32_t i = 0; i < tool->count; i++) {
        double t_s = 1e-9 * (double)tool->sorted[i], n = tool->count;
        sum_s += t_s;
        double held_s = (sum_s + (n - 1 - i) * t_s) / n;
        double gain = (i + 1) / n * back_s - held_s * share;
        if (gain > best) {
            best = gain;
            best_ns = tool->sorted[i];
        }
    }
    return best_ns;
}

static void pin(struct continuum *state, const struct session_note *note, int64_t now) {
    const struct block_facts *facts = state->leaves.facts;
    const struct tool *tool = &state->tools[note->tool < TOOLS ? note->tool : TOOLS - 1];
    uint32_t first = 0, blocks = 0;
    for (uint32_t i = 0; i < state->recent.count; i++)
        blocks += facts[state->recent.slots[i]].owner == note->session;
    if (blocks == 0)
        return;
    double back_s = 1e-6 * (double)note->context_tokens; /* nobody says what it costs: in proportion to its length */
    if (state->costs) {
        uint64_t tokens = note->context_tokens < UINT32_MAX ? note->context_tokens : UINT32_MAX;
        double fetch_s = state->costs->fetch_s(state->costs->world, blocks);
        back_s = state->costs->compute_s(state->costs->world, 0, (uint32_t)tokens);
        back_s = fetch_s < back_s ? fetch_s : back_s;
    }
    double share = (double)blocks / state->capacity;
    int64_t worth = worth_ns(tool, back_s + state->queueing_s, share < 1 ? share : 1);
    for (uint32_t slot; (slot = recent_take(&state->recent, facts, note->session, &first)) != EVICT_NONE;) {
        int64_t used = ranking_key(&state->leaves, slot).second, until = now + worth;
        if (worth > 0)
            slot_heap_put(&state->pins, slot, (struct slot_key){until, used});
        ranking_set(&state->leaves, slot,
                    worth > 0 ? (struct slot_key){PINNED, until} : (struct slot_key){state->expired, used});
    }
}

static void continuum_note(void *self, const struct session_note *note, int64_t now) {
    struct continuum *state = self;
    uint32_t at = 0;
    struct call *call = call_of(state, note->session);
    switch (note->event) {
    case SESSION_STARTED:
        if (call->at != EVICT_NEVER)
            learn(&state->tools[call->tool], now - call->at);
        call->at = EVICT_NEVER;
        return;
    case SESSION_TOOL:
        call->at = now;
        call->tool = note->tool < TOOLS ? note->tool : TOOLS - 1;
        pin(state, note, now);
        return;
    case SESSION_TURN:
    case SESSION_ENDED:
        while (recent_take(&state->recent, state->leaves.facts, note->session, &at) != EVICT_NONE)
            ;
        return;
    default:
        return;
    }
}

static const struct evict_policy continuum = {
    .policy = {.abi = POLICY_ABI,
               .name = "continuum",
               .rule = "after a tool call a context is pinned while its return is worth the room; else LRU",
               .source = "Continuum, arXiv 2511.02230",
               .needs = NEED_SESSION | NEED_COST | NEED_TIME | NEED_TREE,
               .options = continuum_table,
               .options_size = sizeof(struct continuum_options)},
    .lifts = LIFT_LEAF,
    .create = continuum_create,
    .destroy = continuum_destroy,
    .insert = continuum_insert,
    .touch = continuum_touch,
    .hold = ranked_hold,
    .release = ranked_release,
    .timer = continuum_timer,
    .victim = continuum_victim,
    .remove = continuum_remove,
    .note = continuum_note};
POLICY_REGISTER(evict, continuum)
