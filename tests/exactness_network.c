/* Do transfers take as long as closed forms say? Bandwidths are chosen so that the times are whole ns. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <gsl/gsl_randist.h>

#include "sim/engine/random.h"
#include "sim/memory/network.h"

#define GB UINT64_C(1000000000)
#define MS INT64_C(1000000)
#define US INT64_C(1000)
enum { TAGS = 64 };
enum { R = NETWORK_READ, W = NETWORK_WRITE };

/* A network, and when each tag was done. */
struct bench {
    struct engine *engine;
    struct network *network;
    sim_time done[TAGS];
    unsigned order[TAGS], count;
};

static void note(void *self, uint64_t tag, sim_time now) {
    struct bench *b = self;
    b->done[tag] = now;
    b->order[b->count++] = (unsigned)tag;
    network_audit(b->network);
}

static int set_up(void **state) {
    struct bench *b = calloc(1, sizeof *b);
    b->engine = engine_create(ENGINE_WINNER_TREE);
    b->network = network_create(b->engine, note, b);
    *state = b;
    return 0;
}

static int tear_down(void **state) {
    struct bench *b = *state;
    network_destroy(b->network);
    engine_destroy(b->engine);
    free(b);
    return 0;
}

static uint32_t add(struct bench *b, double bandwidth, double latency_s, bool fifo) {
    struct link_options link = {
        .name = "link", .read = {.bandwidth_bytes_per_s = bandwidth, .latency_s = latency_s}, .fifo = fifo};
    return network_add(b->network, &link);
}

static uint64_t start(struct bench *b, uint64_t tag, uint32_t link, int direction, uint64_t bytes) {
    struct network_hop hop = {link, (enum network_direction)direction};
    return network_start(b->network, &hop, 1, bytes, 1, tag);
}

static void run(struct bench *b) {
    engine_run(b->engine, SIM_NEVER);
    network_audit(b->network);
    assert_int_equal(network_flows(b->network), 0);
}

static void until(struct bench *b, sim_time at) {
    engine_run(b->engine, at);
    network_audit(b->network);
}

static void rate_is(struct bench *b, uint64_t flow, double expected) {
    double rate = network_rate(b->network, flow);
    if (fabs(rate - expected) > 1e-9 * expected)
        fail_msg("%g bytes/s, not %g", rate, expected);
}

/* Does something at a time of its own: starts a flow. */
struct later {
    struct bench *bench;
    uint64_t tag, bytes;
    uint32_t link, source;
    int direction;
    sim_time predicted;
};

static void begin(void *self, sim_time now) {
    (void)now;
    struct later *l = self;
    struct network_hop hop = {l->link, (enum network_direction)l->direction};
    l->predicted = network_predict(l->bench->network, &hop, 1, l->bytes, 1);
    assert_int_equal(l->predicted, network_predict(l->bench->network, &hop, 1, l->bytes, 1)); /* changes nothing */
    start(l->bench, l->tag, l->link, l->direction, l->bytes);
}

static void start_at(struct later *later, sim_time at) {
    later->source = engine_add(later->bench->engine, begin, later);
    engine_set(later->bench->engine, later->source, at);
}

static void lone_transfer_to_the_ns(void **state) {
    struct bench *b = *state;
    uint32_t fast = add(b, 50e9, 3e-6, false), slow = add(b, 25e9, 1e-6, true);
    struct network_hop path[] = {{fast, NETWORK_READ}, {slow, NETWORK_READ}};
    assert_int_equal(network_predict(b->network, path, 2, GB, 10), 40 * MS + 4 * US);
    network_start(b->network, path, 2, GB, 10, 0);
    run(b);
    assert_int_equal(b->done[0], 4 * US + 40 * MS); /* sum of latencies + bytes / least bandwidth */
    /* Not whole ns: upwards. 7 B at 25 GB/s are 0.28 ns. */
    sim_time before = engine_now(b->engine);
    network_start(b->network, path, 2, 7, 1, 1);
    network_start(b->network, path, 1, 0, 1, 2); /* nothing but latency */
    run(b);
    assert_int_equal(b->done[1] - before, 4 * US + 1);
    assert_int_equal(b->done[2] - before, 3 * US);
    before = engine_now(b->engine);
    network_start_after(b->network, path, 1, GB, 1, 17, 3);
    run(b);
    assert_int_equal(b->done[3] - before, 17 + 3 * US + 20 * MS);
    struct network_totals totals = network_totals(b->network, slow, NETWORK_READ);
    assert_int_equal(totals.bytes, GB + 7);
    assert_int_equal(totals.flows, 2);
    assert_int_equal(totals.busy_ns, 40 * MS + 1);
}

