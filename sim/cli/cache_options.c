/* What one writes after `tiersim cache`. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sim/base/unit.h"
#include "sim/cli/args.h"
#include "sim/cli/cache.h"
#include "sim/memory/shards.h"

enum {
    KEY_SIZE = 256,
    KEY_SEMANTICS,
    KEY_FULL,
    KEY_JSON,
    KEY_ADMIT,
    KEY_PLUGIN,
    KEY_FORMAT,
    KEY_SKIP,
    KEY_SEED,
    KEY_DEDUPE,
    KEY_QUEUE,
    KEY_REPLAY_LOG,
    KEY_BOUND,
    KEY_CURVE,
    KEY_SAMPLE,
    KEY_SAMPLES,
    KEY_WARMUP,
    KEY_BY,
    KEY_SVG,
    KEY_CSV
};
static const struct argp_option choices[] = {
    {"policy", 'p', "NAME,...", 0,
     "eviction policies; all: each that supports the semantics; one with options: '{name: priority, default_priority: "
     "50}'",
     0},
    {"size", KEY_SIZE, "N,...", 0,
     "blocks (objects), or bytes of objects with a unit (128MiB); 10% of the trace's blocks; LOW..HIGHxF: times F from "
     "LOW up; LOW..HIGH:N: N of them; unbounded: room for all",
     0},
    {"sizes", 0, NULL, OPTION_ALIAS, NULL, 0},
    {"curve", KEY_CURVE, NULL, 0,
     "the whole curve (40 sizes, or those of --size): one pass and exact for lru, belady, lfu-perfect; for others from "
     "samples, with their 95 % interval",
     0},
    {"sample", KEY_SAMPLE, "SHARE", 0, "--curve: of the blocks in one sample (5%; by default some 8192 of them)", 0},
    {"samples", KEY_SAMPLES, "K", 0, "--curve: disjoint samples, of whose scatter the interval is (2 to 32, default 8)",
     0},
    {"svg", KEY_SVG, "FILE", 0, "a plot of miss ratios by size", 0},
    {"csv", KEY_CSV, "FILE", 0, "the results as CSV (- for standard output, instead of the table)", 0},
    {"by", KEY_BY, "role,tenant", 0, "hits apart by what a block is in its prompt, and by tenant", 0},
    {"warmup", KEY_WARMUP, "N", 0,
     "what warms the cache and is counted apart: 6000 requests, 100000 accesses, 10min of the trace, or 20%", 0},
    {"semantics", KEY_SEMANTICS, "flat|prefix", 0,
     "each block by itself (default), or the longest resident run from the first", 0},
    {"full-blocks", KEY_FULL, NULL, 0,
     "prefix: vLLM's rule, full blocks only and at most the input's length - 1 tokens hit", 0},
    {"admit", KEY_ADMIT, "NAME", 0, "an admission policy in front (default always)", 0},
    {"skip", KEY_SKIP, "N", 0, "--warmup 'N requests'", 0},
    {"format", KEY_FORMAT, "NAME", 0,
     "of the trace: mooncake, bailian, agentic, oracle (oracleGeneral) or lines (id[,size]); found out by default", 0},
    {"queue", KEY_QUEUE, "N", 0,
     "the next N requests wait and say what they will ask for (policies that look at a queue)", 0},
    {"bound", KEY_BOUND, NULL, 0,
     "with --semantics prefix and --json: seconds of prefill computed, and the most that any policy could save", 0},
    {"replay-log", KEY_REPLAY_LOG, "FILE", 0,
     "instead of a trace: what each tier of a run saw (run --access-log FILE), through the policy that it had and "
     "those of "
     "--policy, at its size or those of --size",
     0},
    {"dedupe", KEY_DEDUPE, NULL, 0, "drop sessions that repeat an earlier one", 0},
    {"plugin", KEY_PLUGIN, "FILE", 0, "load policies built outside first", 0},
    {"seed", KEY_SEED, "N", 0, "of policies that draw (default 1)", 0},
    {"json", KEY_JSON, NULL, 0, "one JSON document on standard output", 0},
    {0}};

static uint64_t whole(const char *option, const char *text, struct argp_state *state) {
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != 0 || text[0] == '-')
        argp_error(state, "--%s '%s' is not a whole number", option, text);
    return value;
}

static void set_semantics(struct cache_arguments *a, const char *text, struct argp_state *state) {
    a->prefix = strcmp(text, "prefix") == 0;
    if (!a->prefix && strcmp(text, "flat") != 0)
        argp_error(state, "--semantics '%s' is not known; hint: flat or prefix", text);
}

static void set_sample(struct cache_arguments *a, const char *text, struct argp_state *state) {
    struct error err;
    if (unit_parse(text, UNIT_RATIO, &a->sample, &err) != 0 || a->sample <= 0 || a->sample > 0.5)
        argp_error(state, "--sample '%s' is no share above 0 and up to 50 %%; hint: 5%% or 0.05", text);
}

static void set_by(struct cache_arguments *a, const char *text, struct argp_state *state) {
    for (const char *at = text; *at;) {
        size_t length = strcspn(at, ",");
        if (length == 4 && strncmp(at, "role", 4) == 0)
            a->by_role = true;
        else if (length == 6 && strncmp(at, "tenant", 6) == 0)
            a->by_tenant = true;
        else
            argp_error(state, "--by '%s' is not known; hint: role, tenant or both", text);
        at += length + (at[length] == ',');
    }
}

static error_t parse_more(int key, char *text, struct argp_state *state) {
    struct cache_arguments *a = state->input;
    switch (key) {
    case KEY_CURVE:
        a->curve = true;
        return 0;
    case KEY_SAMPLE:
        set_sample(a, text, state);
        return 0;
    case KEY_SAMPLES:
        a->parts = whole("samples", text, state);
        if (a->parts < 2 || a->parts > SHARDS_PARTS_MAX)
            argp_error(state, "--samples %s is outside 2 to %d", text, SHARDS_PARTS_MAX);
        return 0;
    case KEY_WARMUP:
        a->warmup = text;
        return 0;
    case KEY_BY:
        set_by(a, text, state);
        return 0;
    case KEY_SVG:
        a->svg = text;
        return 0;
    case KEY_CSV:
        a->csv = text;
        return 0;
    case ARGP_KEY_ARG:
        if (a->trace)
            argp_error(state, "one trace, not two");
        a->trace = text;
        return 0;
    case ARGP_KEY_END:
        if (a->bound && a->curve)
            argp_error(state, "--bound goes with --size, not with --curve");
        if (a->replay_log && a->trace)
            argp_error(state, "a TRACE or a --replay-log, not both");
        if (a->replay_log)
            return 0;
        if (!a->trace || !a->policies || (!a->sizes && !a->curve))
            argp_error(state, "a TRACE, --policy and --size (or --curve) are needed");
        if (a->json && a->csv && strcmp(a->csv, "-") == 0)
            argp_error(state, "--json and --csv - both want standard output");
        if (a->skip > 0 && a->warmup)
            argp_error(state, "--skip or --warmup, not both");
        if (!a->curve && (a->sample > 0 || a->parts > 0))
            argp_error(state, "--sample and --samples go with --curve");
        if (a->curve && (a->by_role || a->by_tenant))
            argp_error(state, "--by goes with --size alone, not with --curve");
        if (a->sample * (a->parts ? a->parts : CACHE_SAMPLES) > 1)
            argp_error(state, "--sample times --samples is more than all there is; hint: fewer or smaller samples");
        if (a->full_blocks && !a->prefix)
            argp_error(state, "--full-blocks goes with --semantics prefix");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static error_t parse(int key, char *text, struct argp_state *state) {
    struct cache_arguments *a = state->input;
    switch (key) {
    case 'p':
        a->policies = text;
        return 0;
    case KEY_SIZE:
        a->sizes = text;
        return 0;
    case KEY_SEMANTICS:
        set_semantics(a, text, state);
        return 0;
    case KEY_FULL:
        a->full_blocks = true;
        return 0;
    case KEY_ADMIT:
        a->admit = text;
        return 0;
    case KEY_PLUGIN:
        a->plugin = text;
        return 0;
    case KEY_FORMAT:
        a->format = text;
        return 0;
    case KEY_SKIP:
        a->skip = whole("skip", text, state);
        return 0;
    case KEY_SEED:
        a->seed = whole("seed", text, state);
        return 0;
    case KEY_QUEUE:
        a->queue = whole("queue", text, state);
        if (a->queue > 1000000)
            argp_error(state, "--queue %s is more than 1000000", text);
        return 0;
    case KEY_DEDUPE:
        a->dedupe = true;
        return 0;
    case KEY_BOUND:
        a->bound = true;
        return 0;
    case KEY_REPLAY_LOG:
        a->replay_log = text;
        return 0;
    case KEY_JSON:
        a->json = true;
        return 0;
    default:
        return parse_more(key, text, state);
    }
}

void cache_parse(int argc, char **argv, struct cache_arguments *arguments) {
    static const struct argp argp = {
        choices,
        parse,
        "TRACE",
        "Replays a trace's blocks through eviction policies and counts their misses. TRACE - is standard input.",
        NULL,
        NULL,
        NULL};
    argp_parse(&argp, argc, argv, 0, NULL, arguments);
}
