/* Does the serving loop that is measured keep the simulator's rules? Its scheduler and cache run over a decoder whose
 * steps take what the step model says, beside the simulator on the same trace; and over memory that remembers what
 * was written to each page, so that a page that is read too early, or that was given away, is seen. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <math.h>

#include "sim/cli/scenario.h"
#include "tests/random_scenario.h"
#include "validate/loop/loop.h"

enum { BLOCK = 16, MOVES_MAX = 4096 };

/* The fake machine. Without a step model a step takes what its tokens say. */
struct machine {
    const struct loop *loop;
    const struct step_model *model;
    double now_s, bandwidth_s[LOOP_TIERS], free_s[LOOP_TIERS][LOOP_TIERS]; /* seconds a block from or to a tier */
    uint64_t *memory[LOOP_TIERS];
    double lands_s[MOVES_MAX];
    uint64_t tokens, steps;
};

static double machine_now(void *self) {
    return ((struct machine *)self)->now_s;
}

/* What a request's block i holds when it is full, or while it fills. */
static uint64_t text_of(const struct loop_request *request, uint32_t i) {
    return i < request->spec->id_count ? request->spec->ids[i] : (uint64_t)(request->id + 1) << 32 | i;
}

static void machine_step(void *self, const struct loop_batch *batch, struct loop_step_time *out) {
    struct machine *m = self;
    struct step_shape shape = {.logits = batch->count};
    uint64_t tokens = 0;
    for (uint32_t k = 0; k < batch->count; k++) {
        const struct loop_item *item = &batch->items[k];
        const struct loop_request *request = &m->loop->requests[item->request];
        int64_t q = item->query, context = item->context;
        assert_true(q > 0 && (k >= batch->decodes || q == 1));
        assert_true(request->held * BLOCK >= item->context);
        for (uint32_t i = 0; i < loop_blocks_for(item->context - item->query, BLOCK); i++)
            assert_true(m->memory[LOOP_HBM][item->blocks[i]] == text_of(request, i));
        for (uint32_t i = (item->context - item->query) / BLOCK; i < loop_blocks_for(item->context, BLOCK); i++)
            m->memory[LOOP_HBM][item->blocks[i]] = text_of(request, i);
        tokens += item->query;
        if (k < batch->decodes) {
            shape.decode_seqs++;
            shape.decode_context += context;
            shape.decode_longest = context > shape.decode_longest ? context : shape.decode_longest;
            continue;
        }
        shape.prefill_seqs++;
        shape.prefill_tokens += q;
        shape.prefill_context += context;
        shape.prefill_pairs += q * context - q * (q - 1) / 2;
        shape.prefill_squares += q * q;
    }
    assert_true(tokens <= m->loop->options.token_budget);
    assert_true(batch->count <= m->loop->options.max_sequences);
    m->tokens += tokens;
    m->steps++;
    int64_t step_ns =
        m->model ? step_segment(m->model, &shape, 1).a / STEP_FIXED_ONE : 4000000 + 10000 * (int64_t)tokens;
    double step_s = (double)step_ns * 1e-9;
    out->launched_s = m->now_s;
    out->end_s = m->now_s += step_s;
    out->device_s = step_s;
}

static void machine_move(void *self, uint32_t id, const struct loop_move *move) {
    struct machine *m = self;
    assert_true(id < MOVES_MAX);
    uint32_t lower = move->from > move->to ? move->from : move->to;
    double *free_s = &m->free_s[move->from][move->to];
    *free_s = (*free_s > m->now_s ? *free_s : m->now_s) + m->bandwidth_s[lower] * move->count;
    m->lands_s[id] = *free_s;
}

static bool machine_landed(void *self, uint32_t id) {
    struct machine *m = self;
    const struct loop_move *move = &m->loop->moves[id];
    if (m->lands_s[id] > m->now_s)
        return false;
    for (uint32_t i = 0; i < move->count; i++) {
        uint64_t text = m->memory[move->from][move->source[i]];
        assert_true(text == m->loop->tiers[move->to].slots[move->target[i]].id);
        m->memory[move->to][move->target[i]] = text;
    }
    return true;
}

static void machine_rest(void *self, double until_s) {
    struct machine *m = self;
    for (uint32_t i = 0; i < m->loop->move_count; i++)
        if (m->loop->moves[i].live && m->lands_s[i] < until_s)
            until_s = m->lands_s[i];
    m->now_s = until_s > m->now_s ? until_s : m->now_s;
}