/* max(N*submit, L + N*descriptor(size) + S/BW): a copy engine with two regimes of descriptors. */
static void descriptors_and_submissions(void **state) {
    struct bench *b = *state;
    struct link_options dma = {.name = "dma",
                               .read = {.bandwidth_bytes_per_s = 50e9,
                                        .latency_s = 3e-6,
                                        .submit_s = 0.5e-6,
                                        .descriptor_s = 0.1e-6,
                                        .descriptor_small_s = 2e-6,
                                        .descriptor_break_bytes = 28 * 1024},
                               .fifo = true};
    struct network_hop path = {network_add(b->network, &dma), NETWORK_READ};
    static const struct {
        uint64_t bytes;
        uint32_t blocks;
        sim_time expected;
    } cases[] = {
        {1000000000, 1, 3 * US + 100 + 20 * MS},
        {1000000000, 1000, 3 * US + 100 * US + 20 * MS},
        {1000 * 65536, 1000, 3 * US + 100 * US + 1310720},
        {50000 * 25000, 50000, 3 * US + 100 * MS + 25 * MS}, /* below the break */
        {50000 * 500, 50000, 3 * US + 100 * MS + 500 * US},
        {40000, 1, 3 * US + 100 + 800},
    };
    sim_time now = 0;
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(network_predict(b->network, &path, 1, cases[i].bytes, cases[i].blocks) - now,
                         cases[i].expected);
        network_start(b->network, &path, 1, cases[i].bytes, cases[i].blocks, i);
        run(b);
        assert_int_equal(b->done[i] - now, cases[i].expected);
        now = b->done[i];
    }
    /* Large blocks without descriptor cost: what the host submits is what takes longest. */
    dma.read.descriptor_s = 0;
    dma.read.submit_s = 10e-6;
    path.link = network_add(b->network, &dma);
    assert_int_equal(network_predict(b->network, &path, 1, 1000 * 50000, 1000) - now, 10 * MS);
    uint64_t flow = network_start(b->network, &path, 1, 1000 * 50000, 1000, 10);
    until(b, now + 5 * MS); /* the bytes are long there, the blocks land as they are submitted */
    assert_int_equal(network_progress_blocks(b->network, flow, now + 5 * MS), 500);
    run(b);
    assert_int_equal(b->done[10] - now, 10 * MS);
    assert_int_equal(network_totals(b->network, path.link, NETWORK_READ).busy_ns, 1 * MS);
}

