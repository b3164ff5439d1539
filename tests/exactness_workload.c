/* Are traces read as what they are? Counts of public traces as others counted them; what `trace info` says, against a
 * slow way of counting the same; a converted trace is the same trace. */
#include "tests/workload.h"

static char *text_of(struct arena *arena, const char *path) {
    return arena_printf(arena, "{trace: '%s'}", path);
}

/* 288,500 block references of 182,790 different blocks: published counts of the conversation trace. */
static void conversation_counts(void **state) {
    (void)state;
    struct arena *arena = arena_create();
    const char *path = need_trace("mooncake/conversation_trace.jsonl", arena);
    struct workload_info info = info_of(text_of(arena, path), 1, 1);
    assert_int_equal(info.requests, 12031);
    assert_int_equal(info.block_refs, 288500);
    assert_int_equal(info.unique_blocks, 182790);
    assert_int_equal(histogram_count(info.distance_blocks), 288500 - 182790);
    assert_float_equal(info.span_s, 3536.999, 1e-9);
    assert_true(info.growth[3] == 1);
    /* LRU of 10,000 and of 50,000 blocks: 0.2112 and 0.3546 by an independent simulator (block by block). */
    assert_float_equal((double)histogram_count_up_to(info.distance_blocks, 10000) / 288500, 0.2112, 0.004);
    assert_float_equal((double)histogram_count_up_to(info.distance_blocks, 50000) / 288500, 0.3546, 0.004);
    info_free(&info);
    arena_destroy(arena);
}

static void azure_counts(void **state) {
    (void)state;
    struct arena *arena = arena_create();
    const char *path = need_trace("azure/AzureLLMInferenceTrace_code.csv", arena);
    struct workload_info info = info_of(text_of(arena, path), 1, 1);
    assert_int_equal(info.requests, 8819);
    assert_int_equal(histogram_max(info.prompt_tokens), 7437);
    assert_int_equal(info.block_tokens, 0);
    assert_int_equal(info.block_refs, 0);
    info_free(&info);
    arena_destroy(arena);
}

/* 64 sessions hold 1.77 M block accesses (the traces' README). */
static void agentic_counts(void **state) {
    (void)state;
    struct arena *arena = arena_create();
    const char *path = need_trace("agentic", arena);
    struct workload_info info = info_of(text_of(arena, path), 1, 1);
    assert_int_equal(info.sessions, 64);
    assert_int_equal(info.block_tokens, 64);
    assert_in_range(info.block_refs, 1765000, 1775000);
    info_free(&info);
    arena_destroy(arena);
}

/* Six requests whose figures can be told by looking at them. */
static const char six[] =
    "{\"timestamp\": 0, \"input_length\": 1024, \"output_length\": 4, \"hash_ids\": [1, 2]}\n"
    "{\"timestamp\": 60000, \"input_length\": 700, \"output_length\": 4, \"hash_ids\": [1, 3]}\n"
    "{\"timestamp\": 61000, \"input_length\": 1024, \"output_length\": 8, \"hash_ids\": [1, 2]}\n"
    "{\"timestamp\": 90000, \"input_length\": 512, \"output_length\": 1, \"hash_ids\": [9]}\n"
    "{\"timestamp\": 240000, \"input_length\": 100, \"output_length\": 2, \"hash_ids\": [7]}\n"
    "{\"timestamp\": 240000, \"input_length\": 1024, \"output_length\": 4, \"hash_ids\": [9, 2]}\n";

static const char *write_six(struct arena *arena) {
    const char *path = arena_printf(arena, "/tmp/tiersim-six-%d.jsonl", (int)getpid());
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    fputs(six, out);
    assert_int_equal(fclose(out), 0);
    return path;
}

static void six_by_hand(void **state) {
    (void)state;
    struct arena *arena = arena_create();
    const char *path = write_six(arena);
    struct workload_info info = info_of(text_of(arena, path), 1, 1);
    assert_int_equal(info.requests, 6);
    assert_int_equal(info.block_refs, 10);
    /* 1, 1-2, 1-3, 9, 7, 9-2: block 2 behind another text is another block. */
    assert_int_equal(info.unique_blocks, 6);
    assert_int_equal(info.prompt_total_tokens, 1024 + 700 + 1024 + 512 + 100 + 1024);
    assert_int_equal(info.reused_tokens, 512 + 1024 + 512);
    /* Asked again: 1 after {2}, 1 after {3}, 2 after {1, 3}, 9 after {7}; each counts itself. */
    assert_int_equal(histogram_count(info.distance_blocks), 4);
    assert_int_equal(histogram_percentile(info.distance_blocks, 0.75), 2);
    assert_int_equal(histogram_max(info.distance_blocks), 3);
    assert_int_equal(histogram_max(info.return_ms), 150000);
    /* Minutes from 0 s: one, two and the one at 90 s, none, none, two at 240 s. */
    assert_int_equal(histogram_count(info.minute_requests), 5);
    assert_int_equal(histogram_max(info.minute_requests), 3);
    /* Any minute: from 0 to 60 s blocks 1, 2, 3; from 60 to 90 s 1, 3, 2, 9. */
    assert_int_equal(info.window_blocks[0], 4);
    assert_int_equal(info.window_blocks[1], 6);
    double quarters[] = {3.0 / 6, 4.0 / 6, 4.0 / 6, 1}; /* after 60, 120, 180, 240 s */
    for (int q = 0; q < 4; q++)
        assert_float_equal(info.growth[q], quarters[q], 1e-12);
    info_free(&info);
    unlink(path);
    arena_destroy(arena);
}

