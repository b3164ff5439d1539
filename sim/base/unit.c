#include "sim/base/unit.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A suffix and what one of it is in SI: times * 10^ten / per. The power of ten goes into the text of the number, so
 * that "5 us" is 5e-6 to the last bit; 0 for times and per is 1. */
struct scale {
    const char *suffix;
    int ten;
    double times, per;
};

static const struct scale byte_scales[] = {{.suffix = "B"},
                                           {"kB", 3, 0, 0},
                                           {"KB", 3, 0, 0},
                                           {"MB", 6, 0, 0},
                                           {"GB", 9, 0, 0},
                                           {"TB", 12, 0, 0},
                                           {"PB", 15, 0, 0},
                                           {"EB", 18, 0, 0},
                                           {"KiB", 0, 1024.0, 0},
                                           {"MiB", 0, 1048576.0, 0},
                                           {"GiB", 0, 1073741824.0, 0},
                                           {"TiB", 0, 1099511627776.0, 0},
                                           {"PiB", 0, 1125899906842624.0, 0},
                                           {.suffix = NULL}};
static const struct scale second_scales[] = {{.suffix = "s"},    {"ms", -3, 0, 0},        {"us", -6, 0, 0},
                                             {"ns", -9, 0, 0},   {"min", 0, 60, 0},       {"h", 0, 3600, 0},
                                             {"d", 0, 86400, 0}, {"y", 0, 31557600.0, 0}, {.suffix = NULL}};
static const struct scale per_s_scales[] = {
    {.suffix = "/s"},   {.suffix = "Hz"}, {.suffix = "IOPS"}, {"k/s", 3, 0, 0},   {"kIOPS", 3, 0, 0},
    {"MIOPS", 6, 0, 0}, {"M/s", 6, 0, 0}, {"/min", 0, 0, 60}, {"/h", 0, 0, 3600}, {.suffix = NULL}};
static const struct scale flops_scales[] = {
    {"TFLOPS", 12, 0, 0}, {"GFLOPS", 9, 0, 0}, {"PFLOPS", 15, 0, 0}, {.suffix = "FLOPS"}, {.suffix = NULL}};
static const struct scale watt_scales[] = {
    {.suffix = "W"}, {"kW", 3, 0, 0}, {"MW", 6, 0, 0}, {"mW", -3, 0, 0}, {.suffix = NULL}};
static const struct scale token_scales[] = {{.suffix = ""},       {"k", 3, 0, 0},        {"M", 6, 0, 0},
                                            {.suffix = "tokens"}, {"k tokens", 3, 0, 0}, {"M tokens", 6, 0, 0},
                                            {.suffix = "token"},  {.suffix = NULL}};
static const struct scale ratio_scales[] = {{.suffix = ""}, {"%", -2, 0, 0}, {.suffix = NULL}};
static const struct scale count_scales[] = {{.suffix = ""}, {"k", 3, 0, 0}, {"M", 6, 0, 0}, {.suffix = NULL}};
static const struct scale usd_hour_scales[] = {
    {.suffix = "/h"}, {"/d", 0, 0, 24}, {"/y", 0, 0, 8766}, {.suffix = NULL}};
static const struct scale kwh_scales[] = {{.suffix = "/kWh"}, {"/MWh", -3, 0, 0}, {.suffix = NULL}};

static const struct unit_facts {
    const char *name, *example;
    const struct scale *scales;
    bool dollars;     /* "$" in front */
    const char *tail; /* after the scale: "/s" of bytes a second */
} facts[UNIT_COUNT] = {
    [UNIT_NONE] = {"a number", "8", count_scales, false, ""},
    [UNIT_BYTES] = {"bytes", "80 GiB", byte_scales, false, ""},
    [UNIT_BYTES_PER_S] = {"bytes per second", "3.35 TB/s", byte_scales, false, "/s"},
    [UNIT_SECONDS] = {"time", "5 us", second_scales, false, ""},
    [UNIT_PER_S] = {"a rate", "12/s", per_s_scales, false, ""},
    [UNIT_FLOPS] = {"FLOP/s", "989 TFLOPS", flops_scales, false, ""},
    [UNIT_WATTS] = {"watts", "700 W", watt_scales, false, ""},
    [UNIT_USD] = {"dollars", "$2500", count_scales, true, ""},
    [UNIT_USD_PER_HOUR] = {"dollars per hour", "$2.95/h", usd_hour_scales, true, ""},
    [UNIT_USD_PER_BYTE] = {"dollars per byte", "$0.10/GB", byte_scales, true, ""},
    [UNIT_USD_PER_KWH] = {"dollars per kWh", "$0.08/kWh", kwh_scales, true, ""},
    [UNIT_RATIO] = {"a share", "45 %", ratio_scales, false, ""},
    [UNIT_TOKENS] = {"tokens", "60k", token_scales, false, ""},
};

