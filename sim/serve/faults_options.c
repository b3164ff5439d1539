/* The `faults:` section: what may stand there, and when its faults come. */
#include <gsl/gsl_randist.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/engine/random.h"
#include "sim/serve/faults.h"

const char *const fault_kind_names[] = {"lose", "slow", "flap", "restart", NULL};

#define F(member) offsetof(struct fault_options, member)
#define TIME(key, member, value, what)                                                                                 \
    {                                                                                                                  \
        .name = key, .kind = OPTION_REAL, .offset = F(member), .unit = UNIT_SECONDS, .fallback = value, .min = 0,      \
        .max = 1e10, .help = what                                                                                      \
    }
const struct option fault_options_table[] = {
    {.name = "name", .kind = OPTION_TEXT, .offset = F(name), .fallback = "", .help = "what the table calls it"},
    {.name = "kind",
     .kind = OPTION_CHOICE,
     .offset = F(kind),
     .choices = fault_kind_names,
     .help = "lose: a tier's content is gone, and it takes nothing until the end; slow: a link or drive costs `factor` "
             "times as much; flap: a link is down and up by turns; restart: an instance's process ends with its step, "
             "and is back at the end"},
    {.name = "of",
     .kind = OPTION_TEXT,
     .offset = F(of),
     .fallback = "",
     .place_follows = true,
     .help = "which tier (lose) or which link of the node (slow, flap); not for restart"},
    {.name = "unit",
     .kind = OPTION_INT,
     .offset = F(unit),
     .fallback = "-1",
     .min = -1,
     .max = 1e6,
     .help = "which of them, as in `ssd[0]`, or which instance; -1: each of them, at given times all at once"},
    TIME("at", begin_s, "0", "when it begins"),
    TIME("for", duration_s, "0", "how long it lasts"),
    {.name = "factor",
     .kind = OPTION_REAL,
     .offset = F(factor),
     .fallback = "4",
     .min = 1,
     .max = 1e6,
     .help = "slow: times and latencies grow by this"},
    TIME("down", down_s, "0", "flap: how long it is down at a time; 0: all the while"),
    TIME("up", up_s, "0", "flap: and up between"),
    TIME("give_up", give_up_s, "0",
         "flap: loads that have waited so long fail, and their requests look their prefix up anew; 0: they wait"),
    TIME("mtbf", mtbf_s, "0",
         "instead of at: mean time to the next failure of each unit, exponential; drawn for the whole run beforehand"),
    TIME("mttr", mttr_s, "0", "instead of for: mean time until it is repaired, exponential"),
    OPTION_END};
#undef TIME
#undef F

static uint32_t link_units(const struct faults_world *world, const struct node_link *link) {
    uint32_t nodes = (world->instances + world->instances_per_node - 1) / world->instances_per_node;
    switch (link->scope) {
    case SCOPE_POD:
        return 1;
    case SCOPE_NODE:
        return nodes;
    case SCOPE_SOCKET:
    case SCOPE_SWITCH: {
        uint32_t parts = (uint32_t)(link->scope == SCOPE_SWITCH ? world->node->switches : world->node->sockets);
        return world->instances_per_node >= parts ? nodes * parts : world->instances;
    }
    default:
        return world->instances;
    }
}

static const struct node_link *link_named(const struct faults_world *world, const char *name) {
    const struct node_link *links = world->node->links.items;
    for (size_t i = 0; i < world->node->links.count; i++)
        if (strcmp(links[i].name, name) == 0)
            return &links[i];
    return NULL;
}

static uint32_t units_of(const struct faults_world *world, const struct fault_options *fault) {
    if (fault->kind == FAULT_RESTART)
        return world->instances;
    if (fault->kind != FAULT_LOSE)
        return link_units(world, link_named(world, fault->of));
    const struct tier_options *tier =
        (const struct tier_options *)world->tiers->items + topology_tier(world->tiers, fault->of);
    return tier->scope == SCOPE_POD    ? 1
           : tier->scope == SCOPE_NODE ? (world->instances + world->instances_per_node - 1) / world->instances_per_node
                                       : world->instances;
}

/* Whether a copy between any two of the scenario's tiers goes over the link. */
static bool is_used(const struct faults_world *world, const struct node_link *link) {
    uint32_t tiers = (uint32_t)world->tiers->count;
    for (uint32_t from = 0; from < tiers; from++)
        for (uint32_t to = 0; to < tiers; to++) {
            struct topology_hop hops[TOPOLOGY_HOPS_MAX];
            const struct node_path *path;
            uint32_t count = from == to ? 0 : topology_hops(world->node, world->tiers, from, to, hops, &path);
            for (uint32_t i = 0; i < count; i++)
                if (hops[i].link == link)
                    return true;
        }
    return false;
}

static int not_there(const struct fault_options *fault, const char *what, const char *const *names, size_t count,
                     struct error *err) {
    const char *nearest = error_nearest(fault->of, names, count);
    char known[512] = "";
    for (size_t i = 0, used = 0; i < count && used < sizeof known; i++)
        used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "", names[i]);
    return error_at(err, fault->at, "a fault of %s '%s', which is not there\n  hint: %s%s%sthere are: %s", what,
                    fault->of, nearest ? "did you mean '" : "", nearest ? nearest : "", nearest ? "'? " : "",
                    count ? known : "none");
}

