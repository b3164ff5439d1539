/* Has the JSON of each verb the fields of the machine contract, of their types and units, and do its numbers agree with
 * each other? */
#include "sim/cli/verbs.h"
#include "sim/workload/json.h"
#include "tests/run_verb.h"

#include <math.h>

static struct json_reader *reader;

static int begin(void **state) {
    (void)state;
    reader = json_create();
    return 0;
}
static int finish(void **state) {
    (void)state;
    json_destroy(reader);
    return 0;
}

static struct json_value parsed(const struct said *said) {
    struct json_value root;
    const char *why;
    size_t size = strlen(said->out);
    assert_string_equal(said->err, "");
    assert_int_equal(said->code, EXIT_FINE);
    assert_true(size > 1 && said->out[size - 1] == '\n' && strchr(said->out, '\n') == said->out + size - 1);
    if (!json_parse(reader, said->out, size, &root, &why))
        fail_msg("not JSON: %s", why);
    return root;
}

/* A path of keys, "cost.usd_per_hour". */
static struct json_value at(struct json_value value, const char *path) {
    char keys[128], *rest = keys;
    snprintf(keys, sizeof keys, "%s", path);
    for (char *key; (key = strsep(&rest, ".")) != NULL;) {
        struct json_value inner;
        if (!json_get(value, key, &inner))
            fail_msg("no '%s' of '%s'", key, path);
        value = inner;
    }
    return value;
}
static double number(struct json_value value, const char *path) {
    double out;
    if (!json_real(at(value, path), &out))
        fail_msg("'%s' is no number", path);
    assert_true(isfinite(out));
    return out;
}
static double count(struct json_value value, const char *path) {
    int64_t out;
    if (!json_int(at(value, path), &out) || out < 0)
        fail_msg("'%s' is no whole number from 0", path);
    return (double)out;
}
static const char *text(struct json_value value, const char *path, char buffer[256]) {
    const char *out;
    size_t size;
    if (!json_text(at(value, path), &out, &size) || size >= 256)
        fail_msg("'%s' is no text", path);
    snprintf(buffer, 256, "%.*s", (int)size, out);
    return buffer;
}
static void near(const char *what, double a, double b) {
    if (fabs(a - b) > 1e-9 * fmax(fabs(a), fabs(b)))
        fail_msg("%s: %.17g and %.17g", what, a, b);
}

static void times(struct json_value v, const char *name) {
    char path[64];
    static const char *const keys[] = {"p50", "p90", "p99"};
    double last = 0;
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s.%s", name, keys[i]);
        double value = number(v, path);
        assert_true(value >= last);
        last = value;
    }
    snprintf(path, sizeof path, "%s.mean", name);
    assert_true(number(v, path) > 0);
}

struct sums {
    double a, b;
    char names[512];
};
static bool add_link(void *self, struct json_value link) {
    char name[256];
    struct sums *sums = self;
    double utilisation = number(link, "utilisation");
    (void)text(link, "name", name);
    assert_true(utilisation >= 0 && utilisation <= 1);
    assert_true(number(link, "busy_s") >= 0 && number(link, "busy_s") <= sums->b);
    assert_int_equal(utilisation > 0, count(link, "bytes") > 0);
    sums->a++;
    return true;
}
static bool add_window(void *self, struct json_value window) {
    struct sums *sums = self;
    double reuse = number(window, "reuse");
    assert_true(fmod(count(window, "start_s"), 60) == 0 && number(window, "ttft_p99_s") > 0);
    assert_true(reuse >= 0 && reuse <= 1);
    assert_true(number(window, "ttft_p50_s") > 0 && number(window, "ttft_p50_s") <= number(window, "ttft_p99_s"));
    assert_true(number(window, "tpot_p99_s") >= 0);
    sums->a += count(window, "requests");
    sums->b += 60 * number(window, "in_flight");
    return true;
}
static bool add_tier(void *self, struct json_value tier) {
    (void)self;
    assert_true(count(tier, "peak_used_bytes") <= count(tier, "capacity_bytes"));
    return true;
}

