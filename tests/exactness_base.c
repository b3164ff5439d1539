/* Do units, arenas, integer maps and names come out to the bit? */
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sim/base/arena.h"
#include "sim/base/int_map.h"
#include "sim/base/option.h"
#include "sim/base/record.h"

static uint64_t next_random(uint64_t *state) {
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 33;
}

/* The compiler reads the right column, correctly rounded: both must be the same double. */
static void units(void **state) {
    (void)state;
    static const struct {
        const char *text;
        enum unit unit;
        double value;
    } cases[] = {
        {"8", UNIT_NONE, 8},
        {"-2.5", UNIT_NONE, -2.5},
        {"+.5", UNIT_NONE, 0.5},
        {"5.", UNIT_NONE, 5},
        {"1e-05", UNIT_NONE, 1e-5},
        {"2.5E3", UNIT_NONE, 2500},
        {"3k", UNIT_NONE, 3000},
        {"1.5 M", UNIT_NONE, 1500000},
        {"80 GiB", UNIT_BYTES, 80.0 * 1073741824},
        {"80GiB", UNIT_BYTES, 80.0 * 1073741824},
        {"28 KiB", UNIT_BYTES, 28672},
        {"1.5 MiB", UNIT_BYTES, 1572864},
        {"2 TiB", UNIT_BYTES, 2199023255552.0},
        {"1 PiB", UNIT_BYTES, 1125899906842624.0},
        {"17 B", UNIT_BYTES, 17},
        {"1.1 GB", UNIT_BYTES, 1.1e9},
        {"64 kB", UNIT_BYTES, 64000},
        {"64 KB", UNIT_BYTES, 64000},
        {"4.7 MB", UNIT_BYTES, 4.7e6},
        {"3.84 TB", UNIT_BYTES, 3.84e12},
        {"1.01 PB", UNIT_BYTES, 1.01e15},
        {"2 EB", UNIT_BYTES, 2e18},
        {"3.35 TB/s", UNIT_BYTES_PER_S, 3.35e12},
        {"52.6 GB/s", UNIT_BYTES_PER_S, 52.6e9},
        {"49.5GB/s", UNIT_BYTES_PER_S, 49.5e9},
        {"1 GiB/s", UNIT_BYTES_PER_S, 1073741824},
        {"5 us", UNIT_SECONDS, 5e-6}, /* 5 * 1e-6 is one bit less */
        {"3 us", UNIT_SECONDS, 3e-6},
        {"0.48 us", UNIT_SECONDS, 0.48e-6},
        {"7 ms", UNIT_SECONDS, 7e-3},
        {"30 ns", UNIT_SECONDS, 30e-9},
        {"1.5e3 ns", UNIT_SECONDS, 1.5e-6},
        {"90 s", UNIT_SECONDS, 90},
        {"1.5 min", UNIT_SECONDS, 90},
        {"2 h", UNIT_SECONDS, 7200},
        {"1 d", UNIT_SECONDS, 86400},
        {"5 y", UNIT_SECONDS, 5 * 365.25 * 86400},
        {"12/s", UNIT_PER_S, 12},
        {"6 /min", UNIT_PER_S, 0.1},
        {"36/h", UNIT_PER_S, 0.01},
        {"50 Hz", UNIT_PER_S, 50},
        {"3.3 MIOPS", UNIT_PER_S, 3.3e6},
        {"540 kIOPS", UNIT_PER_S, 540e3},
        {"8 M/s", UNIT_PER_S, 8e6},
        {"989.4 TFLOPS", UNIT_FLOPS, 989.4e12},
        {"1.979 PFLOPS", UNIT_FLOPS, 1.979e15},
        {"700 W", UNIT_WATTS, 700},
        {"10.2 kW", UNIT_WATTS, 10.2e3},
        {"1.1 mW", UNIT_WATTS, 1.1e-3},
        {"$2500", UNIT_USD, 2500},
        {"$300k", UNIT_USD, 300000},
        {"$2.95/h", UNIT_USD_PER_HOUR, 2.95},
        {"$48/d", UNIT_USD_PER_HOUR, 2},
        {"$8766/y", UNIT_USD_PER_HOUR, 1},
        {"$0.25/GB", UNIT_USD_PER_BYTE, 0.25e-9},
        {"$0.10/GB", UNIT_USD_PER_BYTE, 0.10e-9},
        {"$2/GiB", UNIT_USD_PER_BYTE, 2.0 / 1073741824},
        {"$0.08/kWh", UNIT_USD_PER_KWH, 0.08},
        {"$80/MWh", UNIT_USD_PER_KWH, 0.08},
        {"45 %", UNIT_RATIO, 0.45},
        {"7%", UNIT_RATIO, 0.07}, /* 7 * 0.01 is one bit more */
        {"0.9", UNIT_RATIO, 0.9},
        {"8192", UNIT_TOKENS, 8192},
        {"60k", UNIT_TOKENS, 60000},
        {"60 k tokens", UNIT_TOKENS, 60000},
        {"1.5 M tokens", UNIT_TOKENS, 1500000},
        {"1 token", UNIT_TOKENS, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double value = NAN;
        struct error err;
        int failed = unit_parse(cases[i].text, cases[i].unit, &value, &err);
        if (failed || value != cases[i].value)
            fail_msg("'%s' as %s is %.17g", cases[i].text, unit_name(cases[i].unit), value);
    }
}

static void zero_is_zero_in_every_unit(void **state) {
    (void)state;
    static const char *const zeros[] = {"0", "-0", "0.0", "0e9", " 0 "};
    struct error err;
    for (int unit = 0; unit < UNIT_COUNT; unit++)
        for (size_t i = 0; i < sizeof zeros / sizeof *zeros; i++) {
            double value = NAN;
            assert_int_equal(unit_parse(zeros[i], (enum unit)unit, &value, &err), 0);
            assert_true(value == 0 && !signbit(value));
        }
}

/* What unit_format writes, unit_parse reads; examples are what they say. */
static void units_round_trip(void **state) {
    (void)state;
    uint64_t random = 1;
    char text[64];
    struct error err;
    double value;
    for (int unit = 0; unit < UNIT_COUNT; unit++) {
        assert_int_equal(unit_parse(unit_example((enum unit)unit), (enum unit)unit, &value, &err), 0);
        assert_true(value > 0 && *unit_name((enum unit)unit));
        for (int i = 0; i < 2000; i++) {
            double power = (double)(next_random(&random) % 36) - 14;
            double wanted = (1 + (double)(next_random(&random) % 100000) / 1e4) * pow(10, power);
            if (i % 7 == 0)
                wanted = i == 0 ? 0 : -wanted;
            unit_format(text, sizeof text, wanted, (enum unit)unit, 15);
            if (unit_parse(text, (enum unit)unit, &value, &err) != 0 || fabs(value - wanted) > 1e-14 * fabs(wanted))
                fail_msg("%.17g as %s is written '%s' and read as %.17g", wanted, unit_name((enum unit)unit), text,
                         value);
        }
    }
}

static void units_are_written_in_the_handiest_prefix(void **state) {
    (void)state;
    static const struct {
        double value;
        enum unit unit;
        int digits;
        const char *text;
    } cases[] = {
        {52.6e9, UNIT_BYTES_PER_S, 3, "52.6 GB/s"},
        {999.9e6, UNIT_BYTES, 3, "1 GB"},
        {512, UNIT_BYTES, 3, "512 B"},
        {0, UNIT_BYTES, 3, "0 B"},
        {4.2e-6, UNIT_SECONDS, 3, "4.2 us"},
        {90, UNIT_SECONDS, 3, "1.5 min"},
        {3e-10, UNIT_SECONDS, 3, "0.3 ns"},
        {989e12, UNIT_FLOPS, 3, "989 TFLOPS"},
        {10200, UNIT_WATTS, 3, "10.2 kW"},
        {60000, UNIT_TOKENS, 3, "60k"},
        {0.455, UNIT_RATIO, 3, "45.5 %"},
        {2.95, UNIT_USD_PER_HOUR, 3, "$2.95/h"},
        {1e-10, UNIT_USD_PER_BYTE, 3, "$0.1/GB"},
        {12, UNIT_PER_S, 3, "12/s"},
    };
    char text[64];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(unit_format(text, sizeof text, cases[i].value, cases[i].unit, cases[i].digits),
                            cases[i].text);
}

/* Pieces of every size stay apart, aligned, zeroed, and where they are. */
static void arenas(void **state) {
    (void)state;
    enum { PIECES = 3000 };
    static unsigned char *piece[PIECES];
    static size_t size[PIECES];
    struct arena *arena = arena_create();
    uint64_t random = 2;
    for (size_t i = 0; i < PIECES; i++) {
        size[i] = i % 500 == 499 ? 200000 : next_random(&random) % 300;
        piece[i] = arena_alloc(arena, size[i]);
        assert_int_equal((uintptr_t)piece[i] % _Alignof(max_align_t), 0);
        for (size_t k = 0; k < size[i]; k++)
            assert_int_equal(piece[i][k], 0);
        memset(piece[i], (int)(i % 251 + 1), size[i]);
    }
    for (size_t i = 0; i < PIECES; i++)
        for (size_t k = 0; k < size[i]; k++)
            assert_int_equal(piece[i][k], i % 251 + 1);
    assert_string_equal(arena_strdup(arena, "text"), "text");
    assert_string_equal(arena_strdup(arena, ""), "");
    assert_string_equal(arena_printf(arena, "%s-%05d|%c", "a", 42, 'z'), "a-00042|z");
    char *wide = arena_printf(arena, "%70000d", 7);
    assert_int_equal(strlen(wide), 70000);
    assert_int_equal(wide[69999], '7');
    arena_destroy(arena);
    arena_destroy(NULL);
}

/* A terabyte that is hardly touched costs hardly anything. */
static void lazy_memory(void **state) {
    (void)state;
    size_t count = (size_t)1 << 37;
    uint64_t *memory = lazy_alloc(count, sizeof *memory);
    for (size_t at = 0; at < count; at += count / 16) {
        assert_int_equal(memory[at], 0);
        memory[at] = at;
    }
    assert_int_equal(memory[count - count / 16], count - count / 16);
    lazy_free(memory, count, sizeof *memory);
    lazy_free(lazy_alloc(0, 8), 0, 8);
    lazy_free(NULL, 1, 1);
}

/* An array indexed by key is the map that nobody doubts. Keys are few, so that they are put, replaced and deleted
 * often; `step` spreads them, or makes them neighbours in the table. */
static void against_array(uint64_t step, uint64_t seed, int operations) {
    enum { KEYS = 700 };
    static uint32_t reference[KEYS];
    struct int_map *map = int_map_create();
    uint64_t count = 0;
    for (size_t i = 0; i < KEYS; i++)
        reference[i] = INT_MAP_NONE;
    for (int i = 0; i < operations; i++) {
        uint64_t key = next_random(&seed) % KEYS, what = next_random(&seed) % 10;
        /* Filling and emptying take turns, so that chains grow long and are cut in the middle. */
        uint64_t deletes = i / 2000 % 2 ? 7 : 3;
        if (what < deletes) {
            assert_int_equal(int_map_delete(map, key * step), reference[key]);
            count -= reference[key] != INT_MAP_NONE;
            reference[key] = INT_MAP_NONE;
        } else {
            uint32_t value = (uint32_t)next_random(&seed);
            count += reference[key] == INT_MAP_NONE;
            int_map_put(map, key * step, value);
            reference[key] = value;
        }
        assert_int_equal(int_map_count(map), count);
        if (i % 50 == 0)
            for (uint64_t k = 0; k < KEYS; k++)
                assert_int_equal(int_map_get(map, k * step), reference[k]);
    }
    int_map_destroy(map);
}

static void int_maps(void **state) {
    (void)state;
    against_array(1, 3, 30000);
    against_array(UINT64_C(1) << 32, 4, 30000);
    against_array(UINT64_C(0x9e3779b97f4a7c15), 5, 30000);
    int_map_destroy(NULL);
}

static void int_map_edges(void **state) {
    (void)state;
    struct int_map *map = int_map_create();
    assert_int_equal(int_map_get(map, 0), INT_MAP_NONE);
    assert_int_equal(int_map_delete(map, 0), INT_MAP_NONE);
    int_map_put(map, 0, 0);
    int_map_put(map, UINT64_MAX, INT_MAP_NONE - 1);
    assert_int_equal(int_map_get(map, 0), 0);
    assert_int_equal(int_map_get(map, UINT64_MAX), INT_MAP_NONE - 1);
    for (uint64_t key = 1; key <= 200000; key++)
        int_map_put(map, key, (uint32_t)(key * 7));
    assert_int_equal(int_map_count(map), 200002);
    for (uint64_t key = 1; key <= 200000; key += 2)
        assert_int_equal(int_map_delete(map, key), (uint32_t)(key * 7));
    for (uint64_t key = 1; key <= 200000; key++)
        assert_int_equal(int_map_get(map, key), key % 2 ? INT_MAP_NONE : (uint32_t)(key * 7));
    int_map_destroy(map);
}

static void nearest_names(void **state) {
    (void)state;
    static const char *const names[] = {"bandwidth", "latency", "submit", "descriptor", "duplex", "peak"};
    static const char *const pairs[][2] = {{"bandwith", "bandwidth"},
                                           {"latencyy", "latency"},
                                           {"peek", "peak"},
                                           {"Submit", "submit"},
                                           {"descriptr", "descriptor"}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        assert_string_equal(error_nearest(pairs[i][0], names, 6), pairs[i][1]);
    assert_null(error_nearest("colour", names, 6));
    assert_null(error_nearest("latency", names, 0));
    static const char *const ties[] = {"ab", "ac"};
    assert_string_equal(error_nearest("ad", ties, 2), "ab"); /* the first of equals */
    char longer[200];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = 0;
    assert_null(error_nearest(longer, names, 6));
}

static void words_of_enums(void **state) {
    (void)state;
    assert_string_equal(basis_name(BASIS_MEASURED), "measured");
    assert_string_equal(basis_name(BASIS_EXTRAPOLATED), "extrapolated");
    assert_string_equal(basis_name(BASIS_SPEC), "spec");
    assert_int_equal(basis_weaker(BASIS_MEASURED, BASIS_SPEC), BASIS_SPEC);
    assert_int_equal(basis_weaker(BASIS_EXTRAPOLATED, BASIS_MEASURED), BASIS_EXTRAPOLATED);
    for (int a = 0; a < CAUSE_COUNT; a++)
        for (int b = 0; b < a; b++)
            assert_string_not_equal(cause_name((enum cause)a), cause_name((enum cause)b));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(units),
        cmocka_unit_test(zero_is_zero_in_every_unit),
        cmocka_unit_test(units_round_trip),
        cmocka_unit_test(units_are_written_in_the_handiest_prefix),
        cmocka_unit_test(arenas),
        cmocka_unit_test(lazy_memory),
        cmocka_unit_test(int_maps),
        cmocka_unit_test(int_map_edges),
        cmocka_unit_test(nearest_names),
        cmocka_unit_test(words_of_enums),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
