#include "sim/workload/options.h"

static const char *const distribution_names[] = {"lognormal", "exponential", "uniform", "constant", "histogram", NULL};
static const char *const process_names[] = {"poisson", "gamma", "regimes", "population", NULL};

static const struct option bin_table[] = {
    {.name = "value", .kind = OPTION_REAL, .offset = offsetof(struct distribution_bin, value), .help = "tokens, or seconds"},
    {.name = "weight", .kind = OPTION_REAL, .offset = offsetof(struct distribution_bin, weight), .max = 1e18, .help = "how often, against the other bins"},
    OPTION_END};

#define D(member) offsetof(struct distribution, member)
static const struct option distribution_table[] = {
    {.name = "kind", .kind = OPTION_CHOICE, .offset = D(kind), .fallback = "lognormal", .choices = distribution_names, .help = "shape"},
    {.name = "median", .kind = OPTION_REAL, .offset = D(median), .fallback = "1", .max = 1e12, .help = "lognormal: half lie below (tokens, or seconds)"},
    {.name = "sigma", .kind = OPTION_REAL, .offset = D(sigma), .fallback = "0", .max = 10, .help = "lognormal: deviation of the logarithm"},
    {.name = "mean", .kind = OPTION_REAL, .offset = D(mean), .fallback = "1", .max = 1e12, .help = "exponential and constant"},
    {.name = "min", .kind = OPTION_REAL, .offset = D(min), .fallback = "0", .max = 1e12, .help = "smaller draws are raised to this"},
    {.name = "max", .kind = OPTION_REAL, .offset = D(max), .fallback = "1e12", .max = 1e12, .help = "larger draws are cut to this"},
    {.name = "bins", .kind = OPTION_LIST, .offset = D(bins), .fallback = "", .table = bin_table, .item_size = sizeof(struct distribution_bin), .help = "histogram: values with their weights"},
    OPTION_END};

static const struct option regime_table[] = {
    {.name = "duration", .kind = OPTION_REAL, .offset = offsetof(struct arrival_regime, duration_s), .unit = UNIT_SECONDS, .min = 1e-3, .max = 1e9, .help = "how long it lasts"},
    {.name = "rate", .kind = OPTION_REAL, .offset = offsetof(struct arrival_regime, rate_per_s), .unit = UNIT_PER_S, .min = 0, .max = 1e9, .help = "sessions that begin"},
    {.name = "length_scale", .kind = OPTION_REAL, .offset = offsetof(struct arrival_regime, length_scale), .fallback = "1", .min = 1e-3, .max = 1e3, .help = "prompts are longer by this factor"},
    OPTION_END};

#define A(member) offsetof(struct arrival_options, member)
static const struct option arrival_table[] = {
    {.name = "process", .kind = OPTION_CHOICE, .offset = A(process), .fallback = "poisson", .choices = process_names,
     .help = "gaps between sessions; population: a number of sessions is kept going, each next one begins when one ends"},
    {.name = "rate", .kind = OPTION_REAL, .offset = A(rate_per_s), .unit = UNIT_PER_S, .fallback = "1/s", .min = 1e-9, .max = 1e9, .help = "sessions that begin (poisson, gamma)"},
    {.name = "cv", .kind = OPTION_REAL, .offset = A(cv), .fallback = "1", .min = 0.01, .max = 100, .help = "gamma: deviation of the gaps over their mean; above 1 bursty"},
    {.name = "regimes", .kind = OPTION_LIST, .offset = A(regimes), .fallback = "", .table = regime_table, .item_size = sizeof(struct arrival_regime), .help = "regimes: one after the other, in a circle; Poisson within each"},
    {.name = "population", .kind = OPTION_INT, .offset = A(population), .fallback = "1", .min = 1, .max = 1e8, .help = "population: sessions at a time"},
    {.name = "ramp", .kind = OPTION_REAL, .offset = A(ramp_s), .unit = UNIT_SECONDS, .fallback = "1 min", .min = 0, .max = 1e9, .help = "population: over which the first ones begin"},
    OPTION_END};

