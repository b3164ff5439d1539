/* Is a node or a list of tiers that makes no sense refused, at its place and with the remedy? */
#include "sim/memory/lone_copy.h"
#include "tests/hierarchy_world.h"

static const char links[] = "name: small\n"
                            "gpu: h100-sxm\n"
                            "gpus: 8\n"
                            "links:\n"
                            "  - {name: wire, scope: gpu, read: {bandwidth: 1 GB/s}, source: test}\n"
                            "  - {name: dram, scope: socket, read: {bandwidth: 8 GB/s}, source: test}\n"
                            "paths:\n";
static const char dram_path[] = "  - {from: dram, to: hbm, via: [dram, wire]}\n";

/* What topology_check, or reading before it, says of the two; "" when nothing. */
static const char *complaint(const char *node, const char *tiers) {
    static struct error err;
    struct world world = {.arena = arena_create()};
    err.text[0] = 0;
    if (world_read_node(&world, node, &err) == 0 && world_read_tiers(&world, tiers, &err) == 0 &&
        topology_check(&world.node, &world.tiers, &err) == 0)
        err.text[0] = 0;
    arena_destroy(world.arena);
    return err.text;
}

static void refused(const char *node, const char *tiers, const char *place, const char *what) {
    const char *text = complaint(node, tiers);
    if (strncmp(text, place, strlen(place)) != 0 || !strstr(text, what) || !strstr(text, "\n  hint: "))
        fail_msg("expected '%s ... %s' with a hint, got '%s'", place, what, text);
}

static char *joined(const char *a, const char *b) {
    static char text[4096];
    snprintf(text, sizeof text, "%s%s", a, b);
    return text;
}

static void what_makes_sense_is_taken(void **state) {
    (void)state;
    assert_string_equal(complaint(joined(links, dram_path), "tiers: [{name: hbm}, {name: dram, capacity: 1 TB}]"), "");
    assert_string_equal(complaint(joined(links, dram_path), "tiers: [{name: hbm}]"), "");
}

static void paths_and_links_are_checked(void **state) {
    (void)state;
    const char *tiers = "tiers: [{name: hbm}, {name: dram, capacity: 1 TB}]";
    refused(joined(links, "  - {from: dram, to: hbm, via: [dram, wird]}\n"), tiers,
            "node.yaml:8:", "goes over 'wird', and the node has no such link\n  hint: did you mean 'wire'?");
    refused(joined(links, "  - {from: dram, to: hbm, via: [dram, 'wire:up']}\n"), tiers,
            "node.yaml:8:", "no such link");
    refused(joined(links, "  - {from: dram, to: hbm, via: []}\n"), tiers, "node.yaml:8:", "names 0 links");
    refused(joined(links, "  - {from: dram, to: dram, via: [dram]}\n"), tiers, "node.yaml:8:", "from 'dram' to itself");
    refused(joined(links, "  - {from: dram, to: hbm, via: [wire, wire, wire, wire, wire, wire, wire, wire, wire, wire, "
                          "wire, wire, wire, wire, wire, wire, wire]}\n"),
            tiers, "node.yaml:8:", "names 17 links");
    refused("name: a\ngpu: b\ngpus: 1\nlinks: []\npaths: []\n", tiers, "node 'a' has no links", "");
    refused("name: a\ngpu: b\ngpus: 1\nlinks:\n  - {name: w, scope: gpu, read: {bandwidth: 1 GB/s}, source: x}\n  - "
            "{name: w, scope: gpu, read: {bandwidth: 1 GB/s}, source: x}\npaths: []\n",
            tiers, "node.yaml:6:", "link 'w' is there twice");
    refused("name: a\ngpu: b\ngpus: 1\nlinks:\n  - {name: 'w:x', scope: gpu, read: {bandwidth: 1 GB/s}, source: "
            "x}\npaths: []\n",
            tiers, "node.yaml:5:", "holds a colon");
    refused(
        "name: a\ngpu: b\ngpus: 1\nlinks:\n  - {name: w, scope: gpu, read: {latency: 1 us}, source: x}\npaths: []\n",
        tiers, "node.yaml:5:", "no bandwidth");
    refused(
        "name: a\ngpu: b\ngpus: 1\nlinks:\n  - {name: w, scope: gpu, read: {bandwidth: 64 GB}, source: x}\npaths: []\n",
        tiers, "node.yaml:5:", "GB");
    refused("name: a\ngpu: b\ngpus: 1\nlinks:\n  - {name: w, scope: rack, read: {bandwidth: 1 GB/s}, source: "
            "x}\npaths: []\n",
            tiers, "node.yaml:5:", "rack");
}

