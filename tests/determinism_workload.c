/* Is a stream of requests the same again, and the same whatever the others do? */
#include "tests/workload.h"

/* FNV-1a over everything that the fleet is told of a request, its blocks included. */
struct digest {
    uint64_t hash, count;
};

static void mix(struct digest *digest, uint64_t value) {
    for (int i = 0; i < 8; i++, value >>= 8)
        digest->hash = (digest->hash ^ (value & 0xff)) * UINT64_C(0x100000001b3);
}

static void take(void *self, const struct request_spec *spec) {
    struct digest *digest = self;
    mix(digest, spec->session);
    mix(digest, spec->turn);
    mix(digest, spec->tenant);
    mix(digest, (uint64_t)spec->arrival_ns);
    mix(digest, (uint64_t)spec->prompt_tokens << 32 | spec->output_tokens);
    mix(digest, spec->shared_tokens);
    mix(digest, spec->chain.salt);
    for (uint32_t s = 0; s < spec->chain.span_count; s++) {
        mix(digest, chain_spans(&spec->chain)[s].first);
        mix(digest, chain_spans(&spec->chain)[s].count);
    }
    digest->count++;
}

static struct digest digest_of(const char *text, uint64_t seed) {
    struct arena *arena = arena_create();
    struct digest digest = {UINT64_C(0xcbf29ce484222325), 0};
    stream_all(open_text(text, 1, seed, arena), 0.5, 0.02, take, &digest);
    arena_destroy(arena);
    assert_true(digest.count > 0);
    return digest;
}

#define LENGTHS                                                                                                        \
    "first_prompt: {median: 500, sigma: 0.7}, output: {median: 80, sigma: 0.5}, turn: {median: 60, sigma: 0.4}, "      \
    "turns: {kind: constant, mean: 4}, think_time: {kind: exponential, mean: 20}"

static const char *const generated[] = {
    "{generate: {duration: 400 s, arrivals: {process: poisson, rate: 2/s}, " LENGTHS "}}",
    "{generate: {duration: 400 s, arrivals: {process: gamma, rate: 2/s, cv: 3}, system_tokens: 400, " LENGTHS "}}",
    "{generate: {duration: 400 s, arrivals: {process: regimes, regimes: [{duration: 60 s, rate: 4/s}, {duration: "
    "60 s, rate: 1/s}]}, documents: 5, document_tokens: 3200, " LENGTHS "}}",
};

static void a_seed_says_all(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof generated / sizeof *generated; i++) {
        struct digest a = digest_of(generated[i], 9), b = digest_of(generated[i], 9), c = digest_of(generated[i], 10);
        assert_true(a.hash == b.hash && a.count == b.count);
        assert_true(a.hash != c.hash);
    }
}

/* What the first sessions ask, whatever the rate: paired runs compare the same sessions. */
struct lengths {
    uint32_t prompt[64], output[64];
};
static void take_lengths(void *self, const struct request_spec *spec) {
    struct lengths *lengths = self;
    if (spec->turn == 0 && spec->session < 64) {
        lengths->prompt[spec->session] = spec->prompt_tokens;
        lengths->output[spec->session] = spec->output_tokens;
    }
}

static void sessions_are_the_same_at_any_load(void **state) {
    (void)state;
    struct lengths once = {0}, thrice = {0};
    struct arena *arena = arena_create();
    stream_all(open_text(generated[0], 1, 9, arena), 0.5, 0.02, take_lengths, &once);
    stream_all(open_text(generated[0], 3, 9, arena), 3, 0.1, take_lengths, &thrice);
    arena_destroy(arena);
    assert_true(once.prompt[0] != once.prompt[1]);
    for (int i = 0; i < 64; i++) {
        assert_true(once.prompt[i] > 0);
        assert_int_equal(once.prompt[i], thrice.prompt[i]);
        assert_int_equal(once.output[i], thrice.output[i]);
    }
}

/* A trace has nothing random in it: the seed must not matter. */
static void traces_know_no_seed(void **state) {
    (void)state;
    struct arena *arena = arena_create();
    const char *path = need_trace("agentic", arena);
    const char *text = arena_printf(arena, "{trace: '%s', closed_loop: yes, sessions: 8, duration: 1 h}", path);
    struct digest a = digest_of(text, 1), b = digest_of(text, 2);
    assert_true(a.hash == b.hash && a.count == b.count);
    arena_destroy(arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_seed_says_all),
        cmocka_unit_test(sessions_are_the_same_at_any_load),
        cmocka_unit_test(traces_know_no_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
