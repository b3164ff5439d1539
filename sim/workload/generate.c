/* Generated sessions. Everything random comes from a stream of the session and turn, so a session is the same whatever
 * the load and whatever runs beside it, and a sleeping session is its spec.
 *
 * Text: [system prefix][document][the session's own], each identified by consecutive ids of GENERATED_HASH_TOKENS
 * tokens. A prompt is the conversation so far; an answer extends it, so the next prompt finds it. */
#include <gsl/gsl_randist.h>
#include <math.h>
#include <stdlib.h>

#include "sim/engine/random.h"
#include "sim/workload/workload_impl.h"

enum { GENERATED_HASH_TOKENS = 16, TEXT_BITS = 24 };

/* First ids of texts. A text has room for 2^TEXT_BITS ids, so two texts never meet. */
static uint64_t system_text(void) {
    return UINT64_C(1) << 52;
}
static uint64_t document_text(uint64_t document) {
    return (UINT64_C(1) << 53) + (document << TEXT_BITS);
}
static uint64_t session_text(uint64_t session) {
    return (UINT64_C(1) << 56) + (session << TEXT_BITS);
}

/* What a generated session keeps in its spec's cursor. */
enum { CURSOR_TURNS, CURSOR_TEXT_USED, CURSOR_OWN_BEGIN, CURSOR_SCALE };

static double length_scale(uint64_t cursor) {
    return (double)cursor / 1048576.0;
}

static uint64_t entity(uint64_t session, uint32_t turn) {
    return session << 20 | turn;
}

static uint32_t whole(double tokens) {
    return tokens < 1 ? 1 : tokens > 2e9 ? 2000000000u : (uint32_t)(tokens + 0.5);
}

/* Tokens rounded down to whole ids, so that texts join at id boundaries. */
static uint32_t aligned(double tokens) {
    return (uint32_t)(tokens / GENERATED_HASH_TOKENS) * GENERATED_HASH_TOKENS;
}

int generate_open(struct workload *workload, struct error *err) {
    const struct generator_options *g = &workload->options->generate;
    if (distribution_check(&g->first_prompt_tokens, "first_prompt", err) ||
        distribution_check(&g->turn_tokens, "turn", err) || distribution_check(&g->output_tokens, "output", err) ||
        distribution_check(&g->turns, "turns", err) || distribution_check(&g->think_s, "think_time", err))
        return -1;
    if (g->arrivals.process == ARRIVALS_REGIMES) {
        const struct arrival_regime *regimes = g->arrivals.regimes.items;
        double rate = 0;
        for (size_t i = 0; i < g->arrivals.regimes.count; i++)
            rate += regimes[i].rate_per_s;
        if (rate <= 0)
            return error_set(err, "arrivals: regimes need at least one with a rate above 0\n  hint: regimes: "
                                  "[{duration: 1 min, rate: 5/s}]");
    }
    if (g->documents > 0) {
        workload->document_weight = malloc((size_t)g->documents * sizeof *workload->document_weight);
        MUST(workload->document_weight != NULL);
        double sum = 0;
        for (int64_t d = 0; d < g->documents; d++)
            workload->document_weight[d] = sum += pow((double)d + 1, -g->document_zipf);
    }
    workload->population = llround((double)g->arrivals.population * workload->load);
    if (workload->population < 1)
        workload->population = 1;
    return 0;
}