#define G(member) offsetof(struct generator_options, member)
const struct option generator_option_table[] = {
    {.name = "arrivals", .kind = OPTION_STRUCT, .offset = G(arrivals), .fallback = "", .table = arrival_table, .help = "when sessions begin"},
    {.name = "duration", .kind = OPTION_REAL, .offset = G(duration_s), .unit = UNIT_SECONDS, .fallback = "10 min", .min = 1e-3, .max = 1e10, .help = "no session begins later; of a population, no turn either"},
    {.name = "system_tokens", .kind = OPTION_REAL, .offset = G(system_tokens), .unit = UNIT_TOKENS, .fallback = "0", .min = 0, .max = 1e7, .help = "tools and system prompt, which all sessions share"},
    {.name = "documents", .kind = OPTION_INT, .offset = G(documents), .fallback = "0", .min = 0, .max = 1e8, .help = "shared documents; each session reads one after the system prompt"},
    {.name = "document_zipf", .kind = OPTION_REAL, .offset = G(document_zipf), .fallback = "1", .min = 0, .max = 5, .help = "popularity: document r is chosen with weight r^-s"},
    {.name = "document_tokens", .kind = OPTION_REAL, .offset = G(document_tokens), .unit = UNIT_TOKENS, .fallback = "0", .min = 0, .max = 1e7, .help = "length of a document"},
    {.name = "first_prompt", .kind = OPTION_STRUCT, .offset = G(first_prompt_tokens), .fallback = "", .table = distribution_table, .help = "tokens of a session's own in its first prompt"},
    {.name = "turn", .kind = OPTION_STRUCT, .offset = G(turn_tokens), .fallback = "", .table = distribution_table, .help = "tokens that a further turn adds: a question, a tool's result"},
    {.name = "output", .kind = OPTION_STRUCT, .offset = G(output_tokens), .fallback = "", .table = distribution_table, .help = "tokens of an answer"},
    {.name = "turns", .kind = OPTION_STRUCT, .offset = G(turns), .fallback = "", .table = distribution_table, .help = "requests in a session"},
    {.name = "think_time", .kind = OPTION_STRUCT, .offset = G(think_s), .fallback = "", .table = distribution_table, .help = "seconds between an answer and the session's next request: reading, a tool, a return after days"},
    {.name = "context_limit", .kind = OPTION_REAL, .offset = G(context_limit_tokens), .unit = UNIT_TOKENS, .fallback = "0", .min = 0, .max = 1e9, .help = "prompt plus output that a session may reach; 0: no limit"},
    {.name = "compacts", .kind = OPTION_BOOL, .offset = G(compacts), .fallback = "no", .help = "at the limit the session goes on with a summary; otherwise it ends"},
    {.name = "compact_tokens", .kind = OPTION_REAL, .offset = G(compact_tokens), .unit = UNIT_TOKENS, .fallback = "0", .min = 0, .max = 1e7, .help = "length of that summary"},
    {.name = "tenants", .kind = OPTION_INT, .offset = G(tenants), .fallback = "1", .min = 1, .max = 1e6, .help = "sessions belong to one of so many, in turn"},
    OPTION_END};

#define W(member) offsetof(struct workload_options, member)
const struct option workload_option_table[] = {
    {.name = "name", .kind = OPTION_TEXT, .offset = W(name), .fallback = "", .help = "for people"},
    {.name = "description", .kind = OPTION_TEXT, .offset = W(description), .fallback = "", .help = "one line for people"},
    {.name = "trace", .kind = OPTION_TEXT, .offset = W(trace_name), .fallback = "", .place_follows = true, .help = "a trace file or directory: as given, in $TIERSIM_TRACES, or in ../shared/traces"},
    {.name = "format", .kind = OPTION_TEXT, .offset = W(format), .fallback = "", .help = "mooncake, bailian, azure or agentic; found out when left away"},
    {.name = "dedupe", .kind = OPTION_BOOL, .offset = W(dedupe), .fallback = "yes", .help = "sessions that repeat an earlier one are left out"},
    {.name = "closed_loop", .kind = OPTION_BOOL, .offset = W(closed_loop), .fallback = "no", .help = "sessions wait for their answers and think times count from there (agentic)"},
    {.name = "rate_scale", .kind = OPTION_REAL, .offset = W(rate_scale), .fallback = "1", .min = 1e-6, .max = 1e6, .help = "requests come this much faster"},
    {.name = "start", .kind = OPTION_REAL, .offset = W(start_s), .unit = UNIT_SECONDS, .fallback = "0", .min = 0, .max = 1e10, .help = "of the trace's time, where to begin"},
    {.name = "duration", .kind = OPTION_REAL, .offset = W(duration_s), .unit = UNIT_SECONDS, .fallback = "0", .min = 0, .max = 1e10, .help = "of the trace's time; 0: all of it. Closed loop: how long sessions are kept going"},
    {.name = "requests", .kind = OPTION_INT, .offset = W(requests), .fallback = "0", .min = 0, .max = 1e15, .help = "end after so many; 0: all"},
    {.name = "repeat", .kind = OPTION_INT, .offset = W(repeat), .fallback = "1", .min = 1, .max = 1e6, .help = "copies of the trace with renamed ids"},
    {.name = "stagger", .kind = OPTION_REAL, .offset = W(stagger_s), .unit = UNIT_SECONDS, .fallback = "0", .min = 0, .max = 1e9, .help = "time between the starts of two copies"},
    {.name = "sessions", .kind = OPTION_INT, .offset = W(sessions), .fallback = "1", .min = 1, .max = 1e8, .help = "closed loop: sessions at a time"},
    {.name = "ramp", .kind = OPTION_REAL, .offset = W(ramp_s), .unit = UNIT_SECONDS, .fallback = "1 min", .min = 0, .max = 1e9, .help = "closed loop: over which the first ones begin"},
    {.name = "generate", .kind = OPTION_NODE, .offset = W(generate_node), .fallback = "", .help = "a generator instead of a trace; its keys: see generate"},
    OPTION_END};
