/* --svg of `tiersim cache`: what is missed, by size. A line a policy, named at its end; policies with the same line
 * share it. Dashed: sees the future. Shaded: the 95 % interval of what was sampled. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sim/base/unit.h"
#include "sim/cli/cache.h"

enum {
    INNER = 690,
    LEFT = 64,
    TOP = 48,
    BOTTOM = 54,
    LABEL_PITCH = 14,
    HEIGHT_LEAST = 460,
    DOTS_MOST = 12,
    BANDS_MOST = 8
};

struct series {
    const struct cache_job *jobs; /* by size */
    double mean, end;             /* share missed: over the sizes, at the last */
    double label_y;
    char label[160];
};
struct plot {
    const struct cache_work *work;
    FILE *out;
    struct series *series;
    size_t count, points;
    size_t *order;              /* of sizes, ascending */
    double from, to, low, high; /* sizes; shares missed */
    int width, height;
};

static double size_of(const struct cache_job *job) {
    return (double)(job->size.bytes ? job->size.bytes : job->size.blocks);
}

/* Share of accesses missed; under prefix of prompt tokens. */
static double missed(const struct plot *plot, const struct cache_job *job) {
    const struct replay_result *r = &job->result;
    if (plot->work->arguments->prefix)
        return r->tokens ? 1 - (double)r->hit_tokens / (double)r->tokens : 0;
    return r->accesses ? (double)r->misses / (double)r->accesses : 0;
}

static double x_of(const struct plot *plot, double size) {
    double span = log(plot->to / plot->from);
    return LEFT + (span > 0 ? log(size / plot->from) / span : 0.5) * INNER;
}

static double y_of(const struct plot *plot, double share) {
    return TOP + (plot->high - share) / (plot->high - plot->low) * (plot->height - TOP - BOTTOM);
}

static void text(FILE *out, const char *words) {
    for (; *words; words++)
        switch (*words) {
        case '<':
            fputs("&lt;", out);
            break;
        case '&':
            fputs("&amp;", out);
            break;
        default:
            fputc(*words, out);
        }
}

static bool same_line(const struct plot *plot, const struct cache_job *a, const struct cache_job *b) {
    for (size_t i = 0; i < plot->points; i++)
        if (fabs(missed(plot, &a[i]) - missed(plot, &b[i])) > 5e-4)
            return false;
    return cache_sees_future(a) == cache_sees_future(b);
}

static void name_series(struct series *series, const struct cache_job *job) {
    size_t used = strlen(series->label), room = sizeof series->label;
    enum { WORDS_MOST = 46 };
    if (used > 0 && used + strlen(job->policy->policy.name) > WORDS_MOST) {
        if (series->label[used - 1] != '.')
            snprintf(series->label + used, room - used, ", ...");
        return;
    }
    snprintf(series->label + used, room - used, "%s%s%s", used ? ", " : "", job->policy->policy.name,
             cache_sees_future(job) ? " *" : "");
}

static int by_end(const void *a, const void *b) {
    const struct series *x = a, *y = b;
    if (fabs(x->end - y->end) > 1e-3)
        return x->end < y->end ? 1 : -1;
    return x->mean < y->mean ? 1 : x->mean > y->mean ? -1 : strcmp(x->label, y->label);
}

static void gather(struct plot *plot) {
    const struct cache_work *work = plot->work;
    for (size_t i = 0; i < work->job_count; i += plot->points) {
        const struct cache_job *jobs = &work->jobs[i];
        size_t s = 0;
        while (s < plot->count && !same_line(plot, plot->series[s].jobs, jobs))
            s++;
        struct series *series = &plot->series[s];
        name_series(series, jobs);
        if (s < plot->count)
            continue;
        plot->count++;
        series->jobs = jobs;
        series->end = missed(plot, &jobs[plot->order[plot->points - 1]]);
        for (size_t p = 0; p < plot->points; p++) {
            double share = missed(plot, &jobs[p]), size = size_of(&jobs[p]);
            series->mean += share / (double)plot->points;
            plot->low = share < plot->low ? share : plot->low;
            plot->high = share > plot->high ? share : plot->high;
            plot->from = size < plot->from ? size : plot->from;
            plot->to = size > plot->to ? size : plot->to;
        }
    }
    plot->low = floor(plot->low * 10 - 1e-9) / 10;
    plot->high = ceil(plot->high * 10 + 1e-9) / 10;
    plot->low = plot->low < 0 ? 0 : plot->low;
    plot->high = plot->high > 1 ? 1 : plot->high;
    size_t longest = 0;
    for (size_t s = 0; s < plot->count; s++)
        longest = strlen(plot->series[s].label) > longest ? strlen(plot->series[s].label) : longest;
    plot->width = LEFT + INNER + 60 + (int)(longest * 13 / 2);
    qsort(plot->series, plot->count, sizeof *plot->series, by_end);
}

