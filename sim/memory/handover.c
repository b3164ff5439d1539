#include "sim/memory/handover.h"

#include <string.h>

#include "sim/memory/hierarchy_impl.h"

int handover_check(const struct node_options *node, const char *path, struct place at, struct error *err) {
    struct topology_hop hops[TOPOLOGY_HOPS_MAX];
    uint32_t count = topology_named(node, path, "peer", "hbm", hops);
    if (count == 0)
        return error_at(err, at,
                        "node '%s' has no path '%s' from 'peer' to 'hbm' for the hand-over from prefill to decode\n"
                        "  hint: add {name: %s, from: peer, to: hbm, via: [nic, pcie]} to its paths",
                        node->name, path, path);
    if (2 * count > NETWORK_HOPS_MAX)
        return error_at(err, at,
                        "the hand-over's path '%s' names %u links\n  hint: at most %d: it is crossed at both ends",
                        path, count, NETWORK_HOPS_MAX / 2);
    return 0;
}

double hierarchy_hand_software_s(const struct hierarchy *h, uint32_t blocks) {
    return transfer_software_s(h, 0, 0, blocks);
}

void hierarchy_hand(struct hierarchy *h, uint32_t from, uint32_t to, uint64_t bytes, uint32_t blocks, sim_time delay_ns,
                    uint64_t tag, sim_time now) {
    MUST(h->hand_out != NULL && bytes > 0 && blocks > 0 && from != to);
    const struct route *out = &h->hand_out[from], *in = &h->hand_in[to];
    struct network_hop hops[NETWORK_HOPS_MAX];
    memcpy(hops, out->hops, out->count * sizeof *hops);
    memcpy(hops + out->count, in->hops, in->count * sizeof *hops);
    uint32_t id = transfer_open(h, TRANSFER_HAND, from, 0, 0, now);
    struct transfer *transfer = &h->transfers[id];
    transfer->tag = tag;
    transfer->bytes = bytes;
    transfer->receiver = to;
    transfer->count = blocks;
    h->started_bytes += bytes;
    transfer->flow = network_start_after(h->network, hops, out->count + in->count, bytes, blocks, delay_ns, id);
}

void handover_done(struct hierarchy *h, uint32_t id, sim_time now) {
    const struct transfer transfer = h->transfers[id];
    h->acting = transfer.receiver;
    h->landed_bytes += transfer.bytes;
    level_bank(h, 0, transfer.instance)->read_bytes += transfer.bytes;
    level_bank(h, 0, transfer.receiver)->written_bytes += transfer.bytes;
    if (h->setup.record_transfers && h->setup.sink && h->setup.sink->transfer) {
        sim_time begun = network_begun(h->network, transfer.flow);
        struct transfer_record record = {.instance = (uint16_t)transfer.receiver,
                                         .submitted_ns = transfer.submitted,
                                         .started_ns = begun < now ? begun : now,
                                         .end_ns = now,
                                         .bytes = transfer.bytes,
                                         .blocks = transfer.count};
        h->setup.sink->transfer(h->setup.sink->self, &record);
    }
    transfer_close(h, id);
    h->setup.on_handed(h->setup.self, transfer.tag, now);
}
