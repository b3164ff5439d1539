/* Units in text: "80 GiB", "3.35 TB/s", "5 us", "$2.95/h", "45 %". A figure is stored in SI units
 * (bytes, seconds, bytes/s, FLOP/s, W, $), whatever it was written in. */
#ifndef SIM_BASE_UNIT_H
#define SIM_BASE_UNIT_H

#include <stdbool.h>
#include <stddef.h>

#include "sim/base/error.h"

enum unit {
    UNIT_NONE,         /* a plain number */
    UNIT_BYTES,        /* B kB KB MB GB TB PB, KiB MiB GiB TiB PiB */
    UNIT_BYTES_PER_S,  /* the same with /s */
    UNIT_SECONDS,      /* ns us ms s min h d y */
    UNIT_PER_S,        /* /s, /min, /h, Hz; IOPS */
    UNIT_FLOPS,        /* GFLOPS TFLOPS PFLOPS (per second) */
    UNIT_WATTS,        /* W kW MW */
    UNIT_USD,          /* $ in front */
    UNIT_USD_PER_HOUR, /* "$2.95/h" */
    UNIT_USD_PER_BYTE, /* "$0.10/GB" */
    UNIT_USD_PER_KWH,  /* "$0.08/kWh" */
    UNIT_RATIO,        /* 0.45 or "45 %" */
    UNIT_TOKENS,       /* 8192, "60k", "60 k tokens" */
    UNIT_COUNT
};

/* Parses `text` as `unit`. A plain number is refused where the unit has dimensions (0 is accepted).
 * On failure the error names the units that would do: a wrong unit ("64GB" where bytes/s is meant) is an error. */
int unit_parse(const char *text, enum unit unit, double *value, struct error *err);

/* Writes `value` the way unit_parse reads it, in the handiest prefix, about `digits` significant digits.
 * Returns buffer. */
char *unit_format(char *buffer, size_t size, double value, enum unit unit, int digits);

/* "bytes", "bytes per second", ...: for documentation and messages. */
const char *unit_name(enum unit unit);
/* An example as a user would write it: "80 GiB". */
const char *unit_example(enum unit unit);

#endif
