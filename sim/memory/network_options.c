/* The option table of a link, and the check of its figures. */
#include "sim/memory/network.h"

static const double MAX_S = 3600, MAX_BYTES_PER_S = 1e18;
const char *const link_basis_choices[] = {"measured", "extrapolated", "spec", NULL};

#define AT(member) offsetof(struct link_direction, member)
const struct option link_direction_table[] = {
    {.name = "bandwidth",
     .kind = OPTION_REAL,
     .offset = AT(bandwidth_bytes_per_s),
     .unit = UNIT_BYTES_PER_S,
     .fallback = "0",
     .max = 1e18,
     .help = "sustained by large transfers while the other direction is idle"},
    {.name = "latency",
     .kind = OPTION_REAL,
     .offset = AT(latency_s),
     .unit = UNIT_SECONDS,
     .fallback = "0",
     .max = 3600,
     .help = "from submission to the first byte"},
    {.name = "submit",
     .kind = OPTION_REAL,
     .offset = AT(submit_s),
     .unit = UNIT_SECONDS,
     .fallback = "0",
     .max = 3600,
     .help = "host time a descriptor; overlaps the copy"},
    {.name = "descriptor",
     .kind = OPTION_REAL,
     .offset = AT(descriptor_s),
     .unit = UNIT_SECONDS,
     .fallback = "0",
     .max = 3600,
     .help = "link time a descriptor"},
    {.name = "descriptor_small",
     .kind = OPTION_REAL,
     .offset = AT(descriptor_small_s),
     .unit = UNIT_SECONDS,
     .fallback = "0",
     .max = 3600,
     .help = "link time a descriptor of less than descriptor_break"},
    {.name = "descriptor_break",
     .kind = OPTION_REAL,
     .offset = AT(descriptor_break_bytes),
     .unit = UNIT_BYTES,
     .fallback = "0",
     .max = 1e18,
     .help = "block size at which the cost of a descriptor changes; 0: it does not"},
    {.name = "bandwidth_small",
     .kind = OPTION_REAL,
     .offset = AT(bandwidth_small_bytes_per_s),
     .unit = UNIT_BYTES_PER_S,
     .fallback = "0",
     .max = 1e18,
     .help = "bandwidth of blocks of less than descriptor_break; 0: as of others"},
    {.name = "descriptor_most",
     .kind = OPTION_INT,
     .offset = AT(descriptor_most),
     .fallback = "0",
     .max = 1e12,
     .help = "descriptors of one transfer that cost link time, of blocks of descriptor_break or more; 0: all"},
    {.name = "queue_depth",
     .kind = OPTION_INT,
     .offset = AT(queue_depth),
     .fallback = "0",
     .max = 1e9,
     .help = "I/Os that one transfer keeps in flight on a drive; 0: no limit"},
    {.name = "io_size",
     .kind = OPTION_REAL,
     .offset = AT(io_bytes),
     .unit = UNIT_BYTES,
     .fallback = "0",
     .max = 1e18,
     .help = "largest I/O on a drive; 0: a block is one I/O"},
    {.name = "iops",
     .kind = OPTION_REAL,
     .offset = AT(iops),
     .unit = UNIT_PER_S,
     .fallback = "0",
     .max = 1e15,
     .help = "I/Os a second of the whole drive; 0: no limit"},
    OPTION_END,
};
#undef AT

static int check_direction(const struct link_direction *d, const char *name, struct place at, struct error *err) {
    if (!(d->bandwidth_bytes_per_s > 0 && d->bandwidth_bytes_per_s <= MAX_BYTES_PER_S))
        return error_at(err, at, "the %s direction of a link has no bandwidth\n  hint: add `%s: {bandwidth: 50 GB/s}`",
                        name, name);
    const double seconds[] = {d->latency_s, d->submit_s, d->descriptor_s, d->descriptor_small_s};
    for (size_t i = 0; i < sizeof seconds / sizeof *seconds; i++)
        if (!(seconds[i] >= 0 && seconds[i] <= MAX_S))
            return error_at(err, at,
                            "a cost of the %s direction is negative or above an hour\n  hint: latency, submit "
                            "and descriptor are seconds, as in `5 us`",
                            name);
    if (!(d->bandwidth_small_bytes_per_s >= 0 && d->bandwidth_small_bytes_per_s <= d->bandwidth_bytes_per_s))
        return error_at(err, at,
                        "bandwidth_small of the %s direction is above its bandwidth\n  hint: it is what blocks below "
                        "descriptor_break reach; 0 is the bandwidth itself",
                        name);
    if (!(d->descriptor_most >= 0 && d->descriptor_break_bytes >= 0 && d->io_bytes >= 0 && d->iops >= 0 &&
          d->queue_depth >= 0))
        return error_at(err, at, "a drive's figure of the %s direction is negative\n  hint: use 0 for no limit", name);
    if (d->queue_depth > 0 && !(d->latency_s > 0))
        return error_at(err, at,
                        "the %s direction has a queue_depth and no latency\n  hint: a queue depth limits a "
                        "transfer to queue_depth * io_size / latency: give the latency of one I/O",
                        name);
    return 0;
}

int link_check(struct link_options *link, struct place at, struct error *err) {
    if (link->write.bandwidth_bytes_per_s == 0)
        link->write = link->read;
    if (check_direction(&link->read, "read", at, err) || check_direction(&link->write, "write", at, err))
        return -1;
    double fastest = link->read.bandwidth_bytes_per_s > link->write.bandwidth_bytes_per_s
                         ? link->read.bandwidth_bytes_per_s
                         : link->write.bandwidth_bytes_per_s;
    if (!(link->duplex_bytes_per_s >= 0) || (link->duplex_bytes_per_s > 0 && link->duplex_bytes_per_s < fastest))
        return error_at(err, at,
                        "duplex is below the bandwidth of one direction\n  hint: it caps the sum of both, so it "
                        "is at least the larger one; 0 is no cap");
    if (link->half_duplex && (link->duplex_bytes_per_s > 0 || link->fifo))
        return error_at(err, at,
                        "half_duplex beside duplex or fifo\n  hint: it is a cap of both directions by itself, of a "
                        "link that transfers share");
    if (link->fresh_bytes_per_s > 0 && link->fresh_bytes_per_s < link->write.bandwidth_bytes_per_s)
        return error_at(err, at,
                        "fresh_write is below the write bandwidth\n  hint: the bandwidth is the steady one, which "
                        "garbage collection leaves");
    if (link->fresh_bytes_per_s > fastest && link->peak_bytes_per_s > 0)
        fastest = link->fresh_bytes_per_s;
    if (!(link->peak_bytes_per_s >= 0) || (link->peak_bytes_per_s > 0 && link->peak_bytes_per_s < fastest))
        return error_at(err, at,
                        "peak is below the bandwidth\n  hint: it is the physical rate of a direction, which the "
                        "sustained bandwidth cannot exceed; 0 is the bandwidth itself");
    return 0;
}