/* Scaling: twice the rate halves the gaps; a window takes what lies in it; copies are renamed. */
static void scaled_by_hand(void **state) {
    (void)state;
    struct arena *arena = arena_create();
    const char *path = write_six(arena);
    struct workload_info twice = info_of(arena_printf(arena, "{trace: '%s', rate_scale: 2}", path), 1, 1);
    assert_float_equal(twice.span_s, 120, 1e-9);
    struct workload_info thrice = info_of(text_of(arena, path), 3, 1);
    assert_float_equal(thrice.span_s, 80, 1e-9);
    struct workload_info window =
        info_of(arena_printf(arena, "{trace: '%s', start: 60 s, duration: 31 s}", path), 1, 1);
    assert_int_equal(window.requests, 3);
    assert_float_equal(window.span_s, 30, 1e-9);
    struct workload_info copies = info_of(arena_printf(arena, "{trace: '%s', repeat: 3, stagger: 1000 s}", path), 1, 1);
    assert_int_equal(copies.requests, 18);
    assert_int_equal(copies.unique_blocks, 18);
    assert_int_equal(copies.reused_tokens, 3 * 2048);
    assert_float_equal(copies.span_s, 2240, 1e-9);
    struct workload_info *all[] = {&twice, &thrice, &window, &copies};
    for (int i = 0; i < 4; i++)
        info_free(all[i]);
    unlink(path);
    arena_destroy(arena);
}

static void same_histogram(const struct histogram *a, const struct histogram *b) {
    assert_int_equal(histogram_count(a), histogram_count(b));
    for (double share = 0.1; share < 1.05; share += 0.1)
        assert_int_equal(histogram_percentile(a, share < 1 ? share : 1),
                         histogram_percentile(b, share < 1 ? share : 1));
}

/* Writing a trace and reading it again changes nothing that a trace can say. */
static void converted_is_the_same(void **state) {
    (void)state;
    struct arena *arena = arena_create();
    const char *path = need_trace("mooncake/conversation_trace.jsonl", arena);
    const char *copy = arena_printf(arena, "/tmp/tiersim-copy-%d.jsonl", (int)getpid());
    struct trace_pace pace = {.load = 1};
    struct error err = {0};
    struct workload *workload = open_text(text_of(arena, path), 1, 1, arena);
    assert_int_equal(trace_write(workload, &pace, copy, &err), 0);
    workload_close(workload);
    struct workload_info a = info_of(text_of(arena, path), 1, 1), b = info_of(text_of(arena, copy), 1, 1);
    assert_int_equal(a.requests, b.requests);
    assert_int_equal(a.block_refs, b.block_refs);
    assert_int_equal(a.unique_blocks, b.unique_blocks);
    assert_int_equal(a.reused_tokens, b.reused_tokens);
    assert_true(a.span_s == b.span_s && a.gap_cv == b.gap_cv);
    same_histogram(a.prompt_tokens, b.prompt_tokens);
    same_histogram(a.output_tokens, b.output_tokens);
    same_histogram(a.distance_blocks, b.distance_blocks);
    same_histogram(a.return_ms, b.return_ms);
    info_free(&a);
    info_free(&b);
    unlink(copy);
    arena_destroy(arena);
}

/* Blocks of four ids, in two spans that are no whole blocks: the same for the same ids up to a block's end, another's
 * never, and consecutive within a text, as the indexes like them. */
static void coarser_blocks_by_hand(void **state) {
    (void)state;
    enum { BLOCKS = 1000 };
    uint64_t first = UINT64_C(5) << 24, ids[BLOCKS], other[BLOCKS];
    struct chain chain = {
        .own = {{100, 6}, {first, 4 * BLOCKS}}, .span_count = 2, .hash_tokens = 16, .tokens = 16 * (6 + 4 * BLOCKS)};
    assert_int_equal(chain_expand(&chain, 64, chain.tokens, 0, ids, BLOCKS), BLOCKS);
    for (uint32_t i = 2; i < BLOCKS; i++)
        assert_true(ids[i] == ids[i - 1] + 1);
    /* The text begins two ids later in its blocks, or the first two blocks are another's: no id is the same. */
    chain.own[0].count = 4;
    assert_int_equal(chain_expand(&chain, 64, chain.tokens, 0, other, BLOCKS), BLOCKS);
    assert_true(other[0] == ids[0]);
    for (uint32_t i = 1; i < BLOCKS; i++)
        for (uint32_t j = 1; j < BLOCKS; j++)
            assert_true(other[i] != ids[j]);
    /* Four apart by four: what is no power of two stays as it is. */
    assert_int_equal(chain_expand(&chain, 48, chain.tokens, 0, other, BLOCKS), BLOCKS);
    assert_true(other[0] == 102 && other[1] == first + 1 && other[2] == first + 4);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(coarser_blocks_by_hand),
        cmocka_unit_test(conversation_counts),
        cmocka_unit_test(azure_counts),
        cmocka_unit_test(agentic_counts),
        cmocka_unit_test(six_by_hand),
        cmocka_unit_test(scaled_by_hand),
        cmocka_unit_test(converted_is_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
