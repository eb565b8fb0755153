/*
 * What this host did in the present round. Whoever compares both hosts' counts, and these with the library's own
 * statistics, finds what was lost.
 */
#ifndef COUNTS_H
#define COUNTS_H

#include "check.h"

/* "home" is the transport that lives as long as it can; "guests" come and go beside it. */
#define COUNTS(X)                                                                                \
    X(messages_sent)          /* over home, marks included */                                    \
    X(message_bytes_sent)                                                                        \
    X(guest_messages_sent)                                                                       \
    X(messages_received)      /* by home, intact, from the peer's home or guests */              \
    X(messages_foreign)       /* from nobody that we know */                                     \
    X(message_bytes_received) /* of both */                                                      \
    X(marks_received)                                                                            \
    X(streams_opened)         /* from home */                                                    \
    X(guest_streams_opened)                                                                      \
    X(streams_accepted)       /* by home, foreign ones included */                               \
    X(streams_foreign)        /* did not begin as ours do */                                     \
    X(stream_bytes_written)   /* by calls on home's streams */                                   \
    X(stream_bytes_read)                                                                         \
    X(opened_whole)           /* streams that we opened, and that came to their planned end */   \
    X(opened_whole_bytes)     /* their payload */                                                \
    X(opened_broken)          /* those that did not */                                           \
    X(served_whole)           /* the same of those that the peer opened */                       \
    X(served_whole_bytes)                                                                        \
    X(served_broken)                                                                             \
    X(round_trips)                                                                               \
    X(series)                                                                                    \
    X(discoveries)            /* that found the peer */                                          \
    X(guests)                 /* transports that were opened, used and closed */                 \
    X(replacements)           /* of callbacks */                                                 \
    X(link_events)                                                                               \
    X(reopened)               /* home was closed and opened again */                             \
    X(interruptions)          /* signals handled */                                              \
    X(failures)               /* failed calls on home that its statistics count as errors */

#define COUNT_NAME(name) COUNT_##name,
enum count { COUNTS(COUNT_NAME) COUNT_ALL };
#undef COUNT_NAME

/* Where a call failed. */
#define PLACES(X) \
    X(init) X(send) X(batch) X(recv) X(open) X(accept) X(write) X(read) X(finish) X(file) X(detach) \
    X(trip) X(series) X(discover) X(stats) X(callback) X(guest)

#define PLACE_NAME(name) AT_##name,
enum place { PLACES(PLACE_NAME) AT_ALL };
#undef PLACE_NAME

void counts_log_to(const char *path);
void count(enum count which, uint64_t amount);
uint64_t counted(enum count which);

/* Whether the call succeeded. If not, the round has a trouble more, and the log a line. */
int fine(enum place place, dcf_tb_status status);
/* The same for a failure that is part of the plan: no trouble, but the library may count it. */
int fine_or_planned(dcf_tb_status status);

/* A line of the log. */
void note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Writes every count and every trouble as NAME=VALUE. */
void counts_print(FILE *output);
/* Begins a new round. */
void counts_reset(void);

#endif
