/* What the GPUs of a node share: bandwidths of switches, sockets and drives from copies of several GPUs at once.
 *
 * A row is predicted by the node's links as flows share them (max-min). From the narrowest scope to the widest, with
 * the stages beyond it unlimited, a stage binds where the rows fall short of what the narrower ones allow; it then
 * carries what was measured. What it can carry is the most that it carried, of rows with as many GPUs taken together
 * (the median): where it carried less, a wider stage bound, and where rows that do not fall short carried more, it does
 * not bind. A stage without which the rows are predicted as well is not
 * determined by them, and keeps the node file's figure. */
#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics.h>
#include <math.h>
#include <string.h>

#include "sim/cli/shared_rows.h"

enum { REFINE_ROUNDS = 4 };
/* Rows that fall short by less are noise; so is an error that a stage takes away that is less. */
static const double shortfall = 1.03, unlimited = 1e15;

struct fitting {
    const struct fit_input *in;
    struct node_options node; /* with links of its own */
    struct node_link *links;
    const struct shared_rows *rows;
    uint32_t most; /* GPUs of the rows that are fitted */
    struct error *err;
    struct shared_gpu *gpus; /* room for the prediction's */
};

static bool is_seen(const struct fitting *f, const struct shared_row *row) {
    return !row->held_out && row->gpus <= f->most;
}
static bool is_shared(const struct node_link *link) {
    return link->scope == SCOPE_SWITCH || link->scope == SCOPE_SOCKET || link->scope == SCOPE_NODE;
}
static double *bandwidth(struct node_link *link, int way) {
    return way == NETWORK_READ ? &link->link.read.bandwidth_bytes_per_s : &link->link.write.bandwidth_bytes_per_s;
}

/* Logarithm of predicted over measured; what the link (NULL: none) would have carried in one unit at the measured rate,
 * or 0 where the row does not go over it that way; and whether it bound the prediction. */
static int look_at(const struct fitting *f, const struct shared_row *row, const struct node_link *link, int way,
                   double *off, double *load, bool *bound) {
    struct shared_result result;
    double seconds;
    if (shared_row_predict(row, &f->node, f->gpus, &result, &seconds, f->err) != 0)
        return -1;
    *off = log(seconds / row->seconds);
    *load = 0;
    *bound = false;
    for (uint32_t i = 0; i < result.last.hop_count; i++) {
        const struct lone_hop *hop = &result.last.hops[i];
        if (hop->link != link || (int)hop->direction != way)
            continue;
        *load = (double)row->bytes / row->seconds * result.stages[i].sharers;
        *bound = !result.last.latency_bound && result.last.bound == i;
    }
    return 0;
}

static int rms_of(const struct fitting *f, double *rms) {
    double sum = 0, off, load;
    size_t count = 0;
    bool bound;
    for (size_t i = 0; i < f->rows->count; i++) {
        if (!is_seen(f, &f->rows->items[i]))
            continue;
        if (look_at(f, &f->rows->items[i], NULL, 0, &off, &load, &bound) != 0)
            return -1;
        sum += off * off;
        count++;
    }
    *rms = count > 0 ? sqrt(sum / (double)count) : 0;
    return 0;
}

static double median(double *values, size_t count) {
    gsl_sort(values, 1, count);
    return gsl_stats_median_from_sorted_data(values, 1, count);
}

/* The median of what an unlimited stage carried on rows of so many GPUs from one tier, and whether half of them fell
 * short. 0: none went over it. */
static int carried(const struct fitting *f, const struct shared_row *like, const struct node_link *link, int way,
                   double *load, bool *fell_short) {
    double *loads = arena_alloc(f->in->arena, (f->rows->count + 1) * sizeof *loads), off;
    size_t count = 0, short_ones = 0;
    bool bound;
    *load = 0;
    for (size_t i = 0; i < f->rows->count; i++) {
        const struct shared_row *row = &f->rows->items[i];
        if (row->gpus != like->gpus || strcmp(row->from, like->from) != 0 || !is_seen(f, row))
            continue;
        if (look_at(f, row, link, way, &off, &loads[count], &bound) != 0)
            return -1;
        short_ones += loads[count] > 0 && off < -log(shortfall);
        count += loads[count] > 0;
    }
    *fell_short = count > 0 && 2 * short_ones > count;
    if (count > 0)
        *load = median(loads, count);
    return 0;
}

