/* Azure LLM inference trace: CSV "TIMESTAMP,ContextTokens,GeneratedTokens". No identity: nothing is ever shared. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/workload/format.h"

struct reading {
    struct trace *trace;
    const struct trace_text *text;
    struct error *err;
};

/* Days since 1970-01-01 of a civil date (proleptic Gregorian). */
static int64_t days_of(int year, int month, int day) {
    year -= month <= 2;
    int64_t era = year / 400, of_era = year - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + day_of_year - 719468;
}

static int read_line(void *self, const char *at, size_t size, int number) {
    struct reading *reading = self;
    struct place place = {reading->text->name, number, 1};
    char line[256];
    if (number == 1 && size > 9 && strncmp(at, "TIMESTAMP", 9) == 0) return 0;
    if (size >= sizeof line) return error_at(reading->err, place, "the line is too long\n  hint: TIMESTAMP,ContextTokens,GeneratedTokens");
    memcpy(line, at, size);
    line[size] = 0;
    int year, month, day, hour, minute, used = 0;
    double second;
    long prompt, output;
    if (sscanf(line, "%4d-%2d-%2d %2d:%2d:%lf,%ld,%ld%n", &year, &month, &day, &hour, &minute, &second, &prompt, &output, &used) != 8 || (size_t)used != size)
        return error_at(reading->err, place, "not 'TIMESTAMP,ContextTokens,GeneratedTokens'\n  hint: as in 2023-11-16 18:17:03.97,4808,10; mend or drop the line");
    bool in_range = year >= 1970 && year < 2200 && month >= 1 && month <= 12 && day >= 1 && day <= 31 && hour >= 0 && hour < 24 && minute >= 0 && minute < 60 && second >= 0 && second < 61;
    if (!in_range) return error_at(reading->err, place, "'%.*s' is not a time\n  hint: as in 2023-11-16 18:17:03.97", (int)strcspn(line, ","), line);
    if (prompt < 1 || prompt > TRACE_TOKENS_MAX || output < 0 || output > TRACE_TOKENS_MAX)
        return error_at(reading->err, place, "token counts are out of range\n  hint: 1 to %d; mend or drop the line", TRACE_TOKENS_MAX);
    int64_t seconds = days_of(year, month, day) * 86400 + hour * 3600 + minute * 60;
    struct trace_request request = {.at_ns = seconds * SIM_SECOND + (int64_t)(second * 1e9 + 0.5), .session = TRACE_NONE, .prompt_tokens = (uint32_t)prompt,
                                    .output_tokens = (uint32_t)(output > 0 ? output : 1)};
    trace_add(reading->trace, &request, NULL, 0);
    return 0;
}

static int read(struct trace *trace, const struct trace_text *text, struct error *err) {
    struct reading reading = {trace, text, err};
    return each_line(text, read_line, &reading);
}

static bool sniff(const char *text, size_t size) { return size > 9 && strncmp(text, "TIMESTAMP", 9) == 0; }

extern const struct trace_format format_azure;
const struct trace_format format_azure = {.name = "azure", .describes = "Azure LLM inference CSV, lengths only", .hash_tokens = 0, .sniff = sniff, .read = read};