/* L + N*s/min(BW, QD*s/L, iops*s), read and write apart. */
static void drives(void **state) {
    struct bench *b = *state;
    struct link_options ssd = {
        .name = "ssd",
        .read = {.bandwidth_bytes_per_s = 8e9, .latency_s = 100e-6, .queue_depth = 32, .io_bytes = 10000, .iops = 1e6},
        .write = {
            .bandwidth_bytes_per_s = 4e9, .latency_s = 20e-6, .queue_depth = 256, .io_bytes = 10000, .iops = 1e5}};
    uint32_t link = network_add(b->network, &ssd);
    start(b, 0, link, R, 320000000); /* 32 * 10 kB / 100 us = 3.2 GB/s: the depth of the queue */
    start(b, 1, link, W, 100000000); /* 1e5 * 10 kB = 1 GB/s: the drive's I/Os */
    run(b);
    assert_int_equal(b->done[0], 100 * US + 100 * MS);
    assert_int_equal(b->done[1], 20 * US + 100 * MS);
    /* Small blocks are small I/Os: 1000 of 1 kB, 32 at a time. Two flows have two queues. */
    struct network_hop path = {link, NETWORK_READ};
    sim_time now = engine_now(b->engine);
    network_start(b->network, &path, 1, 1000000, 1000, 2);
    network_start(b->network, &path, 1, 1000000, 1000, 3);
    run(b);
    assert_int_equal(b->done[2] - now, 100 * US + 3125 * US);
    assert_int_equal(b->done[3], b->done[2]);
    /* Three of 3.2 GB/s exceed the drive's 8. */
    now = engine_now(b->engine);
    for (unsigned i = 4; i < 7; i++)
        start(b, i, link, R, 80000000);
    run(b);
    for (unsigned i = 4; i < 7; i++)
        assert_int_equal(b->done[i] - now, 100 * US + 30 * MS);
}

static void a_link_crossed_twice(void **state) {
    struct bench *b = *state;
    uint32_t dram = add(b, 40e9, 0, false), ssd = add(b, 10e9, 0, false), fast = add(b, 100e9, 0, false);
    struct network_hop staged[] = {{fast, NETWORK_READ}, {dram, NETWORK_READ}, {dram, NETWORK_READ}};
    network_start(b->network, staged, 3, GB, 1, 0);
    run(b);
    assert_int_equal(b->done[0], 50 * MS);
    assert_int_equal(network_totals(b->network, dram, NETWORK_READ).bytes, 2 * GB);
    assert_int_equal(network_totals(b->network, fast, NETWORK_READ).bytes, GB);
    assert_int_equal(network_totals(b->network, ssd, NETWORK_READ).bytes, 0);
}

static void two_equal_flows_take_half_each(void **state) {
    struct bench *b = *state;
    uint32_t link = add(b, 10e9, 2e-6, false);
    uint64_t first = start(b, 0, link, R, GB), second = start(b, 1, link, R, GB);
    until(b, 10 * MS);
    rate_is(b, first, 5e9);
    rate_is(b, second, 5e9);
    run(b);
    assert_int_equal(b->done[0], 2 * US + 200 * MS);
    assert_int_equal(b->done[1], 2 * US + 200 * MS);
    assert_int_equal(network_totals(b->network, link, NETWORK_READ).busy_ns, 200 * MS);
}

/* The second comes when the first is half through: 50 + 100 ms shared; then 50 ms alone. */
static void rates_change_when_a_flow_comes_or_ends(void **state) {
    struct bench *b = *state;
    uint32_t link = add(b, 10e9, 0, false);
    struct later later = {.bench = b, .tag = 1, .bytes = GB, .link = link, .direction = R};
    start_at(&later, 50 * MS);
    start(b, 0, link, R, GB);
    run(b);
    assert_int_equal(b->done[0], 150 * MS);
    assert_int_equal(b->done[1], 200 * MS);
}

/* Bertsekas and Gallager's kind of network: a line of links, a long flow, and locals. */
static void textbook_max_min(void **state) {
    struct bench *b = *state;
    uint32_t a = add(b, 10e9, 0, false), c = add(b, 20e9, 0, false), e = add(b, 6e9, 0, false);
    struct network_hop all[] = {{a, NETWORK_READ}, {c, NETWORK_READ}, {e, NETWORK_READ}};
    uint64_t across = network_start(b->network, all, 3, 100 * GB, 1, 0);
    uint64_t on_a = network_start(b->network, all, 1, 100 * GB, 1, 1);
    uint64_t on_ac = network_start(b->network, all, 2, 100 * GB, 1, 2);
    uint64_t on_c = network_start(b->network, all + 1, 1, 100 * GB, 1, 3);
    uint64_t on_e = network_start(b->network, all + 2, 1, 100 * GB, 1, 4);
    uint64_t on_e2 = network_start(b->network, all + 2, 1, 100 * GB, 1, 5);
    until(b, 0);
    /* e is full at 2 each; then a at 2 + 4 + 4; what is left of c is its local's: 20 - 2 - 4. */
    rate_is(b, across, 2e9);
    rate_is(b, on_e, 2e9);
    rate_is(b, on_e2, 2e9);
    rate_is(b, on_a, 4e9);
    rate_is(b, on_ac, 4e9);
    rate_is(b, on_c, 14e9);
    network_truncate(b->network, on_e, 0); /* under way: it goes on to the end of its only block */
    rate_is(b, on_e, 2e9);
    run(b);
}