static int check_target(const struct faults_world *world, const struct fault_options *fault, struct error *err) {
    const char *names[TIERS_MAX + 64];
    size_t count = 0;
    if (fault->kind == FAULT_RESTART)
        return fault->of ? error_at(err, fault->at, "a restart is of an instance\n  hint: unit: its number, not of:")
                         : 0;
    if (!fault->of)
        return error_at(err, fault->at, "a fault of what?\n  hint: of: the name of a %s",
                        fault->kind == FAULT_LOSE ? "tier" : "link of the node");
    if (fault->kind == FAULT_LOSE) {
        const struct tier_options *tiers = world->tiers->items;
        uint32_t tier = topology_tier(world->tiers, fault->of);
        for (size_t t = 1; t < world->tiers->count; t++)
            names[count++] = tiers[t].name;
        if (tier == 0)
            return error_at(err, fault->at, "HBM is lost with the process that has it\n  hint: kind: restart");
        return tier == UINT32_MAX ? not_there(fault, "tier", names, count, err) : 0;
    }
    const struct node_link *links = world->node->links.items;
    for (size_t i = 0; i < world->node->links.count && count < sizeof names / sizeof *names; i++)
        if (is_used(world, &links[i]))
            names[count++] = links[i].name;
    for (size_t i = 0; i < count; i++)
        if (strcmp(names[i], fault->of) == 0)
            return 0;
    return not_there(fault, "link", names, count, err);
}

int faults_check(const struct faults_world *world, struct place at, struct error *err) {
    struct fault_options *faults = world->faults->items;
    for (size_t i = 0; i < world->faults->count; i++) {
        struct fault_options *fault = &faults[i];
        if (!fault->at.file)
            fault->at = at;
        if (check_target(world, fault, err) != 0)
            return -1;
        uint32_t units = units_of(world, fault);
        if (fault->unit >= units)
            return error_at(err, fault->at,
                            "a fault of unit %lld, and there %s %u\n  hint: they count from 0; -1 is each",
                            (long long)fault->unit, units == 1 ? "is" : "are", units);
        bool random = fault->mtbf_s > 0;
        if (random != (fault->mttr_s > 0) || random == (fault->duration_s > 0))
            return error_at(err, fault->at,
                            "a fault without an end, or with two\n  hint: at: and for:, or mtbf: and mttr:");
        if (fault->kind == FAULT_FLAP && (fault->down_s > 0) != (fault->up_s > 0))
            return error_at(err, fault->at,
                            "a link that flaps is down: and up: for some time each\n"
                            "  hint: neither of them: it is down all the while");
    }
    return 0;
}

static int by_begin(const void *a, const void *b) {
    const struct fault_event *ea = a, *eb = b;
    if (ea->begin != eb->begin)
        return ea->begin < eb->begin ? -1 : 1;
    return ea->fault != eb->fault ? (ea->fault < eb->fault ? -1 : 1) : ea->unit < eb->unit ? -1 : ea->unit > eb->unit;
}

struct schedule {
    struct fault_event *events;
    uint32_t count, room;
    sim_time horizon;
};

static void add(struct schedule *schedule, double begin_s, double end_s, uint32_t fault, uint32_t unit) {
    sim_time begin = begin_s < 9e9 ? (sim_time)(begin_s * 1e9 + 0.5) : SIM_NEVER - 1;
    if (begin > schedule->horizon)
        return;
    if (schedule->count == schedule->room) {
        schedule->room = schedule->room ? 2 * schedule->room : 64;
        schedule->events = realloc(schedule->events, schedule->room * sizeof *schedule->events);
        MUST(schedule->events != NULL);
    }
    sim_time end = end_s < 9e9 ? (sim_time)(end_s * 1e9 + 0.5) : SIM_NEVER - 1;
    schedule->events[schedule->count++] = (struct fault_event){begin, end > begin ? end : begin + 1, fault, unit};
}

/* From begin to end, or by turns. */
static void add_turns(struct schedule *schedule, const struct fault_options *fault, double begin_s, double end_s,
                      uint32_t number, uint32_t unit) {
    if (fault->kind != FAULT_FLAP || fault->down_s <= 0) {
        add(schedule, begin_s, end_s, number, unit);
        return;
    }
    for (double at = begin_s; at < end_s && at * 1e9 <= (double)schedule->horizon; at += fault->down_s + fault->up_s)
        add(schedule, at, at + fault->down_s < end_s ? at + fault->down_s : end_s, number, unit);
}

uint32_t faults_schedule(const struct faults_world *world, uint64_t seed, sim_time horizon, struct fault_event **out) {
    const struct fault_options *faults = world->faults->items;
    struct schedule schedule = {.horizon = horizon};
    gsl_rng *rng = gsl_rng_alloc(random_philox);
    for (uint32_t i = 0; i < world->faults->count; i++) {
        const struct fault_options *fault = &faults[i];
        if (fault->off)
            continue;
        uint32_t units = units_of(world, fault), first = fault->unit >= 0 ? (uint32_t)fault->unit : 0;
        for (uint32_t unit = first; unit < (fault->unit >= 0 ? first + 1 : units); unit++) {
            if (fault->mtbf_s <= 0) {
                add_turns(&schedule, fault, fault->begin_s, fault->begin_s + fault->duration_s, i, unit);
                continue;
            }
            random_seek(rng, seed, RANDOM_FAULT, (uint64_t)i << 32 | unit);
            for (double at = gsl_ran_exponential(rng, fault->mtbf_s); at * 1e9 <= (double)horizon;) {
                double end = at + gsl_ran_exponential(rng, fault->mttr_s);
                add_turns(&schedule, fault, at, end, i, unit);
                at = end + gsl_ran_exponential(rng, fault->mtbf_s);
            }
        }
    }
    gsl_rng_free(rng);
    if (schedule.count > 0)
        qsort(schedule.events, schedule.count, sizeof *schedule.events, by_begin);
    *out = schedule.events;
    return schedule.count;
}
