/* The `namespaces:` section, and whether it can be. */
#include <stddef.h>
#include <string.h>

#include "sim/memory/topology.h"
#include "sim/serve/spaces.h"

static const char *const share_names[] = {"tenant", "all", NULL};

#define R(member) offsetof(struct space_rule, member)
static const struct option rule_table[] = {
    {.name = "tier", .kind = OPTION_TEXT, .offset = R(tier), .place_follows = true, .help = "the tier it is about"},
    {.name = "tenant",
     .kind = OPTION_INT,
     .offset = R(tenant),
     .fallback = "-1",
     .min = -1,
     .max = 1e6,
     .help = "the tenant it is about, counted from 0; -1: each"},
    {.name = "adapter",
     .kind = OPTION_INT,
     .offset = R(adapter),
     .fallback = "-1",
     .min = -1,
     .max = 1e6,
     .help = "the adapter it is about; -1: any"},
    {.name = "ttl",
     .kind = OPTION_REAL,
     .offset = R(ttl_s),
     .unit = UNIT_SECONDS,
     .fallback = "0",
     .min = 0,
     .max = 1e9,
     .help =
         "time to live: a block that no request has held or touched for so long is deleted at that moment; 0: none"},
    {.name = "quota",
     .kind = OPTION_REAL,
     .offset = R(quota_bytes),
     .unit = UNIT_BYTES,
     .fallback = "0",
     .min = 0,
     .max = 1e18,
     .help =
         "bytes that each tenant may have in one such tier; beyond it its own oldest blocks go. In hbm what running "
         "requests hold is not limited, but counts; 0: no limit"},
    {.name = "quota_share",
     .kind = OPTION_REAL,
     .offset = R(quota_share),
     .unit = UNIT_RATIO,
     .fallback = "0",
     .min = 0,
     .max = 1,
     .help = "the same as a share of the tier's capacity (not of hbm, whose capacity is computed); 0: no limit"},
    {.name = "pin",
     .kind = OPTION_REAL,
     .offset = R(pin_bytes),
     .unit = UNIT_BYTES,
     .fallback = "0",
     .min = 0,
     .max = 1e18,
     .help = "blocks that are never evicted: the first that come, up to so many bytes of one such tier"},
    {.name = "pin_tokens",
     .kind = OPTION_INT,
     .offset = R(pin_tokens),
     .unit = UNIT_TOKENS,
     .fallback = "0",
     .min = 0,
     .max = 1e9,
     .help = "of them only blocks within so many tokens of a prompt's beginning; 0: all"},
    OPTION_END};
#undef R

#define O(member) offsetof(struct space_rollout, member)
static const struct option rollout_table[] = {
    {.name = "version",
     .kind = OPTION_TEXT,
     .offset = O(version),
     .place_follows = true,
     .help = "the new model version"},
    {.name = "at",
     .kind = OPTION_REAL,
     .offset = O(at_s),
     .unit = UNIT_SECONDS,
     .min = 0,
     .max = 1e10,
     .help = "when the first instance changes"},
    {.name = "over",
     .kind = OPTION_REAL,
     .offset = O(over_s),
     .unit = UNIT_SECONDS,
     .fallback = "0",
     .min = 0,
     .max = 1e9,
     .help = "until the last one does, the others at equal distances between; 0: all at once"},
    {.name = "restart",
     .kind = OPTION_REAL,
     .offset = O(restart_s),
     .unit = UNIT_SECONDS,
     .fallback = "0",
     .min = 0,
     .max = 1e7,
     .help = "each instance is down for so long while it changes, as under faults: {restart: ...}; 0: it is not"},
    {.name = "purge",
     .kind = OPTION_BOOL,
     .offset = O(purge),
     .fallback = "yes",
     .help = "blocks of the old version are deleted once no instance runs it; no: they stay until they are evicted"},
    OPTION_END};
#undef O