static void serve(struct loop *loop, struct machine *m, const struct loop_options *options,
                  const struct loop_trace *trace) {
    struct loop_platform platform = {.self = m,
                                     .now_s = machine_now,
                                     .step = machine_step,
                                     .move = machine_move,
                                     .landed = machine_landed,
                                     .rest = machine_rest};
    m->loop = loop;
    for (int t = 0; t < LOOP_TIERS; t++)
        m->memory[t] = loop_zeroed(options->blocks[t], sizeof(uint64_t));
    loop_open(loop, options, &platform, trace);
    loop_run(loop);
    for (int t = 0; t < LOOP_TIERS; t++)
        free(m->memory[t]);
}

/* Conversations that grow, in Mooncake's form. */
static void write_trace(const char *path, uint64_t seed, uint32_t requests, double gap_ms) {
    enum { SESSIONS = 12 };
    uint64_t r = seed, lengths[SESSIONS] = {0}, names[SESSIONS] = {0};
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    double at_ms = 0;
    for (uint32_t i = 0; i < requests; i++) {
        uint64_t s = test_below(&r, SESSIONS);
        if (lengths[s] == 0 || lengths[s] > 5000) {
            lengths[s] = 600 + test_below(&r, 1500);
            names[s] = (i + 1) * 1000;
        } else {
            lengths[s] += 100 + test_below(&r, 900);
        }
        at_ms += (double)test_below(&r, (uint64_t)(2000 * gap_ms)) * 1e-3;
        fprintf(file, "{\"timestamp\": %.3f, \"input_length\": %llu, \"output_length\": %llu, \"hash_ids\": [0", at_ms,
                (unsigned long long)lengths[s], (unsigned long long)1 + test_below(&r, 60));
        /* The last, partial one is another text next time. */
        for (uint64_t b = 1; b < (lengths[s] + 511) / 512; b++)
            fprintf(file, ", %llu",
                    (unsigned long long)names[s] + b + (512 * (b + 1) > lengths[s] ? 100000000 + i * 100 : 0));
        fprintf(file, "]}\n");
    }
    assert_int_equal(fclose(file), 0);
}

static void read_trace(const char *path, struct loop_trace *trace) {
    char text[LOOP_TEXT];
    if (!loop_trace_read(path, BLOCK, 1, trace, text))
        fail_msg("%s", text);
}

/* Any sizes: every request ends once, its tokens add up, blocks are conserved (audited at each step) and no page is
 * read that does not hold what it should. */
static void conserves(void **state) {
    (void)state;
    uint64_t preempted = 0, from_dram = 0, from_ssd = 0, skipped = 0;
    char path[64];
    snprintf(path, sizeof path, "/tmp/tiersim-loop-%d.jsonl", (int)getpid());
    for (uint64_t seed = 1; seed <= test_rounds(40, 1000); seed++) {
        uint64_t r = seed;
        struct loop_trace trace;
        struct loop loop;
        struct machine m = {.bandwidth_s = {0, test_below(&r, 2) ? 4e-5 : 2e-3, test_below(&r, 2) ? 1e-3 : 1e-2}};
        struct loop_options options = {
            .block_tokens = BLOCK,
            .token_budget = 64u << test_below(&r, 6),
            .max_sequences = 1u + (uint32_t)test_below(&r, 40),
            .chunk_limit = test_below(&r, 3) ? 0 : 200,
            .blocks = {450 + (uint32_t)test_below(&r, 900), test_below(&r, 4) ? (uint32_t)test_below(&r, 1500) : 0, 0},
            .audit = true};
        if (options.token_budget < options.max_sequences)
            options.token_budget = options.max_sequences;
        if (options.blocks[LOOP_DRAM] > 0 && test_below(&r, 4))
            options.blocks[LOOP_SSD] = (uint32_t)test_below(&r, 4000);
        write_trace(path, seed, 120, 20 + (double)test_below(&r, 200));
        read_trace(path, &trace);
        serve(&loop, &m, &options, &trace);
        uint64_t tokens = 0;
        for (uint32_t i = 0; i < trace.count; i++) {
            const struct loop_request *q = &loop.requests[i];
            assert_true(q->phase == LOOP_DONE && q->generated == q->spec->output_tokens);
            assert_true(q->first_token_s > q->spec->arrival_s && q->end_s >= q->first_token_s);
            if (q->preemptions == 0)
                assert_int_equal(q->hit_tokens[0] + q->hit_tokens[1] + q->hit_tokens[2] + q->computed_tokens,
                                 q->spec->input_tokens);
            tokens += q->computed_tokens + q->generated - 1 - q->preemptions;
            from_dram += q->hit_tokens[LOOP_DRAM];
            from_ssd += q->hit_tokens[LOOP_SSD];
        }
        assert_int_equal(loop.finished, trace.count);
        assert_true(loop.preemptions > 0 || tokens == m.tokens);
        preempted += loop.preemptions;
        skipped += loop.skipped_blocks[LOOP_DRAM] + loop.skipped_blocks[LOOP_SSD];
        loop_close(&loop);
        loop_trace_free(&trace);
    }
    unlink(path);
    /* The checks mean something only if the hard cases were among them. */
    assert_true(preempted > 20 && from_dram > 1000 && from_ssd > 1000 && skipped > 0);
}