/* Labels stand at their lines' ends, but LABEL_PITCH apart: pushed down from the top, then up from the bottom. */
static void place_labels(struct plot *plot) {
    double least = TOP, most = plot->height - BOTTOM;
    for (size_t s = 0; s < plot->count; s++) {
        struct series *series = &plot->series[s];
        series->label_y = y_of(plot, series->end);
        series->label_y = series->label_y > least ? series->label_y : least;
        least = series->label_y + LABEL_PITCH;
    }
    for (size_t s = plot->count; s-- > 0;) {
        struct series *series = &plot->series[s];
        series->label_y = series->label_y < most ? series->label_y : most;
        most = series->label_y - LABEL_PITCH;
    }
}

static void size_text(const struct plot *plot, double size, char *words, size_t room) {
    if (plot->work->jobs[0].size.bytes)
        unit_format(words, room, size, UNIT_BYTES, 3);
    else if (size >= 1e6)
        snprintf(words, room, "%gM", size / 1e6);
    else if (size >= 1e3)
        snprintf(words, room, "%gk", size / 1e3);
    else
        snprintf(words, room, "%g", size);
}

static void draw_axes(const struct plot *plot) {
    static const double steps[] = {1, 2, 5};
    FILE *out = plot->out;
    double right = LEFT + INNER, bottom = plot->height - BOTTOM, last = -100;
    for (int tenth = (int)(plot->low * 10 + 0.5); tenth <= (int)(plot->high * 10 + 0.5); tenth++) {
        double y = y_of(plot, tenth / 10.0);
        fprintf(out, "<line x1='%d' y1='%.1f' x2='%.1f' y2='%.1f' stroke='#ddd'/>\n", LEFT, y, right, y);
        fprintf(out, "<text x='%d' y='%.1f' text-anchor='end'>%d %%</text>\n", LEFT - 8, y + 4, tenth * 10);
    }
    for (int power = 0; power < 19; power++)
        for (size_t s = 0; s < sizeof steps / sizeof *steps; s++) {
            double size = steps[s] * pow(10, power), x = x_of(plot, size);
            char words[32];
            if (size < plot->from * 0.999 || size > plot->to * 1.001)
                continue;
            fprintf(out, "<line x1='%.1f' y1='%d' x2='%.1f' y2='%.1f' stroke='#eee'/>\n", x, TOP, x, bottom);
            if (x - last < 34)
                continue;
            last = x;
            size_text(plot, size, words, sizeof words);
            fprintf(out, "<text x='%.1f' y='%.1f' text-anchor='middle'>%s</text>\n", x, bottom + 18, words);
        }
    fprintf(out, "<path d='M%d %d V%.1f H%.1f' fill='none' stroke='#444'/>\n", LEFT, TOP, bottom, right);
    fprintf(out, "<text x='%.1f' y='%.1f' text-anchor='middle'>cache size, %s</text>\n", (LEFT + right) / 2,
            bottom + 40, plot->work->jobs[0].size.bytes ? "bytes" : "blocks");
    fprintf(out, "<text transform='translate(16 %.1f) rotate(-90)' text-anchor='middle'>missed, %% of %s</text>\n",
            (TOP + bottom) / 2, plot->work->arguments->prefix ? "prompt tokens" : "block accesses");
}

/* Of more lines than a few they would hide each other. */
static bool has_bands(const struct plot *plot) {
    return plot->work->shards.parts > 0 && plot->count <= BANDS_MOST;
}

/* The interval, forwards along its upper end and back along its lower one. */
static void draw_band(const struct plot *plot, const struct series *series, const char *colour) {
    bool prefix = plot->work->arguments->prefix, any = false;
    fputs("<path d='", plot->out);
    for (size_t i = 0; i < 2 * plot->points; i++) {
        bool back = i >= plot->points;
        const struct cache_job *job = &series->jobs[plot->order[back ? 2 * plot->points - 1 - i : i]];
        const struct shards_estimate *e = &job->estimate;
        double upper = prefix ? 1 - e->token_low : e->high, lower = prefix ? 1 - e->token_high : e->low;
        if (job->method != CACHE_SAMPLED)
            upper = lower = missed(plot, job);
        double share = fmax(plot->low, fmin(plot->high, back ? lower : upper));
        fprintf(plot->out, "%c%.1f %.1f", any ? 'L' : 'M', x_of(plot, size_of(job)), y_of(plot, share));
        any = true;
    }
    fprintf(plot->out, "Z' fill='%s' fill-opacity='0.10'/>\n", colour);
}

