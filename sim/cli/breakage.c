#include "sim/cli/breakage.h"

#include <stdlib.h>

#include "sim/cli/report.h"
#include "sim/output/table.h"

static double hits_of(const struct metrics *metrics) {
    double hits = 0;
    for (int t = 0; t < RECORD_TIERS_MAX; t++)
        hits += (double)metrics->hit_tokens[t];
    return hits;
}

/* The run with this fault alone; with one fault that is the run itself. NULL: there were too many to run each. */
static const struct outcome *alone(const struct verdict *verdict, size_t index) {
    return verdict->alone_count > 0 ? verdict->alone[index] : verdict->base;
}

static void find_worst(const struct variant *v, const struct outcome *with, size_t index, uint64_t seed,
                       struct breakage *out) {
    struct faults_world world = variant_faults(v);
    struct fault_event *events;
    sim_time horizon = (sim_time)(variant_horizon_s(v, with->load) * 1e9);
    uint32_t count = faults_schedule(&world, seed, horizon > 0 ? horizon : SIM_NEVER - 1, &events);
    for (uint32_t i = 0; i < count; i++) {
        if (events[i].fault != index || events[i].begin > with->result.last_end_ns)
            continue;
        out->events++;
        struct recovered back =
            recovery_after(with->metrics.recovery, events[i].begin, events[i].end, v->options.spaces.regained);
        if (!back.known)
            continue;
        out->unregained += !back.regained;
        if (!out->worst.known || (!back.regained && out->worst.regained) ||
            (back.regained == out->worst.regained && back.after_s > out->worst.after_s))
            out->worst = back;
    }
    free(events);
}

struct breakage breakage_of(const struct variant *v, const struct verdict *verdict, size_t index) {
    const struct outcome *with = alone(verdict, index), *without = verdict->unbroken;
    const struct metrics *m = &with->metrics, *n = &without->metrics;
    struct breakage out = {.fault = (const struct fault_options *)v->options.faults.items + index,
                           .ttft_p99_s = metrics_percentile_s(m->ttft, 0.99),
                           .without_p99_s = metrics_percentile_s(n->ttft, 0.99),
                           .fewer_output_tokens = (int64_t)n->output_tokens - (int64_t)m->output_tokens};
    double scale = n->prompt_tokens > 0 ? (double)m->prompt_tokens / (double)n->prompt_tokens : 1;
    out.lost_hit_tokens = hits_of(n) * scale - hits_of(m);
    out.more_computed_tokens = (double)m->computed_tokens - (double)n->computed_tokens * scale;
    find_worst(v, with, index, (uint64_t)v->options.seed, &out);
    return out;
}

struct recovered breakage_rollout(const struct variant *v, const struct outcome *outcome, size_t index) {
    const struct space_rollout *rollout = (const struct space_rollout *)v->options.spaces.rollouts.items + index;
    double over_s = v->instances > 1 ? rollout->at_s + rollout->over_s : rollout->at_s;
    return recovery_after(outcome->metrics.recovery, (int64_t)(rollout->at_s * 1e9 + 0.5),
                          (int64_t)((over_s + rollout->restart_s) * 1e9 + 0.5), v->options.spaces.regained);
}

static const char *fault_text(const struct fault_options *fault, char *text, size_t size) {
    if (fault->name)
        snprintf(text, size, "%s", fault->name);
    else
        snprintf(text, size, "%s %s", fault_kind_names[fault->kind], fault->of ? fault->of : "");
    return text;
}

static void back_cell(struct table *table, const struct breakage *b) {
    char text[32];
    if (!b->worst.known)
        table_cell(table, "-");
    else if (b->unregained > 0)
        table_cell(table, "not");
    else
        table_cell(table, "%s", unit_format(text, sizeof text, b->worst.after_s, UNIT_SECONDS, 3));
}

static void fault_row(struct table *table, const struct variant *v, const struct breakage *b, bool several) {
    char text[64], lost[32], more[32], less[32];
    table_row(table);
    table_cell(table, "%s", fault_text(b->fault, text, sizeof text));
    if (several)
        table_cell(table, "%s", v->name);
    table_cell(table, "%u", b->events);
    table_cell(table, "%+.2g", b->ttft_p99_s - b->without_p99_s);
    table_cell(table, "%s", unit_format(lost, sizeof lost, b->lost_hit_tokens, UNIT_TOKENS, 3));
    table_cell(table, "%s", unit_format(more, sizeof more, b->more_computed_tokens, UNIT_TOKENS, 3));
    table_cell(table, "%s", unit_format(less, sizeof less, (double)b->fewer_output_tokens, UNIT_TOKENS, 3));
    table_cell(table, b->worst.known ? "%.0f%%" : "-", 100 * b->worst.before);
    table_cell(table, b->worst.known ? "%.0f%%" : "-", 100 * b->worst.lowest);
    back_cell(table, b);
}

