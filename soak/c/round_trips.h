/* Turns: round trips, discovery, and reading the statistics. */
#ifndef ROUND_TRIPS_H
#define ROUND_TRIPS_H

#include "workers.h"

void make_round_trips(struct worker *self);
void discover_peers(struct worker *self);
void read_statistics(struct worker *self);

#endif
