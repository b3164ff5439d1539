#include "sim/serve/spaces.h"

#include <stdlib.h>
#include <string.h>

#include "sim/base/int_map.h"
#include "sim/memory/topology.h"

enum event_kind { EVENT_SWITCH, EVENT_RETIRE, EVENT_DELETE };
struct event {
    sim_time at;
    enum event_kind kind;
    uint32_t index, instance; /* of its list; SWITCH: who changes */
};

struct spaces {
    struct spaces_setup setup;
    struct space_source source;
    struct hierarchy *hierarchy;
    uint32_t engine_source;
    uint32_t *version; /* by instance: roll-outs seen */
    struct int_map *numbers;
    struct space_name names[SPACES_MAX];
    uint32_t count;
    struct event *events;
    uint32_t event_count, next_event;
    uint32_t deleted; /* deletions done */
    sim_time expires;
};

static void schedule(struct spaces *spaces) {
    sim_time at = spaces->expires;
    if (spaces->next_event < spaces->event_count && spaces->events[spaces->next_event].at < at)
        at = spaces->events[spaces->next_event].at;
    engine_set(spaces->setup.engine, spaces->engine_source, at);
}

static void wake(void *self, sim_time at) {
    struct spaces *spaces = self;
    if (at >= spaces->expires)
        return;
    spaces->expires = at;
    schedule(spaces);
}

static const struct space_rule *rule_for(const struct spaces *spaces, const struct space_name *name, uint32_t level) {
    const struct space_rule *rules = spaces->setup.options->rules.items;
    for (size_t i = 0; i < spaces->setup.options->rules.count; i++)
        if (topology_tier(spaces->setup.tiers, rules[i].tier) == level &&
            (rules[i].tenant < 0 || rules[i].tenant == name->tenant) &&
            (rules[i].adapter < 0 || rules[i].adapter == name->adapter))
            return &rules[i];
    return NULL;
}

static struct space_terms terms(void *self, uint32_t space, uint32_t level) {
    const struct spaces *spaces = self;
    const struct space_name *name = &spaces->names[space];
    const struct space_rule *rule = rule_for(spaces, name, level);
    if (!rule)
        return (struct space_terms){.tenant = name->tenant};
    const struct tier_options *tier = (const struct tier_options *)spaces->setup.tiers->items + level;
    double share_bytes = rule->quota_share * tier->capacity_bytes, quota_bytes = rule->quota_bytes;
    if (share_bytes > 0 && (quota_bytes <= 0 || share_bytes < quota_bytes))
        quota_bytes = share_bytes;
    return (struct space_terms){
        .ttl_ns = (int64_t)(rule->ttl_s * 1e9 + 0.5),
        .quota_bytes = quota_bytes,
        .pin_bytes = rule->pin_bytes,
        .pin_blocks = (uint32_t)((rule->pin_tokens + spaces->setup.block_tokens - 1) / spaces->setup.block_tokens),
        .tenant = name->tenant,
        .rule = (uint32_t)(rule - (const struct space_rule *)spaces->setup.options->rules.items)};
}

static bool concerns(const struct space_delete *what, uint32_t tenant, uint32_t adapter) {
    return (what->tenant < 0 || what->tenant == tenant) && (what->adapter < 0 || what->adapter == adapter);
}

static void retire(struct spaces *spaces, uint32_t space, sim_time now) {
    if (spaces->names[space].retired)
        return;
    spaces->names[space].retired = true;
    hierarchy_retire(spaces->hierarchy, space, now);
}

static void take_place(struct spaces *spaces, const struct event *event, sim_time now) {
    const struct spaces_options *o = spaces->setup.options;
    if (event->kind == EVENT_SWITCH) {
        const struct space_rollout *rollout = (const struct space_rollout *)o->rollouts.items + event->index;
        spaces->version[event->instance] = event->index + 1;
        if (rollout->restart_s > 0 && spaces->setup.restart)
            spaces->setup.restart(spaces->setup.self, event->instance, (sim_time)(rollout->restart_s * 1e9 + 0.5), now);
        return;
    }
    if (event->kind == EVENT_DELETE)
        spaces->deleted++;
    for (uint32_t n = 0; n < spaces->count; n++)
        if (event->kind == EVENT_RETIRE ? spaces->names[n].version <= event->index
                                        : concerns((const struct space_delete *)o->deletes.items + event->index,
                                                   spaces->names[n].tenant, spaces->names[n].adapter))
            retire(spaces, n, now);
}

static void fire(void *self, sim_time now) {
    struct spaces *spaces = self;
    while (spaces->next_event < spaces->event_count && spaces->events[spaces->next_event].at <= now)
        take_place(spaces, &spaces->events[spaces->next_event++], now);
    spaces->expires = SIM_NEVER;
    sim_time expires = hierarchy_expire(spaces->hierarchy, now);
    spaces->expires = expires < spaces->expires ? expires : spaces->expires;
    schedule(spaces);
}

static int by_time(const void *a, const void *b) {
    const struct event *ea = a, *eb = b;
    if (ea->at != eb->at)
        return ea->at < eb->at ? -1 : 1;
    if (ea->kind != eb->kind)
        return (int)ea->kind - (int)eb->kind;
    return ea->index != eb->index ? (ea->index < eb->index ? -1 : 1) : ea->instance < eb->instance ? -1 : 1;
}

