/* Dynamo's disk filter: a block is written if it was asked for often lately; what is not asked for is forgotten.
 *
 * Rule     an id has a frequency: 1 when it is first asked for, doubled each time after that, one less each
 *          `decay`, and forgotten at 0. Admits from `frequency` on.
 * Needs    look-ups, time.
 * Cost     O(1) an id; each decay looks at all ids remembered; 32 bytes an id.
 * Source   Dynamo KVBM (offload filter from host memory to disk: frequency 2).
 * Differs  the interval of the decay is not documented there: 600 s here. */
#include <stddef.h>
#include <stdlib.h>

#include "policies/admit.h"
#include "sim/base/int_map.h"

struct dynamo_frequency_options {
    int64_t frequency;
    double decay_s;
};
static const struct option dynamo_frequency_table[] = {{.name = "frequency",
                                                        .kind = OPTION_INT,
                                                        .offset = offsetof(struct dynamo_frequency_options, frequency),
                                                        .fallback = "2",
                                                        .min = 1,
                                                        .max = 1000000,
                                                        .help = "frequency from which on a block is written"},
                                                       {.name = "decay",
                                                        .kind = OPTION_REAL,
                                                        .unit = UNIT_SECONDS,
                                                        .offset = offsetof(struct dynamo_frequency_options, decay_s),
                                                        .fallback = "600 s",
                                                        .min = 0.001,
                                                        .max = 1e6,
                                                        .help = "how often each frequency falls by one"},
                                                       OPTION_END};

enum { FREQUENCY_MOST = 1 << 30 };
struct dynamo_frequency {
    struct int_map *entry_of; /* id -> entry */
    uint64_t *ids;            /* by entry */
    uint32_t *frequency;
    uint32_t count, room;
    int64_t least, decay_ns, next;
};

static void *dynamo_frequency_create(const struct admit_context *context) {
    const struct dynamo_frequency_options *options = context->options;
    struct dynamo_frequency *state = calloc(1, sizeof *state);
    MUST(state != NULL);
    state->entry_of = int_map_create();
    state->least = options ? options->frequency : 2;
    state->decay_ns = (int64_t)((options ? options->decay_s : 600) * 1e9);
    state->next = state->decay_ns;
    return state;
}
static void dynamo_frequency_destroy(void *self) {
    struct dynamo_frequency *state = self;
    int_map_destroy(state->entry_of);
    free(state->ids);
    free(state->frequency);
    free(state);
}
static void add(struct dynamo_frequency *state, uint64_t id) {
    if (state->count == state->room) {
        state->room = state->room ? 2 * state->room : 1024;
        state->ids = realloc(state->ids, state->room * sizeof *state->ids);
        state->frequency = realloc(state->frequency, state->room * sizeof *state->frequency);
        MUST(state->ids != NULL && state->frequency != NULL);
    }
    state->ids[state->count] = id;
    state->frequency[state->count] = 1;
    int_map_put(state->entry_of, id, state->count++);
}
static void dynamo_frequency_seen(void *self, const uint64_t *ids, uint32_t count, int64_t now) {
    (void)now;
    struct dynamo_frequency *state = self;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t entry = int_map_get(state->entry_of, ids[i]);
        if (entry == INT_MAP_NONE)
            add(state, ids[i]);
        else if (state->frequency[entry] < FREQUENCY_MOST)
            state->frequency[entry] *= 2;
    }
}
static void decay(struct dynamo_frequency *state) {
    for (uint32_t i = 0; i < state->count;) {
        if (--state->frequency[i] > 0) {
            i++;
            continue;
        }
        uint32_t last = --state->count;
        int_map_delete(state->entry_of, state->ids[i]);
        if (last == i)
            continue;
        state->ids[i] = state->ids[last];
        state->frequency[i] = state->frequency[last];
        int_map_put(state->entry_of, state->ids[i], i);
    }
}
static int64_t dynamo_frequency_timer(void *self, int64_t now) {
    struct dynamo_frequency *state = self;
    for (; state->next <= now && state->count > 0; state->next += state->decay_ns)
        decay(state);
    if (state->next <= now) /* nothing to decay: the next boundary after now */
        state->next += ((now - state->next) / state->decay_ns + 1) * state->decay_ns;
    return state->next;
}
static void dynamo_frequency_decide(void *self, const struct admit_view *view, bool *admit, int64_t now) {
    (void)now;
    const struct dynamo_frequency *state = self;
    for (uint32_t i = 0; i < view->count; i++) {
        uint32_t entry = int_map_get(state->entry_of, view->blocks[i].id);
        admit[i] = entry != INT_MAP_NONE && state->frequency[entry] >= state->least;
    }
}

static const struct admit_policy dynamo_frequency = {
    .policy = {.abi = POLICY_ABI,
               .name = "dynamo-frequency",
               .rule = "written if its frequency, doubled by each look-up and falling with time, is at least 2",
               .source = "Dynamo KVBM (offload filter)",
               .needs = NEED_TIME,
               .options = dynamo_frequency_table,
               .options_size = sizeof(struct dynamo_frequency_options)},
    .create = dynamo_frequency_create,
    .destroy = dynamo_frequency_destroy,
    .seen = dynamo_frequency_seen,
    .timer = dynamo_frequency_timer,
    .decide = dynamo_frequency_decide};
POLICY_REGISTER(admit, dynamo_frequency)
