/* Over thousands of random networks: does every flow end once, is every byte counted once, is no link ever more than
 * full, and is every rate max-min fair at every moment (network_audit)? Is what a watcher is told of rates what was
 * carried, and does watching change nothing? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <gsl/gsl_rng.h>

#include "sim/engine/random.h"
#include "sim/memory/network.h"

enum { LINKS_MAX = 8, FLOWS_MAX = 120 };

struct flow_fact {
    struct network_hop path[6];
    uint32_t hops, blocks, whole_blocks; /* as truncated, as submitted */
    uint64_t bytes, id, landed_bytes;
    sim_time started, ended, lone_ns;
    bool live;
};

struct scenario {
    struct engine *engine;
    struct network *network;
    gsl_rng *rng;
    uint32_t links, driver, flows, started, ended, most;
    double bandwidth[LINKS_MAX][2], latency_s[LINKS_MAX][2];
    double rate[LINKS_MAX][2], moved[LINKS_MAX][2]; /* as told, and its integral up to `since` */
    sim_time since[LINKS_MAX][2];
    bool watched;
    struct flow_fact fact[FLOWS_MAX];
    uint64_t hash;
};

static uint32_t pick(struct scenario *s, uint32_t below) {
    return (uint32_t)gsl_rng_uniform_int(s->rng, below);
}

/* 1 to 2^powers, each magnitude equally likely. */
static double magnitude(struct scenario *s, int powers) {
    double value = 1 + gsl_rng_uniform(s->rng);
    for (uint32_t i = pick(s, (uint32_t)powers); i > 0; i--)
        value *= 2;
    return value;
}

static struct link_direction random_direction(struct scenario *s) {
    struct link_direction d = {.bandwidth_bytes_per_s = 1e9 * magnitude(s, 7)};
    if (pick(s, 2))
        d.latency_s = 1e-7 * magnitude(s, 10);
    if (pick(s, 4) == 0) {
        d.descriptor_s = 1e-8 * magnitude(s, 8);
        d.descriptor_small_s = 1e-7 * magnitude(s, 8);
        d.descriptor_break_bytes = pick(s, 100000);
    }
    if (pick(s, 6) == 0)
        d.submit_s = 1e-7 * magnitude(s, 6);
    if (d.latency_s > 0 && pick(s, 4) == 0) {
        d.queue_depth = 1 + pick(s, 64);
        d.io_bytes = pick(s, 2) ? 4096 * magnitude(s, 6) : 0;
        d.iops = pick(s, 2) ? 1e5 * magnitude(s, 5) : 0;
    }
    return d;
}

static void add_links(struct scenario *s) {
    s->links = 1 + pick(s, LINKS_MAX);
    for (uint32_t i = 0; i < s->links; i++) {
        struct link_options link = {.name = "link", .read = random_direction(s)};
        link.write = pick(s, 2) ? link.read : random_direction(s);
        link.fifo = pick(s, 3) == 0;
        double r = link.read.bandwidth_bytes_per_s, w = link.write.bandwidth_bytes_per_s;
        if (pick(s, 3) == 0)
            link.duplex_bytes_per_s = (r > w ? r : w) * (1 + gsl_rng_uniform(s->rng));
        assert_int_equal(network_add(s->network, &link), i);
        s->bandwidth[i][0] = r;
        s->bandwidth[i][1] = w;
        s->latency_s[i][0] = link.read.latency_s;
        s->latency_s[i][1] = link.write.latency_s;
    }
}

static void start_one(struct scenario *s, sim_time now) {
    struct flow_fact *f = &s->fact[s->started];
    f->hops = 1 + pick(s, 4);
    double latency = 0, narrowest = 1e300;
    for (uint32_t h = 0; h < f->hops; h++) {
        f->path[h] = (struct network_hop){pick(s, s->links), pick(s, 3) ? NETWORK_READ : NETWORK_WRITE};
        latency += s->latency_s[f->path[h].link][f->path[h].direction];
        double bandwidth = s->bandwidth[f->path[h].link][f->path[h].direction];
        narrowest = bandwidth < narrowest ? bandwidth : narrowest;
    }
    f->bytes = pick(s, 30) == 0 ? pick(s, 3) : (uint64_t)(1000 * magnitude(s, 14));
    f->blocks = f->whole_blocks = 1 + pick(s, pick(s, 2) ? 4 : 300);
    f->landed_bytes = f->bytes;
    f->started = now;
    f->lone_ns = (sim_time)((latency + (double)f->bytes / narrowest) * 1e9);
    f->live = true;
    assert_true(network_predict(s->network, f->path, f->hops, f->bytes, f->blocks) >= now + f->lone_ns);
    f->id = network_start(s->network, f->path, f->hops, f->bytes, f->blocks, s->started++);
    uint32_t live = network_flows(s->network);
    s->most = live > s->most ? live : s->most;
}

static void truncate_one(struct scenario *s) {
    struct flow_fact *f = &s->fact[pick(s, s->started)];
    if (!f->live)
        return;
    uint32_t wanted = pick(s, f->blocks + 1), before = f->blocks;
    uint32_t landed = network_progress_blocks(s->network, f->id, engine_now(s->engine));
    f->blocks = network_truncate(s->network, f->id, wanted);
    assert_true(f->blocks <= before && f->blocks >= landed && (f->blocks >= wanted || wanted > before));
    if (f->blocks < before) {
        /* Whole blocks, counted in whole bytes upwards. */
        f->landed_bytes = (f->bytes * f->blocks + f->whole_blocks - 1) / f->whole_blocks;
        f->lone_ns = 0;
    }
}

