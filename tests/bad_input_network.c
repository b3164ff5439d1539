/* Is a link with impossible figures refused, where it stands, and with a remedy? */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sim/memory/network.h"

static struct link_options sound(void) {
    return (struct link_options){.name = "pcie",
                                 .read = {.bandwidth_bytes_per_s = 52e9, .latency_s = 3e-6},
                                 .duplex_bytes_per_s = 84e9,
                                 .peak_bytes_per_s = 64e9};
}

static void refused(struct link_options link, const char *why) {
    struct place at = {"node.yaml", 7, 3};
    struct error err = {0};
    assert_int_equal(link_check(&link, at, &err), -1);
    assert_int_equal(err.exit_code, EXIT_BAD_INPUT);
    assert_non_null(strstr(err.text, "node.yaml:7:3"));
    assert_non_null(strstr(err.text, "\n  hint: "));
    if (!strstr(err.text, why))
        fail_msg("\"%s\" does not say \"%s\"", err.text, why);
}

static void impossible_figures(void **state) {
    (void)state;
    struct link_options link = sound();
    link.read.bandwidth_bytes_per_s = 0;
    refused(link, "read direction of a link has no bandwidth");
    link = sound();
    link.write.bandwidth_bytes_per_s = -1;
    refused(link, "write direction of a link has no bandwidth");
    link = sound();
    link.read.bandwidth_bytes_per_s = NAN;
    refused(link, "no bandwidth");
    link = sound();
    link.read.latency_s = -1e-6;
    refused(link, "cost of the read direction");
    link = sound();
    link.read.descriptor_s = INFINITY;
    refused(link, "cost of the read direction");
    link = sound();
    link.read.iops = -5;
    refused(link, "drive's figure");
    link = sound();
    link.read.latency_s = 0;
    link.read.queue_depth = 32;
    refused(link, "queue_depth and no latency");
    link = sound();
    link.duplex_bytes_per_s = 40e9;
    refused(link, "duplex is below");
    link = sound();
    link.peak_bytes_per_s = 50e9;
    refused(link, "peak is below");
}

static void write_is_like_read_by_default(void **state) {
    (void)state;
    struct link_options link = sound();
    struct error err;
    assert_int_equal(link_check(&link, (struct place){0}, &err), 0);
    assert_memory_equal(&link.write, &link.read, sizeof link.read);
    link = sound();
    link.write.bandwidth_bytes_per_s = 10e9;
    assert_int_equal(link_check(&link, (struct place){0}, &err), 0);
    assert_true(link.write.bandwidth_bytes_per_s == 10e9 && link.write.latency_s == 0);
}

/* The rows can be set into a table, and say what they are. */
struct holder {
    int before;
    struct link_options link;
};

static void option_rows(void **state) {
    (void)state;
    static const struct option table[] = {LINK_OPTION_ROWS(struct holder, link), OPTION_END};
    unsigned rows = 0;
    for (const struct option *o = table; o->name; o++, rows++) {
        assert_true(o->offset >= offsetof(struct holder, link) && o->offset < sizeof(struct holder));
        assert_true(o->help && *o->help);
    }
    assert_int_equal(rows, 9);
    for (const struct option *o = link_direction_table; o->name; o++)
        assert_true(o->offset < sizeof(struct link_direction) && o->help && o->max > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(impossible_figures),
        cmocka_unit_test(write_is_like_read_by_default),
        cmocka_unit_test(option_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
