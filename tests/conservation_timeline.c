/* Does the timeline's counter of each link carry what the run reports of it: the integral of its GB/s the bytes, the
 * time above 0 its busy time? Has each link that carried anything a counter, and no other? Is nothing told where no
 * timeline is asked for? */
#include <math.h>
#include <unistd.h>

#include "sim/output/metrics.h"
#include "sim/workload/json.h"
#include "tests/run_verb.h"

enum { COUNTERS_MAX = 256, NAME_MAX_SIZE = 64 };

struct counter {
    int pid;
    char name[NAME_MAX_SIZE];
    double ts_us, gb_per_s; /* of its last event */
    double bytes, busy_s, most_gb_per_s;
    int events;
};

struct counters {
    struct counter all[COUNTERS_MAX];
    int count;
};

static struct counter *counter_of(struct counters *counters, int pid, const char *name, bool make) {
    for (int i = 0; i < counters->count; i++)
        if (counters->all[i].pid == pid && strcmp(counters->all[i].name, name) == 0)
            return &counters->all[i];
    if (!make)
        return NULL;
    assert_true(counters->count < COUNTERS_MAX);
    struct counter *made = &counters->all[counters->count++];
    made->pid = pid;
    snprintf(made->name, sizeof made->name, "%s", name);
    return made;
}

/* Counter events of the file, a line each, summed up. */
static struct counters *read_counters(const char *path) {
    struct counters *counters = calloc(1, sizeof *counters);
    FILE *in = fopen(path, "r");
    assert_non_null(counters);
    assert_non_null(in);
    char line[1024], name[NAME_MAX_SIZE];
    while (fgets(line, sizeof line, in)) {
        int pid;
        double ts_us, gb_per_s;
        if (strncmp(line, "{\"ph\":\"C\"", 9) != 0)
            continue;
        assert_int_equal(sscanf(line,
                                "{\"ph\":\"C\",\"pid\":%d,\"ts\":%lf,\"name\":\"%63[^\"]\",\"args\":{\"GB/s\":%lf}}",
                                &pid, &ts_us, name, &gb_per_s),
                         4);
        struct counter *c = counter_of(counters, pid, name, true);
        double dt_s = (ts_us - c->ts_us) * 1e-6;
        assert_true(c->events == 0 || dt_s > 0);
        assert_true(gb_per_s >= 0);
        if (c->events++ > 0 && c->gb_per_s > 0) {
            c->bytes += c->gb_per_s * 1e9 * dt_s;
            c->busy_s += dt_s;
        }
        c->most_gb_per_s = gb_per_s > c->most_gb_per_s ? gb_per_s : c->most_gb_per_s;
        c->ts_us = ts_us;
        c->gb_per_s = gb_per_s;
    }
    fclose(in);
    return counters;
}

struct variants {
    struct counters *counters;
    int number, carried, idle;
};

static double real_of(struct json_value object, const char *key) {
    struct json_value at;
    double value;
    assert_true(json_get(object, key, &at) && json_real(at, &value));
    return value;
}

/* A flow ends at the whole ns after its last byte, so up to a ns of the rate is counted beyond each of its events. */
static bool check_link(void *self, struct json_value link) {
    struct variants *v = self;
    struct json_value at;
    const char *text;
    size_t size;
    char name[NAME_MAX_SIZE];
    assert_true(json_get(link, "name", &at) && json_text(at, &text, &size));
    snprintf(name, sizeof name, "%.*s", (int)size, text);
    double bytes = real_of(link, "bytes"), busy_s = real_of(link, "busy_s");
    const struct counter *c = counter_of(v->counters, v->number, name, false);
    assert_true((c != NULL) == (bytes > 0));
    if (!c) {
        v->idle++;
        return true;
    }
    double slack = c->events * (c->most_gb_per_s + 1) + 1e-9 * bytes;
    assert_true(c->gb_per_s == 0);
    assert_true(fabs(c->bytes - bytes) <= slack && slack < 1e-3 * bytes);
    assert_true(fabs(c->busy_s - busy_s) <= 1e-9 * (c->events + busy_s));
    v->carried++;
    return true;
}

static bool check_variant(void *self, struct json_value variant) {
    struct variants *v = self;
    struct json_value links;
    v->number++;
    return json_get(variant, "links", &links) && json_each(links, check_link, v);
}

static struct variants check_run(const char *scenario, const char *setting) {
    char path[] = "/tmp/tiersim-timeline-XXXXXX";
    close(mkstemp(path));
    struct said said = RUN_VERB(run, NULL, scenario, "--json", "--no-search", "--timeline", path, "--set", setting);
    assert_int_equal(said.code, 0);
    struct variants v = {.counters = read_counters(path)};
    struct json_reader *reader = json_create();
    struct json_value root, list;
    const char *why;
    assert_true(json_parse(reader, said.out, strlen(said.out), &root, &why));
    assert_true(json_get(root, "variants", &list) && json_each(list, check_variant, &v));
    assert_int_equal(v.carried, v.counters->count);
    json_destroy(reader);
    said_free(&said);
    free(v.counters);
    unlink(path);
    return v;
}

/* PCIe, copy engines, DRAM and drives of two instances, in the two variants that have them. */
static void of_a_node(void **state) {
    (void)state;
    struct variants v = check_run("configs/scenarios/smoke.yaml", "seed=2");
    assert_int_equal(v.number, 3);
    assert_true(v.carried >= 20);
}

/* Flash behind a fabric, with links that nobody uses in some variants. */
static void of_a_pod(void **state) {
    (void)state;
    struct variants v = check_run("configs/scenarios/flash-pod.yaml", "stop_after=30 s");
    assert_true(v.carried > 20 && v.idle > 0);
}

static void nobody_asks(void **state) {
    (void)state;
    struct metrics metrics;
    metrics_create(&metrics, NULL, 0, NULL);
    assert_null(metrics.sink.rate);
    metrics_destroy(&metrics);
    struct sink deaf = {0};
    metrics_create(&metrics, NULL, 0, &deaf);
    assert_null(metrics.sink.rate);
    metrics_destroy(&metrics);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(of_a_node), cmocka_unit_test(of_a_pod),
                                       cmocka_unit_test(nobody_asks)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