const char *unit_name(enum unit unit) {
    return facts[unit].name;
}
const char *unit_example(enum unit unit) {
    return facts[unit].example;
}

static int refuse(const char *text, enum unit unit, struct error *err) {
    return error_set(err, "'%s' is not %s\n  hint: write it like %s", text, unit_name(unit), unit_example(unit));
}

/* The scale that `suffix`, less `tail` at its end, names; NULL: none. */
static const struct scale *find_scale(const struct scale *scales, const char *suffix, const char *tail) {
    size_t length = strlen(suffix), tail_length = strlen(tail);
    if (length < tail_length || strcmp(suffix + length - tail_length, tail) != 0)
        return NULL;
    length -= tail_length;
    for (; scales->suffix; scales++)
        if (strlen(scales->suffix) == length && strncmp(scales->suffix, suffix, length) == 0)
            return scales;
    return NULL;
}

/* Where a decimal number at `text` ends, and where its exponent begins; NULL: there is none. strtod alone would take
 * hexadecimal, "inf" and "nan" too. */
static const char *scan_number(const char *text, const char **exponent) {
    const char *at = text + (*text == '-' || *text == '+');
    size_t digits = 0;
    for (; isdigit((unsigned char)*at); at++)
        digits++;
    if (*at == '.')
        for (at++; isdigit((unsigned char)*at); at++)
            digits++;
    *exponent = at;
    if (digits == 0)
        return NULL;
    if (*at != 'e' && *at != 'E')
        return at;
    const char *power = at + 1 + (at[1] == '-' || at[1] == '+');
    if (!isdigit((unsigned char)*power))
        return at; /* the E of EB */
    while (isdigit((unsigned char)*power))
        power++;
    return power;
}

/* The number at `text`, whose exponent may stand between `exponent` and `end`, in units of `scale`, or of one over it.
 * NAN: too long, or far too large or small. */
static double scaled(const char *text, const char *exponent, const char *end, const struct scale *scale, bool inverse) {
    enum { DIGITS_MAX = 120, POWER_MAX = 100000 };
    char decimal[DIGITS_MAX + 32];
    if (exponent - text > DIGITS_MAX)
        return NAN;
    long power = exponent < end ? strtol(exponent + 1, NULL, 10) : 0;
    if (power < -POWER_MAX || power > POWER_MAX)
        return NAN;
    snprintf(decimal, sizeof decimal, "%.*se%ld", (int)(exponent - text), text,
             power + (inverse ? -scale->ten : scale->ten));
    double value = strtod(decimal, NULL), times = scale->times > 0 ? scale->times : 1;
    value = inverse ? value / times : value * times;
    return scale->per > 0 ? value / scale->per : value;
}