static uint64_t choose_document(const struct workload *workload, double u) {
    uint64_t low = 0, high = (uint64_t)workload->options->generate.documents - 1;
    double wanted = u * workload->document_weight[high];
    while (low < high) {
        uint64_t middle = (low + high) / 2;
        if (workload->document_weight[middle] > wanted)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* The chain of a session whose own text begins at id `own_first` after `shared` tokens and goes on for `own_tokens`. */
static void set_chain(struct request_spec *spec, uint64_t own_first, uint32_t own_tokens) {
    struct chain *chain = &spec->chain;
    uint32_t count = 0;
    while (count < chain->span_count && chain->own[count].first < UINT64_C(1) << 56)
        count++;
    chain->own[count] = (struct span){own_first, own_tokens / GENERATED_HASH_TOKENS};
    chain->span_count = count + 1;
    chain->tokens = spec->shared_tokens + own_tokens / GENERATED_HASH_TOKENS * GENERATED_HASH_TOKENS;
}

static void draw_output(struct workload *workload, struct request_spec *spec) {
    random_seek(workload->rng, workload->seed, RANDOM_LENGTH, entity(spec->session, spec->turn));
    spec->output_tokens = whole(distribution_draw(&workload->options->generate.output_tokens, workload->rng));
}

static void begin_session(struct workload *workload, uint64_t session, sim_time at, double scale,
                          struct request_spec *spec) {
    const struct generator_options *g = &workload->options->generate;
    *spec = (struct request_spec){.session = session,
                                  .tenant = (uint32_t)(session % (uint64_t)g->tenants),
                                  .arrival_ns = at,
                                  .chain = {.hash_tokens = GENERATED_HASH_TOKENS}};
    random_seek(workload->rng, workload->seed, RANDOM_SESSION, session);
    double turns = distribution_draw(&g->turns, workload->rng), document_u = gsl_rng_uniform(workload->rng);
    double own = distribution_draw(&g->first_prompt_tokens, workload->rng) * scale;
    uint32_t system = aligned(g->system_tokens), document = g->documents > 0 ? aligned(g->document_tokens) : 0;
    if (system > 0)
        spec->chain.own[spec->chain.span_count++] = (struct span){system_text(), system / GENERATED_HASH_TOKENS};
    if (document > 0)
        spec->chain.own[spec->chain.span_count++] =
            (struct span){document_text(choose_document(workload, document_u)), document / GENERATED_HASH_TOKENS};
    spec->shared_tokens = system + document;
    spec->prompt_tokens = spec->shared_tokens + whole(own);
    if (g->context_limit_tokens > 0 && spec->prompt_tokens > g->context_limit_tokens * 0.9)
        spec->prompt_tokens = whole(g->context_limit_tokens * 0.9);
    draw_output(workload, spec);
    spec->cursor[CURSOR_TURNS] = whole(turns);
    spec->cursor[CURSOR_SCALE] = (uint64_t)(scale * 1048576.0);
    set_chain(spec, session_text(session), spec->prompt_tokens + spec->output_tokens - spec->shared_tokens);
}

static bool all_begun(const struct workload *workload) {
    uint64_t most = (uint64_t)workload->options->generate.sessions;
    return most > 0 && workload->sessions_given >= most;
}

/* The gap to the next arrival of a process that has rate 1 on average; regimes are gone through in their own time. */
static bool next_arrival(struct workload *workload, sim_time *at, double *scale) {
    const struct generator_options *g = &workload->options->generate;
    const struct arrival_options *a = &g->arrivals;
    *scale = 1;
    if (all_begun(workload))
        return false;
    if (a->process == ARRIVALS_POPULATION) {
        if ((int64_t)workload->sessions_given >= workload->population)
            return false;
        *at = (sim_time)((double)workload->sessions_given / (double)workload->population * a->ramp_s * 1e9);
        return true;
    }
    random_seek(workload->rng, workload->seed, RANDOM_ARRIVAL, workload->sessions_given);
    double gap = a->process == ARRIVALS_GAMMA ? gsl_ran_gamma(workload->rng, 1 / (a->cv * a->cv), a->cv * a->cv)
                                              : gsl_ran_exponential(workload->rng, 1);
    if (a->process != ARRIVALS_REGIMES) {
        workload->clock += gap / (a->rate_per_s * workload->load);
    } else {
        const struct arrival_regime *regimes = a->regimes.items;
        double cycle_s = 0;
        for (size_t i = 0; i < a->regimes.count; i++)
            cycle_s += regimes[i].duration_s;
        while (gap > 0) {
            double within_s = fmod(workload->clock, cycle_s);
            size_t i = 0;
            while (i + 1 < a->regimes.count && within_s >= regimes[i].duration_s)
                within_s -= regimes[i++].duration_s;
            double left_s = regimes[i].duration_s - within_s, rate = regimes[i].rate_per_s * workload->load;
            *scale = regimes[i].length_scale;
            if (left_s < 1e-9)
                left_s = 1e-9;
            if (rate * left_s >= gap) {
                workload->clock += gap / rate;
                break;
            }
            gap -= rate * left_s;
            workload->clock += left_s;
        }
    }
    *at = (sim_time)(workload->clock * 1e9 + 0.5);
    return workload->clock <= g->duration_s;
}

bool generate_next(struct workload *workload, struct request_spec *out) {
    sim_time at;
    double scale;
    if (!next_arrival(workload, &at, &scale))
        return false;
    begin_session(workload, workload->sessions_given++, at, scale, out);
    return true;
}

/* The session's text has become too long: it goes on from a summary, which is new text. */
static void compact(const struct generator_options *g, struct request_spec *next, uint32_t new_tokens) {
    uint32_t own = whole(g->compact_tokens) + new_tokens;
    next->cursor[CURSOR_OWN_BEGIN] += next->cursor[CURSOR_TEXT_USED];
    next->prompt_tokens = next->shared_tokens + own;
}

size_t generate_after(struct workload *workload, const struct request_spec *done, sim_time end_ns,
                      struct request_spec *out) {
    const struct generator_options *g = &workload->options->generate;
    bool population = g->arrivals.process == ARRIVALS_POPULATION;
    sim_time until = (sim_time)(g->duration_s * 1e9);
    struct request_spec next = *done;
    next.turn++;
    random_seek(workload->rng, workload->seed, RANDOM_THINK, entity(next.session, next.turn));
    double think_s = distribution_draw(&g->think_s, workload->rng);
    double added = distribution_draw(&g->turn_tokens, workload->rng) * length_scale(next.cursor[CURSOR_SCALE]);
    next.arrival_ns = end_ns + (sim_time)(think_s * 1e9 + 0.5);
    next.prompt_tokens = done->prompt_tokens + done->output_tokens + whole(added);
    draw_output(workload, &next);
    bool over = next.turn >= done->cursor[CURSOR_TURNS];
    if (g->context_limit_tokens > 0 && (double)next.prompt_tokens + next.output_tokens > g->context_limit_tokens) {
        if (g->compacts)
            compact(g, &next, whole(added));
        else
            over = true;
    }
    if (over) {
        if (!population || end_ns > until || all_begun(workload))
            return 0;
        begin_session(workload, workload->sessions_given++, end_ns, 1, out);
        return 1;
    }
    if (population && next.arrival_ns > until)
        return 0;
    uint32_t own = next.prompt_tokens + next.output_tokens - next.shared_tokens;
    next.cursor[CURSOR_TEXT_USED] = own / GENERATED_HASH_TOKENS + 1;
    set_chain(&next, session_text(next.session) + next.cursor[CURSOR_OWN_BEGIN], own);
    *out = next;
    return 1;
}