static void duplex_caps_both_directions(void **state) {
    struct bench *b = *state;
    struct link_options pcie = {
        .name = "pcie", .read = {.bandwidth_bytes_per_s = 50e9}, .duplex_bytes_per_s = 80e9, .fifo = false};
    uint32_t link = network_add(b->network, &pcie);
    uint64_t read = start(b, 0, link, R, 5 * GB);
    until(b, 0);
    rate_is(b, read, 50e9);
    uint64_t write = start(b, 1, link, W, 4 * GB);
    until(b, 0);
    rate_is(b, read, 40e9);
    rate_is(b, write, 40e9);
    run(b);
    assert_int_equal(b->done[1], 100 * MS);
    assert_int_equal(b->done[0], 120 * MS); /* 4 GB beside the other, 1 GB alone */
    /* Two against one: 80/3 each, and the direction of two has 53 > 50: it is full first, at 25. */
    uint64_t flows[] = {start(b, 2, link, R, GB), start(b, 3, link, R, GB), start(b, 4, link, W, GB)};
    until(b, engine_now(b->engine));
    rate_is(b, flows[0], 25e9);
    rate_is(b, flows[1], 25e9);
    rate_is(b, flows[2], 30e9);
    run(b);
}

static void fifo_serves_in_order(void **state) {
    struct bench *b = *state;
    uint32_t link = add(b, 10e9, 5e-6, true);
    start(b, 0, link, R, 3 * GB);
    start(b, 1, link, R, 1 * GB);
    start(b, 2, link, W, 1 * GB); /* the other engine */
    start(b, 3, link, R, 2 * GB);
    assert_int_equal(network_queued_bytes(b->network, link, NETWORK_READ), 6 * GB);
    struct network_hop hop = {link, NETWORK_READ};
    assert_int_equal(network_predict(b->network, &hop, 1, 4 * GB, 1), 1000 * MS); /* the latency passes in the queue */
    until(b, 5 * US + 100 * MS);
    assert_int_equal(network_queued_bytes(b->network, link, NETWORK_READ), 5 * GB);
    assert_int_equal(network_predict(b->network, &hop, 1, 4 * GB, 1), 5 * US + 1000 * MS);
    run(b);
    assert_int_equal(b->done[2], 5 * US + 100 * MS);
    assert_int_equal(b->done[0], 5 * US + 300 * MS);
    assert_int_equal(b->done[1], 5 * US + 400 * MS);
    assert_int_equal(b->done[3], 5 * US + 600 * MS);
    assert_int_equal(network_totals(b->network, link, NETWORK_READ).busy_ns, 600 * MS);
}

/* Four copy engines behind one bus of 60 GB/s: each gets 15, and their queues wait for it. */
static void fifo_engines_share_a_bus(void **state) {
    struct bench *b = *state;
    uint32_t bus = add(b, 60e9, 0, false);
    struct network_hop path[2] = {{bus, NETWORK_READ}, {0, NETWORK_READ}};
    for (unsigned gpu = 0; gpu < 4; gpu++) {
        path[1].link = add(b, 50e9, 0, true);
        network_start(b->network, path, 2, 3 * GB, 1, gpu);
        network_start(b->network, path, 2, 3 * GB, 1, 4 + gpu);
    }
    until(b, 0);
    /* Behind two at a quarter of the bus, and then alone at 50 GB/s, since nobody comes after it. */
    assert_int_equal(network_predict(b->network, path, 2, 3 * GB, 1), 460 * MS);
    network_start(b->network, path, 2, 3 * GB, 1, 8);
    run(b);
    for (unsigned gpu = 0; gpu < 4; gpu++) {
        assert_int_equal(b->done[gpu], 200 * MS);
        assert_int_equal(b->done[4 + gpu], 400 * MS);
    }
    assert_int_equal(b->done[8], 460 * MS);
}

