/* Do the structures under the eviction policies do what a slow and obvious one does? Random operations on both:
 * segments, the heap and the ranking, ghost lists, the pool, the sketch. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "policies/evict/ghosts.h"
#include "policies/evict/pool.h"
#include "policies/evict/queue.h"
#include "policies/evict/rank.h"
#include "policies/evict/recent.h"
#include "policies/evict/segments.h"
#include "policies/evict/sketch.h"

enum { SLOTS = 40, STEPS = 20000, PARTS = 3 };

static uint32_t draw(uint64_t *random, uint32_t below) {
    *random = *random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*random >> 33) % below;
}

/* An array whose order is the queue's; aside is kept in front, since that is where it returns to. */
struct row {
    uint32_t items[SLOTS], count;
};
static void take_out(struct row *row, uint32_t slot) {
    for (uint32_t i = 0; i < row->count; i++)
        if (row->items[i] == slot) {
            memmove(&row->items[i], &row->items[i + 1], (row->count - i - 1) * sizeof row->items[0]);
            row->count--;
            return;
        }
}
static void put_at(struct row *row, uint32_t slot, uint32_t at) {
    memmove(&row->items[at + 1], &row->items[at], (row->count - at) * sizeof row->items[0]);
    row->items[at] = slot;
    row->count++;
}

static void segments(void **unused) {
    (void)unused;
    struct block_info blocks[SLOTS] = {{0}};
    struct slot_segments s;
    segments_create(&s, SLOTS);
    struct row rows[PARTS] = {{{0}, 0}}; /* what stands in the list */
    bool aside[SLOTS] = {false};
    uint32_t part[SLOTS], counts[PARTS] = {0};
    for (uint32_t i = 0; i < SLOTS; i++)
        part[i] = SEGMENT_NONE;
    uint64_t random = 1;
    for (int step = 0; step < STEPS; step++) {
        uint32_t slot = draw(&random, SLOTS), to = draw(&random, PARTS), what = draw(&random, 5);
        if (what < 3) {
            if (part[slot] != SEGMENT_NONE) {
                take_out(&rows[part[slot]], slot);
                counts[part[slot]]--;
            }
            aside[slot] = false;
            part[slot] = what < 2 ? to : SEGMENT_NONE;
            if (what < 2) {
                put_at(&rows[to], slot, what == 0 ? 0 : rows[to].count);
                counts[to]++;
                (what == 0 ? segments_push_front : segments_push_back)(&s, slot, to);
            } else {
                segments_drop(&s, slot);
            }
        } else if (what == 3) {
            blocks[slot].refs = !blocks[slot].refs;
            if (blocks[slot].refs == 0) {
                segments_return(&s, slot);
                if (aside[slot])
                    put_at(&rows[part[slot]], slot, 0);
                aside[slot] = false;
            }
        } else {
            uint32_t first = EVICT_NONE;
            while (rows[to].count > 0 && first == EVICT_NONE) {
                uint32_t head = rows[to].items[0];
                if (blocks[head].refs == 0) {
                    first = head;
                } else {
                    aside[head] = true;
                    take_out(&rows[to], head);
                }
            }
            assert_int_equal(segments_first(&s, to, blocks), first);
        }
        assert_int_equal(segments_of(&s, slot), part[slot]);
        assert_int_equal(s.counts[to], counts[to]);
        uint32_t at = list_first(&s.lists[to]);
        for (uint32_t i = 0; i < rows[to].count; i++, at = list_after(s.links, at))
            assert_int_equal(at, rows[to].items[i]);
        assert_int_equal(at, EVICT_NONE);
    }
    segments_destroy(&s);
}

