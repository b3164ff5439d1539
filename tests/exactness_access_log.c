/* Does a run's access log, replayed, give the same answers? Every registered policy in three tiers of a small run: the
 * same hits, and the same victims in the same order. And: is a spoilt log refused, and is another policy's replay sane?
 */
#include "tests/run_verb.h"

#include "sim/cli/policy.h"
#include "sim/memory/access_log.h"

enum { REQUESTS = 260, TEXTS = 23 };

/* A trace with popular beginnings, returns soon and late, and its own blocks at the end. */
static void put_trace(const char *folder) {
    char path[4096];
    snprintf(path, sizeof path, "%s/small.jsonl", folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    uint64_t dice = 7;
    for (int r = 0; r < REQUESTS; r++) {
        dice = dice * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        unsigned text = (unsigned)(dice >> 33) % TEXTS, blocks = 2 + (unsigned)(dice >> 40) % 7;
        fprintf(file, "{\"timestamp\": %d, \"input_length\": %u, \"output_length\": %u, \"hash_ids\": [", r * 150,
                blocks * 512, 8 + text);
        for (unsigned b = 0; b < blocks; b++)
            fprintf(file, "%s%u", b ? ", " : "", b < 2 ? text % 5 * 10 + b : 1000 + text * 100 + b + r % 3 * 20);
        fputs("]}\n", file);
    }
    assert_int_equal(fclose(file), 0);
}

static const char head[] = "name: log\nmodel: llama-3.1-8b\nnode: hgx-h100\ninstances: 2\n"
                           "serving: {block_tokens: 64, kv_capacity: 0.75 GB, token_budget: 2048%s}\n"
                           "workload: {trace: small.jsonl, format: mooncake}\nvariants:\n";
static const char tiers[] =
    "tiers: [{name: hbm, evict: %s}, {name: dram, capacity: 1 GB, write: fill, evict: %s}, {name: ssd, "
    "capacity: 1.5 GB, write: eviction, evict: %s%s}]}\n";

/* One variant a policy; returns how many. */
static uint32_t put_scenario(const char *folder) {
    char path[4096];
    snprintf(path, sizeof path, "%s/log.yaml", folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file, head, "");
    uint32_t count = 0;
    for (; policy_at(POLICY_EVICT, count); count++) {
        const char *name = policy_at(POLICY_EVICT, count)->name;
        fprintf(file, "  - {name: %s, ", name);
        fprintf(file, tiers, name, name, name, "");
    }
    fputs("  - {name: options, ", file);
    fprintf(file, tiers, "{name: priority, default_priority: 50}", "lru", "arc", ", admit: second-hit");
    fputs("  - {name: swaps, serving: {preemption: swap, kv_capacity: 0.3 GB}, ", file);
    fprintf(file, tiers, "lru", "vllm-arc", "fifo", "");
    assert_int_equal(fclose(file), 0);
    return count + 2;
}

static char folder[] = "/tmp/tiersim-log-XXXXXX";

static void replay_unit(const struct access_file *file, uint32_t u, struct arena *arena, struct access_result *out) {
    const struct access_unit *unit = access_file_unit(file, u);
    struct error err = {0};
    struct node *node;
    const struct policy *policy;
    const void *options;
    assert_int_equal(node_read_text(unit->policy, strlen(unit->policy), "log", arena, &node, &err), 0);
    assert_int_equal(policy_resolve(POLICY_EVICT, node, NULL, arena, &policy, &options, &err), 0);
    access_replay(file, u, (const struct evict_policy *)policy, options, unit->capacity_blocks, out);
}

static void same_answers(void **unused) {
    (void)unused;
    put_trace(folder);
    uint32_t variants = put_scenario(folder);
    struct said said = RUN_VERB(run, folder, "log.yaml", "--access-log", "seen", "--json");
    if (said.code != 0)
        fail_msg("%s", said.err);
    said_free(&said);
    struct arena *arena = arena_create();
    for (uint32_t v = 1; v <= variants; v++) {
        char path[4096];
        struct error err = {0};
        struct access_file *file;
        uint64_t hits = 0, victims = 0;
        snprintf(path, sizeof path, "%s/seen.%u", folder, v);
        if (access_file_read(path, &file, &err) != 0)
            fail_msg("%s", err.text);
        assert_int_equal(access_file_units(file), 4); /* two HBMs, a DRAM, an SSD */
        for (uint32_t u = 0; u < access_file_units(file); u++) {
            struct access_result result;
            replay_unit(file, u, arena, &result);
            const struct access_unit *unit = access_file_unit(file, u);
            if (!result.same)
                fail_msg("%s in %s: %llu hits, %llu victims, logged %llu and %llu; the first %llu are the same",
                         unit->policy, unit->name, (unsigned long long)result.hits, (unsigned long long)result.evicted,
                         (unsigned long long)unit->hits, (unsigned long long)unit->evicted,
                         (unsigned long long)result.as_logged);
            hits += result.hits;
            victims += result.evicted;
        }
        assert_true(hits > 0 && victims > 100);
        access_file_free(file);
    }
    arena_destroy(arena);
}

/* LRU with more room loses less; with room for all, nothing. Clairvoyance needs a run that knew the future. */
static void other_policies(void **unused) {
    (void)unused;
    struct error err = {0};
    const struct evict_policy *lru = (const struct evict_policy *)policy_find(POLICY_EVICT, "lru", &err);
    uint32_t number = 1;
    while (strcmp(policy_at(POLICY_EVICT, number - 1)->name, "lru") != 0)
        number++;
    char path[4096], log[64];
    snprintf(log, sizeof log, "seen.%u", number);
    snprintf(path, sizeof path, "%s/%s", folder, log);
    struct access_file *file;
    assert_int_equal(access_file_read(path, &file, &err), 0);
    const struct access_unit *hbm = access_file_unit(file, 0);
    struct access_result usual, more, all;
    access_replay(file, 0, lru, NULL, hbm->capacity_blocks, &usual);
    access_replay(file, 0, lru, NULL, hbm->capacity_blocks * 2, &more);
    access_replay(file, 0, lru, NULL, 1000000, &all);
    assert_true(usual.same && !more.same && !all.same);
    assert_true(usual.inserted > more.inserted && more.inserted > all.inserted);
    assert_int_equal(all.evicted, 0);
    /* Each logged access is a hit, or comes in. */
    assert_int_equal(usual.hits + usual.inserted, more.hits + more.inserted);
    assert_int_equal(usual.hits + usual.inserted, all.hits + all.inserted);
    access_file_free(file);
    struct said said = RUN_VERB(cache, folder, "--replay-log", log, "--policy", "all", "--json");
    assert_int_equal(said.code, 0);
    assert_non_null(strstr(said.out, "\"same\":true"));
    assert_null(strstr(said.out, "\"belady\""));
    said_free(&said);
    said = RUN_VERB(cache, folder, "--replay-log", log, "--policy", "arc,belady");
    assert_int_equal(said.code, 2);
    assert_non_null(strstr(said.err, "needs what is not known here: future"));
    said_free(&said);
    said = RUN_VERB(cache, folder, "--replay-log", log, "--policy", "arc", "--size", "10,none");
    assert_int_equal(said.code, 2);
    assert_non_null(strstr(said.err, "--size 'none'"));
    said_free(&said);
}

static void spoilt(void **unused) {
    (void)unused;
    static const struct {
        const char *text, *said;
    } cases[] = {
        {"", "this is no access log"},
        {"tiersim-access-log 2\n", "bad:1:1: this is no access log"},
        {"tiersim-access-log 1\n", "the log names no tier"},
        {"tiersim-access-log 1\nunit 0 hbm level 0 capacity 0 seed 1 prefix 1 policy lru\n", "bad:2:"},
        {"tiersim-access-log 1\nunit 0 hbm level 0 capacity 4 seed 1 prefix 1 policy lru\n", "the log breaks off"},
        {"tiersim-access-log 1\nunit 0 hbm level 0 capacity 4 seed 1 prefix 1 policy lru\n1 5 take 1\n",
         "bad:3:2: an op"},
        {"tiersim-access-log 1\nunit 0 hbm level 0 capacity 4 seed 1 prefix 1 policy lru\n0 5 tak 1\n",
         "no such operation"},
        {"tiersim-access-log 1\nunit 0 hbm level 0 capacity 4 seed 1 prefix 1 policy lru\n0 5 release ids 3+\n",
         "has no length"},
        {"tiersim-access-log 1\nunit 0 hbm level 0 capacity 4 seed 1 prefix 1 policy lru\n0 5 insert owner 1\n",
         "'priority' and a whole number"},
        {"tiersim-access-log 1\nunit 0 hbm level 0 capacity 4 seed 1 prefix 1 policy nobody\n"
         "end 0 hits 0 inserted 0 evicted 0\n",
         "nobody"},
        {"tiersim-access-log 1\nunit 0 hbm level 0 capacity 4 seed 1 prefix 1 policy lru\n"
         "costs 0 bytes 64 token 0x1p-3 pair -1 first inf block inf\nend 0 hits 0 inserted 0 evicted 0\n",
         "bad:3:35: seconds are missing"},
        {"tiersim-access-log 1\ncosts 0 bytes 64 token 0x1p-3 pair 0 first inf block inf\n",
         "bad:2:8: the costs of a tier that no line has named"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put_file(folder, "bad", cases[i].text);
        struct said said = RUN_VERB(cache, folder, "--replay-log", "bad");
        assert_int_equal(said.code, 2);
        if (!strstr(said.err, cases[i].said) || !strstr(said.err, "hint:"))
            fail_msg("case %zu said: %s", i, said.err);
        said_free(&said);
    }
    struct said said = RUN_VERB(run, folder, "log.yaml", "--access-log", "no/such/folder");
    assert_int_equal(said.code, 2);
    assert_non_null(strstr(said.err, "cannot write the access log"));
    said_free(&said);
}

int main(void) {
    catalogues_from_here();
    if (!mkdtemp(folder))
        return 1;
    const struct CMUnitTest tests[] = {cmocka_unit_test(same_answers), cmocka_unit_test(other_policies),
                                       cmocka_unit_test(spoilt)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    char command[4200];
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command) != 0 || failed;
}