static void list_events(struct spaces *spaces) {
    const struct spaces_options *o = spaces->setup.options;
    const struct space_rollout *rollouts = o->rollouts.items;
    const struct space_delete *deletes = o->deletes.items;
    uint32_t instances = spaces->setup.instances;
    size_t room = o->rollouts.count * (instances + 1) + o->deletes.count;
    spaces->events = calloc(room ? room : 1, sizeof *spaces->events);
    MUST(spaces->events != NULL);
    for (uint32_t r = 0; r < o->rollouts.count; r++) {
        sim_time at = (sim_time)(rollouts[r].at_s * 1e9 + 0.5), over = (sim_time)(rollouts[r].over_s * 1e9 + 0.5);
        for (uint32_t i = 0; i < instances; i++)
            spaces->events[spaces->event_count++] = (struct event){
                instances > 1 ? at + (sim_time)((double)over * i / (instances - 1)) : at, EVENT_SWITCH, r, i};
        if (rollouts[r].purge)
            spaces->events[spaces->event_count++] = (struct event){instances > 1 ? at + over : at, EVENT_RETIRE, r, 0};
    }
    for (uint32_t d = 0; d < o->deletes.count; d++)
        spaces->events[spaces->event_count++] =
            (struct event){(sim_time)(deletes[d].at_s * 1e9 + 0.5), EVENT_DELETE, d, 0};
    qsort(spaces->events, spaces->event_count, sizeof *spaces->events, by_time);
}

struct spaces *spaces_create(const struct spaces_setup *setup) {
    struct spaces *spaces = calloc(1, sizeof *spaces);
    MUST(spaces != NULL);
    spaces->setup = *setup;
    spaces->expires = SIM_NEVER;
    spaces->numbers = int_map_create();
    spaces->version = calloc(setup->instances, sizeof *spaces->version);
    MUST(spaces->version != NULL);
    spaces->source = (struct space_source){spaces, terms, wake, false};
    const struct space_rule *rules = setup->options->rules.items;
    for (size_t i = 0; i < setup->options->rules.count; i++)
        spaces->source.pins_by_depth |= rules[i].pin_bytes > 0 && rules[i].pin_tokens > 0;
    list_events(spaces);
    spaces->engine_source = engine_add(setup->engine, fire, spaces);
    return spaces;
}

void spaces_destroy(struct spaces *spaces) {
    if (!spaces)
        return;
    int_map_destroy(spaces->numbers);
    free(spaces->version);
    free(spaces->events);
    free(spaces);
}

const struct space_source *spaces_source(struct spaces *spaces) {
    return spaces ? &spaces->source : NULL;
}

void spaces_begin(struct spaces *spaces, struct hierarchy *hierarchy) {
    spaces->hierarchy = hierarchy;
    schedule(spaces);
}

uint32_t spaces_of(struct spaces *spaces, uint32_t instance, const struct request_spec *spec) {
    if (!spaces)
        return 0;
    const struct spaces_options *o = spaces->setup.options;
    const struct space_delete *deletes = o->deletes.items;
    uint64_t tenants = (uint64_t)o->tenants, adapters = (uint64_t)o->adapters;
    struct space_name name = {.version = spaces->version[instance],
                              .tenant = tenants > 0 ? (uint32_t)(spec->session % tenants) : spec->tenant};
    if (adapters > 0)
        name.adapter = (uint32_t)(spec->session / (tenants > 0 ? tenants : (uint64_t)spaces->setup.tenants) % adapters);
    if (o->share == SPACES_SHARED)
        name.tenant = 0;
    /* Deletions come in order of time; which of the list are done is known by their times. */
    for (uint32_t d = 0; spaces->deleted > 0 && d < o->deletes.count; d++)
        name.epoch += (sim_time)(deletes[d].at_s * 1e9 + 0.5) <= engine_now(spaces->setup.engine) &&
                      concerns(&deletes[d], name.tenant, name.adapter);
    MUST(name.tenant < 1u << 20 && name.adapter < 1u << 20 && name.epoch < 1u << 12 && name.version < 1u << 12);
    uint64_t key =
        (uint64_t)name.version << 52 | (uint64_t)name.epoch << 40 | (uint64_t)name.adapter << 20 | name.tenant;
    uint32_t number = int_map_get(spaces->numbers, key);
    if (number != INT_MAP_NONE)
        return number;
    MUST(spaces->count < SPACES_MAX);
    spaces->names[spaces->count] = name;
    int_map_put(spaces->numbers, key, spaces->count);
    return spaces->count++;
}

uint64_t spaces_pinned_blocks(const struct spaces *spaces, double block_bytes) {
    double bytes = 0;
    if (!spaces)
        return 0;
    const struct space_rule *rules = spaces->setup.options->rules.items;
    for (size_t i = 0; i < spaces->setup.options->rules.count; i++)
        bytes += topology_tier(spaces->setup.tiers, rules[i].tier) == 0 ? rules[i].pin_bytes : 0;
    return (uint64_t)(bytes / block_bytes);
}

struct space_name spaces_name(const struct spaces *spaces, uint32_t space) {
    return spaces->names[space];
}
uint32_t spaces_count(const struct spaces *spaces) {
    return spaces->count;
}
