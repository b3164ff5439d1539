#include "sim/serve/faults.h"

#include <stdlib.h>
#include <string.h>

/* An event under way. */
struct active {
    struct fault_event event;
    sim_time give_up; /* SIM_NEVER: done, or never */
};

struct faults {
    struct faults_setup setup;
    struct hierarchy *hierarchy;
    uint32_t source;
    struct fault_event *events;
    uint32_t event_count, next;
    struct active *active;
    uint32_t active_count, active_room;
    sim_time *up; /* by instance; 0: it is up */
};

static const struct fault_options *fault_of(const struct faults *faults, const struct fault_event *event) {
    return (const struct fault_options *)faults->setup.world.faults->items + event->fault;
}

static void schedule(struct faults *faults, sim_time now) {
    sim_time at = SIM_NEVER;
    if (faults->next < faults->event_count && !faults->setup.over(faults->setup.self))
        at = faults->events[faults->next].begin;
    for (uint32_t i = 0; i < faults->active_count; i++) {
        const struct active *active = &faults->active[i];
        at = active->event.end < at ? active->event.end : at;
        at = active->give_up < at ? active->give_up : at;
    }
    for (uint32_t i = 0; i < faults->setup.world.instances; i++)
        if (faults->up[i] > 0 && faults->up[i] < at)
            at = faults->up[i];
    engine_set(faults->setup.engine, faults->source, at > now ? at : now);
}

/* What all active faults together make of a link. */
static void set_link(struct faults *faults, const char *name, uint32_t unit) {
    double slow = 1;
    bool down = false;
    for (uint32_t i = 0; i < faults->active_count; i++) {
        const struct fault_options *fault = fault_of(faults, &faults->active[i].event);
        if (fault->kind == FAULT_RESTART || fault->kind == FAULT_LOSE || faults->active[i].event.unit != unit ||
            strcmp(fault->of, name) != 0)
            continue;
        down |= fault->kind == FAULT_FLAP;
        slow *= fault->kind == FAULT_SLOW ? fault->factor : 1;
    }
    hierarchy_change_link(faults->hierarchy, name, unit, slow, down);
}

static void lose(struct faults *faults, uint32_t level, uint32_t unit, sim_time now) {
    uint32_t sharing;
    hierarchy_units(faults->hierarchy, level, &sharing);
    for (uint32_t i = unit * sharing; i < (unit + 1) * sharing && i < faults->setup.world.instances; i++)
        faults->setup.lose_swapped(faults->setup.self, i, level, now);
    hierarchy_lose(faults->hierarchy, level, unit, now);
}

void faults_restart(struct faults *faults, uint32_t instance, sim_time down_ns, sim_time now) {
    if (now + down_ns > faults->up[instance])
        faults->up[instance] = now + down_ns;
    faults->setup.down(faults->setup.self, instance, faults->up[instance], now);
    schedule(faults, now);
}

static void begin(struct faults *faults, const struct fault_event *event, sim_time now) {
    const struct fault_options *fault = fault_of(faults, event);
    if (fault->kind == FAULT_RESTART) {
        faults_restart(faults, event->unit, event->end - now, now);
        return;
    }
    if (faults->active_count == faults->active_room) {
        faults->active_room = faults->active_room ? 2 * faults->active_room : 16;
        faults->active = realloc(faults->active, faults->active_room * sizeof *faults->active);
        MUST(faults->active != NULL);
    }
    bool gives_up = fault->kind == FAULT_FLAP && fault->give_up_s > 0;
    faults->active[faults->active_count++] =
        (struct active){*event, gives_up ? now + (sim_time)(fault->give_up_s * 1e9 + 0.5) : SIM_NEVER};
    if (fault->kind == FAULT_LOSE)
        lose(faults, topology_tier(faults->setup.world.tiers, fault->of), event->unit, now);
    else
        set_link(faults, fault->of, event->unit);
}

static void end(struct faults *faults, uint32_t number) {
    struct fault_event event = faults->active[number].event;
    const struct fault_options *fault = fault_of(faults, &event);
    for (uint32_t i = number + 1; i < faults->active_count; i++)
        faults->active[i - 1] = faults->active[i];
    faults->active_count--;
    if (fault->kind == FAULT_LOSE)
        hierarchy_regain(faults->hierarchy, topology_tier(faults->setup.world.tiers, fault->of), event.unit);
    else
        set_link(faults, fault->of, event.unit);
}

static void fire(void *self, sim_time now) {
    struct faults *faults = self;
    for (uint32_t i = 0; i < faults->active_count;)
        if (faults->active[i].event.end <= now)
            end(faults, i);
        else
            i++;
    for (uint32_t i = 0; i < faults->setup.world.instances; i++)
        if (faults->up[i] > 0 && faults->up[i] <= now) {
            faults->up[i] = 0;
            faults->setup.up(faults->setup.self, i, now);
        }
    for (uint32_t i = 0; i < faults->active_count; i++)
        if (faults->active[i].give_up <= now) {
            faults->active[i].give_up = SIM_NEVER;
            hierarchy_give_up(faults->hierarchy, fault_of(faults, &faults->active[i].event)->of,
                              faults->active[i].event.unit, now);
        }
    while (faults->next < faults->event_count && faults->events[faults->next].begin <= now)
        begin(faults, &faults->events[faults->next++], now);
    schedule(faults, now);
}

struct faults *faults_create(const struct faults_setup *setup) {
    struct faults *faults = calloc(1, sizeof *faults);
    MUST(faults != NULL);
    faults->setup = *setup;
    faults->event_count = faults_schedule(&setup->world, setup->seed, setup->horizon, &faults->events);
    faults->up = calloc(setup->world.instances, sizeof *faults->up);
    MUST(faults->up != NULL);
    faults->source = engine_add(setup->engine, fire, faults);
    return faults;
}

void faults_destroy(struct faults *faults) {
    if (!faults)
        return;
    free(faults->events);
    free(faults->active);
    free(faults->up);
    free(faults);
}

void faults_begin(struct faults *faults, struct hierarchy *hierarchy) {
    faults->hierarchy = hierarchy;
    schedule(faults, 0);
}
