/* Is what is wrong with a replay refused, with what it is and the remedy? Exit code 2, nothing on standard output. */
#include "tests/run_verb.h"

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

/* words: up to two that must be in the message. */
static void refused(const char *first, const char *second, const char *const *arguments) {
    const char *all[VERB_WORDS_MAX] = {"tiersim cache"};
    for (int i = 0; arguments[i]; i++)
        all[i + 1] = arguments[i];
    struct said said = run_words(verb_cache, folder, all);
    if (said.code != EXIT_BAD_INPUT || !strstr(said.err, first) || !strstr(said.err, second) || said.out[0])
        fail_msg("exit code %d for what should say '%s' and '%s': %s%s", said.code, first, second, said.err, said.out);
    said_free(&said);
}
#define REFUSED(first, second, ...) refused(first, second, (const char *const[]){__VA_ARGS__, NULL})
#define SIZE(size, first, second) REFUSED(first, second, "t.txt", "--policy", "lru", "--size", size)

static void sizes(void **unused) {
    (void)unused;
    put_file(folder, "t.txt", "1,10\n2,20\n1,10\n");
    SIZE("0", "--size 0 is outside 1 to", "hint:");
    SIZE("4,0", "--size 0 is outside 1 to", "hint:");
    SIZE("0%", "--size 0% is outside 0 to 100 %", "hint: 100% is room for all");
    SIZE("101%", "--size 101% is outside 0 to 100 %", "hint:");
    SIZE("1.5", "--size 1.5 is outside 0 to 100 %", "hint:");
    SIZE("-0.5", "--size -0.5 is outside", "hint:");
    SIZE("99999999999", "is outside 1 to", "hint:");
    SIZE("many", "--size 'many' is no number of blocks", "hint: 4000, 10%, 128MiB, 1000..64000x2 or unbounded");
    SIZE("0B", "--size 0B is out of range", "hint:");
    SIZE("", "--size '' is no number of blocks", "hint:");
    SIZE("8..4", "the range ends before it begins", "hint: 1000..64000x2");
    SIZE("1..10kB", "in another unit", "hint:");
    SIZE("1..8x1", "'x1' is no step", "hint: x2 doubles");
    SIZE("1..8:1", "':1' is no step", "hint:");
    SIZE("1..8:2.5", "':2.5' is no step", "hint:");
    SIZE("1..8xtwo", "'xtwo' is no step", "hint:");
    SIZE("0..8x2", "--size 0 is outside", "hint:");
    SIZE("1..100000:20000", "more than 10000 sizes", "hint:");
    REFUSED("a curve is in blocks or in bytes", "hint:", "t.txt", "--policy", "lru", "--curve", "--size", "2,30B");
    REFUSED("no axis in common", "hint:", "t.txt", "--policy", "lru", "--svg", "x.svg", "--size", "2,30B");
}

