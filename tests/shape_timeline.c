/* Is the timeline what Perfetto expects: slices that do not overlap on a lane, lanes with names, the times of the
 * records, and rates of links as counters? Is it the same file whatever the threads? Is nothing left where it cannot be
 * written? */
#include <unistd.h>

#include "sim/output/timeline.h"
#include "tests/run_verb.h"

static char *read_all(const char *path) {
    FILE *in = fopen(path, "r");
    assert_non_null(in);
    char *text = NULL;
    size_t room = 0;
    ssize_t got = getdelim(&text, &room, 0, in);
    assert_true(got > 0);
    fclose(in);
    return text;
}

static size_t count_of(const char *text, const char *what) {
    size_t count = 0;
    for (const char *at = text; (at = strstr(at, what)); at += strlen(what))
        count++;
    return count;
}

/* By hand: two transfers at a time need two lanes, a third takes the first lane again; a request holds its first token.
 */
static void lanes_by_hand(void **state) {
    (void)state;
    char path[] = "/tmp/tiersim-timeline-XXXXXX";
    close(mkstemp(path));
    struct timeline *timeline;
    struct error err;
    const char *tiers[] = {"hbm", "dram"};
    assert_int_equal(timeline_open(path, 1, &timeline, &err), 0);
    struct sink *sink = timeline_sink(timeline, 0, "a \"name\"", tiers, 2, NULL);
    struct transfer_record t = {.from_tier = 1, .to_tier = 0, .submitted_ns = 500, .bytes = 4096, .blocks = 2};
    static const int64_t spans[][2] = {{1000, 2000}, {1500, 3000}, {2000, 4001}};
    for (int i = 0; i < 3; i++) {
        t.started_ns = spans[i][0];
        t.end_ns = spans[i][1];
        sink->transfer(sink->self, &t);
    }
    struct request_record r = {.id = 7,
                               .prompt_tokens = 10,
                               .output_tokens = 2,
                               .arrival_ns = 1000,
                               .first_token_ns = 2500,
                               .end_ns = 5000,
                               .hit_tokens = {0, 6}};
    sink->request(sink->self, &r);
    assert_int_equal(timeline_close(timeline, &err), 0);
    char *text = read_all(path);
    assert_non_null(strstr(text, "\"process_name\",\"args\":{\"name\":\"a name\"}"));
    assert_non_null(
        strstr(text, "\"ph\":\"X\",\"pid\":1,\"tid\":1,\"ts\":1.000,\"dur\":1.000,\"name\":\"dram to hbm\""));
    assert_non_null(strstr(text, "\"tid\":2,\"ts\":1.500,\"dur\":1.500"));
    assert_non_null(strstr(text, "\"tid\":1,\"ts\":2.000,\"dur\":2.001"));
    assert_non_null(strstr(text, "\"tid\":3,\"ts\":1.000,\"dur\":4.000,\"name\":\"request 7\""));
    assert_non_null(strstr(text, "\"tid\":3,\"name\":\"thread_name\",\"args\":{\"name\":\"instance 0 requests 1\"}"));
    assert_non_null(strstr(text, "\"from_dram\":6"));
    assert_non_null(strstr(text, "\"ts\":1.000,\"dur\":1.500,\"name\":\"to the first token\""));
    assert_int_equal(count_of(text, "thread_name"), 3);
    free(text);
    unlink(path);
}

