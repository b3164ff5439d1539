#include "sim/base/unit.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A suffix and what one of it is in SI. */
struct scale {
    const char *suffix;
    double factor;
};

#define DECIMAL_BYTES                                                                                                  \
    {"B", 1}, {"kB", 1e3}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"PB", 1e15}, {                        \
        "EB", 1e18                                                                                                     \
    }
#define BINARY_BYTES                                                                                                   \
    {"KiB", 1024.0}, {"MiB", 1048576.0}, {"GiB", 1073741824.0}, {"TiB", 1099511627776.0}, {                            \
        "PiB", 1125899906842624.0                                                                                      \
    }

static const struct scale byte_scales[] = {DECIMAL_BYTES, BINARY_BYTES, {NULL, 0}};
static const struct scale second_scales[] = {{"s", 1},    {"ms", 1e-3}, {"us", 1e-6},      {"ns", 1e-9}, {"min", 60},
                                             {"h", 3600}, {"d", 86400}, {"y", 31557600.0}, {NULL, 0}};
static const struct scale per_s_scales[] = {{"/s", 1},          {"Hz", 1},      {"IOPS", 1},  {"k/s", 1e3},
                                            {"kIOPS", 1e3},     {"MIOPS", 1e6}, {"M/s", 1e6}, {"/min", 1.0 / 60},
                                            {"/h", 1.0 / 3600}, {NULL, 0}};
static const struct scale flops_scales[] = {
    {"TFLOPS", 1e12}, {"GFLOPS", 1e9}, {"PFLOPS", 1e15}, {"FLOPS", 1}, {NULL, 0}};
static const struct scale watt_scales[] = {{"W", 1}, {"kW", 1e3}, {"MW", 1e6}, {"mW", 1e-3}, {NULL, 0}};
static const struct scale token_scales[] = {{"", 1},           {"k", 1e3},        {"M", 1e6},   {"tokens", 1},
                                            {"k tokens", 1e3}, {"M tokens", 1e6}, {"token", 1}, {NULL, 0}};
static const struct scale ratio_scales[] = {{"", 1}, {"%", 0.01}, {NULL, 0}};
static const struct scale none_scales[] = {{"", 1}, {"k", 1e3}, {"M", 1e6}, {NULL, 0}};
static const struct scale usd_scales[] = {{"", 1}, {"k", 1e3}, {"M", 1e6}, {NULL, 0}};
static const struct scale usd_hour_scales[] = {{"/h", 1}, {"/d", 1.0 / 24}, {"/y", 1.0 / 8766}, {NULL, 0}};
static const struct scale kwh_scales[] = {{"/kWh", 1}, {"/MWh", 1e-3}, {NULL, 0}};

static const struct unit_facts {
    const char *name, *example;
    const struct scale *scales;
    bool plain;       /* a bare number will do */
    bool dollars;     /* "$" in front */
    const char *tail; /* after the scale: "/s" of bytes a second */
} facts[UNIT_COUNT] = {
    [UNIT_NONE] = {"a number", "8", none_scales, true, false, ""},
    [UNIT_BYTES] = {"bytes", "80 GiB", byte_scales, false, false, ""},
    [UNIT_BYTES_PER_S] = {"bytes per second", "3.35 TB/s", byte_scales, false, false, "/s"},
    [UNIT_SECONDS] = {"time", "5 us", second_scales, false, false, ""},
    [UNIT_PER_S] = {"a rate", "12/s", per_s_scales, false, false, ""},
    [UNIT_FLOPS] = {"FLOP/s", "989 TFLOPS", flops_scales, false, false, ""},
    [UNIT_WATTS] = {"watts", "700 W", watt_scales, false, false, ""},
    [UNIT_USD] = {"dollars", "$2500", usd_scales, false, true, ""},
    [UNIT_USD_PER_HOUR] = {"dollars per hour", "$2.95/h", usd_hour_scales, false, true, ""},
    [UNIT_USD_PER_BYTE] = {"dollars per byte", "$0.10/GB", byte_scales, false, true, ""},
    [UNIT_USD_PER_KWH] = {"dollars per kWh", "$0.08/kWh", kwh_scales, false, true, ""},
    [UNIT_RATIO] = {"a share", "45 %", ratio_scales, true, false, ""},
    [UNIT_TOKENS] = {"tokens", "60k", token_scales, true, false, ""},
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

/* The factor of `suffix` (followed by `tail`) in a table; 0: not in it. */
static double find_scale(const struct scale *scales, const char *suffix, const char *tail) {
    size_t length = strlen(suffix), tail_length = strlen(tail);
    if (length < tail_length || strcmp(suffix + length - tail_length, tail) != 0)
        return 0;
    length -= tail_length;
    for (; scales->suffix; scales++)
        if (strlen(scales->suffix) == length && strncmp(scales->suffix, suffix, length) == 0)
            return scales->factor;
    return 0;
}

int unit_parse(const char *text, enum unit unit, double *value, struct error *err) {
    const struct unit_facts *fact = &facts[unit];
    const char *at = text;
    while (isspace((unsigned char)*at))
        at++;
    bool dollars = *at == '$';
    if (dollars)
        at++;
    /* strtod would also take hexadecimal, "inf" and "nan". */
    if (!isdigit((unsigned char)*at) && *at != '.' && *at != '-' && *at != '+')
        return refuse(text, unit, err);
    if ((at[0] == '0' && (at[1] == 'x' || at[1] == 'X')) || isalpha((unsigned char)at[1])) {
        if (!isdigit((unsigned char)at[0]) || at[1] == 'x' || at[1] == 'X')
            return refuse(text, unit, err);
    }
    char *end;
    double number = strtod(at, &end);
    if (end == at || !isfinite(number))
        return refuse(text, unit, err);
    while (isspace((unsigned char)*end))
        end++;
    char suffix[32];
    size_t length = strlen(end);
    while (length > 0 && isspace((unsigned char)end[length - 1]))
        length--;
    if (length >= sizeof suffix)
        return refuse(text, unit, err);
    memcpy(suffix, end, length);
    suffix[length] = 0;
    if (number == 0 && length == 0) {
        *value = 0;
        return 0;
    }
    if (dollars != fact->dollars)
        return refuse(text, unit, err);
    if (length == 0 && !fact->plain && unit != UNIT_USD)
        return refuse(text, unit, err);
    double factor;
    if (unit == UNIT_USD_PER_BYTE) {
        if (suffix[0] != '/')
            return refuse(text, unit, err);
        factor = find_scale(byte_scales, suffix + 1, "");
        factor = factor > 0 ? 1 / factor : 0;
    } else {
        factor = find_scale(fact->scales, suffix, fact->tail);
    }
    if (factor == 0)
        return refuse(text, unit, err);
    *value = number * factor;
    return isfinite(*value) ? 0 : refuse(text, unit, err);
}

/* The largest of the scales named in `wanted` (largest first, space-separated) that the value reaches; else the last.
 */
static double handiest(const struct scale *scales, const char *const *wanted, double value, const char **suffix) {
    double factor = 1;
    for (; *wanted; wanted++) {
        factor = find_scale(scales, *wanted, "");
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
