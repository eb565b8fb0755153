/* Round trips, discovery, and those who look at the statistics all the time. */
#ifndef TRIPS_H
#define TRIPS_H

#include "crew.h"

void make_round_trips(struct worker *self);
void discover_peers(struct worker *self);
void read_statistics(struct worker *self);

#endif
