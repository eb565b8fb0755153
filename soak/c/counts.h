/*
  * What this host did in the current round. The soak compares the counts of both hosts with each other and with the
  * library's statistics, to find losses.
 */
#ifndef COUNTS_H
#define COUNTS_H

#include "check.h"

/* The resident transport stays open; transients are opened and closed beside it. */
#define COUNTS(X)                                                                                \
    X(messages_sent)          /* by the resident, marks included */                                    \
    X(message_bytes_sent)                                                                        \
    X(transient_messages_sent)                                                                       \
    X(messages_received)      /* by the resident, intact, from the peer's transports */              \
    X(messages_foreign)       /* from strangers */                                     \
    X(message_bytes_received) /* of both kinds */                                                      \
    X(marks_received)                                                                            \
    X(streams_opened)         /* by the resident */                                                    \
    X(transient_streams_opened)                                                                      \
    X(streams_accepted)       /* by the resident, foreign ones included */                               \
    X(streams_foreign)        /* without our header */                                     \
    X(stream_bytes_written)   /* by calls on streams of the resident */                                   \
    X(stream_bytes_read)                                                                         \
    X(opened_whole)           /* opened streams that came to their planned end */   \
    X(opened_whole_bytes)     /* their payload */                                                \
    X(opened_broken)          /* opened streams that broke */                                           \
    X(served_whole)           /* the same for streams that the peer opened */                       \
    X(served_whole_bytes)                                                                        \
    X(served_broken)                                                                             \
    X(round_trips)                                                                               \
    X(series)                                                                                    \
    X(discoveries)            /* that found the peer */                                          \
    X(transients)               /* that were opened, used and closed without a failure */                 \
    X(replacements)           /* of callbacks */                                                 \
    X(link_events)                                                                               \
    X(reopened)               /* the resident was closed and opened again */                             \
    X(interruptions)          /* signals handled */                                              \
    X(failures)               /* failed calls on the resident that its statistics count as errors */

#define COUNT_NAME(name) COUNT_##name,
enum count { COUNTS(COUNT_NAME) COUNT_ALL };
#undef COUNT_NAME

/* Where a call failed. */
#define PLACES(X) \
    X(init) X(send) X(batch) X(recv) X(open) X(accept) X(write) X(read) X(finish) X(file) X(detach) \
    X(round_trip) X(series) X(discover) X(stats) X(callback) X(transient)

#define PLACE_NAME(name) AT_##name,
enum place { PLACES(PLACE_NAME) AT_ALL };
#undef PLACE_NAME

void counts_log_to(const char *path);
void count(enum count which, uint64_t amount);
uint64_t counted(enum count which);

/* Whether the call succeeded. If not, counts the failure for this round, and logs it. */
int fine(enum place place, dcf_tb_status status);
/* The same for a planned failure: only counted as an error where the library counts it. */
int fine_or_planned(dcf_tb_status status);

/* Writes a line to the log. */
void note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Writes every count and every failure as NAME=VALUE, for the driver. */
void counts_print(FILE *output);
/* Begins a new round. */
void counts_reset(void);

#endif
