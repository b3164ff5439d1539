/* Do GPUs that copy at once share their node's stages as max-min says? By hand cases, and one GPU alone as ever. */
#include <math.h>

#include "sim/memory/lone_copy.h"
#include "tests/hierarchy_world.h"
#include "tests/run_verb.h"

/* Four GPUs, two on a switch of 64 GB/s, under a socket. */
static const char node_text[] = "name: small\n"
                                "gpu: h100-sxm\n"
                                "gpus: %u\n"
                                "sockets: %u\n"
                                "switches: %u\n"
                                "links:\n"
                                "  - {name: wire, scope: gpu, read: {bandwidth: 50 GB/s}, source: test}\n"
                                "  - {name: switch, scope: switch, read: {bandwidth: 64 GB/s}, source: test}\n"
                                "  - {name: dram, scope: socket, read: {bandwidth: %u GB/s}, duplex: %u GB/s, source: "
                                "test}\n"
                                "  - {name: ssd, scope: node, read: {bandwidth: 12 GB/s}, fifo: yes, source: test}\n"
                                "paths:\n"
                                "  - {from: dram, to: hbm, via: [dram, switch, wire]}\n"
                                "  - {from: ssd, to: hbm, via: [ssd, 'dram:write', 'dram:read', switch, wire]}\n";

struct by_hand {
    unsigned node_gpus, sockets, switches, dram_gb_per_s, gpus;
    const char *from;
    double gb_per_s[8]; /* of each GPU */
    const char *bound;  /* of the last */
};

static void check(const struct by_hand *hand) {
    struct world world = {.arena = arena_create()};
    struct error err;
    struct shared_gpu gpus[8];
    struct shared_result result;
    char text[2048];
    snprintf(text, sizeof text, node_text, hand->node_gpus, hand->sockets, hand->switches, hand->dram_gb_per_s,
             hand->dram_gb_per_s);
    if (world_read_node(&world, text, &err) != 0)
        fail_msg("%s", err.text);
    struct lone_copy copy = {&world.node, hand->from, "hbm", NULL, 1000000000, 1, COPY_BATCH, 1};
    if (shared_copy_time(&copy, hand->gpus, gpus, &result, &err) != 0)
        fail_msg("%s", err.text);
    double last = 0;
    for (unsigned g = 0; g < hand->gpus; g++) {
        double got = 1.0 / gpus[g].seconds, want = hand->gb_per_s[g]; /* 1 GB each */
        if (fabs(got / want - 1) > 1e-6)
            fail_msg("%u of %u GPUs, %s: GPU %u gets %.4f GB/s, by hand %.4f", hand->gpus, hand->node_gpus, hand->from,
                     g, got, want);
        last = gpus[g].seconds > last ? gpus[g].seconds : last;
    }
    assert_true(fabs(result.bytes_per_s * last / (1e9 * hand->gpus) - 1) < 1e-12);
    assert_string_equal(result.last.hops[result.last.bound].link->name, hand->bound);
    assert_false(result.last.latency_bound);
    arena_destroy(world.arena);
}

static void shares_are_max_min(void **state) {
    (void)state;
    static const struct by_hand cases[] = {
        {4, 1, 2, 100, 1, "dram", {50}, "wire"},
        {4, 1, 2, 100, 2, "dram", {32, 32}, "switch"},
        /* GPU 2 is alone on its switch: 32, 32 and the 36 of the socket that are left; the two then have the switch's
         * 64 still. */
        {4, 1, 2, 100, 3, "dram", {32, 32, 36}, "switch"},
        {4, 1, 2, 100, 4, "dram", {25, 25, 25, 25}, "dram"},
        /* Two sockets of 100: each switch is its socket's own. */
        {4, 2, 2, 100, 4, "dram", {32, 32, 32, 32}, "switch"},
        {4, 2, 2, 100, 3, "dram", {32, 32, 50}, "switch"},
        {8, 2, 4, 100, 8, "dram", {25, 25, 25, 25, 25, 25, 25, 25}, "dram"},
        /* One drive, a queue: the first has it whole. Of the DRAM's duplex 20 a byte takes two. */
        {4, 1, 2, 100, 2, "ssd", {12, 6}, "ssd"},
        {4, 1, 2, 20, 1, "ssd", {10}, "dram"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check(&cases[i]);
}

static void one_of_one_is_the_lone_copy(void **state) {
    (void)state;
    static const char *const apis[] = {"loop", "batch", "kernel"};
    for (int i = 0; i < 6; i++) {
        const char *json = i % 2 ? "--json" : "--blocks=7";
        struct said with = RUN_VERB(transfer, NULL, "--from", "dram", "--to", "hbm", "--node", "hgx-h200", "--bytes",
                                    "64MB", "--api", apis[i / 2], "--gpus", "1", json),
                    without = RUN_VERB(transfer, NULL, "--from", "dram", "--to", "hbm", "--node", "hgx-h200", "--bytes",
                                       "64MB", "--api", apis[i / 2], json);
        assert_int_equal(with.code, EXIT_FINE);
        assert_string_equal(with.out, without.out);
        said_free(&with);
        said_free(&without);
    }
}

static void impossible_numbers_are_refused(void **state) {
    (void)state;
    static const char *const cases[][2] = {{"0", "not a whole number from 1 to 1024"},
                                           {"-2", "not a whole number from 1 to 1024"},
                                           {"2.5", "not a whole number from 1 to 1024"},
                                           {"9", "9 GPUs at once, and node 'hgx-h200' has 8"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char gpus[32];
        snprintf(gpus, sizeof gpus, "--gpus=%s", cases[i][0]);
        struct said said = RUN_VERB(transfer, NULL, "--from=dram", "--to=hbm", "--node=hgx-h200", "--bytes=64MB", gpus);
        assert_int_equal(said.code, EXIT_BAD_INPUT);
        assert_non_null(strstr(said.err, cases[i][1]));
        assert_non_null(strstr(said.err, "\n  hint: "));
        said_free(&said);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(shares_are_max_min),
                                       cmocka_unit_test(one_of_one_is_the_lone_copy),
                                       cmocka_unit_test(impossible_numbers_are_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