struct kept {
    struct request_record records[512];
    size_t count;
};
static void keep_request(void *self, const struct request_record *record) {
    struct kept *kept = self;
    assert_true(record->id < 512);
    kept->records[record->id] = *record;
    kept->count++;
}

/* The loop's blocks for a scenario of the same sizes: the simulator's step model prices its steps. */
static void beside_the_simulator(const char *tiers, const uint32_t blocks[LOOP_TIERS], uint64_t seed, double gap_ms,
                                 struct kept *kept, struct loop *loop, struct loop_trace *trace) {
    char path[64], yaml[64];
    snprintf(path, sizeof path, "/tmp/tiersim-loop-%d.jsonl", (int)getpid());
    snprintf(yaml, sizeof yaml, "/tmp/tiersim-loop-%d.yaml", (int)getpid());
    write_trace(path, seed, 150, gap_ms);
    FILE *file = fopen(yaml, "w");
    assert_non_null(file);
    fprintf(file,
            "name: beside\nmodel: llama-3.1-8b\nnode: hgx-h100\nengine: none\ninstances: 1\nserving: {block_tokens: "
            "16, token_budget: 2048, max_sequences: 32, kv_capacity: %llu B}\nworkload: {trace: %s}\ntiers:\n  - "
            "{name: hbm}\n%s",
            (unsigned long long)blocks[LOOP_HBM] * 2097152, path, tiers);
    fclose(file);
    struct scenario scenario;
    struct error error = {0};
    if (scenario_load(yaml, NULL, 0, NULL, &scenario, &error) != 0)
        fail_msg("%s", error.text);
    struct sink sink = {.self = kept, .request = keep_request};
    struct variant_run run = {.variant = &scenario.variants[0], .load = 1, .seed = 1, .also = &sink};
    struct metrics metrics;
    struct cluster_result result;
    kept->count = 0;
    if (variant_simulate(&run, &metrics, &result, &error) != 0)
        fail_msg("%s", error.text);
    metrics_destroy(&metrics);
    struct loop_options options = {.block_tokens = BLOCK, .token_budget = 2048, .max_sequences = 32, .audit = true};
    memcpy(options.blocks, blocks, sizeof options.blocks);
    /* 2 MiB blocks at the node's copy engines, and at its drives'. */
    struct machine m = {.model = scenario.variants[0].model, .bandwidth_s = {0, 3.8e-5, 4e-5}};
    read_trace(path, trace);
    serve(loop, &m, &options, trace);
    assert_int_equal(kept->count, trace->count);
    scenario_free(&scenario);
    unlink(path);
    unlink(yaml);
}

/* Without tiers below: hit for hit, and step for step but for the straight line that the simulator prices a run of
 * steps by (within 0.5 %). */
static void same_schedule(void **state) {
    (void)state;
    static struct kept kept;
    struct loop loop;
    struct loop_trace trace;
    uint64_t queued = 0;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        uint64_t hits = 0;
        beside_the_simulator("", (const uint32_t[]){6000, 0, 0}, seed, 25, &kept, &loop, &trace);
        for (uint32_t i = 0; i < trace.count; i++) {
            const struct request_record *want = &kept.records[i];
            const struct loop_request *got = &loop.requests[i];
            double ttft_s = (double)(want->first_token_ns - want->arrival_ns) * 1e-9,
                   e2e_s = (double)(want->end_ns - want->arrival_ns) * 1e-9;
            assert_int_equal(got->hit_tokens[0], want->hit_tokens[0]);
            assert_int_equal(got->computed_tokens, want->computed_tokens);
            assert_true(fabs(got->first_token_s - got->spec->arrival_s - ttft_s) <= 0.005 * ttft_s);
            assert_true(fabs(got->end_s - got->spec->arrival_s - e2e_s) <= 0.005 * e2e_s);
            hits += got->hit_tokens[0];
            queued += ttft_s > 0.1;
        }
        assert_true(hits > 100000);
        loop_close(&loop);
        loop_trace_free(&trace);
    }
    assert_true(queued > 20);
}

