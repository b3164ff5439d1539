/* Does every file of configs/ read onto its table, and does every node carry bytes between all its tiers? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "models/arch.h"
#include "models/cost.h"
#include "models/hardware.h"
#include "models/profile.h"
#include "sim/config/read.h"
#include "sim/memory/topology.h"
#include "sim/workload/options.h"

static struct arena *arena;

static int begin(void **state) {
    (void)state;
    arena = arena_create();
    return 0;
}
static int finish(void **state) {
    (void)state;
    arena_destroy(arena);
    return 0;
}

static void *entry(const char *folder, const char *name, const struct option *table, size_t size) {
    const char *path;
    struct node *node;
    struct error err;
    void *out = arena_alloc(arena, size);
    if (catalogue_find(folder, name, (struct place){0}, arena, &path, &err) != 0 ||
        node_read_file(path, arena, &node, &err) != 0 || options_read(node, table, out, arena, &err) != 0)
        fail_msg("%s", err.text);
    return out;
}

/* An entry is found by its file's name, so that is its name; and what is printed of it reads back. */
static void catalogue(const char *folder, const struct option *table, size_t size, size_t name_at) {
    struct list names = catalogue_names(folder, arena);
    assert_true(names.count > 0);
    for (size_t i = 0; i < names.count; i++) {
        const char *name = ((const char *const *)names.items)[i];
        const char *out = entry(folder, name, table, size);
        if (name_at != SIZE_MAX)
            assert_string_equal(*(const char *const *)(const void *)(out + name_at), name);
    }
}

static void catalogues(void **state) {
    (void)state;
    catalogue("nodes", node_options_table, sizeof(struct node_options), offsetof(struct node_options, name));
    catalogue("hardware", gpu_options, sizeof(struct gpu), offsetof(struct gpu, name));
    catalogue("models", arch_options, sizeof(struct arch), offsetof(struct arch, name));
    catalogue("profiles", kernel_profile_options, sizeof(struct kernel_profile), SIZE_MAX);
    catalogue("engines", engine_profile_options, sizeof(struct engine_profile), SIZE_MAX);
    catalogue("connectors", connector_profile_options, sizeof(struct connector_profile), SIZE_MAX);
    catalogue("prices", prices_options, sizeof(struct prices), SIZE_MAX);
    catalogue("workloads", workload_option_table, sizeof(struct workload_options), SIZE_MAX);
}

static void printing_files(void **state) {
    (void)state;
    static const char *const folders[] = {"nodes",  "hardware",  "models",   "profiles",
                                          "prices", "workloads", "scenarios"};
    for (size_t f = 0; f < sizeof folders / sizeof *folders; f++) {
        struct list names = catalogue_names(folders[f], arena);
        for (size_t i = 0; i < names.count; i++) {
            const char *path;
            struct node *node, *again;
            struct error err;
            const char *name = ((const char *const *)names.items)[i];
            assert_int_equal(catalogue_find(folders[f], name, (struct place){0}, arena, &path, &err), 0);
            if (node_read_file(path, arena, &node, &err) != 0)
                fail_msg("%s", err.text);
            const char *text = node_print(node, arena);
            if (node_read_text(text, strlen(text), "printed", arena, &again, &err) != 0)
                fail_msg("%s: %s", path, err.text);
            assert_string_equal(node_print(again, arena), text);
        }
    }
}

/* The tiers that a node's paths lead to, HBM first, in the order of the catalogue's names. */
static struct list tiers_of(const struct node_options *node, int write, const char *variant) {
    static const char *const usual[] = {"hbm", "dram", "ssd", "flash", "peer", "object"};
    struct tier_options *tiers = arena_alloc(arena, 6 * sizeof *tiers);
    size_t count = 0;
    const struct node_path *paths = node->paths.items;
    for (size_t t = 0; t < 6; t++) {
        bool known = t == 0, has_variant = false;
        for (size_t p = 0; p < node->paths.count; p++)
            if (strcmp(paths[p].from, usual[t]) == 0) {
                known |= strcmp(paths[p].to, "hbm") == 0 && !paths[p].name;
                has_variant |= variant && paths[p].name && strcmp(paths[p].name, variant) == 0;
            }
        if (known)
            tiers[count++] = (struct tier_options){.name = usual[t],
                                                   .scope = t == 0 ? SCOPE_INSTANCE : SCOPE_NODE,
                                                   .capacity_bytes = 1e12,
                                                   .write = write,
                                                   .path = has_variant ? variant : NULL,
                                                   .format_ratio = 1};
    }
    return (struct list){tiers, count};
}