#define D(member) offsetof(struct space_delete, member)
static const struct option delete_table[] = {
    {.name = "at", .kind = OPTION_REAL, .offset = D(at_s), .unit = UNIT_SECONDS, .min = 0, .max = 1e10, .help = "when"},
    {.name = "tenant",
     .kind = OPTION_INT,
     .offset = D(tenant),
     .fallback = "-1",
     .min = -1,
     .max = 1e6,
     .help = "whose blocks; -1: every tenant's"},
    {.name = "adapter",
     .kind = OPTION_INT,
     .offset = D(adapter),
     .fallback = "-1",
     .min = -1,
     .max = 1e6,
     .help = "computed with which adapter; -1: any"},
    OPTION_END};
#undef D

#define S(member) offsetof(struct spaces_options, member)
const struct option spaces_options_table[] = {
    {.name = "version",
     .kind = OPTION_TEXT,
     .offset = S(version),
     .fallback = "v1",
     .help = "the model version at the beginning"},
    {.name = "layout",
     .kind = OPTION_TEXT,
     .offset = S(layout),
     .fallback = "",
     .help = "of KV blocks, for people; another layout is another version"},
    {.name = "share",
     .kind = OPTION_CHOICE,
     .offset = S(share),
     .fallback = "tenant",
     .choices = share_names,
     .help = "tenant: no tenant hits another's blocks; all: equal text is one block"},
    {.name = "tenants",
     .kind = OPTION_INT,
     .offset = S(tenants),
     .fallback = "0",
     .min = 0,
     .max = 1e6,
     .help = "for workloads that name no tenants: session s is of tenant s modulo so many; 0: as the workload says"},
    {.name = "adapters",
     .kind = OPTION_INT,
     .offset = S(adapters),
     .fallback = "0",
     .min = 0,
     .max = 1e6,
     .help = "each session uses one of so many adapters, a tenant's sessions in turn; their blocks are never shared"},
    {.name = "rules",
     .kind = OPTION_LIST,
     .offset = S(rules),
     .fallback = "",
     .table = rule_table,
     .item_size = sizeof(struct space_rule),
     .help = "time to live, quotas and pins by tier; of the rules that fit a tenant, adapter and tier the first holds"},
    {.name = "rollouts",
     .kind = OPTION_LIST,
     .offset = S(rollouts),
     .fallback = "",
     .table = rollout_table,
     .item_size = sizeof(struct space_rollout),
     .help = "a new model version: no old block is hit from then on"},
    {.name = "deletes",
     .kind = OPTION_LIST,
     .offset = S(deletes),
     .fallback = "",
     .table = delete_table,
     .item_size = sizeof(struct space_delete),
     .help = "blocks that are deleted in every tier at a given time, and never hit again"},
    {.name = "window",
     .kind = OPTION_REAL,
     .offset = S(window_s),
     .unit = UNIT_SECONDS,
     .fallback = "1 min",
     .min = 1,
     .max = 1e9,
     .help = "recovery: the sliding window over which hit ratios are taken"},
    {.name = "regained",
     .kind = OPTION_REAL,
     .offset = S(regained),
     .unit = UNIT_RATIO,
     .fallback = "90 %",
     .min = 0.01,
     .max = 1,
     .help = "recovery: the share of the hit ratio before that must be had again"},
    OPTION_END};
#undef S

bool spaces_active(const struct spaces_options *options, int64_t tenants) {
    int64_t names = options->tenants > 0 ? options->tenants : tenants;
    return (options->share == SPACES_BY_TENANT && names > 1) || options->adapters > 0 || options->rules.count > 0 ||
           options->rollouts.count > 0 || options->deletes.count > 0;
}