/* What the contract says of a variant at one load; `tiers`: those it has, HBM first, NULL-ended. */
static void outcome(struct json_value v, const char *const *tiers) {
    static const char *const causes[] = {"queue", "prefill", "decode", "load", "stall", "swap", "preempt"};
    char name[256], path[64];
    double span_s = number(v, "simulated_s"), hits = 0, spent_s = 0, loads_s = 0;
    assert_true(span_s > 0 && count(v, "events") > 0);
    assert_true(count(v, "requests.arrived") == count(v, "requests.finished") + count(v, "requests.rejected"));
    double measured = count(v, "requests.measured"), preempted = count(v, "requests.preempted");
    times(v, "ttft_s");
    times(v, "tpot_s");
    times(v, "e2e_s");
    assert_true(number(v, "ttft_s.p99") <= number(v, "e2e_s.p99"));
    assert_true(count(v, "context_tokens.p50") > 0 && count(v, "context_tokens.p50") <= count(v, "context_tokens.p99"));
    /* no warm-up here: rates are over the whole of simulated_s */
    near("requests", number(v, "throughput.requests_per_s") * span_s, measured);
    near("input tokens", number(v, "throughput.input_tokens_per_s") * span_s, count(v, "reuse.prompt_tokens"));
    assert_true(number(v, "throughput.output_tokens_per_s") > 0);
    for (size_t t = 0; tiers[t]; t++) {
        snprintf(path, sizeof path, "reuse.hit_tokens.%s", tiers[t]);
        hits += count(v, path);
        if (t == 0)
            continue;
        snprintf(path, sizeof path, "miss_penalty_s.%s.p50", tiers[t]);
        double p50 = number(v, path);
        snprintf(path, sizeof path, "miss_penalty_s.%s.p99", tiers[t]);
        assert_true(p50 >= 0 && number(v, path) >= p50);
        snprintf(path, sizeof path, "time_s.load_by_tier.%s", tiers[t]);
        loads_s += number(v, path);
    }
    double computed = count(v, "reuse.computed_tokens");
    if (preempted > 0)
        assert_true(hits + computed >= count(v, "reuse.prompt_tokens"));
    else
        assert_true(hits + computed == count(v, "reuse.prompt_tokens"));
    assert_true(count(v, "reuse.recomputed_tokens") <= computed);
    for (size_t c = 0; c < sizeof causes / sizeof *causes; c++) {
        snprintf(path, sizeof path, "time_s.%s", causes[c]);
        spent_s += number(v, path);
    }
    near("critical paths and E2E", spent_s, number(v, "e2e_s.mean") * measured);
    near("loads by tier", loads_s, number(v, "time_s.load"));
    struct sums links = {.b = span_s * (1 + 1e-12)}, windows = {0};
    assert_true(json_each(at(v, "links"), add_link, &links));
    assert_true((links.a > 0) == (tiers[1] != NULL)); /* blocks stay in HBM where there is nothing else */
    assert_true(json_each(at(v, "windows"), add_window, &windows));
    assert_true(windows.a == count(v, "requests.finished"));
    /* Requests were in flight for the sum of their times; minutes in which none ended are left out. */
    assert_true(windows.b > 0 && windows.b <= number(v, "e2e_s.mean") * windows.a * (1 + 1e-9));
    assert_true(number(v, "worst_minute.ttft_p99_s") > 0 && number(v, "worst_minute.tpot_p99_s") >= 0);
    assert_true(json_each(at(v, "tiers"), add_tier, NULL));
    assert_true(strlen(text(v, "binds", name)) > 0);
}

static void cost(struct json_value v, struct json_value priced) {
    char basis[256];
    double span_s = number(priced, "simulated_s"), usd = number(v, "cost.usd_per_hour") * span_s / 3600;
    double output = number(priced, "throughput.output_tokens_per_s") * span_s;
    near("$/Mtok", number(v, "cost.usd_per_million_tokens"),
         usd / (count(priced, "reuse.prompt_tokens") + output) * 1e6);
    near("$/Mtok of output", number(v, "cost.usd_per_million_output_tokens"), usd / output * 1e6);
    near("J/token", number(v, "cost.joules_per_output_token"), number(v, "cost.watts") * span_s / output);
    near("$/h", number(v, "cost.usd_per_hour"),
         number(v, "cost.gpu_usd_per_hour") + number(v, "cost.tier_usd_per_hour") +
             number(v, "cost.wear_usd_per_hour") + number(v, "cost.energy_usd_per_hour"));
    assert_string_equal(text(v, "cost.basis", basis), "spec");
    assert_true(number(v, "cost.at_load") == number(priced, "load"));
}