/* The most that an unlimited stage carried, where rows that fell short carried it; else it does not bind: 0. */
static int most_carried(const struct fitting *f, const struct node_link *link, int way, double *most) {
    double any = 0;
    *most = 0;
    for (size_t i = 0; i < f->rows->count; i++) {
        const struct shared_row *row = &f->rows->items[i];
        bool first = is_seen(f, row), fell_short;
        for (size_t j = 0; j < i && first; j++)
            first = !is_seen(f, &f->rows->items[j]) || f->rows->items[j].gpus != row->gpus ||
                    strcmp(f->rows->items[j].from, row->from) != 0;
        double load;
        if (!first)
            continue;
        if (carried(f, row, link, way, &load, &fell_short) != 0)
            return -1;
        any = fmax(any, load);
        if (fell_short)
            *most = fmax(*most, load);
    }
    if (*most * shortfall < any)
        *most = 0;
    return 0;
}

/* The rows that a stage binds say where it stands. */
static int refine(const struct fitting *f, struct node_link *link, int way) {
    double *offs = arena_alloc(f->in->arena, (f->rows->count + 1) * sizeof *offs), load;
    size_t count = 0;
    bool bound;
    for (size_t i = 0; i < f->rows->count; i++) {
        if (!is_seen(f, &f->rows->items[i]))
            continue;
        if (look_at(f, &f->rows->items[i], link, way, &offs[count], &load, &bound) != 0)
            return -1;
        count += bound;
    }
    if (count > 0)
        *bandwidth(link, way) *= exp(median(offs, count));
    return 0;
}

/* Whether the rows are predicted as well without the stage. */
static int is_idle(const struct fitting *f, struct node_link *link, int way, bool *idle) {
    double own = *bandwidth(link, way), with, without = 0;
    if (rms_of(f, &with) != 0)
        return -1;
    *bandwidth(link, way) = unlimited;
    int failed = rms_of(f, &without);
    *bandwidth(link, way) = own;
    *idle = without < with * 1.03 + 1e-4;
    return failed;
}

static int solve(struct fitting *f) {
    static const int scopes[] = {SCOPE_SWITCH, SCOPE_SOCKET, SCOPE_NODE};
    size_t links = f->node.links.count;
    bool idle;
    for (size_t k = 0; k < links; k++)
        for (int way = 0; way < 2 && is_shared(&f->links[k]); way++)
            *bandwidth(&f->links[k], way) = unlimited;
    for (size_t s = 0; s < sizeof scopes / sizeof *scopes; s++)
        for (size_t k = 0; k < links; k++)
            for (int way = 0; way < 2 && f->links[k].scope == scopes[s]; way++) {
                double most;
                if (most_carried(f, &f->links[k], way, &most) != 0)
                    return -1;
                if (most > 0)
                    *bandwidth(&f->links[k], way) = most;
            }
    for (size_t s = 0; s < sizeof scopes / sizeof *scopes; s++)
        for (size_t k = 0; k < links; k++)
            for (int way = 0; way < 2 && f->links[k].scope == scopes[s]; way++) {
                if (*bandwidth(&f->links[k], way) >= unlimited)
                    continue;
                if (is_idle(f, &f->links[k], way, &idle) != 0)
                    return -1;
                if (idle)
                    *bandwidth(&f->links[k], way) = unlimited;
            }
    for (int round = 0; round < REFINE_ROUNDS; round++)
        for (size_t k = 0; k < links; k++)
            for (int way = 0; way < 2 && is_shared(&f->links[k]); way++)
                if (*bandwidth(&f->links[k], way) < unlimited && refine(f, &f->links[k], way) != 0)
                    return -1;
    return 0;
}

/* A copy of the node whose caps besides the bandwidths do not bind. */
static void begin(struct fitting *f, const struct node_options *node, uint32_t most) {
    size_t bytes = node->links.count * sizeof *f->links;
    f->most = most;
    f->node = *node;
    f->links = arena_alloc(f->in->arena, bytes);
    memcpy(f->links, node->links.items, bytes);
    f->node.links.items = f->links;
    for (size_t k = 0; k < node->links.count; k++) {
        struct link_options *link = &f->links[k].link;
        if (!is_shared(&f->links[k]))
            continue;
        if (link->write.bandwidth_bytes_per_s == 0)
            link->write = link->read;
        link->peak_bytes_per_s = link->duplex_bytes_per_s = 0;
    }
}