static void nodes_join_their_tiers(void **state) {
    (void)state;
    struct list names = catalogue_names("nodes", arena);
    static const char *const variants[] = {NULL, "direct", "staged", "nvlink"};
    for (size_t i = 0; i < names.count; i++) {
        const char *name = ((const char *const *)names.items)[i];
        struct node_options *node = entry("nodes", name, node_options_table, sizeof *node);
        entry("hardware", node->gpu, gpu_options, sizeof(struct gpu));
        for (int write = WRITE_NONE; write <= WRITE_EVICTION; write++)
            for (size_t v = 0; v < sizeof variants / sizeof *variants; v++) {
                struct list tiers = tiers_of(node, write, variants[v]);
                struct error err;
                if (topology_check(node, &tiers, &err) != 0)
                    fail_msg("%s: %s", name, err.text);
                assert_int_equal(tiers.count, 6);
            }
    }
}

/* Bytes leave a tier over its own device and reach HBM over the GPU's side of the bus; the way back is the reverse. */
static void paths_are_physical(void **state) {
    (void)state;
    struct list names = catalogue_names("nodes", arena);
    for (size_t i = 0; i < names.count; i++) {
        const char *name = ((const char *const *)names.items)[i];
        struct node_options *node = entry("nodes", name, node_options_table, sizeof *node);
        struct list tiers = tiers_of(node, WRITE_FILL, NULL);
        const struct tier_options *tier = tiers.items;
        struct topology_hop up[TOPOLOGY_HOPS_MAX], down[TOPOLOGY_HOPS_MAX];
        const struct node_path *path;
        for (uint32_t t = 1; t < tiers.count; t++) {
            uint32_t hops = topology_hops(node, &tiers, t, 0, up, &path);
            assert_true(hops > 0 && topology_hops(node, &tiers, 0, t, down, NULL) == hops);
            assert_string_equal(up[0].link->name, tier[t].name);
            assert_int_equal(up[0].direction, NETWORK_READ);
            assert_int_equal(up[hops - 1].link->scope, SCOPE_GPU);
            for (uint32_t h = 0; h < hops; h++) {
                assert_ptr_equal(up[h].link, down[hops - 1 - h].link);
                assert_int_not_equal(up[h].direction, down[hops - 1 - h].direction);
            }
            /* What is staged in DRAM is written there and read again. */
            uint32_t crossed = 0;
            for (uint32_t h = 0; h < hops; h++)
                crossed += strcmp(up[h].link->name, "dram") == 0;
            assert_int_equal(crossed, strcmp(tier[t].name, "dram") == 0 ? 1 : 2 * path->stages.count);
        }
    }
}

static void links_say_where_they_are_from(void **state) {
    (void)state;
    struct list names = catalogue_names("nodes", arena);
    for (size_t i = 0; i < names.count; i++) {
        struct node_options *node =
            entry("nodes", ((const char *const *)names.items)[i], node_options_table, sizeof *node);
        struct node_link *links = node->links.items;
        for (size_t k = 0; k < node->links.count; k++) {
            struct error err;
            assert_int_equal(link_check(&links[k].link, links[k].at, &err), 0);
            assert_true(strlen(links[k].link.source) > 10);
            assert_true(links[k].link.peak_bytes_per_s >= links[k].link.read.bandwidth_bytes_per_s);
            if (strstr(links[k].link.source, "from memory"))
                assert_int_not_equal(links[k].link.basis, BASIS_MEASURED);
        }
    }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, finish)
    const struct CMUnitTest tests[] = {TEST(catalogues), TEST(printing_files), TEST(nodes_join_their_tiers),
                                       TEST(paths_are_physical), TEST(links_say_where_they_are_from)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