/* A queue in an array that is written anew as it fills, with marks; and what a session used last. */
static void queues(void **unused) {
    (void)unused;
    static struct block_info blocks[SLOTS];
    static struct block_facts facts[SLOTS];
    struct slot_queue queue;
    struct recent recent;
    queue_create(&queue, SLOTS);
    recent_create(&recent, SLOTS);
    struct row row = {{0}, 0};
    bool marked[SLOTS] = {false}, used[SLOTS] = {false};
    uint64_t random = 4;
    for (int step = 0; step < 4 * STEPS; step++) {
        uint32_t slot = draw(&random, SLOTS), what = draw(&random, 6), owner = draw(&random, 3);
        if (what < 3) {
            take_out(&row, slot);
            marked[slot] = false;
            if (what < 2)
                put_at(&row, slot, what == 0 ? 0 : row.count);
            (what == 0 ? queue_push_front : what == 1 ? queue_push_back : queue_drop)(&queue, slot);
        } else if (what == 3) {
            queue_mark(&queue, slot);
            marked[slot] = true;
        } else if (what == 4) {
            facts[slot].owner = owner;
            (step % 3 ? recent_add : recent_drop)(&recent, slot);
            used[slot] = step % 3 != 0;
        } else {
            uint32_t at = 0, taken, expected = 0;
            for (uint32_t i = 0; i < SLOTS; i++)
                expected += used[i] && facts[i].owner == owner;
            for (; (taken = recent_take(&recent, facts, owner, &at)) != EVICT_NONE; expected--) {
                assert_true(used[taken] && facts[taken].owner == owner && expected > 0);
                used[taken] = false;
            }
            assert_int_equal(expected, 0);
        }
        assert_int_equal(queue.count, row.count);
        assert_int_equal(queue_first(&queue, blocks), row.count > 0 ? row.items[0] : EVICT_NONE);
        bool there = false;
        for (uint32_t i = 0; i < row.count; i++)
            there = there || row.items[i] == slot;
        assert_true(queue_has(&queue, slot) == there && queue_marked(&queue, slot) == marked[slot]);
    }
    for (; row.count > 0; take_out(&row, row.items[0])) {
        assert_int_equal(queue_first(&queue, blocks), row.items[0]);
        queue_drop(&queue, row.items[0]);
    }
    queue_destroy(&queue);
    recent_destroy(&recent);
}

static bool may_go(const struct block_info *blocks, const struct block_facts *facts, uint32_t slot) {
    return blocks[slot].refs == 0 && facts[slot].children == 0;
}

/* Leaves of a forest that changes, held and let go, with keys that change: the smallest by looking at all. */
static void ranking_and_pool(void **unused) {
    (void)unused;
    struct block_info blocks[SLOTS] = {{0}};
    struct block_facts facts[SLOTS] = {{0}};
    struct slot_key keys[SLOTS];
    bool here[SLOTS] = {false};
    struct evict_context context = {.blocks = blocks, .facts = facts, .slots = SLOTS, .capacity = SLOTS, .seed = 7};
    struct ranking ranking;
    struct slot_pool pool;
    ranking_create(&ranking, &context, true);
    pool_create(&pool, &context, true);
    uint64_t random = 2;
    for (int step = 0; step < STEPS; step++) {
        uint32_t slot = draw(&random, SLOTS), parent = draw(&random, SLOTS);
        struct slot_key key = {draw(&random, 8), draw(&random, 8)};
        if (!here[slot]) {
            facts[slot].parent = here[parent] && parent < slot ? parent : EVICT_NONE;
            if (facts[slot].parent != EVICT_NONE)
                facts[parent].children++;
            here[slot] = true;
            keys[slot] = key;
            ranking_insert(&ranking, slot, key);
            pool_insert(&pool, slot);
        } else if (draw(&random, 3) == 0) {
            blocks[slot].refs = !blocks[slot].refs;
            (blocks[slot].refs ? ranked_hold : ranked_release)(&ranking, slot, 0);
            (blocks[slot].refs ? pooled_hold : pooled_release)(&pool, slot, 0);
        } else if (draw(&random, 2) == 0) {
            ranking_set(&ranking, slot, keys[slot] = key);
        } else if (may_go(blocks, facts, slot)) {
            if (facts[slot].parent != EVICT_NONE)
                facts[facts[slot].parent].children--;
            here[slot] = false;
            ranking_remove(&ranking, slot);
            pool_remove(&pool, slot);
        }
        uint32_t least = EVICT_NONE, count = 0;
        for (uint32_t i = 0; i < SLOTS; i++) {
            if (!here[i] || !may_go(blocks, facts, i))
                continue;
            count++;
            assert_true(pool.place[i] > 0);
            bool less = least == EVICT_NONE || keys[i].first < keys[least].first ||
                        (keys[i].first == keys[least].first && keys[i].second < keys[least].second);
            least = less ? i : least;
        }
        assert_int_equal(ranked_victim(&ranking, 0), least);
        assert_int_equal(pool.count, count);
        slot = pool_draw(&pool);
        assert_int_equal(slot == EVICT_NONE, count == 0);
        assert_true(count == 0 || (here[slot] && may_go(blocks, facts, slot)));
    }
    uint32_t drawn[SLOTS] = {0}; /* each of those there as likely: 5 standard deviations are 110 */
    for (uint32_t i = 0; i < SLOTS; i++) {
        blocks[i].refs = facts[i].children = 0;
        pool_consider(&pool, i);
    }
    for (int i = 0; i < STEPS; i++)
        drawn[pool_draw(&pool)]++;
    for (uint32_t i = 0; i < SLOTS; i++)
        assert_in_range(drawn[i], STEPS / SLOTS - 110, STEPS / SLOTS + 110);
    assert_true(rank_of(0) < rank_of(1e-300) && rank_of(1) < rank_of(1.5) && rank_of(1.5) < rank_of(1e300));
    ranking_destroy(&ranking);
    pool_destroy(&pool);
}