/* Every request of the run stands in it once; threads do not change it. */
static void of_a_run(void **state) {
    (void)state;
    char paths[2][40] = {"/tmp/tiersim-timeline-XXXXXX", "/tmp/tiersim-timeline-XXXXXX"}, *texts[2];
    for (int i = 0; i < 2; i++) {
        close(mkstemp(paths[i]));
        struct said said =
            RUN_VERB(run, NULL, "configs/scenarios/smoke.yaml", "--json", "-j", i ? "2" : "1", "--timeline", paths[i]);
        assert_int_equal(said.code, 0);
        said_free(&said);
        texts[i] = read_all(paths[i]);
        unlink(paths[i]);
    }
    assert_string_equal(texts[0], texts[1]);
    assert_int_equal(count_of(texts[0], "process_name"),
                     count_of(texts[0], "\"ph\":\"M\",\"pid\":") - 2 * count_of(texts[0], "thread_name"));
    assert_true(count_of(texts[0], "\"name\":\"request ") > 100);
    assert_true(count_of(texts[0], "\"ph\":\"C\"") > 1000);
    assert_true(count_of(texts[0], "\"name\":\"decode\"") > 100 && count_of(texts[0], " to hbm\",\"args\"") > 10);
    free(texts[0]);
    free(texts[1]);
}

static void note(int *seen, int what) {
    *seen |= what;
}
static void note_rate(void *self, const struct rate_record *record) {
    (void)record;
    note(self, 1);
}
static void note_decision(void *self, const struct decision_record *record) {
    (void)record;
    note(self, 2);
}

/* A counter a direction of a link: of rates at one moment the last counts, what came back to where it was is no event,
 * a link that never moves has none. Who stands behind gets every record. */
static void counters_by_hand(void **state) {
    (void)state;
    char path[] = "/tmp/tiersim-timeline-XXXXXX";
    close(mkstemp(path));
    struct timeline *timeline;
    struct error err;
    const char *tiers[] = {"hbm"};
    int seen = 0;
    struct sink behind = {.self = &seen, .rate = note_rate, .decision = note_decision};
    assert_int_equal(timeline_open(path, 1, &timeline, &err), 0);
    struct sink *sink = timeline_sink(timeline, 0, "a", tiers, 1, &behind);
    char name[] = "pcie[0] read"; /* whoever emits may be gone when the file is written */
    static const struct rate_record rates[] = {{5, NULL, 1000, 2e9},   {5, NULL, 1500, 0},     {5, NULL, 1500, 3e9},
                                               {5, NULL, 1500, 1.5e9}, {5, NULL, 2000, 7e9},   {5, NULL, 2000, 1.5e9},
                                               {5, NULL, 2501, 0},     {2, NULL, 2501, 5.25e8}};
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        struct rate_record r = rates[i];
        r.name = r.link == 5 ? name : "nic[1] write";
        sink->rate(sink->self, &r);
    }
    memset(name, '?', sizeof name - 1);
    sink->decision(sink->self, &(struct decision_record){.request = 1});
    assert_int_equal(seen, 3);
    assert_int_equal(timeline_close(timeline, &err), 0);
    char *text = read_all(path);
    static const char *const expected[] = {
        "{\"ph\":\"C\",\"pid\":1,\"ts\":1.000,\"name\":\"pcie[0] read\",\"args\":{\"GB/s\":2}}",
        "\"ts\":1.500,\"name\":\"pcie[0] read\",\"args\":{\"GB/s\":1.5}}",
        "\"ts\":2.501,\"name\":\"pcie[0] read\",\"args\":{\"GB/s\":0}}",
        "\"ts\":2.501,\"name\":\"nic[1] write\",\"args\":{\"GB/s\":0.525}}"};
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        assert_non_null(strstr(text, expected[i]));
    assert_int_equal(count_of(text, "\"ph\":\"C\""), 4);
    free(text);
    unlink(path);
}

static void nowhere_to_write(void **state) {
    (void)state;
    struct said said =
        RUN_VERB(run, NULL, "configs/scenarios/smoke.yaml", "--timeline", "/nonexistent/directory/t.json");
    assert_int_equal(said.code, 2);
    assert_non_null(strstr(said.err, "cannot write '/nonexistent/directory/t.json'"));
    assert_non_null(strstr(said.err, "hint:"));
    said_free(&said);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(lanes_by_hand), cmocka_unit_test(counters_by_hand),
                                       cmocka_unit_test(of_a_run), cmocka_unit_test(nowhere_to_write)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