static int report_at(struct fitting *f, const char *op, uint32_t gpus, int held_out) {
    double *errors = arena_alloc(f->in->arena, (f->rows->count + 1) * sizeof *errors), off, load;
    size_t count = 0;
    bool bound;
    for (size_t i = 0; i < f->rows->count; i++) {
        const struct shared_row *row = &f->rows->items[i];
        if ((gpus > 0 && row->gpus != gpus) || (held_out >= 0 && row->held_out != (held_out > 0)))
            continue;
        if (look_at(f, row, NULL, 0, &off, &load, &bound) != 0)
            return -1;
        errors[count++] = fabs(exp(off) - 1);
    }
    struct fit_report *report = f->in->report;
    if (count == 0 || report->count == FIT_OPS_MAX)
        return 0;
    gsl_sort(errors, 1, count);
    report->ops[report->count++] =
        (struct fit_accuracy){.op = op,
                              .held_out = held_out > 0,
                              .rows = count,
                              .median = gsl_stats_median_from_sorted_data(errors, 1, count),
                              .p90 = gsl_stats_quantile_from_sorted_data(errors, 1, count, 0.9),
                              .worst = errors[count - 1]};
    return 0;
}

/* What fewer GPUs tell of more: the stages beyond their reach stay unlimited. */
static int extrapolate(struct fitting *f, const struct node_options *node) {
    for (uint32_t most = 2; most <= 4; most *= 2) {
        begin(f, node, most);
        if (solve(f) != 0)
            return -1;
        for (uint32_t gpus = 2 * most; gpus <= 8; gpus *= 2)
            if (report_at(f, arena_printf(f->in->arena, "copies of %u GPUs, fitted on up to %u", gpus, most), gpus, -1))
                return -1;
    }
    return 0;
}

int fit_shared(const struct fit_input *in, const struct node_options *node, struct shared_fits *fits,
               struct error *err) {
    struct shared_rows rows;
    struct fitting f = {
        .in = in, .rows = &rows, .err = err, .gpus = arena_alloc(in->arena, SHARED_GPUS_MAX * sizeof *f.gpus)};
    *fits = (struct shared_fits){.source = in->source->source};
    uint32_t most = 0;
    if (shared_rows_read(&in->source->rows, 1, in->arena, &rows, err) != 0)
        return -1;
    for (size_t i = 0; i < rows.count; i++)
        most = rows.items[i].gpus > most ? rows.items[i].gpus : most;
    if (most < 2)
        return error_set(err,
                         "%s has no rows of several GPUs that copy at once\n  hint: measure the groups links and "
                         "shared where there are two or more, or leave --shared out",
                         in->source->directory);
    if (extrapolate(&f, node) != 0)
        return -1;
    begin(&f, node, most);
    if (solve(&f) != 0 || report_at(&f, "copies of several GPUs", 0, 0) != 0 ||
        report_at(&f, "copies of several GPUs", 0, 1) != 0)
        return -1;
    for (size_t k = 0; k < node->links.count && fits->count < SHARED_STAGES_MAX; k++) {
        double read = *bandwidth(&f.links[k], NETWORK_READ), write = *bandwidth(&f.links[k], NETWORK_WRITE);
        if (is_shared(&f.links[k]) && (read < unlimited || write < unlimited))
            fits->stages[fits->count++] =
                (struct shared_fit){(const struct node_link *)node->links.items + k, read < unlimited ? read : 0,
                                    write < unlimited ? write : 0};
    }
    return 0;
}

void shared_write(FILE *out, const struct shared_fits *fits, size_t stage) {
    const struct shared_fit *fit = &fits->stages[stage];
    if (fit->read_bytes_per_s > 0)
        fprintf(out, "read: {bandwidth: %.6e B/s}\n", fit->read_bytes_per_s);
    if (fit->write_bytes_per_s > 0)
        fprintf(out, "write: {bandwidth: %.6e B/s}\n", fit->write_bytes_per_s);
    if (fit->link->link.duplex_bytes_per_s > 0) /* both ways at once were not fitted: no less than one way */
        fprintf(out, "duplex: %.6e B/s\n", fmax(fit->read_bytes_per_s, fit->write_bytes_per_s));
    fprintf(out, "basis: measured\nsource: \"%s: GPUs that copy at once, one %s\"\n", fits->source,
            scope_names[fit->link->scope]);
}
