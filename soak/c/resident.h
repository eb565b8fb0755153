/*
  * The resident transport, which stays open, and its callbacks, which are replaced while they run.
 */
#ifndef RESIDENT_H
#define RESIDENT_H

#include "workers.h"

#define INTERFACE "thunderbolt0"
enum { CONTROL_PORT = 5000, DATA_PORT = 5001 };
/* How long to wait for an answer: longer than any fault that loses nothing. A lost answer costs this time. */
enum { ROUND_TRIP_MS = 8000 };

/* The peer's address, without an interface, which may be renamed. */
extern const char *peer;
/* Whether a peer string from the library has that address, with any port. */
int is_peer(const char *text);

/* Settings that all transports share. */
dcf_tb_config settings(void);

void resident_open(void);
void resident_close(void);
/* The current handle. A call may find it closed while the transport is being reopened. */
dcf_tb_transport resident(void);

/* Has replace_callbacks close the transport and open it again, while all other workers go on. */
void resident_reopen(void);
/* A turn: replaces callbacks, by others or by none. */
void replace_callbacks(struct worker *self);
/* Removes all callbacks. */
void resident_remove_callbacks(void);

#endif