void breakage_table(const struct scenario *scenario, const struct verdict *verdicts) {
    static const char *const columns[] = {"<fault",   "<variant", "times", "p99 s", "hits lost", "computed",
                                          "output -", "hits",     "least", "back",  NULL};
    const char *single[sizeof columns / sizeof *columns];
    bool several = scenario->count > 1;
    for (size_t c = 0, at = 0; c < sizeof columns / sizeof *columns; c++)
        if (c != 1)
            single[at++] = columns[c];
    struct table *table = NULL;
    size_t first = scenario->count;
    for (size_t i = 0; i < scenario->count; i++) {
        const struct variant *v = &scenario->variants[i];
        for (size_t k = 0; !verdicts[i].failed && verdicts[i].unbroken && k < v->options.faults.count; k++) {
            struct breakage b = breakage_of(v, &verdicts[i], k);
            first = first < i ? first : i;
            table = table ? table : table_create(several ? columns : single);
            fault_row(table, v, &b, several);
        }
    }
    if (!table)
        return;
    char window[32];
    const struct spaces_options *o = &scenario->variants[first].options.spaces;
    puts("\nWhat each fault cost by itself, against the same run without any:");
    table_print(table, stdout);
    printf("p99: of TTFT; tokens: hits lost, prompt computed beyond, output missing; hit ratio before, least, and how\n"
           "long after the fault's end %.0f %% of it was back (windows of %s).\n",
           100 * o->regained, unit_format(window, sizeof window, o->window_s, UNIT_SECONDS, 3));
}

void breakage_tell(const struct scenario *scenario, const struct verdict *verdicts, FILE *out) {
    for (size_t i = 0; i < scenario->count; i++) {
        const struct variant *v = &scenario->variants[i];
        const struct spaces_options *o = &v->options.spaces;
        const struct space_rollout *rollouts = o->rollouts.items;
        for (size_t k = 0; !verdicts[i].failed && k < o->rollouts.count; k++) {
            struct recovered back = breakage_rollout(v, verdicts[i].base, k);
            char at[32], after[32], window[32];
            fprintf(out, "Roll-out of %s at %s in '%s': ", rollouts[k].version,
                    unit_format(at, sizeof at, rollouts[k].at_s, UNIT_SECONDS, 3), v->name);
            if (!back.known) {
                fprintf(out, "too near an end of the run to say when hits are back.\n");
                continue;
            }
            fprintf(out, "the hit ratio falls from %.0f %% to %.0f %% (windows of %s), ", 100 * back.before,
                    100 * back.lowest, unit_format(window, sizeof window, o->window_s, UNIT_SECONDS, 3));
            if (!back.regained)
                fprintf(out, "%.0f %% of that is not back when the run ends.\n", 100 * o->regained);
            else if (back.after_s > 0)
                fprintf(out, "%.0f %% of that is back %s after the last instance has changed.\n", 100 * o->regained,
                        unit_format(after, sizeof after, back.after_s, UNIT_SECONDS, 3));
            else
                fprintf(out, "%.0f %% of that is there once the last instance has changed.\n", 100 * o->regained);
        }
    }
}

static void write_recovered(struct json *json, const struct recovered *back, const char *after) {
    if (!back->known) {
        json_null(json, "hit_ratio_before");
        json_null(json, "hit_ratio_lowest");
        json_null(json, after);
        return;
    }
    json_number(json, "hit_ratio_before", back->before);
    json_number(json, "hit_ratio_lowest", back->lowest);
    if (back->regained)
        json_number(json, after, back->after_s);
    else
        json_null(json, after);
}

void breakage_json(struct json *json, const struct variant *v, const struct verdict *verdict) {
    const struct spaces_options *o = &v->options.spaces;
    const struct space_rollout *rollouts = o->rollouts.items;
    if (verdict->unbroken) {
        json_array(json, "faults");
        for (size_t k = 0; k < v->options.faults.count; k++) {
            struct breakage b = breakage_of(v, verdict, k);
            char text[64];
            json_object(json, NULL);
            json_string(json, "name", fault_text(b.fault, text, sizeof text));
            json_string(json, "kind", fault_kind_names[b.fault->kind]);
            json_integer(json, "times", b.events);
            json_number(json, "ttft_p99_s", b.ttft_p99_s);
            json_number(json, "ttft_p99_without_s", b.without_p99_s);
            json_number(json, "lost_hit_tokens", b.lost_hit_tokens);
            json_number(json, "more_computed_tokens", b.more_computed_tokens);
            json_integer(json, "fewer_output_tokens", b.fewer_output_tokens);
            write_recovered(json, &b.worst, "recovered_s");
            json_integer(json, "unrecovered", b.unregained);
            json_object_end(json);
        }
        json_array_end(json);
    }
    if (o->rollouts.count == 0)
        return;
    json_array(json, "rollouts");
    for (size_t k = 0; k < o->rollouts.count; k++) {
        struct recovered back = breakage_rollout(v, verdict->base, k);
        json_object(json, NULL);
        json_string(json, "version", rollouts[k].version);
        json_number(json, "at_s", rollouts[k].at_s);
        write_recovered(json, &back, "refill_s");
        json_object_end(json);
    }
    json_array_end(json);
}
