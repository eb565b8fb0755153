#include "round_trips.h"

#include "counts.h"
#include "resident.h"
#include "messages.h"

static void one_round_trip(void)
{
    uint64_t rtt = 0;
    if (fine(AT_round_trip, dcf_tb_measure_rtt(resident(), peer, ROUND_TRIP_MS, &rtt))) {
        CHECK(rtt > 0 && rtt < (uint64_t)ROUND_TRIP_MS * 1000000);
        count(COUNT_round_trips, 1);
    }
}

static void one_series(struct worker *self)
{
    dcf_tb_rtt rtt = {0};
    uint32_t pings = (uint32_t)below(self, 20) + 1, interval_us = (uint32_t)below(self, 3) * 500;
    rtt.struct_size = sizeof rtt;
    if (!fine(AT_series, dcf_tb_ping(resident(), peer, pings, interval_us, ROUND_TRIP_MS, &rtt)))
        return;
    CHECK(rtt.sent == pings && rtt.received > 0 && rtt.received <= pings);
    CHECK(rtt.min_ns > 0 && rtt.min_ns <= rtt.p50_ns && rtt.p50_ns <= rtt.p999_ns);
    CHECK(rtt.p999_ns <= rtt.max_ns && rtt.min_ns <= rtt.mean_ns && rtt.mean_ns <= rtt.max_ns);
    count(COUNT_series, 1);
}

void make_round_trips(struct worker *self)
{
    if (once_in(self, 4))
        one_series(self);
    else
        one_round_trip();
    rest(self, 20);
}

void discover_peers(struct worker *self)
{
    dcf_tb_peer found[2];
    size_t found_count = 0;
    if (fine(AT_discover, dcf_tb_discover(resident(), 50, found, 2, &found_count))) {
        CHECK(found_count <= 1);
        if (found_count == 1) {
            CHECK(is_peer(found[0].address) && found[0].rtt_ns > 0);
            count(COUNT_discoveries, 1);
        }
    }
    rest(self, 400);
}

/* The last statistics. They can be compared with the next ones of the same transport and round. */
struct reading {
    dcf_tb_transport of;
    uint32_t round;
    dcf_tb_stats stats;
};

/* Counters never go down. */
static void check_order(const dcf_tb_stats *before, const dcf_tb_stats *now)
{
#define GOES_UP(member) CHECK(before->member <= now->member)
    GOES_UP(messages_sent);
    GOES_UP(messages_received);
    GOES_UP(bytes_sent);
    GOES_UP(bytes_received);
    GOES_UP(connections_accepted);
    GOES_UP(connections_initiated);
    GOES_UP(errors);
    GOES_UP(uptime_ns);
    GOES_UP(messages_dropped);
    GOES_UP(kernel_drops);
    GOES_UP(rejected);
    GOES_UP(stream_bytes_sent);
    GOES_UP(stream_bytes_received);
    GOES_UP(pings_sent);
    GOES_UP(pongs_received);
    GOES_UP(link_changes);
    GOES_UP(callback_failures);
#undef GOES_UP
    CHECK(now->pongs_received <= now->pings_sent);
}

void read_statistics(struct worker *self)
{
    if (self->memory == NULL)
        self->memory = calloc(1, sizeof(struct reading));
    CHECK(self->memory != NULL);
    struct reading *last = (struct reading *)self->memory, now = {resident(), round_now, {0}};
    now.stats.struct_size = sizeof now.stats;
    if (fine(AT_stats, dcf_tb_get_stats(now.of, &now.stats))) {
        if (last->of == now.of && last->round == now.round)
            check_order(&last->stats, &now.stats);
        *last = now;
    }
    rest(self, 50);
}