static void two_fifos_on_a_path(void **state) {
    struct bench *b = *state;
    uint32_t one = add(b, 10e9, 0, true), two = add(b, 10e9, 0, true);
    struct network_hop both[] = {{one, NETWORK_READ}, {two, NETWORK_READ}}, back[] = {both[1], both[0]};
    start(b, 0, one, R, GB);
    start(b, 1, two, R, 2 * GB);
    network_start(b->network, both, 2, GB, 1, 2); /* waits for both; holds its place at the first */
    start(b, 3, one, R, GB);
    network_start(b->network, back, 2, GB, 1, 4);
    run(b);
    assert_int_equal(b->done[0], 100 * MS);
    assert_int_equal(b->done[1], 200 * MS);
    assert_int_equal(b->done[2], 300 * MS);
    assert_int_equal(b->done[3], 400 * MS);
    assert_int_equal(b->done[4], 500 * MS);
}

/* What is predicted for the last of some flows is when it ends. Each end is rounded up to a ns, so a later one
 * may be off by one for each. */
static void predictions_on_one_shared_link(void **state) {
    (void)state;
    static const uint64_t sizes[] = {GB, GB / 10, 3 * GB, GB / 2, GB / 7};
    for (unsigned last = 0; last < 5; last++) {
        void *fresh;
        set_up(&fresh);
        struct bench *b = fresh;
        uint32_t link = add(b, 10e9, 0, false);
        struct later later[5];
        for (unsigned i = 0; i <= last; i++) {
            later[i] = (struct later){.bench = b, .tag = i, .bytes = sizes[i], .link = link, .direction = R};
            start_at(&later[i], i < 3 ? i * 30 * MS : 60 * MS); /* the last ones at once */
        }
        run(b);
        assert_true(llabs(later[last].predicted - b->done[last]) <= last);
        tear_down(&fresh);
    }
}

static void truncation(void **state) {
    struct bench *b = *state;
    uint32_t link = add(b, 10e9, 0, true);
    struct network_hop hop = {link, NETWORK_READ};
    uint64_t flows[4];
    for (unsigned i = 0; i < 4; i++)
        flows[i] = network_start(b->network, &hop, 1, GB, 10, i); /* a block takes 10 ms */
    struct later later = {.bench = b, .tag = 9, .bytes = 0, .link = link, .direction = W};
    start_at(&later, 35 * MS); /* so that the clock stands at 35 ms */
    until(b, 35 * MS);
    assert_int_equal(network_progress_blocks(b->network, flows[0], 35 * MS), 3);
    assert_int_equal(network_progress_blocks(b->network, flows[0], 30 * MS), 3);
    assert_int_equal(network_progress_blocks(b->network, flows[0], 30 * MS - 1), 2);
    assert_int_equal(network_progress_blocks(b->network, flows[0], 99 * MS), 9);
    assert_int_equal(network_progress_blocks(b->network, flows[0], 200 * MS), 10);
    assert_int_equal(network_progress_blocks(b->network, flows[1], 35 * MS), 0);
    assert_true(network_begun(b->network, flows[0]) == 0 && network_begun(b->network, flows[1]) == SIM_NEVER);
    assert_int_equal(network_truncate(b->network, flows[0], 2), 4); /* the fourth is on its way */
    assert_int_equal(network_truncate(b->network, flows[1], 0), 0); /* queued: never begins */
    assert_int_equal(network_truncate(b->network, flows[2], 3), 3);
    assert_int_equal(network_truncate(b->network, flows[2], 7), 3); /* it does not grow again */
    assert_int_equal(network_queued_bytes(b->network, link, NETWORK_READ), 50000000 + 3 * (GB / 10) + GB);
    network_audit(b->network);
    run(b);
    assert_int_equal(b->done[1], 35 * MS);
    assert_int_equal(b->done[0], 40 * MS);
    assert_int_equal(b->done[2], 70 * MS);
    assert_int_equal(b->done[3], 170 * MS);
    assert_int_equal(network_totals(b->network, link, NETWORK_READ).bytes, 17 * (GB / 10));
}