static void words(void **unused) {
    (void)unused;
    put_file(folder, "t.txt", "1\n2\n1\n");
    REFUSED("unknown evict policy 'lrv'", "did you mean 'lru'?", "t.txt", "--policy", "lrv", "--size", "1");
    REFUSED("unknown admit policy 'allways'", "did you mean 'always'?", "t.txt", "--policy", "lru", "--size", "1",
            "--admit", "allways");
    REFUSED("--policy and --size (or --curve) are needed", "", "t.txt", "--policy", "lru");
    REFUSED("--sample and --samples go with --curve", "", "t.txt", "--policy", "lru", "--size", "1", "--sample", "5%");
    REFUSED("--sample '0' is no share", "hint: 5%", "t.txt", "--policy", "arc", "--curve", "--sample", "0");
    REFUSED("--sample '60%' is no share", "", "t.txt", "--policy", "arc", "--curve", "--sample", "60%");
    REFUSED("more than all there is", "hint:", "t.txt", "--policy", "arc", "--curve", "--sample", "20%");
    REFUSED("--samples 1 is outside 2 to 32", "", "t.txt", "--policy", "arc", "--curve", "--samples", "1");
    REFUSED("--by 'size' is not known", "hint: role, tenant", "t.txt", "--policy", "lru", "--size", "1", "--by",
            "size");
    REFUSED("objects have no prompt", "hint:", "t.txt", "--policy", "lru", "--size", "1", "--by", "role");
    REFUSED("--warmup 3 leaves nothing", "hint:", "t.txt", "--policy", "lru", "--size", "1", "--warmup", "3");
    REFUSED("--warmup 100% leaves nothing", "hint:", "t.txt", "--policy", "lru", "--size", "1", "--warmup", "100%");
    REFUSED("--warmup 'soon' is no amount", "hint: 6000 requests", "t.txt", "--policy", "lru", "--size", "1",
            "--warmup", "soon");
    REFUSED("--warmup '3 GB': unknown unit", "hint:", "t.txt", "--policy", "lru", "--size", "1", "--warmup", "3 GB");
    REFUSED("cannot write 'no/such/p.svg'", "hint:", "t.txt", "--policy", "lru", "--size", "1", "--svg",
            "no/such/p.svg");
    REFUSED("cannot write 'no/such/p.csv'", "hint:", "t.txt", "--policy", "lru", "--size", "1", "--csv",
            "no/such/p.csv");
    REFUSED("--bound goes with --size", "", "t.txt", "--policy", "lru", "--curve", "--bound");
    REFUSED("flat --bound does not go with --admit", "hint:", "t.txt", "--policy", "lru", "--size", "1", "--bound",
            "--admit", "second-hit");
    REFUSED("flat --bound does not go with a warm-up", "hint:", "t.txt", "--policy", "lru", "--size", "1", "--bound",
            "--warmup", "1");
    put_file(folder, "b.txt", "1,10\n2,20\n1,10\n");
    REFUSED("--bound does not go with sizes in bytes", "hint:", "b.txt", "--policy", "lru", "--size", "30B", "--bound");
    REFUSED("both want standard output", "", "t.txt", "--policy", "lru", "--size", "1", "--csv", "-", "--json");
}

/* 24 bytes a record; this one lacks the last. And this project's own form, cut off. */
static void cut_off(void **unused) {
    (void)unused;
    char path[128];
    snprintf(path, sizeof path, "%s/cut.oracleGeneral.bin", folder);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    static const char zeros[24 * 4 - 1];
    assert_int_equal(fwrite(zeros, sizeof zeros, 1, file), 1);
    fclose(file);
    REFUSED("cut.oracleGeneral.bin: 95 bytes are no whole number of oracleGeneral records", "hint: is the file cut",
            "cut.oracleGeneral.bin", "--policy", "lru", "--size", "1");
    put_file(folder, "t.txt", "1\n2\n1\n");
    struct said said = RUN_VERB(trace, folder, "convert", "t.txt", "-o", "t.blocks");
    assert_int_equal(said.code, 0);
    said_free(&said);
    snprintf(path, sizeof path, "%s/t.blocks", folder);
    assert_int_equal(truncate(path, 100), 0);
    REFUSED("t.blocks: its length is not what its header says", "hint: is the file cut off", "t.blocks", "--policy",
            "lru", "--size", "1");
    REFUSED("nowhere.txt", "hint:", "nowhere.txt", "--policy", "lru", "--size", "1");
}

/* A policy that was built against headers of another version. */
static void other_abi(void **unused) {
    (void)unused;
    char here[2048], command[8192];
    if (system("cc --version >/dev/null 2>&1") != 0) {
        print_message("no cc here\n");
        skip();
    }
    assert_non_null(getcwd(here, sizeof here));
    put_file(folder, "old.c",
             "#include \"policies/evict.h\"\n"
             "static const struct evict_policy old = {.policy = {.abi = POLICY_ABI - 1, .name = \"old\", .rule = \"\","
             " .source = \"\"}};\nPOLICY_REGISTER(evict, old)\n");
    put_file(folder, "t.txt", "1\n2\n1\n");
    snprintf(command, sizeof command, "cc -shared -fPIC -I%s -o %s/old.so %s/old.c", here, folder, folder);
    assert_int_equal(system(command), 0);
    REFUSED("plugin './old.so' was refused", "hint: rebuild it against the headers of this version (ABI", "t.txt",
            "--plugin", "./old.so", "--policy", "old", "--size", "1");
    put_file(folder, "none.so", "not a library");
    REFUSED("cannot load plugin './none.so'", "hint:", "t.txt", "--plugin", "./none.so", "--policy", "old", "--size",
            "1");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(sizes), cmocka_unit_test(words), cmocka_unit_test(cut_off),
                                       cmocka_unit_test(other_abi)};
    return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
