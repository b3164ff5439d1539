/* Azure LLM inference trace: CSV "TIMESTAMP,ContextTokens,GeneratedTokens". No identity: nothing is ever shared. */
#include <stdlib.h>
#include <string.h>

#include "sim/workload/format.h"

struct reading {
    struct trace *trace;
    const struct trace_text *text;
    struct error *err;
};

/* Days since 1970-01-01 of a civil date (proleptic Gregorian). */
static int64_t days_of(int64_t year, int64_t month, int64_t day) {
    year -= month <= 2;
    int64_t era = year / 400, of_era = year - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + day_of_year - 719468;
}

/* A whole number without sign, of at most `digits` digits, followed by `stop`; *at moves behind it. */
static bool take_number(const char **at, int digits, char stop, int64_t *out) {
    *out = 0;
    int seen = 0;
    for (; **at >= '0' && **at <= '9' && seen < digits; ++*at, seen++)
        *out = *out * 10 + (**at - '0');
    if (seen == 0 || **at != stop)
        return false;
    if (stop)
        ++*at;
    return true;
}

/* "2023-11-16 18:17:03.9799600,4808,10" */
struct row {
    int64_t year, month, day, hour, minute, prompt, output;
    double second;
};

static bool take_row(const char *at, struct row *row) {
    if (!take_number(&at, 4, '-', &row->year) || !take_number(&at, 2, '-', &row->month) ||
        !take_number(&at, 2, ' ', &row->day) || !take_number(&at, 2, ':', &row->hour) ||
        !take_number(&at, 2, ':', &row->minute) || *at < '0' || *at > '9')
        return false;
    char *end;
    row->second = strtod(at, &end);
    if (*end != ',')
        return false;
    at = end + 1;
    return take_number(&at, 12, ',', &row->prompt) && take_number(&at, 12, 0, &row->output);
}

static int read_line(void *self, const char *at, size_t size, int number) {
    struct reading *reading = self;
    struct place place = {reading->text->name, number, 1};
    char line[256];
    if (number == 1 && size > 9 && strncmp(at, "TIMESTAMP", 9) == 0)
        return 0;
    if (size >= sizeof line)
        return error_at(reading->err, place, "the line is too long\n  hint: TIMESTAMP,ContextTokens,GeneratedTokens");
    memcpy(line, at, size);
    line[size] = 0;
    struct row row;
    if (strlen(line) != size || !take_row(line, &row))
        return error_at(reading->err, place,
                        "not 'TIMESTAMP,ContextTokens,GeneratedTokens'\n"
                        "  hint: as in 2023-11-16 18:17:03.97,4808,10; mend or drop the line");
    bool in_range = row.year >= 1970 && row.year < 2200 && row.month >= 1 && row.month <= 12 && row.day >= 1 &&
                    row.day <= 31 && row.hour < 24 && row.minute < 60 && row.second >= 0 && row.second < 61;
    if (!in_range)
        return error_at(reading->err, place, "'%.*s' is not a time\n  hint: as in 2023-11-16 18:17:03.97",
                        (int)strcspn(line, ","), line);
    if (row.prompt < 1 || row.prompt > TRACE_TOKENS_MAX || row.output > TRACE_TOKENS_MAX)
        return error_at(reading->err, place, "token counts are out of range\n  hint: 1 to %d; mend or drop the line",
                        TRACE_TOKENS_MAX);
    int64_t seconds = days_of(row.year, row.month, row.day) * 86400 + row.hour * 3600 + row.minute * 60;
    struct trace_request request = {.at_ns = seconds * SIM_SECOND + (int64_t)(row.second * 1e9 + 0.5),
                                    .session = TRACE_NONE,
                                    .prompt_tokens = (uint32_t)row.prompt,
                                    .output_tokens = (uint32_t)(row.output > 0 ? row.output : 1)};
    trace_add(reading->trace, &request, NULL, 0);
    return 0;
}

static int read(struct trace *trace, const struct trace_text *text, struct error *err) {
    struct reading reading = {trace, text, err};
    return each_line(text, read_line, &reading);
}

static bool sniff(const char *text, size_t size) {
    return size > 9 && strncmp(text, "TIMESTAMP", 9) == 0;
}

extern const struct trace_format format_azure;
const struct trace_format format_azure = {.name = "azure",
                                          .describes = "Azure LLM inference CSV, lengths only",
                                          .hash_tokens = 0,
                                          .sniff = sniff,
                                          .read = read};