/* Poisson arrivals at one copy engine. The wait of M/D/1 is rho / (2 mu (1 - rho)). */
struct md1 {
    struct engine *engine;
    struct network *network;
    gsl_rng *rng;
    uint32_t link, source, arrived, count;
    double mean_gap_ns, clock;
    sim_time service_ns;
    double waited_ns;
};

static void md1_done(void *self, uint64_t tag, sim_time now) {
    struct md1 *q = self;
    q->waited_ns += (double)(now - (sim_time)tag - q->service_ns);
}

static void md1_arrival(void *self, sim_time now) {
    struct md1 *q = self;
    struct network_hop hop = {q->link, NETWORK_READ};
    network_start(q->network, &hop, 1, GB / 1000, 1, (uint64_t)now);
    if (++q->arrived < q->count) {
        q->clock += gsl_ran_exponential(q->rng, q->mean_gap_ns);
        engine_set(q->engine, q->source, (sim_time)q->clock);
    }
}

static void md1_waiting(void **state) {
    (void)state;
    static const double loads[] = {0.3, 0.5, 0.7};
    for (unsigned i = 0; i < 3; i++) {
        struct md1 q = {.engine = engine_create(ENGINE_WINNER_TREE),
                        .rng = gsl_rng_alloc(random_philox),
                        .count = 1000000,
                        .service_ns = 20 * US,
                        .mean_gap_ns = 20e3 / loads[i]};
        random_seek(q.rng, 1, RANDOM_TEST, i);
        q.network = network_create(q.engine, md1_done, &q);
        struct link_options link = {.name = "dma", .read = {.bandwidth_bytes_per_s = 50e9}, .fifo = true};
        q.link = network_add(q.network, &link);
        q.source = engine_add(q.engine, md1_arrival, &q);
        engine_set(q.engine, q.source, 0);
        engine_run(q.engine, SIM_NEVER);
        double expected = loads[i] * 20e3 / (2 * (1 - loads[i])), waited = q.waited_ns / q.count;
        if (fabs(waited / expected - 1) > 0.01)
            fail_msg("at load %g the mean wait is %.1f ns, M/D/1's is %.1f", loads[i], waited, expected);
        network_destroy(q.network);
        gsl_rng_free(q.rng);
        engine_destroy(q.engine);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
static void nothing(void *self, sim_time now) {
    (void)self, (void)now;
}
/* The clock stands at `at` afterwards, whatever there is to do. */
static void later(struct bench *b, sim_time at) {
    engine_set(b->engine, engine_add(b->engine, nothing, NULL), at);
    until(b, at);
}

/* A drive that reads at 10 GB/s and writes at 5 does either, or both by turns: a read of 10 GB beside a write of 5 GB
 * takes two seconds, not one. */
static void flash_shares_its_time(void **state) {
    struct bench *b = *state;
    struct link_options drive = {.name = "drive",
                                 .read = {.bandwidth_bytes_per_s = 10e9},
                                 .write = {.bandwidth_bytes_per_s = 5e9},
                                 .half_duplex = true};
    uint32_t link = network_add(b->network, &drive);
    start(b, 0, link, R, 10 * GB);
    start(b, 1, link, W, 5 * GB);
    run(b);
    /* Equal rates of 10/3 GB/s: the write is through at 1.5 s, and the read goes on alone. */
    assert_int_equal(b->done[1], 1500 * MS);
    assert_int_equal(b->done[0], 2000 * MS);
    drive.half_duplex = false;
    link = network_add(b->network, &drive);
    start(b, 2, link, R, 10 * GB);
    start(b, 3, link, W, 5 * GB);
    run(b);
    assert_int_equal(b->done[2], 3000 * MS);
    assert_int_equal(b->done[3], 3000 * MS);
}

/* 10 GB at 10 GB/s: four times as slow from 0.5 s to 1.5 s, it moves 5 + 2.5 GB by then. */
static void links_slow_down(void **state) {
    struct bench *b = *state;
    uint32_t link = add(b, 10e9, 0, false);
    start(b, 0, link, R, 10 * GB);
    later(b, 500 * MS);
    network_change(b->network, link, NETWORK_READ, 4, false);
    later(b, 1500 * MS);
    network_change(b->network, link, NETWORK_READ, 1, false);
    run(b);
    assert_int_equal(b->done[0], 1750 * MS);
}

/* Down for a second: what is under way waits, and so does who comes meanwhile, in a queue too. */
static void links_go_down(void **state) {
    struct bench *b = *state;
    for (int fifo = 0; fifo < 2; fifo++) {
        sim_time base = engine_now(b->engine);
        uint32_t link = add(b, 10e9, 0, fifo);
        uint64_t first = start(b, 0, link, R, 10 * GB);
        later(b, base + 500 * MS);
        network_change(b->network, link, NETWORK_READ, 1, true);
        uint64_t second = start(b, 1, link, R, 5 * GB);
        later(b, base + 1500 * MS);
        assert_true(network_rate(b->network, first) == 0 && network_rate(b->network, second) == 0);
        assert_true(network_is_down(b->network, link, NETWORK_READ) &&
                    !network_is_down(b->network, link, NETWORK_WRITE));
        network_change(b->network, link, NETWORK_READ, 1, false);
        run(b);
        assert_int_equal(b->done[0] - base, fifo ? 2000 * MS : 2500 * MS);
        assert_int_equal(b->done[1] - base, 2500 * MS);
    }
}

/* Ended under way, a flow keeps the blocks that have landed: 3 of 10 after 0.35 s of one; also where nothing moves. */
static void flows_are_aborted(void **state) {
    struct bench *b = *state;
    uint32_t link = add(b, 10e9, 0, false);
    for (int down = 0; down < 2; down++) {
        sim_time base = engine_now(b->engine);
        struct network_hop hop = {link, NETWORK_READ};
        uint64_t flow = network_start(b->network, &hop, 1, 10 * GB, 10, 0);
        later(b, base + 350 * MS);
        network_change(b->network, link, NETWORK_READ, 1, down);
        later(b, base + 400 * MS);
        assert_int_equal(network_abort(b->network, flow), down ? 3 : 4);
        run(b);
        assert_int_equal(b->done[0] - base, 400 * MS);
        network_change(b->network, link, NETWORK_READ, 1, false);
    }
    assert_int_equal(network_totals(b->network, link, NETWORK_READ).bytes, 7 * GB);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(lone_transfer_to_the_ns),
        TEST(descriptors_and_submissions),
        TEST(drives),
        TEST(a_link_crossed_twice),
        TEST(two_equal_flows_take_half_each),
        TEST(rates_change_when_a_flow_comes_or_ends),
        TEST(textbook_max_min),
        TEST(duplex_caps_both_directions),
        TEST(fifo_serves_in_order),
        TEST(fifo_engines_share_a_bus),
        TEST(two_fifos_on_a_path),
        TEST(predictions_on_one_shared_link),
        TEST(truncation),
        TEST(flash_shares_its_time),
        TEST(links_slow_down),
        TEST(links_go_down),
        TEST(flows_are_aborted),
        cmocka_unit_test(md1_waiting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