/* Ids in order of arrival; those asked for in a second row. */
static void ghost_list(void **unused) {
    (void)unused;
    enum { CAPACITY = 7, IDS = 30 };
    struct ghosts g;
    ghosts_create(&g, CAPACITY);
    struct row order = {{0}, 0}, asked = {{0}, 0};
    int64_t notes[IDS];
    uint64_t random = 3;
    for (int step = 0; step < STEPS; step++) {
        uint32_t id = draw(&random, IDS), what = draw(&random, 4);
        uint32_t before = order.count + asked.count;
        take_out(&order, id);
        take_out(&asked, id);
        bool had = order.count + asked.count < before;
        assert_int_equal(ghosts_has(&g, id), had);
        if (what < 2) {
            put_at(&order, id, order.count);
            if (order.count > CAPACITY)
                take_out(&order, order.items[0]);
            ghosts_put(&g, id, notes[id] = step);
        } else if (what == 2) {
            assert_int_equal(ghosts_ask(&g, id), had);
            if (had)
                put_at(&asked, id, asked.count);
            if (asked.count > CAPACITY)
                take_out(&asked, asked.items[0]);
        } else {
            int64_t note = -1;
            assert_int_equal(ghosts_take(&g, id, &note), had);
            assert_int_equal(note, had ? notes[id] : -1);
            if (draw(&random, 8) == 0) {
                if (order.count > 0)
                    take_out(&order, order.items[0]);
                ghosts_drop_oldest(&g);
            }
        }
        assert_int_equal(g.count, order.count);
        for (uint32_t i = 0; i < order.count; i++)
            assert_true(ghosts_has(&g, order.items[i]));
        for (uint32_t i = 0; i < asked.count; i++)
            assert_true(ghosts_has(&g, asked.items[i]));
    }
    ghosts_destroy(&g);
    ghosts_create(&g, 0);
    ghosts_put(&g, 1, 1);
    assert_false(ghosts_has(&g, 1));
    ghosts_destroy(&g);
}

/* Never below the true count; conservative never above plain; halving halves; little error with room. */
static void counts(void **unused) {
    (void)unused;
    enum { IDS = 1000, SIGHTS = 20000 };
    static uint32_t truth[IDS];
    struct sketch plain, conservative;
    sketch_create(&plain, 2 * IDS, 4, false);
    sketch_create(&conservative, 2 * IDS, 4, true);
    uint64_t random = 4;
    for (int i = 0; i < SIGHTS; i++) {
        uint32_t id = draw(&random, IDS);
        id = id * id / IDS; /* some more often than others */
        truth[id]++;
        sketch_add(&plain, id);
        sketch_add(&conservative, id);
    }
    uint32_t wrong = 0;
    for (uint32_t id = 0; id < IDS; id++) {
        uint32_t most = truth[id] < SKETCH_MOST ? truth[id] : SKETCH_MOST;
        assert_true(sketch_count(&conservative, id) >= most);
        assert_true(sketch_count(&plain, id) >= sketch_count(&conservative, id));
        wrong += sketch_count(&conservative, id) != most;
    }
    assert_in_range(wrong, 0, IDS / 10);
    uint32_t before = sketch_count(&plain, 5);
    sketch_halve(&plain);
    assert_int_equal(sketch_count(&plain, 5), before / 2);
    sketch_destroy(&plain);
    sketch_destroy(&conservative);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(segments), cmocka_unit_test(queues),
                                       cmocka_unit_test(ranking_and_pool), cmocka_unit_test(ghost_list),
                                       cmocka_unit_test(counts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
