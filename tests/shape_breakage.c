/* Do a roll-out and faults cost what docs/scenarios says they do, at half the size? */
#include "sim/cli/verbs.h"
#include "sim/workload/json.h"
#include "tests/run_verb.h"

/* The number behind a path of keys and (written as digits) places in lists; NAN: null. */
static double number_at(struct json_value root, const char *const *path);

struct place_in_list {
    long wanted, at;
    struct json_value found;
    bool is_there;
};
static bool count_up(void *self, struct json_value item) {
    struct place_in_list *place = self;
    if (place->at++ == place->wanted) {
        place->found = item;
        place->is_there = true;
    }
    return true;
}

static double number_at(struct json_value root, const char *const *path) {
    struct json_value at = root;
    double value = -1;
    for (const char *const *key = path; *key; key++) {
        if (**key >= '0' && **key <= '9') {
            struct place_in_list place = {.wanted = strtol(*key, NULL, 10)};
            assert_true(json_each(at, count_up, &place) && place.is_there);
            at = place.found;
        } else {
            assert_true(json_get(at, *key, &at));
        }
    }
    return json_real(at, &value) ? value : -1;
}
#define NUMBER(root, ...) number_at(root, (const char *const[]){"variants", __VA_ARGS__, NULL})

struct document {
    struct said said;
    struct json_reader *reader;
    struct json_value root;
};
static struct document read_run(struct said said) {
    struct document document = {.said = said, .reader = json_create()};
    const char *why;
    if (said.code != 0)
        fail_msg("%s", said.err);
    assert_true(json_parse(document.reader, said.out, strlen(said.out), &document.root, &why));
    return document;
}
static void forget(struct document *document) {
    json_destroy(document->reader);
    said_free(&document->said);
}

enum { NONE, AT_ONCE, OVER, AT_ONCE_RESTARTS, OVER_RESTARTS };

/* All at once the hit ratio breaks down and comes back within minutes; one by one its worst minute is better, and more
 * is computed; with restarts all requests wait, or a few. */
static void rollouts(void **state) {
    (void)state;
    struct document run = read_run(RUN_VERB(run, NULL, "configs/scenarios/model-rollout.yaml", "--json", "--set",
                                            "workload.generate.arrivals.population=40", "--set", "tp=4", "--set",
                                            "workload.generate.duration=56 min"));
    double before = NUMBER(run.root, "1", "rollouts", "0", "hit_ratio_before"),
           least = NUMBER(run.root, "1", "rollouts", "0", "hit_ratio_lowest"),
           rolling = NUMBER(run.root, "2", "rollouts", "0", "hit_ratio_lowest"),
           refill_s = NUMBER(run.root, "1", "rollouts", "0", "refill_s");
    assert_true(before > 0.85 && least < 0.6 * before && rolling > least);
    assert_true(refill_s > 60 && refill_s < 600);
    double none = NUMBER(run.root, "0", "reuse", "computed_tokens"),
           once = NUMBER(run.root, "1", "reuse", "computed_tokens");
    assert_true(once > 1.1 * none);
    double waits = NUMBER(run.root, "3", "ttft_s", "p99"), carries_on = NUMBER(run.root, "4", "ttft_s", "p99");
    assert_true(waits > 1.5 * carries_on);
    forget(&run);
}

/* A lost tier costs hits, a slow one time; who weighs fetching against computing computes more of what a slow drive
 * has, and waits less. Nothing is held against a run without faults where there are none. */
static void faults(void **state) {
    (void)state;
    struct document run = read_run(RUN_VERB(run, NULL, "configs/scenarios/faults.yaml", "--json", "--set",
                                            "workload.generate.arrivals.population=40", "--set", "tp=4", "--set",
                                            "tiers.dram.capacity=250 GB"));
    double lost = NUMBER(run.root, "0", "faults", "1", "lost_hit_tokens"),
           slow = NUMBER(run.root, "0", "faults", "2", "lost_hit_tokens");
    assert_true(lost > 300000 && lost > 3 * slow);
    double fetch_s = NUMBER(run.root, "0", "faults", "2", "ttft_p99_s") -
                     NUMBER(run.root, "0", "faults", "2", "ttft_p99_without_s"),
           cheapest_s = NUMBER(run.root, "1", "faults", "2", "ttft_p99_s") -
                        NUMBER(run.root, "1", "faults", "2", "ttft_p99_without_s");
    assert_true(fetch_s > 0.1 && cheapest_s < 0.6 * fetch_s);
    assert_true(NUMBER(run.root, "1", "faults", "2", "more_computed_tokens") > slow + 50000);
    assert_int_equal((int)NUMBER(run.root, "0", "faults", "3", "times"), 20);
    assert_true(NUMBER(run.root, "0", "wear", "0", "dwpd") > 0.1 && NUMBER(run.root, "0", "wear", "0", "years") > 0.1);
    forget(&run);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(rollouts), cmocka_unit_test(faults)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