struct seen {
    size_t count;
    bool slo;
    const char *out;
};
static bool variant(void *self, struct json_value v) {
    static const char *const names[] = {"hbm", "dram", "ssd"};
    static const char *const tiers[][4] = {{"hbm"}, {"hbm", "dram"}, {"hbm", "dram", "ssd"}};
    struct seen *seen = self;
    struct json_value priced = v;
    char name[256];
    assert_true(seen->count < 3);
    assert_string_equal(text(v, "name", name), names[seen->count]);
    outcome(v, tiers[seen->count]);
    assert_true(number(v, "wall_s") >= 0);
    if (seen->slo) {
        double attained = number(v, "slo_attainment");
        assert_true(attained >= 0 && attained <= 1);
        near("goodput", number(v, "throughput.goodput_requests_per_s") * number(v, "simulated_s"),
             attained * (count(v, "requests.measured") + count(v, "requests.rejected")));
        priced = at(v, "at_slo");
        outcome(priced, tiers[seen->count]);
        assert_true(number(priced, "ttft_s.p99") <= 2);
    }
    cost(v, priced);
    seen->count++;
    return true;
}

static void run_fields(void **state) {
    (void)state;
    char name[256];
    for (int slo = 0; slo < 2; slo++) {
        struct said said =
            slo ? RUN_VERB(run, NULL, "configs/scenarios/smoke.yaml", "--json", "--set", "slo.ttft_p99=2 s", "-j", "1")
                : RUN_VERB(run, NULL, "configs/scenarios/smoke.yaml", "--json", "-j", "1");
        struct json_value root = parsed(&said);
        assert_string_equal(text(root, "scenario", name), "smoke");
        assert_string_equal(text(root, "semantics", name), "prefix");
        struct seen seen = {.slo = slo};
        assert_true(json_each(at(root, "variants"), variant, &seen));
        assert_int_equal(seen.count, 3);
        bool nulls = strstr(said.out, "\"goodput_requests_per_s\":null},\"slo_attainment\":null,") != NULL;
        assert_true(nulls == !slo);
        said_free(&said);
    }
}

static bool add_op(void *self, struct json_value op) {
    struct sums *sums = self;
    char name[256], bound[256];
    sums->a += number(op, "seconds");
    assert_true(number(op, "seconds") >= 0 && number(op, "bytes") >= 0 && number(op, "flops") >= 0);
    (void)text(op, "name", name);
    (void)text(op, "bound", bound);
    assert_true(!strcmp(bound, "memory") || !strcmp(bound, "compute") || !strcmp(bound, "latency") ||
                !strcmp(bound, "link"));
    if (strcmp(name, "host") == 0)
        assert_true(number(op, "seconds") == 0);
    return true;
}

static bool is_basis(const char *basis) {
    return !strcmp(basis, "measured") || !strcmp(basis, "extrapolated") || !strcmp(basis, "spec");
}

static void step_fields(void **state) {
    (void)state;
    static const char *const queries[] = {"1", "512"};
    char basis[256];
    for (int i = 0; i < 2; i++) {
        struct said said =
            RUN_VERB(step, NULL, "--model", "llama-3.1-8b", "--gpu", "h100-sxm", "--batch", "4", "--context", "4096",
                     "--query", queries[i], "--tp", "2", "--kv-dtype", "fp8", "--weight-dtype", "fp8", "--json");
        struct json_value root = parsed(&said);
        struct sums sums = {0};
        assert_true(json_each(at(root, "ops"), add_op, &sums));
        near("ops and seconds", sums.a, number(root, "seconds"));
        assert_true(number(root, "low_s") < number(root, "seconds") &&
                    number(root, "seconds") < number(root, "high_s"));
        assert_true(is_basis(text(root, "basis", basis)));
        said_free(&said);
    }
}