/* With DRAM and SSD, whose copies the simulator shares out more finely than the fake machine: what comes from where. */
static void same_tiers(void **state) {
    (void)state;
    static struct kept kept;
    struct loop loop;
    struct loop_trace trace;
    for (uint64_t seed = 11; seed <= 14; seed++) {
        int64_t want[LOOP_TIERS] = {0}, got[LOOP_TIERS] = {0}, tokens = 0;
        double want_s = 0, got_s = 0;
        beside_the_simulator("  - {name: dram, capacity: 2516582400 B, write: fill}\n"
                             "  - {name: ssd, capacity: 12582912000 B, write: fill, write_from: dram, path: direct}\n",
                             (const uint32_t[]){900, 1200, 6000}, seed, 150, &kept, &loop, &trace);
        for (uint32_t i = 0; i < trace.count; i++) {
            for (int t = 0; t < LOOP_TIERS; t++) {
                want[t] += (int64_t)kept.records[i].hit_tokens[t];
                got[t] += loop.requests[i].hit_tokens[t];
            }
            tokens += trace.items[i].input_tokens;
            want_s += (double)(kept.records[i].first_token_ns - kept.records[i].arrival_ns) * 1e-9;
            got_s += loop.requests[i].first_token_s - loop.requests[i].spec->arrival_s;
        }
        for (int t = 0; t < LOOP_TIERS; t++) {
            assert_true(want[t] > tokens / 50);
            assert_true(llabs(got[t] - want[t]) < tokens / 50);
        }
        assert_true(fabs(got_s / want_s - 1) < 0.05);
        loop_close(&loop);
        loop_trace_free(&trace);
    }
}

static void refuses(void **state) {
    (void)state;
    static const struct {
        const char *line, *says;
    } cases[] = {
        {"", ":1: no request"},
        {"{\"timestamp\": 0, \"input_length\": 5, \"output_length\": 2, \"hash_ids\": [1", ":1: hash_ids is no"},
        {"{\"timestamp\": 0, \"input_length\": 5, \"output_length\": 2}\n", ":1: timestamp, input"},
        {"{\"timestamp\": -1, \"input_length\": 5}\n", ":1: timestamp is no time"},
        {"{\"timestamp\": 0, \"input_length\": 5.5}\n", ":1: input_length is no"},
        {"{\"timestamp\": 0, \"timestamp\": 0}\n", "twice"},
        {"{\"priority\": 0}\n", "unknown key"},
        {"{\"timestamp\": 0, \"input_length\": 513, \"output_length\": 2, \"hash_ids\": [1]}\n", "each 512"},
        {"{\"timestamp\": 0, \"input_length\": 5, \"output_length\": 0, \"hash_ids\": [1]}\n", "output_length is not"},
        {"{\"timestamp\": 2, \"input_length\": 5, \"output_length\": 1, \"hash_ids\": [1]}\n"
         "{\"timestamp\": 1, \"input_length\": 5, \"output_length\": 1, \"hash_ids\": [1]}\n",
         ":2: timestamp lies before"},
        {"{\"timestamp\": 2, \"input_length\": 5, \"output_length\": 1, \"hash_ids\": [1]} more\n",
         ":1: not the JSON"}};
    char path[64], text[LOOP_TEXT];
    snprintf(path, sizeof path, "/tmp/tiersim-loop-%d.jsonl", (int)getpid());
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct loop_trace trace;
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        fputs(cases[i].line, file);
        fclose(file);
        assert_false(loop_trace_read(path, BLOCK, 1, &trace, text));
        if (!strstr(text, cases[i].says) || !strstr(text, "\n  hint: ") || strncmp(text, path, strlen(path)) != 0)
            fail_msg("case %zu: %s", i, text);
    }
    unlink(path);
    struct loop_trace trace;
    assert_false(loop_trace_read(path, BLOCK, 1, &trace, text));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(refuses), cmocka_unit_test(conserves),
                                       cmocka_unit_test(same_schedule), cmocka_unit_test(same_tiers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