int unit_parse(const char *text, enum unit unit, double *value, struct error *err) {
    const struct unit_facts *fact = &facts[unit];
    const char *at = text, *exponent;
    while (isspace((unsigned char)*at))
        at++;
    bool dollars = *at == '$';
    if (dollars)
        at++;
    const char *end = scan_number(at, &exponent), *after = end;
    if (!end || (dollars && !fact->dollars))
        return refuse(text, unit, err);
    while (isspace((unsigned char)*after))
        after++;
    char suffix[32];
    size_t length = strlen(after);
    while (length > 0 && isspace((unsigned char)after[length - 1]))
        length--;
    if (length >= sizeof suffix)
        return refuse(text, unit, err);
    memcpy(suffix, after, length);
    suffix[length] = 0;
    static const struct scale one = {.suffix = ""};
    bool inverse = unit == UNIT_USD_PER_BYTE; /* "/GB" is one over a GB */
    const struct scale *scale = NULL;
    if (length == 0 && scaled(at, exponent, end, &one, false) == 0)
        scale = &one; /* nothing is nothing in every unit */
    else if (dollars != fact->dollars || (inverse && suffix[0] != '/'))
        return refuse(text, unit, err);
    else
        scale = find_scale(fact->scales, suffix + inverse, fact->tail);
    if (!scale)
        return refuse(text, unit, err);
    *value = scaled(at, exponent, end, scale, inverse);
    if (*value == 0)
        *value = 0; /* no -0 */
    return isfinite(*value) ? 0 : refuse(text, unit, err);
}

/* The largest of the scales named in `wanted` (largest first) that the value reaches; else the last. Returns what one
 * of it is. */
static double handiest(const struct scale *scales, const char *const *wanted, double value, const char **suffix) {
    static const char number[] = "1";
    double factor = 1;
    for (; *wanted; wanted++) {
        factor = scaled(number, number + 1, number + 1, find_scale(scales, *wanted, ""), false);
        *suffix = *wanted;
        if (fabs(value) >= factor * 0.9995)
            break;
    }
    return factor;
}

char *unit_format(char *buffer, size_t size, double value, enum unit unit, int digits) {
    static const char *const bytes[] = {"EB", "PB", "TB", "GB", "MB", "kB", "B", NULL};
    static const char *const seconds[] = {"d", "h", "min", "s", "ms", "us", "ns", NULL};
    static const char *const flops[] = {"PFLOPS", "TFLOPS", "GFLOPS", "FLOPS", NULL};
    static const char *const watts[] = {"MW", "kW", "W", "mW", NULL};
    static const char *const counts[] = {"M", "k", "", NULL};
    const char *suffix = "";
    switch (unit) {
    case UNIT_BYTES:
    case UNIT_BYTES_PER_S:
        value /= value == 0 ? (suffix = "B", 1) : handiest(byte_scales, bytes, value, &suffix);
        snprintf(buffer, size, "%.*g %s%s", digits, value, suffix, unit == UNIT_BYTES ? "" : "/s");
        break;
    case UNIT_SECONDS:
        value /= value == 0 ? (suffix = "s", 1) : handiest(second_scales, seconds, value, &suffix);
        snprintf(buffer, size, "%.*g %s", digits, value, suffix);
        break;
    case UNIT_FLOPS:
        value /= value == 0 ? (suffix = "FLOPS", 1) : handiest(flops_scales, flops, value, &suffix);
        snprintf(buffer, size, "%.*g %s", digits, value, suffix);
        break;
    case UNIT_WATTS:
        value /= value == 0 ? (suffix = "W", 1) : handiest(watt_scales, watts, value, &suffix);
        snprintf(buffer, size, "%.*g %s", digits, value, suffix);
        break;
    case UNIT_TOKENS:
        value /= value == 0 ? 1 : handiest(token_scales, counts, value, &suffix);
        snprintf(buffer, size, "%.*g%s", digits, value, suffix);
        break;
    case UNIT_PER_S:
        snprintf(buffer, size, "%.*g/s", digits, value);
        break;
    case UNIT_USD:
        snprintf(buffer, size, "$%.*g", digits, value);
        break;
    case UNIT_USD_PER_HOUR:
        snprintf(buffer, size, "$%.*g/h", digits, value);
        break;
    case UNIT_USD_PER_BYTE:
        snprintf(buffer, size, "$%.*g/GB", digits, value * 1e9);
        break;
    case UNIT_USD_PER_KWH:
        snprintf(buffer, size, "$%.*g/kWh", digits, value);
        break;
    case UNIT_RATIO:
        snprintf(buffer, size, "%.*g %%", digits, value * 100);
        break;
    default:
        snprintf(buffer, size, "%.*g", digits, value);
        break;
    }
    return buffer;
}
