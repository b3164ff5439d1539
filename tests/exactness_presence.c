/* Does one walk along a prompt tell of each holder what a look at its own set tells? */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sim/memory/presence.h"

enum { IDS = 700, HOLDERS_MAX = 130, PROMPT_MAX = 90 };
static bool holds[HOLDERS_MAX][IDS];

static uint64_t next(uint64_t *state) { /* splitmix64 */
    uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

/* Texts begin anywhere in a group, and far apart. */
static uint64_t id_of(uint64_t number) {
    return number / 50 * UINT64_C(1000003) + 7 + number % 50;
}

static void compare(struct presence *presence, uint32_t holders, uint64_t *random) {
    uint64_t ids[PROMPT_MAX], numbers[PROMPT_MAX];
    uint32_t leading[HOLDERS_MAX], count = (uint32_t)(next(random) % PROMPT_MAX);
    uint64_t first = next(random) % IDS;
    for (uint32_t i = 0; i < count; i++) {
        if (next(random) % 20 == 0)
            first = next(random) % IDS; /* another text goes on */
        numbers[i] = (first + i) % IDS;
        ids[i] = id_of(numbers[i]);
    }
    memset(leading, 0xff, sizeof leading);
    presence_match(presence, ids, count, leading);
    for (uint32_t h = 0; h < holders; h++) {
        uint32_t expected = 0;
        while (expected < count && holds[h][numbers[expected]])
            expected++;
        assert_int_equal(leading[h], expected);
    }
}

static void as_sets_do(void **state) {
    (void)state;
    static const uint32_t fleets[] = {1, 2, 63, 64, 65, HOLDERS_MAX};
    for (size_t f = 0; f < sizeof fleets / sizeof *fleets; f++) {
        uint64_t random = f;
        uint32_t holders = fleets[f];
        struct presence *presence = presence_create(holders);
        memset(holds, 0, sizeof holds);
        for (int round = 0; round < 200; round++) {
            /* Runs of a text come and go, as a prompt's blocks do; towards full, then towards empty. */
            for (int change = 0; change < 60; change++) {
                uint32_t h = (uint32_t)(next(&random) % holders);
                uint64_t at = next(&random) % IDS, run = 1 + next(&random) % 40;
                bool come = next(&random) % 10 < (round < 120 ? 7U : 2U);
                for (uint64_t n = at; n < at + run && n < IDS; n++) {
                    if (holds[h][n] == come)
                        continue;
                    holds[h][n] = come;
                    come ? presence_add(presence, h, id_of(n)) : presence_remove(presence, h, id_of(n));
                }
            }
            compare(presence, holders, &random);
        }
        for (uint32_t h = 0; h < holders; h++)
            for (uint64_t n = 0; n < IDS; n++)
                if (holds[h][n]) {
                    presence_remove(presence, h, id_of(n));
                    holds[h][n] = false;
                }
        compare(presence, holders, &random); /* nobody has anything */
        presence_destroy(presence);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(as_sets_do)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