static void on_done(void *self, uint64_t tag, sim_time now) {
    struct scenario *s = self;
    struct flow_fact *f = &s->fact[tag];
    assert_true(f->live && tag < s->started);
    assert_int_equal(network_progress_blocks(s->network, f->id, now), f->blocks);
    f->live = false;
    f->ended = now;
    s->ended++;
    assert_true(now - f->started >= f->lone_ns);
    s->hash = (s->hash ^ tag) * UINT64_C(0x9e3779b97f4a7c15) + (uint64_t)now;
    if (s->started < s->flows && pick(s, 3) == 0) /* one follows from another */
        start_one(s, now);
}

static void on_moved(void *self, uint32_t link, enum network_direction way, sim_time now, double bytes_per_s) {
    struct scenario *s = self;
    assert_true(link < s->links && now == engine_now(s->engine) && now >= s->since[link][way]);
    assert_true(bytes_per_s != s->rate[link][way]);
    assert_true(bytes_per_s >= 0 && bytes_per_s <= s->bandwidth[link][way] * (1 + 1e-9));
    s->moved[link][way] += s->rate[link][way] * ((double)(now - s->since[link][way]) * 1e-9);
    s->since[link][way] = now;
    s->rate[link][way] = bytes_per_s;
}

static void drive(void *self, sim_time now) {
    struct scenario *s = self;
    network_audit(s->network);
    for (uint32_t n = 1 + pick(s, 4); n > 0 && s->started < s->flows; n--)
        start_one(s, now);
    if (pick(s, 3) == 0)
        truncate_one(s);
    network_audit(s->network);
    if (s->started < s->flows)
        engine_set(s->engine, s->driver, now + (pick(s, 4) ? (sim_time)(100 * magnitude(s, 12)) : 0));
}

static void check_bytes(const struct scenario *s) {
    uint64_t expected[LINKS_MAX][2] = {{0}};
    for (uint32_t i = 0; i < s->flows; i++)
        for (uint32_t h = 0; h < s->fact[i].hops; h++)
            expected[s->fact[i].path[h].link][s->fact[i].path[h].direction] += s->fact[i].landed_bytes;
    sim_time now = engine_now(s->engine);
    for (uint32_t l = 0; l < s->links; l++)
        for (int d = 0; d < 2; d++) {
            struct network_totals t = network_totals(s->network, l, (enum network_direction)d);
            assert_true(t.bytes == expected[l][d]);
            assert_true(t.busy_ns <= now && t.flows <= s->flows);
            assert_true((double)t.bytes <= t.bandwidth_bytes_per_s * ((double)t.busy_ns * 1e-9) * (1 + 1e-9) + 1e-3);
            assert_int_equal(network_queued_bytes(s->network, l, (enum network_direction)d), 0);
            if (!s->watched)
                continue;
            /* Each flow ends at the whole ns after its last byte. */
            double slack = (double)t.flows * (t.bandwidth_bytes_per_s * 1e-9 + 1e-3) + 1e-9 * (double)t.bytes;
            assert_true(s->rate[l][d] == 0 && s->moved[l][d] >= (double)t.bytes - slack);
            assert_true(s->moved[l][d] <= (double)t.bytes + slack);
        }
}

static uint64_t play(uint64_t entity, enum engine_queue queue, bool watched, uint32_t *most) {
    struct scenario *s = calloc(1, sizeof *s);
    s->engine = engine_create(queue);
    s->rng = gsl_rng_alloc(random_philox);
    random_seek(s->rng, 5, RANDOM_TEST, entity);
    s->network = network_create(s->engine, on_done, s);
    s->driver = engine_add(s->engine, drive, s);
    add_links(s);
    s->watched = watched;
    if (watched)
        network_watch(s->network, on_moved, s);
    s->flows = 1 + pick(s, FLOWS_MAX);
    engine_set(s->engine, s->driver, 0);
    engine_run(s->engine, SIM_NEVER);
    network_audit(s->network);
    assert_int_equal(s->ended, s->flows);
    assert_int_equal(network_flows(s->network), 0);
    check_bytes(s);
    uint64_t hash = s->hash ^ engine_order_hash(s->engine);
    *most = s->most > *most ? s->most : *most;
    network_destroy(s->network);
    engine_destroy(s->engine);
    gsl_rng_free(s->rng);
    free(s);
    return hash;
}

static void random_scenarios_balance(void **state) {
    (void)state;
    uint32_t most = 0;
    for (uint64_t i = 0; i < 3000; i++)
        play(i, ENGINE_WINNER_TREE, true, &most);
    assert_true(most > 40); /* many at once were among them */
}

static void the_same_again_and_on_the_other_queue(void **state) {
    (void)state;
    uint32_t most = 0;
    for (uint64_t i = 0; i < 100; i++) {
        uint64_t hash = play(i, ENGINE_WINNER_TREE, false, &most);
        assert_true(hash == play(i, ENGINE_WINNER_TREE, true, &most));
        assert_true(hash == play(i, ENGINE_BINARY_HEAP, false, &most));
        assert_true(hash != play(i + 1, ENGINE_WINNER_TREE, false, &most));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_scenarios_balance),
        cmocka_unit_test(the_same_again_and_on_the_other_queue),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
