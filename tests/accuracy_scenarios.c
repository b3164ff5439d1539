/* Do the what-ifs of configs/scenarios say what docs/scenarios claims of them? */
#include "sim/cli/verbs.h"
#include "sim/workload/json.h"
#include "tests/run_verb.h"

/* One figure of each variant: the number behind path[0].path[1]... */
struct figures {
    const char *const *path;
    double values[16];
    int count;
};

static bool add_figure(void *self, struct json_value variant) {
    struct figures *figures = self;
    struct json_value at = variant;
    for (const char *const *key = figures->path; *key; key++)
        assert_true(json_get(at, *key, &at));
    assert_true(figures->count < 16 && json_real(at, &figures->values[figures->count++]));
    return true;
}

static struct figures figures_of(const char *text, const char *const *path) {
    struct figures figures = {.path = path};
    struct json_reader *reader = json_create();
    struct json_value root, list;
    const char *why;
    assert_true(json_parse(reader, text, strlen(text), &root, &why));
    assert_true(json_get(root, "variants", &list) && json_each(list, add_figure, &figures));
    json_destroy(reader);
    return figures;
}

/* Memory alone: at one load, a token comes faster by less than the bandwidth does, and the first token of a long prompt
 * hardly at all; capacity that nobody needs changes nothing. */
static void hbm4(void **state) {
    (void)state;
    static const char *const tpot[] = {"tpot_s", "p50", NULL}, *const ttft[] = {"ttft_s", "p50", NULL};
    struct said said = RUN_VERB(run, NULL, "configs/scenarios/hbm4.yaml", "--json", "--no-search");
    assert_int_equal(said.code, 0);
    struct figures token = figures_of(said.out, tpot), first = figures_of(said.out, ttft);
    assert_int_equal(token.count, 6);
    double faster = token.values[0] / token.values[2];
    assert_true(faster > 1.3 && faster <= 18.0 / 4.8);
    assert_true(token.values[0] / token.values[1] > 1.2 && token.values[0] / token.values[1] <= 12.0 / 4.8);
    assert_true(token.values[3] == token.values[2] && first.values[3] == first.values[2]);
    double prefill = first.values[4] / first.values[5];
    assert_true(prefill >= 1 && prefill < 1.15); /* 1.09 to 1.10 by the median, queueing included */
    said_free(&said);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(hbm4)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
