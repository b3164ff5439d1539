/* Who waits for which loads. */
#include <stdlib.h>

#include "sim/memory/hierarchy_impl.h"

static void grow_waits(struct hierarchy *h) {
    uint32_t room = h->wait_room ? 2 * h->wait_room : 64;
    h->waits = realloc(h->waits, room * sizeof *h->waits);
    MUST(h->waits != NULL);
    for (uint32_t i = room; i-- > h->wait_room;) {
        h->waits[i] = (struct wait){.next_free = h->wait_free};
        h->wait_free = i;
    }
    h->wait_room = room;
}

static void grow_links(struct hierarchy *h) {
    uint32_t room = h->link_room ? 2 * h->link_room : 64;
    h->wait_links = realloc(h->wait_links, room * sizeof *h->wait_links);
    MUST(h->wait_links != NULL);
    for (uint32_t i = room; i-- > h->link_room;) {
        h->wait_links[i].next = h->link_free;
        h->link_free = i;
    }
    h->link_room = room;
}

uint32_t wait_open(struct hierarchy *h, uint32_t instance, uint64_t tag, sim_time now) {
    if (h->wait_free == NO_WAIT)
        grow_waits(h);
    uint32_t id = h->wait_free;
    struct wait *wait = &h->waits[id];
    h->wait_free = wait->next_free;
    *wait = (struct wait){.instance = instance, .generation = wait->generation, .tag = tag, .last = now};
    h->wait_live++;
    return id;
}

void wait_close(struct hierarchy *h, uint32_t id) {
    struct wait *wait = &h->waits[id];
    MUST(wait->pending == 0);
    wait->generation++;
    wait->next_free = h->wait_free;
    h->wait_free = id;
    h->wait_live--;
}

uint64_t wait_name(const struct hierarchy *h, uint32_t id) {
    return (uint64_t)h->waits[id].generation << 32 | (id + 1);
}

uint32_t wait_named(const struct hierarchy *h, uint64_t name) {
    uint32_t id = (uint32_t)name - 1;
    return (uint32_t)name != 0 && h->waits[id].generation == name >> 32 ? id : NO_WAIT;
}

void wait_for(struct hierarchy *h, uint32_t wait, uint32_t transfer) {
    /* The same load is waited for once, however many of its blocks are wanted. */
    for (uint32_t link = h->transfers[transfer].waits; link != NO_WAIT; link = h->wait_links[link].next)
        if (h->wait_links[link].wait == wait)
            return;
    if (h->link_free == NO_WAIT)
        grow_links(h);
    uint32_t link = h->link_free;
    h->link_free = h->wait_links[link].next;
    h->wait_links[link] = (struct wait_link){wait, h->transfers[transfer].waits};
    h->transfers[transfer].waits = link;
    h->waits[wait].pending++;
}

bool wait_leave(struct hierarchy *h, uint32_t wait, uint32_t transfer) {
    for (uint32_t *at = &h->transfers[transfer].waits; *at != NO_WAIT; at = &h->wait_links[*at].next) {
        uint32_t link = *at;
        if (h->wait_links[link].wait != wait)
            continue;
        *at = h->wait_links[link].next;
        h->wait_links[link].next = h->link_free;
        h->link_free = link;
        h->waits[wait].pending--;
        return true;
    }
    return false;
}

void waits_wake(struct hierarchy *h, uint32_t links, uint32_t level, sim_time now) {
    while (links != NO_WAIT) {
        struct wait_link link = h->wait_links[links];
        h->wait_links[links].next = h->link_free;
        h->link_free = links;
        links = link.next;
        struct wait *wait = &h->waits[link.wait];
        wait->tier_ns[level] += now - wait->last;
        wait->last = now;
        if (--wait->pending > 0)
            continue;
        struct wait over = *wait;
        wait_close(h, link.wait);
        h->setup.on_loaded(h->setup.self, over.instance, over.tag, over.tier_ns, now);
    }
}