static void transfer_fields(void **state) {
    (void)state;
    static const char *const apis[] = {"loop", "batch", "kernel"};
    char basis[256];
    for (int i = 0; i < 3; i++) {
        struct said said = RUN_VERB(transfer, NULL, "--from", "dram", "--to", "hbm", "--gpu", "h100-sxm", "--bytes",
                                    "64000000", "--blocks", "8", "--api", apis[i], "--json");
        struct json_value root = parsed(&said);
        near("bandwidth", number(root, "bandwidth_bytes_per_s"), 64e6 / number(root, "seconds"));
        assert_true(number(root, "bandwidth_bytes_per_s") < number(root, "peak_bytes_per_s"));
        assert_true(is_basis(text(root, "basis", basis)));
        said_free(&said);
    }
}

static bool add_fit(void *self, struct json_value op) {
    struct sums *sums = self;
    char name[256];
    (void)text(op, "name", name);
    assert_true(count(op, "rows") > 0 && number(op, "median_error") <= number(op, "p90_error"));
    assert_true(number(op, "p90_error") <= number(op, "worst_error"));
    sums->a++;
    return true;
}
static void fit_fields(void **state) {
    (void)state;
    const char *given = getenv("TIERSIM_MEASURED"), *measured = given && *given ? given : "../shared/measured";
    char profile[] = "/tmp/tiersim-fit-XXXXXX";
    struct sums ops = {0};
    if (access(measured, R_OK) != 0) {
        print_message("no timings in %s: skipped\n", measured);
        skip();
    }
    int file = mkstemp(profile);
    assert_true(file >= 0);
    close(file);
    struct said said = RUN_VERB(fit, NULL, measured, "-o", profile, "--json");
    assert_true(json_each(at(parsed(&said), "ops"), add_fit, &ops) && ops.a >= 4);
    said_free(&said);
    said = RUN_VERB(step, NULL, "-m", "llama-3.1-8b", "-g", "h100-sxm", "-b", "1", "-c", "1000", "--profile", profile);
    assert_int_equal(said.code, EXIT_FINE); /* what it wrote is a profile */
    said_free(&said);
    assert_int_equal(unlink(profile), 0);
}

/* The names that the contract fixes, in the catalogue that holds them. */
static void listed(const char *what, const char *const *names, size_t names_count) {
    struct said said = RUN_VERB(list, NULL, what, "--json");
    struct json_value items = at(parsed(&said), what);
    assert_true(json_count(items) >= names_count);
    for (size_t i = 0; i < names_count; i++) {
        char entry[128];
        snprintf(entry, sizeof entry, "{\"name\":\"%s\",", names[i]);
        if (!strstr(said.out, entry))
            fail_msg("%s: no '%s'", what, names[i]);
    }
    said_free(&said);
}
static void lists(void **state) {
    (void)state;
    static const char *const models[] = {"llama-3.1-8b", "llama-3.1-70b",   "llama-3.1-405b", "qwen2.5-7b",
                                         "qwen3-8b",     "qwen3-32b",       "qwen3-30b-a3b",  "gpt-oss-20b",
                                         "gpt-oss-120b", "qwen3-235b-a22b", "deepseek-v3",    "mixtral-8x7b",
                                         "mistral-7b",   "kimi-k2"};
    static const char *const hardware[] = {"a100-80-sxm", "h100-sxm", "h200-sxm",    "gh200",  "b200-sxm",
                                           "gb200",       "b300-sxm", "rubin",       "mi300x", "mi325x",
                                           "mi355x",      "l40s",     "rtx-pro-6000"};
    static const char *const policies[] = {"lru", "fifo", "belady", "radix-lfu", "priority"};
    static const char *const workloads[] = {"coding-agents"};
    listed("models", models, sizeof models / sizeof *models);
    listed("hardware", hardware, sizeof hardware / sizeof *hardware);
    listed("policies", policies, sizeof policies / sizeof *policies);
    listed("workloads", workloads, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(run_fields), cmocka_unit_test(step_fields),
                                       cmocka_unit_test(transfer_fields), cmocka_unit_test(fit_fields),
                                       cmocka_unit_test(lists)};
    return cmocka_run_group_tests(tests, begin, finish);
}
