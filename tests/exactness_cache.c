/* Does `tiersim cache` count what it says it counts? Sizes as written, warm-up apart, roles of blocks worked out by
 * hand, one pass against replays, the same whatever the threads; what CSV and plot say is what JSON says. */
#include "sim/memory/roles.h"
#include "tests/run_verb.h"

#include "tests/policies_world.h"

#include <math.h>

static char folder[64];

static int make_folder(void **unused) {
    (void)unused;
    strcpy(folder, "/tmp/tiersim-cache-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}
static int drop_folder(void **unused) {
    (void)unused;
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

/* The numbers behind each `"key":` in order; at most `room`. */
static size_t numbers(const char *json, const char *key, double *out, size_t room) {
    char word[64];
    size_t count = 0;
    snprintf(word, sizeof word, "\"%s\":", key);
    for (const char *at = strstr(json, word); at && count < room; at = strstr(at + 1, word))
        out[count++] = strtod(at + strlen(word), NULL);
    return count;
}

static void expect_numbers(const char *json, const char *key, const double *expected, size_t count) {
    double found[64];
    size_t there = numbers(json, key, found, 64);
    if (there != count)
        fail_msg("%zu of \"%s\", not %zu, in %s", there, key, count, json);
    for (size_t i = 0; i < count; i++)
        if (fabs(found[i] - expected[i]) > 1e-9)
            fail_msg("\"%s\" number %zu is %.17g, not %.17g", key, i, found[i], expected[i]);
}
#define EXPECT(json, key, ...)                                                                                         \
    expect_numbers(json, key, (const double[]){__VA_ARGS__}, sizeof(double[]){__VA_ARGS__} / sizeof(double))

static struct said cache(const char *const *words) {
    const char *all[VERB_WORDS_MAX] = {"tiersim cache"};
    for (int i = 0; words[i]; i++)
        all[i + 1] = words[i];
    struct said said = run_words(verb_cache, folder, all);
    if (said.code != 0)
        fail_msg("exit code %d: %s", said.code, said.err);
    return said;
}
#define CACHE(...) cache((const char *const[]){__VA_ARGS__, NULL})

static void sizes(void **unused) {
    (void)unused;
    char text[1024] = "";
    for (int i = 0; i < 40; i++)
        sprintf(text + strlen(text), "%d,%d\n", i, 100 + i);
    put_file(folder, "forty.txt", text);
    struct said said =
        CACHE("forty.txt", "--policy", "lru", "--json", "--size", "10%,0.5,4..16x2,5..20:3,7..20,1kB..8kBx2,unbounded");
    EXPECT(said.out, "size", 4, 20, 4, 8, 16, 5, 10, 20, 7, 14, 1000, 2000, 4000, 8000, 40);
    said_free(&said);
    said = CACHE("forty.txt", "--policy", "lru", "--json", "--curve", "--sizes", "30,10%,4,9,100%");
    EXPECT(said.out, "size", 4, 9, 30, 40);
    said_free(&said);
    said = CACHE("forty.txt", "--policy", "lru", "--json", "--size", "41");
    assert_non_null(strstr(said.err, "note: a size is larger than the trace's 40 blocks"));
    said_free(&said);
}

/* 1 and 2 come in, hit, 3 puts 1 out, 1 puts 2 out, 3 hits. */
static void warm_up(void **unused) {
    (void)unused;
    put_file(folder, "seven.txt", "1\n2\n1\n2\n3\n1\n3\n");
    struct said said = CACHE("seven.txt", "--policy", "lru", "--size", "2", "--json");
    EXPECT(said.out, "hits", 3);
    EXPECT(said.out, "misses", 4);
    assert_null(strstr(said.out, "warmup"));
    said_free(&said);
    static const struct {
        const char *amount;
        double warm, warm_hits, hits, misses;
    } cases[] = {{"3 requests", 3, 1, 2, 2}, {"3", 3, 1, 2, 2},   {"4accesses", 4, 2, 1, 2},
                 {"3 ns", 3, 1, 2, 2},       {"50%", 4, 2, 1, 2}, {"0.006us", 6, 2, 1, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int curve = 0; curve < 2; curve++) {
            said = CACHE("seven.txt", "--policy", "lru", "--size", "2", "--json", "--warmup", cases[i].amount,
                         curve ? "--curve" : "--seed=1");
            EXPECT(said.out, "warmup_accesses", cases[i].warm);
            EXPECT(said.out, "warmup_hits", cases[i].warm_hits);
            EXPECT(said.out, "hits", cases[i].hits);
            EXPECT(said.out, "misses", cases[i].misses);
            said_free(&said);
        }
}

static void add(struct replay_trace *trace, uint32_t session, uint32_t tokens, uint32_t count, const uint64_t *ids) {
    struct replay_request request = {
        .at_ns = trace->request_count, .blocks = count, .tokens = tokens, .session = session, .tenant = session % 2};
    replay_trace_add(trace, &request, ids, NULL);
}
#define ADD(trace, session, tokens, ...)                                                                               \
    add(trace, session, tokens, sizeof((uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t), (uint64_t[]){__VA_ARGS__})

static void roles_are(const struct replay_trace *trace, const char *expected) {
    static const char letters[] = {'t', 's', 'S', 'h', 'n'};
    uint8_t *roles = replay_roles(trace);
    assert_int_equal(trace->count, strlen(expected));
    for (uint64_t i = 0; i < trace->count; i++)
        if (letters[roles[i]] != expected[i])
            fail_msg("access %llu is %s, not '%c'", (unsigned long long)i, role_names[roles[i]], expected[i]);
    free(roles);
}

static void roles(void **unused) {
    (void)unused;
    /* Sessions 5 and 6 share block 1 and, by chance of their files, 2; 5 comes back. */
    struct replay_trace *trace = replay_trace_create(16);
    ADD(trace, 5, 48, 1, 2, 3);
    ADD(trace, 6, 48, 1, 2, 4);
    ADD(trace, 5, 60, 1, 2, 3, 5);
    roles_are(trace, "SSnSSnSShn");
    /* The same, and the trace says that 16 tokens are tools and 14 more system prompt: less than a whole block. */
    trace->stated = calloc(3, sizeof *trace->stated);
    for (int i = 0; i < 3; i++)
        trace->stated[i] = (struct replay_stated){.tool_tokens = 16, .system_tokens = 14};
    roles_are(trace, "tSntSntShn");
    trace->stated[2].system_tokens = 32;
    roles_are(trace, "tSntSntssn");
    uint8_t *of = replay_roles(trace), marks[10] = {0, 0, 0, 1, 1, 0, 1, 1, 1, 0};
    struct role_counts counts[ROLES], tenants[2];
    replay_count_by(trace, marks, of, 1, counts, ROLES);
    assert_true(counts[ROLE_TOOLS].accesses == 2 && counts[ROLE_TOOLS].hits == 2);
    assert_true(counts[ROLE_SYSTEM].accesses == 2 && counts[ROLE_SYSTEM].hits == 2);
    assert_true(counts[ROLE_SHARED].accesses == 1 && counts[ROLE_NEW].accesses == 2 && counts[ROLE_NEW].hits == 0);
    replay_count_by(trace, marks, NULL, 0, tenants, 2);
    assert_true(tenants[0].accesses == 3 && tenants[0].hits == 2);
    assert_true(tenants[1].accesses == 7 && tenants[1].hits == 3);
    free(of);
    replay_trace_destroy(trace);

    /* Without sessions: the second prompt continues the first (its third block was partial), the third does too and
     * comes late, so it is another's; the fourth continues the second. */
    trace = replay_trace_create(16);
    ADD(trace, 0, 40, 1, 2, 3);
    ADD(trace, 1, 64, 1, 2, 4, 5);
    ADD(trace, 2, 48, 1, 2, 6);
    ADD(trace, 3, 80, 1, 2, 4, 5, 7);
    roles_are(trace, "SSnSSnnSSnSShhn");
    replay_trace_destroy(trace);
}

/* A few thousand accesses, some ids often. */
static void write_accesses(const char *name) {
    struct world dice = {.random = 11};
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (int i = 0; i < 6000; i++)
        fprintf(file, "%u\n", draw(&dice, 2) ? draw(&dice, 900) : draw(&dice, 60));
    assert_int_equal(fclose(file), 0);
}

static void one_pass_and_replays(void **unused) {
    (void)unused;
    double misses[2][24];
    write_accesses("some.txt");
    for (int curve = 0; curve < 2; curve++) {
        struct said said = CACHE("some.txt", "--policy", "lru,lfu-perfect,belady,arc", "--size", "20..600:6", "--json",
                                 curve ? "--curve" : "--seed=1");
        assert_int_equal(numbers(said.out, "misses", misses[curve], 24), 24);
        assert_int_equal(strstr(said.out, "\"method\":\"exact\"") != NULL, curve);
        assert_int_equal(strstr(said.err, "too few blocks to sample") != NULL, curve);
        said_free(&said);
    }
    assert_memory_equal(misses[0], misses[1], sizeof misses[0]);
}

/* Whatever the threads; and CSV says what JSON says. */
static void threads_and_csv(void **unused) {
    (void)unused;
    write_accesses("some.txt");
    struct said first = {0};
    for (int threads = 1; threads <= 4; threads += 3) {
        char count[8];
        snprintf(count, sizeof count, "%d", threads);
        setenv("OMP_NUM_THREADS", count, 1);
        struct said said = CACHE("some.txt", "--policy", "all", "--queue", "8", "--curve", "--sample", "20%",
                                 "--samples", "5", "--size", "200..600:3", "--csv", "-");
        assert_non_null(strstr(said.out, ",sampled,"));
        if (threads > 1)
            assert_string_equal(said.out, first.out);
        if (threads == 1)
            first = said;
        else
            said_free(&said);
    }
    unsetenv("OMP_NUM_THREADS");
    struct said json = CACHE("some.txt", "--policy", "all", "--queue", "8", "--curve", "--sample", "20%", "--samples",
                             "5", "--size", "200..600:3", "--json");
    char line[256];
    const char *at = strchr(first.out, '\n');
    assert_non_null(at);
    double size[400], misses[400];
    size_t count = numbers(json.out, "size", size, 400);
    assert_true(count > 90 && numbers(json.out, "misses", misses, 400) == count);
    for (size_t i = 0; i < count; i++) {
        at++;
        const char *end = strchr(at, '\n');
        assert_non_null(end);
        snprintf(line, sizeof line, "%.*s", (int)(end - at), at);
        double csv_size, accesses, csv_misses;
        assert_int_equal(sscanf(line, "%*[^,],%*[^,],%lf,blocks,%*[^,],%lf,%lf", &csv_size, &accesses, &csv_misses), 3);
        assert_true(csv_size == size[i] && csv_misses == misses[i] && accesses == 6000);
        at = end;
    }
    said_free(&first);
    said_free(&json);
}

static void plot(void **unused) {
    (void)unused;
    write_accesses("some.txt");
    struct said said = CACHE("some.txt", "--policy", "lru,belady,fifo,radix-fifo", "--curve", "--svg", "p.svg");
    said_free(&said);
    char path[128], text[65536] = "";
    snprintf(path, sizeof path, "%s/p.svg", folder);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_true(fread(text, 1, sizeof text - 1, file) > 1000);
    fclose(file);
    assert_ptr_equal(strstr(text, "<svg "), text);
    assert_non_null(strstr(text, "</svg>\n"));
    assert_null(strstr(text, "nan"));
    assert_null(strstr(text, "inf"));
    assert_non_null(strstr(text, ">belady *</text>"));
    assert_non_null(strstr(text, "stroke-dasharray"));
    assert_non_null(strstr(text, ">fifo, radix-fifo</text>")); /* one line */
    assert_non_null(strstr(text, "cache size, blocks"));
    assert_non_null(strstr(text, "missed, % of block accesses"));
}

/* LRU: 4 bytes a slot and 8 of its ring, whose room is a power of two; perfect LFU keeps what it ever saw besides its
 * heap; Belady: a heap's entry of 24, its place 4, a key of 16, a last use of 8. */
static void state(void **unused) {
    (void)unused;
    write_accesses("some.txt");
    struct said said = CACHE("some.txt", "--policy", "lru,belady,lfu-perfect", "--size", "512", "--json");
    double bytes[3];
    assert_int_equal(numbers(said.out, "state_bytes_per_block", bytes, 3), 3);
    said_free(&said);
    assert_true(bytes[0] >= 8 && bytes[0] <= 24);
    assert_true(bytes[1] >= 52 && bytes[1] < 56);
    assert_true(bytes[2] > 52 + 960 * 16 / 512.0);
}

/* Belady keeps 1 where LRU keeps 2: four hits against three. Two prompts in turn and room for one: keeping one of them
 * saves two prompts, and evicting policies that must take in what missed save none. */
static void bounds(void **unused) {
    (void)unused;
    put_file(folder, "seven.txt", "1\n2\n1\n2\n3\n1\n3\n");
    struct said said = CACHE("seven.txt", "--policy", "lru,belady", "--size", "2,3", "--bound", "--json");
    EXPECT(said.out, "hits_at_most", 4, 4);
    EXPECT(said.out, "share_of_bound", 0.75, 1, 1, 1);
    said_free(&said);
    char text[1024] = "";
    for (int r = 0; r < 6; r++)
        sprintf(text + strlen(text),
                "{\"timestamp\": %d, \"input_length\": 512, \"output_length\": 1, \"hash_ids\": [%d]}\n", r, 1 + r % 2);
    put_file(folder, "turns.jsonl", text);
    said = CACHE("turns.jsonl", "--policy", "lru", "--size", "1,2", "--semantics", "prefix", "--bound", "--json");
    double whole[2], most[2], saved[2], shares[2], computed[2];
    assert_int_equal(numbers(said.out, "prompts_s", whole, 2), 2);
    assert_int_equal(numbers(said.out, "saved_at_most_s", most, 2), 2);
    assert_int_equal(numbers(said.out, "saved_s", saved, 2), 2);
    assert_int_equal(numbers(said.out, "computed_s", computed, 2), 2);
    assert_int_equal(numbers(said.out, "share_of_bound", shares, 2), 2);
    double prompt_s = whole[0] / 6;
    assert_true(most[0] >= 2 * prompt_s && most[0] < 2.05 * prompt_s);
    assert_true(saved[0] == 0 && shares[0] == 0 && fabs(computed[0] / whole[0] - 1) < 1e-9);
    assert_true(fabs(saved[1] / prompt_s - 4) < 1e-6 && fabs(shares[1] - 1) < 1e-6);
    said_free(&said);
    said = CACHE("turns.jsonl", "--policy", "lru", "--size", "2", "--semantics", "prefix", "--bound");
    assert_non_null(strstr(said.out, "100.0 %"));
    assert_non_null(strstr(said.out, "no policy saves more than"));
    said_free(&said);
    said = CACHE("seven.txt", "--policy", "lru", "--size", "2", "--bound", "--csv", "-");
    assert_non_null(strstr(said.out, "miss_ratio_high,share_of_bound\n"));
    assert_non_null(strstr(said.out, ",0.750000\n"));
    said_free(&said);
}

/* A workload of two copies of a trace, as block accesses: twice as many to twice as many blocks, and the same hits
 * where the copies do not meet. */
static void converted_workload(void **unused) {
    (void)unused;
    char text[2048] = "";
    for (int r = 0; r < 8; r++)
        sprintf(text + strlen(text),
                "{\"timestamp\": %d, \"input_length\": 1024, \"output_length\": 1, \"hash_ids\": [%d, %d]}\n", r * 1000,
                r % 3, 10 + r % 4);
    put_file(folder, "copied.jsonl", text);
    char yaml[256], path[128];
    snprintf(path, sizeof path, "%s/copied.yaml", folder);
    snprintf(yaml, sizeof yaml, "trace: %s/copied.jsonl\nrepeat: 2\nstagger: 1000 s\n", folder);
    put_file(folder, "copied.yaml", yaml);
    static const char *const targets[] = {"copied.blocks", "copied.oracleGeneral.bin"};
    struct said said = CACHE("copied.jsonl", "--policy", "lru", "--size", "4,unbounded", "--json");
    double hits[2], twice[2];
    assert_int_equal(numbers(said.out, "hits", hits, 2), 2);
    EXPECT(said.out, "accesses", 16);
    EXPECT(said.out, "unique", 11);
    said_free(&said);
    for (int i = 0; i < 2; i++) {
        said = RUN_VERB(trace, folder, "convert", "copied.yaml", "-o", targets[i]);
        if (said.code != 0)
            fail_msg("%s", said.err);
        said_free(&said);
        said = CACHE(targets[i], "--policy", "lru", "--size", "4,unbounded", "--json");
        EXPECT(said.out, "accesses", 32);
        EXPECT(said.out, "unique", 22);
        assert_int_equal(numbers(said.out, "hits", twice, 2), 2);
        assert_true(twice[0] == 2 * hits[0] && twice[1] == 2 * hits[1]);
        said_free(&said);
    }
}

/* TRACE -: what a file gives, a pipe does, in every format. */
static void standard_input(void **unused) {
    (void)unused;
    put_file(folder, "in.txt", "1,10\n2,20\n1,10\n3,5\n1,10\n");
    put_file(folder, "in.jsonl",
             "{\"timestamp\": 0, \"input_length\": 900, \"output_length\": 1, \"hash_ids\": [1, 2]}\n"
             "{\"timestamp\": 9, \"input_length\": 900, \"output_length\": 1, \"hash_ids\": [1, 3]}\n");
    struct said said = RUN_VERB(trace, folder, "convert", "in.txt", "-o", "in.oracleGeneral.bin");
    assert_int_equal(said.code, 0);
    said_free(&said);
    static const char *const cases[][2] = {
        {"in.txt", "lines"}, {"in.oracleGeneral.bin", "oracle"}, {"in.jsonl", "mooncake"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double hits[2];
        said = CACHE(cases[i][0], "--policy", "lru,fifo", "--size", "2", "--json");
        assert_int_equal(numbers(said.out, "hits", hits, 2), 2);
        said_free(&said);
        char path[128];
        snprintf(path, sizeof path, "%s/%s", folder, cases[i][0]);
        int kept = dup(0);
        FILE *in = freopen(path, "rb", stdin);
        assert_non_null(in);
        said = CACHE("-", "--format", cases[i][1], "--policy", "lru,fifo", "--size", "2", "--json");
        assert_true(dup2(kept, 0) == 0);
        close(kept);
        EXPECT(said.out, "hits", hits[0], hits[1]);
        said_free(&said);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(sizes),           cmocka_unit_test(warm_up),
                                       cmocka_unit_test(roles),           cmocka_unit_test(one_pass_and_replays),
                                       cmocka_unit_test(threads_and_csv), cmocka_unit_test(plot),
                                       cmocka_unit_test(state),           cmocka_unit_test(bounds),
                                       cmocka_unit_test(standard_input),  cmocka_unit_test(converted_workload)};
    return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
