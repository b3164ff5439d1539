#include "sim/cli/wear.h"

bool wear_of(const struct variant *v, const struct outcome *o, size_t t, struct wear *out) {
    const struct tier_options *tier = (const struct tier_options *)v->options.tiers.items + t;
    if (t == 0 || tier->endurance_dwpd <= 0)
        return false;
    double bytes = 0, span_s = result_simulated_s(&o->result), all = tier->capacity_bytes * variant_tier_units(v, t);
    for (uint32_t i = 0; i < o->metrics.tier_count; i++)
        if (o->metrics.tiers[i].record.tier == t)
            bytes += (double)o->metrics.tiers[i].record.written_bytes;
    *out = (struct wear){.tier = tier, .written_bytes_per_day = span_s > 0 ? bytes / span_s * 86400 : 0};
    out->dwpd = out->written_bytes_per_day * tier_wear_factor(tier) / all;
    const struct price_tier *price = cost_price_of(&v->prices, tier_device(tier));
    double life_s = price ? price->life_s.value : 5 * 365.25 * 86400;
    if (out->dwpd <= 0)
        return true;
    out->years = life_s / (365.25 * 86400) * tier->endurance_dwpd / out->dwpd;
    out->usd_per_year = price ? all * price->usd_per_byte.value / out->years : 0;
    return true;
}

void wear_tell(const struct variant *v, const struct outcome *o, FILE *out) {
    for (size_t t = 1; t < v->options.tiers.count; t++) {
        struct wear wear;
        char day[32];
        if (!wear_of(v, o, t, &wear))
            continue;
        fprintf(out, "  %s: %s written a day, amplification %.3g (rated at %.3g): %.3g of %.3g drive writes a day",
                wear.tier->name, unit_format(day, sizeof day, wear.written_bytes_per_day, UNIT_BYTES, 3),
                wear.tier->write_amplification, wear.tier->rated_amplification, wear.dwpd, wear.tier->endurance_dwpd);
        if (wear.years > 0)
            fprintf(out, "; worn out after %.3g years, $%.0f of drives a year", wear.years, wear.usd_per_year);
        fputc('\n', out);
    }
}

void wear_json(struct json *json, const struct variant *v, const struct outcome *o) {
    json_array(json, "wear");
    for (size_t t = 1; t < v->options.tiers.count; t++) {
        struct wear wear;
        if (!wear_of(v, o, t, &wear))
            continue;
        json_object(json, NULL);
        json_string(json, "tier", wear.tier->name);
        json_number(json, "written_bytes_per_day", wear.written_bytes_per_day);
        json_number(json, "write_amplification", wear.tier->write_amplification);
        json_number(json, "dwpd", wear.dwpd);
        json_number(json, "endurance_dwpd", wear.tier->endurance_dwpd);
        if (wear.years > 0)
            json_number(json, "years", wear.years);
        else
            json_null(json, "years");
        json_number(json, "usd_per_year", wear.usd_per_year);
        json_object_end(json);
    }
    json_array_end(json);
}