static int check_rule(const struct spaces_options *options, const struct space_rule *rule, const struct list *tiers,
                      int64_t tenants, struct error *err) {
    const struct tier_options *items = tiers->items;
    if (topology_tier(tiers, rule->tier) == UINT32_MAX) {
        const char *names[TIERS_MAX];
        for (size_t t = 0; t < tiers->count; t++)
            names[t] = items[t].name;
        const char *nearest = error_nearest(rule->tier, names, tiers->count);
        return error_at(err, rule->at, "no tier is called '%s'\n  hint: %s%s%s", rule->tier,
                        nearest ? "did you mean '" : "name one of tiers:", nearest ? nearest : "", nearest ? "'?" : "");
    }
    if (rule->tenant >= tenants || (rule->tenant >= 0 && options->share == SPACES_SHARED))
        return error_at(err, rule->at,
                        "a rule for tenant %lld, and there %s\n  hint: tenants count from 0; leave it "
                        "away for a rule for each, or set tenants: and share: tenant",
                        (long long)rule->tenant, options->share == SPACES_SHARED ? "all tenants share" : "are fewer");
    if (rule->adapter >= 0 && rule->adapter >= (options->adapters > 0 ? options->adapters : 1))
        return error_at(err, rule->at, "a rule for adapter %lld of %lld\n  hint: adapters count from 0",
                        (long long)rule->adapter, (long long)options->adapters);
    bool hbm = topology_tier(tiers, rule->tier) == 0;
    if (hbm && rule->quota_share > 0)
        return error_at(err, rule->at, "quota_share of hbm, whose capacity is computed\n  hint: quota: in bytes");
    if (!hbm && rule->pin_bytes > 0.5 * items[topology_tier(tiers, rule->tier)].capacity_bytes)
        return error_at(err, rule->at,
                        "more than half of tier '%s' would be pinned\n  hint: a smaller pin:", rule->tier);
    if (rule->quota_bytes > 0 && rule->pin_bytes > rule->quota_bytes)
        return error_at(err, rule->at, "the pin is larger than the quota\n  hint: what is pinned counts towards it");
    return 0;
}

int spaces_check(const struct spaces_options *options, const struct list *tiers, int64_t tenants, struct place at,
                 struct error *err) {
    const struct space_rule *rules = options->rules.items;
    const struct space_delete *deletes = options->deletes.items;
    if (options->tenants > 0)
        tenants = options->tenants;
    int64_t adapters = options->adapters > 0 ? options->adapters : 1, shared = options->share == SPACES_SHARED;
    if (options->rules.count > SPACE_RULES_MAX)
        return error_at(err, at, "more than %d rules\n  hint: rules without a tenant hold for each", SPACE_RULES_MAX);
    for (size_t i = 0; i < options->rules.count; i++)
        if (check_rule(options, &rules[i], tiers, tenants, err) != 0)
            return -1;
    for (size_t i = 0; i < options->deletes.count; i++)
        if (deletes[i].tenant >= tenants || (deletes[i].tenant >= 0 && shared) || deletes[i].adapter >= adapters)
            return error_at(
                err, at,
                "deletes: entry %zu is about a tenant or adapter that is not there\n  hint: they count from "
                "0, and with share: all nobody's blocks are his own",
                i + 1);
    int64_t events = (int64_t)(1 + options->rollouts.count + options->deletes.count);
    if ((shared ? 1 : tenants) * adapters * events > SPACES_MAX)
        return error_at(err, at,
                        "%lld tenants, %lld adapters and %lld versions or deletions are more than %d namespaces\n"
                        "  hint: fewer tenants stand for many: tenants: 100",
                        (long long)tenants, (long long)adapters, (long long)events, SPACES_MAX);
    const struct tier_options *items = tiers->items;
    for (size_t t = 0; t < tiers->count; t++)
        if (items[t].evict_policy && items[t].evict_policy->policy.needs & NEED_FUTURE)
            return error_at(err, items[t].evict_at,
                            "policy '%s' sees texts come again, and with namespaces they may be other blocks\n"
                            "  hint: another eviction policy, or no namespaces",
                            items[t].evict_policy->policy.name);
    return 0;
}