static void draw_series(const struct plot *plot, const struct series *series, size_t number) {
    FILE *out = plot->out;
    bool future = cache_sees_future(series->jobs);
    char colour[48];
    /* Hues by the golden angle: neighbours at the ends of the lines lie far apart. */
    snprintf(colour, sizeof colour, "hsl(%d,%d%%,%d%%)", (int)(number * 222 % 360), 65, number % 2 ? 36 : 46);
    if (has_bands(plot))
        draw_band(plot, series, colour);
    fprintf(out, "<polyline fill='none' stroke='%s' stroke-width='1.6'%s points='", colour,
            future ? " stroke-dasharray='6 3'" : "");
    for (size_t p = 0; p < plot->points; p++) {
        const struct cache_job *job = &series->jobs[plot->order[p]];
        fprintf(out, "%.1f,%.1f ", x_of(plot, size_of(job)), y_of(plot, missed(plot, job)));
    }
    fputs("'/>\n", out);
    for (size_t p = 0; p < plot->points && plot->points <= DOTS_MOST; p++)
        fprintf(out, "<circle cx='%.1f' cy='%.1f' r='2.2' fill='%s'/>\n", x_of(plot, size_of(&series->jobs[p])),
                y_of(plot, missed(plot, &series->jobs[p])), colour);
    double end = LEFT + INNER;
    fprintf(out, "<path d='M%.1f %.1fL%.1f %.1fH%.1f' fill='none' stroke='%s' stroke-width='0.7'/>\n", end + 2,
            y_of(plot, series->end), end + 20, series->label_y, end + 26, colour);
    fprintf(out, "<text x='%.1f' y='%.1f' fill='%s'>", end + 29, series->label_y + 4, colour);
    text(out, series->label);
    fputs("</text>\n", out);
}

static void draw(struct plot *plot) {
    const struct cache_work *work = plot->work;
    FILE *out = plot->out;
    bool future = false;
    gather(plot);
    plot->height = TOP + BOTTOM + (int)plot->count * LABEL_PITCH;
    plot->height = plot->height > HEIGHT_LEAST ? plot->height : HEIGHT_LEAST;
    place_labels(plot);
    for (size_t s = 0; s < plot->count; s++)
        future |= cache_sees_future(plot->series[s].jobs);
    fprintf(out,
            "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 %d %d' width='%d' height='%d' "
            "font-family='DejaVu Sans,Helvetica,Arial,sans-serif' font-size='12' fill='#333'>\n",
            plot->width, plot->height, plot->width, plot->height);
    fprintf(out, "<rect width='%d' height='%d' fill='white'/>\n", plot->width, plot->height);
    fprintf(out, "<text x='%d' y='20' font-size='14'>", LEFT);
    text(out, work->arguments->trace);
    fprintf(out, ", %s semantics</text>\n", work->arguments->prefix ? "prefix" : "flat");
    fprintf(out, "<text x='%d' y='37' fill='#666'>%llu accesses to %llu blocks%s%s</text>\n", LEFT,
            (unsigned long long)work->trace->count, (unsigned long long)work->trace->unique,
            future ? "; dashed, * : sees the future" : "",
            has_bands(plot)          ? "; shaded: 95 % interval of what was sampled"
            : work->shards.parts > 0 ? "; sampled"
                                     : "");
    draw_axes(plot);
    for (size_t s = 0; s < plot->count; s++)
        draw_series(plot, &plot->series[s], s);
    fputs("</svg>\n", out);
}

/* Numbers of a policy's sizes, ascending. */
static void sort_sizes(const struct cache_job *jobs, size_t *order, size_t count) {
    for (size_t i = 0; i < count; i++) {
        size_t at = i;
        for (; at > 0 && size_of(&jobs[order[at - 1]]) > size_of(&jobs[i]); at--)
            order[at] = order[at - 1];
        order[at] = i;
    }
}

int cache_write_svg(const struct cache_work *work, const char *path, struct error *err) {
    for (size_t i = 1; i < work->size_count; i++)
        if ((work->jobs[i].size.bytes > 0) != (work->jobs[0].size.bytes > 0))
            return error_set(err, "--svg: sizes in blocks and in bytes have no axis in common\n  hint: two calls");
    struct plot plot = {.work = work, .points = work->size_count, .from = HUGE_VAL, .low = 1};
    plot.out = fopen(path, "w");
    if (!plot.out)
        return error_set(err, "cannot write '%s': %s\n  hint: may you write there?", path, strerror(errno));
    plot.series = calloc(work->job_count + 1, sizeof *plot.series);
    plot.order = calloc(plot.points + 1, sizeof *plot.order);
    MUST(plot.series != NULL && plot.order != NULL);
    sort_sizes(work->jobs, plot.order, plot.points);
    draw(&plot);
    free(plot.series);
    free(plot.order);
    bool whole = !ferror(plot.out);
    if (fclose(plot.out) == 0 && whole)
        return 0;
    return error_set(err, "writing '%s' failed: %s\n  hint: is the disk full?", path, strerror(errno));
}
