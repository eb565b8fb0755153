/*
 * Home, the transport that lives as long as it can, and the callbacks of it that are replaced while they run.
 */
#ifndef HOME_H
#define HOME_H

#include "crew.h"

#define INTERFACE "thunderbolt0"
enum { CONTROL_PORT = 5000, DATA_PORT = 5001 };
/* For an answer: longer than any fault lasts that loses nothing, and what a lost one costs. */
enum { TRIP_MS = 8000 };

/* The peer's address, without an interface: ours may be renamed. */
extern const char *peer;
/* Whether a peer string of the library's is that address, on whichever port. */
int is_peer(const char *text);

/* Settings that home and guests share. */
dcf_tb_config settings(void);

void home_open(void);
void home_close(void);
/* The handle of the moment: calls may find it closed when it is being reopened. */
dcf_tb_transport home(void);

/* Has the steward close home and open it again, amid all work. */
void home_reopen(void);
/* A turn of the steward: replaces callbacks, by others or by none. */
void steward(struct worker *self);
/* Removes them all. */
void home_quiet(void);

#endif
