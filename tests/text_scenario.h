/* A scenario that a test writes as text: loaded and simulated, its requests' records taken down. */
#ifndef TESTS_TEXT_SCENARIO_H
#define TESTS_TEXT_SCENARIO_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sim/cli/scenario.h"

struct taken {
    struct sink sink;
    struct request_record *requests; /* in order of their ends */
    size_t count, room;
    struct tier_record tiers[64];
    size_t tier_count;
    struct metrics metrics;
    struct cluster_result result;
};

static inline void take_one(void *self, const struct request_record *record) {
    struct taken *taken = self;
    if (taken->count == taken->room) {
        taken->room = taken->room ? 2 * taken->room : 256;
        taken->requests = realloc(taken->requests, taken->room * sizeof *taken->requests);
        MUST(taken->requests != NULL);
    }
    taken->requests[taken->count++] = *record;
}
static inline void take_tier_record(void *self, const struct tier_record *record) {
    struct taken *taken = self;
    if (taken->tier_count < sizeof taken->tiers / sizeof *taken->tiers)
        taken->tiers[taken->tier_count++] = *record;
}

/* What a small fleet's scenario begins with: one instance of an 8B model on an H100, blocks of 64 tokens. */
#define TEXT_FLEET                                                                                                     \
    "name: text\nmodel: llama-3.1-8b\nnode: hgx-h100\ninstances: 1\nserving: {block_tokens: 64, kv_capacity: 4 GB}\n"

/* Loads the text; 0, or -1 with the error. */
static inline int text_load(const char *text, struct scenario *out, struct error *err) {
    char path[64];
    snprintf(path, sizeof path, "/tmp/tiersim-text-%d.yaml", (int)getpid());
    FILE *file = fopen(path, "w");
    MUST(file != NULL);
    fputs(text, file);
    fclose(file);
    return scenario_load(path, NULL, 0, NULL, out, err);
}

static inline void text_simulate(const struct scenario *scenario, bool exact_steps, struct taken *taken) {
    struct error error = {0};
    *taken = (struct taken){.sink = {.self = taken, .request = take_one, .tier = take_tier_record}};
    struct variant_run run = {.variant = &scenario->variants[0],
                              .load = 1,
                              .seed = (uint64_t)scenario->options.seed,
                              .exact_steps = exact_steps,
                              .audit = true,
                              .also = &taken->sink};
    if (variant_simulate(&run, &taken->metrics, &taken->result, &error) != 0)
        fail_msg("%s", error.text);
}

/* Both at once, of text made by printf. */
static inline struct taken text_run(const char *format, ...) __attribute__((format(printf, 1, 2)));
static inline struct taken text_run(const char *format, ...) {
    char text[8192];
    va_list values;
    va_start(values, format);
    vsnprintf(text, sizeof text, format, values);
    va_end(values);
    struct scenario scenario;
    struct error error = {0};
    if (text_load(text, &scenario, &error) != 0)
        fail_msg("%s", error.text);
    struct taken taken;
    text_simulate(&scenario, false, &taken);
    scenario_free(&scenario);
    return taken;
}
static inline void taken_free(struct taken *taken) {
    metrics_destroy(&taken->metrics);
    free(taken->requests);
}
static inline uint64_t taken_hits(const struct request_record *record) {
    uint64_t hits = 0;
    for (int t = 0; t < RECORD_TIERS_MAX; t++)
        hits += record->hit_tokens[t];
    return hits;
}
/* The record of a session's turn; fails where there is none. */
static inline const struct request_record *taken_turn(const struct taken *taken, uint64_t session, uint32_t turn) {
    for (size_t i = 0; i < taken->count; i++)
        if (taken->requests[i].session == session && taken->requests[i].turn == turn)
            return &taken->requests[i];
    return NULL;
}

#endif
