/* Do the headers of policies/evict say what a policy keeps in memory for each block? Each header's "Cost" names bytes a
 * slot; here a cache of each policy is measured, as `tiersim cache` does for its table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "policies/registry.h"
#include "sim/base/arena.h"
#include "sim/config/read.h"
#include "sim/memory/replay.h"

enum { BLOCKS = STATE_BLOCKS, ACCESSES = 60000, HEADER_MAX = 8192 };

/* The header of the policy's file as one line without stars; "" where there is no such file (a plugin's). */
static void read_header(const char *name, char *out) {
    char path[256];
    snprintf(path, sizeof path, "policies/evict/%s.c", strcmp(name, "2q") == 0 ? "two_q" : name);
    for (char *c = path + strlen("policies/evict/"); *c; c++)
        if (*c == '-')
            *c = '_';
    FILE *file = fopen(path, "r");
    size_t length = 0;
    out[0] = 0;
    if (!file)
        return;
    char last = ' ';
    for (int c = fgetc(file), before = 0; c != EOF && length < HEADER_MAX - 1; before = c, c = fgetc(file)) {
        if (before == '*' && c == '/')
            break;
        char plain = c == '\n' || c == '*' ? ' ' : (char)c;
        if (plain != ' ' || last != ' ')
            out[length++] = plain;
        last = plain;
    }
    out[length] = 0;
    fclose(file);
}

static struct replay_trace *some_trace(void) {
    struct replay_trace *trace = replay_trace_create(0);
    uint64_t state = 1;
    for (int64_t a = 0; a < ACCESSES; a++) {
        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        uint64_t a_draw = state >> 33, id = a_draw % 3 == 0 ? a_draw % 1024 : a_draw % (4 * BLOCKS);
        struct replay_request request = {.at_ns = a * 1000, .blocks = 1, .session = (uint32_t)(id % 7)};
        replay_trace_add(trace, &request, &id, NULL);
    }
    return trace;
}

static double compute_s(const void *world, uint64_t from, uint32_t tokens) {
    (void)world;
    return (double)from + tokens;
}
static double fetch_s(const void *world, uint32_t blocks) {
    (void)world;
    return blocks;
}

static double measure(const struct replay_trace *trace, const struct policy *policy, struct arena *arena) {
    struct error err;
    void *options = policy->options ? arena_alloc(arena, policy->options_size) : NULL;
    MUST(!options || options_read(NULL, policy->options, options, arena, &err) == 0);
    struct evict_costs costs = {.compute_s = compute_s, .fetch_s = fetch_s, .block_bytes = 1};
    struct replay_setup setup = {.trace = trace,
                                 .policy = (const struct evict_policy *)policy,
                                 .policy_options = options,
                                 .costs = &costs,
                                 .queue = 1,
                                 .seed = 1};
    struct replay_miniatures *small = replay_miniatures_create(trace, BLOCKS);
    double bytes = replay_state_bytes(&setup, small);
    replay_miniatures_destroy(small);
    return bytes;
}

/* "N bytes a slot" or "N to M bytes a slot"; then "about K with ...": ghosts or a sketch, half as much again or two
 * thirds, since what is remembered depends on the trace; or "... a block held", "... an id", "... an agent", "... a
 * session", "... a call": no less. */
static void hold(const char *name, const char *header, double measured) {
    const char *at = strstr(header, " bytes a slot");
    if (!at)
        fail_msg("the header of %s does not say how many bytes a slot it keeps", name);
    const char *number = at;
    while (number > header && strchr("0123456789", number[-1]))
        number--;
    double high = strtod(number, NULL), low = high;
    if (number - header > 4 && strncmp(number - 4, " to ", 4) == 0) {
        const char *first = number - 4;
        while (first > header && strchr("0123456789", first[-1]))
            first--;
        low = strtod(first, NULL);
    }
    double about;
    char more[16] = "";
    if (sscanf(at, " bytes a slot, about %lf", &about) == 1) {
        low = 0.67 * about;
        high = 1.5 * about;
    } else if (sscanf(at, " bytes a slot, %15s", more) == 1)
        high = 1e9;
    if (measured < low - 1 || measured > high + 1)
        fail_msg("%s keeps %.1f bytes a slot; its header says: %.100s", name, measured, number);
}

static void headers(void **unused) {
    (void)unused;
    struct arena *arena = arena_create();
    struct replay_trace *trace = some_trace();
    size_t held = 0;
    char header[HEADER_MAX];
    const struct policy *policy;
    for (size_t p = 0; (policy = policy_at(POLICY_EVICT, p)) != NULL; p++) {
        read_header(policy->name, header);
        if (header[0] == 0)
            continue;
        hold(policy->name, header, measure(trace, policy, arena));
        held++;
    }
    if (held == 0) {
        print_message("policies/evict is not here\n");
        skip();
    }
    replay_trace_destroy(trace);
    arena_destroy(arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(headers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