static void tiers_are_checked(void **state) {
    (void)state;
    const char *node = strdup(joined(links, dram_path));
    refused(node, "tiers: [{name: dram, capacity: 1 TB}]", "tiers.yaml:1:", "the first tier must be hbm");
    refused(node, "tiers:\n  - {name: hbm}\n  - {name: dram}\n", "tiers.yaml:3:", "tier 'dram' has no capacity");
    refused(node, "tiers:\n  - {name: hbm}\n  - {name: dram, capacity: 1 TB}\n  - {name: dram, capacity: 1 TB}\n",
            "tiers.yaml:4:", "is there twice");
    refused(node, "tiers:\n  - {name: hbm}\n  - {name: ssd, capacity: 1 TB}\n",
            "tiers.yaml:3:", "no path from 'ssd' to 'hbm'\n  hint: add {from: ssd, to: hbm, via: [...]}");
    refused(node, "tiers:\n  - {name: hbm}\n  - {name: dram, capacity: 1 TB, scope: gpu}\n",
            "tiers.yaml:3:", "cannot have scope gpu");
    refused(node, "tiers:\n  - {name: hbm}\n  - {name: dram, capacity: 1 TB, write_from: ssd}\n",
            "tiers.yaml:3:", "written from 'ssd', which is not there");
    refused(node, "tiers:\n  - {name: hbm}\n  - {name: dram, capacity: 1 TB, write_from: dram}\n",
            "tiers.yaml:3:", "which is not above it");
    refused(node, "tiers:\n  - {name: hbm}\n  - {name: dram, capacity: 1 TB, path: direct}\n",
            "tiers.yaml:3:", "no path 'direct' of tier 'dram'");
    refused(node, "tiers:\n  - {name: hbm}\n  - {name: dram, capacity: 1 TB, write: fil}\n", "tiers.yaml:3:", "fill");
    refused(node, "tiers:\n  - {name: hbm}\n  - {name: dram, capacity: 1 TB/s}\n", "tiers.yaml:3:", "1 TB/s");
    refused(node, "tiers:\n  - {name: hbm}\n  - {name: dram, capacity: 1 TB, format_ratio: 0}\n",
            "tiers.yaml:3:", "format_ratio");
    free((char *)node);
    node = strdup(
        joined(links, "  - {from: dram, to: hbm, via: [dram, wire]}\n  - {from: ssd, to: hbm, via: [dram, wire]}\n"));
    refused(
        node,
        "tiers:\n  - {name: hbm}\n  - {name: dram, capacity: 1 TB}\n  - {name: ssd, capacity: 1 TB, write: eviction}\n",
        "tiers.yaml:4:", "no path from 'dram' to 'ssd'");
    refused(node,
            "tiers:\n  - {name: hbm}\n  - {name: dram, capacity: 1 TB}\n  - {name: ssd, capacity: 1 TB, write: "
            "completion, write_from: dram}\n",
            "tiers.yaml:4:", "at completion from 'dram'");
    free((char *)node);
}

static void copies_that_cannot_be_are_refused(void **state) {
    (void)state;
    struct world world = {.arena = arena_create()};
    struct error err;
    struct lone_result result;
    assert_int_equal(world_read_node(&world, joined(links, dram_path), &err), 0);
    const struct {
        struct lone_copy copy;
        const char *what;
    } cases[] = {
        {{&world.node, "ssd", "hbm", NULL, 100, 1, COPY_BATCH, 1},
         "no path from 'ssd' to 'hbm'\n  hint: it has dram-hbm"},
        {{&world.node, "dram", "hbm", "direct", 100, 1, COPY_BATCH, 1}, "no path direct from 'dram' to 'hbm'"},
        {{&world.node, "dram", "dram", NULL, 100, 1, COPY_BATCH, 1}, "no path from 'dram' to 'dram'"},
        {{&world.node, "dram", "hbm", NULL, 100, 101, COPY_BATCH, 1}, "101 blocks of 100 bytes"},
        {{&world.node, "dram", "hbm", NULL, 100, 1, COPY_LOOP, 1}, "no copy engine that copies by single calls"},
        {{&world.node, "dram", "hbm", NULL, 100, 1, COPY_KERNEL, 1}, "no copy engine that copies by kernels"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(lone_copy_time(&cases[i].copy, &result, &err), -1);
        if (!strstr(err.text, cases[i].what) || !strstr(err.text, "\n  hint: "))
            fail_msg("expected '%s', got '%s'", cases[i].what, err.text);
    }
    arena_destroy(world.arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_makes_sense_is_taken), cmocka_unit_test(paths_and_links_are_checked),
        cmocka_unit_test(tiers_are_checked), cmocka_unit_test(copies_that_cannot_be_are_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
