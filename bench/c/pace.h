/* Sending messages for a time, as fast as possible or at a rate. */
#ifndef PACE_H
#define PACE_H

#include "bench.h"

struct pace {
    uint64_t start_ns, end_ns, interval_ns, sent;
};

static inline struct pace pace_begin(char **argv)
{
    uint64_t rate = number_argument(argv, "rate", 0);
    struct pace pace = {.start_ns = now_ns(), .interval_ns = rate ? 1000000000u / rate : 0};
    pace.end_ns = pace.start_ns + number_argument(argv, "duration_ms", 1000) * 1000000u;
    return pace;
}

/* Whether there is time for `more` messages. With a rate, waits until they are due. */
static inline bool pace_next(struct pace *pace, uint64_t more)
{
    pace->sent += more;
    if (pace->interval_ns == 0)
        return pace->sent % 1024 != 0 || now_ns() < pace->end_ns;
    uint64_t due = pace->start_ns + (pace->sent - more) * pace->interval_ns;
    if (due >= pace->end_ns) {
        pace->sent -= more;
        return false;
    }
    while (now_ns() < due)
        continue;
    return true;
}

static inline void pace_say(const struct pace *pace, uint64_t sent)
{
    say("sent", sent);
    say("send_ns", now_ns() - pace->start_ns);
    say("cpu_ns", cpu_ns());
}

#endif
