/* Do exclusive tiers hold what the tier above has lost, and nothing twice? A run that recounts at each step (--audit);
 * hits between those of HBM alone and of one cache as large as both; and the settings that cannot work are refused. */
#include "tests/run_verb.h"

enum { REQUESTS = 400, TEXTS = 40 };

static char folder[] = "/tmp/tiersim-exclusive-XXXXXX";

/* Far apart, so that no two requests meet: what is found is a matter of capacity alone. */
static void put_trace(void) {
    char path[4096];
    snprintf(path, sizeof path, "%s/far.jsonl", folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    uint64_t dice = 11;
    for (int r = 0; r < REQUESTS; r++) {
        dice = dice * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        unsigned text = (unsigned)(dice >> 33) % TEXTS;
        text = text * text / TEXTS; /* some more often than others */
        fprintf(file,
                "{\"timestamp\": %d, \"input_length\": 2048, \"output_length\": 2, \"hash_ids\": [%u, %u, %u, %u]}\n",
                r * 5000, 4 * text, 4 * text + 1, 4 * text + 2, 4 * text + 3);
    }
    assert_int_equal(fclose(file), 0);
}

static const char scenario[] =
    "name: exclusive\nmodel: llama-3.1-8b\nnode: hgx-h100\ninstances: 1\n"
    "serving: {block_tokens: 512, kv_capacity: 1.4 GB}\nworkload: {trace: far.jsonl, format: mooncake}\nvariants:\n"
    "  - {name: alone, tiers: [{name: hbm}]}\n"
    "  - {name: exclusive, tiers: [{name: hbm}, {name: dram, scope: instance, capacity: 2.8 GB, write: eviction, "
    "inclusion: exclusive}]}\n"
    "  - {name: three, tiers: [{name: hbm}, {name: dram, scope: instance, capacity: 1.4 GB, write: eviction, "
    "inclusion: "
    "exclusive}, {name: ssd, scope: instance, capacity: 1.4 GB, write: eviction, inclusion: exclusive}]}\n"
    "  - {name: inclusive, tiers: [{name: hbm}, {name: dram, scope: instance, capacity: 2.8 GB, write: fill}]}\n"
    "  - {name: large, serving: {kv_capacity: 4.2 GB}, tiers: [{name: hbm}]}\n"
    "  - {name: smaller, serving: {kv_capacity: 3.65 GB}, tiers: [{name: hbm}]}\n";

/* All prompt tokens that were read, of variant `name`. */
static int64_t hits_of(const char *out, const char *name) {
    char key[64];
    snprintf(key, sizeof key, "{\"name\":\"%s\"", name);
    const char *at = strstr(out, key);
    assert_non_null(at);
    at = strstr(at, "\"hit_tokens\":{");
    assert_non_null(at);
    int64_t sum = 0;
    for (at += 14; *at != '}'; at++)
        if (*at == ':')
            sum += strtoll(at + 1, NULL, 10);
    return sum;
}

static void as_one_cache(void **unused) {
    (void)unused;
    put_trace();
    put_file(folder, "exclusive.yaml", scenario);
    struct said said = RUN_VERB(run, folder, "exclusive.yaml", "--audit", "--json");
    if (said.code != 0)
        fail_msg("%s", said.err);
    int64_t alone = hits_of(said.out, "alone"), exclusive = hits_of(said.out, "exclusive"),
            three = hits_of(said.out, "three"), inclusive = hits_of(said.out, "inclusive"),
            large = hits_of(said.out, "large"), smaller = hits_of(said.out, "smaller");
    /* LRU above LRU is one LRU stack, but for the room that a load takes before its source is dropped: a request's four
     * blocks and what it makes above them go down first. */
    print_message(
        "hit tokens: alone %lld, inclusive %lld, exclusive %lld, in three %lld, one cache of all %lld, of all "
        "less 8 blocks %lld\n",
        (long long)alone, (long long)inclusive, (long long)exclusive, (long long)three, (long long)large,
        (long long)smaller);
    assert_true(alone < inclusive && inclusive < exclusive);
    assert_true(smaller <= exclusive && exclusive <= large);
    assert_true(inclusive < three && three <= large);
    said_free(&said);
}

static void refused(void **unused) {
    (void)unused;
    static const struct {
        const char *set, *said;
    } cases[] = {
        {"variants.1.tiers.dram.write=fill", "exclusive, and would lose a block for good"},
        {"variants.1.tiers.dram.write=none", "exclusive, and would lose a block for good"},
        {"variants.1.tiers.dram.promote=always", "keeps what passes on its way up"},
        {"variants.1.tiers.hbm.inclusion=exclusive", "tier 'hbm' cannot be exclusive"},
        {"variants.1.tiers.dram.inclusion=exlusive", "exclusive"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct said said = RUN_VERB(run, folder, "exclusive.yaml", "--set", cases[i].set);
        assert_int_equal(said.code, 2);
        if (!strstr(said.err, cases[i].said) || !strstr(said.err, "hint:"))
            fail_msg("%s said: %s", cases[i].set, said.err);
        if (i < 3) /* at the tier's name */
            assert_non_null(strstr(said.err, "exclusive.yaml:9:"));
        said_free(&said);
    }
}

int main(void) {
    catalogues_from_here();
    if (!mkdtemp(folder))
        return 1;
    const struct CMUnitTest tests[] = {cmocka_unit_test(as_one_cache), cmocka_unit_test(refused)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    char command[4200];
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command) != 0 || failed;
}
