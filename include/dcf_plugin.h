/*
 * dcf_plugin.h: libdcf_thunderbolt as a transport plugin of DCF.
 *
 * The shared library can be loaded by hosts of four contracts. Each finds what it looks for with
 * dlsym, so a host needs this header only if it has no declarations of its own:
 *
 *   old loader    create_plugin, get_plugin_version; the first words of the object are its functions
 *   v1            the same, and `iface`
 *   design 5.2    create_plugin, and `iface_v1_1`: JSON parameters, health checks
 *   v2            create_plugin_v2
 *
 * The static library has none of these names. docs/DCF.md says which contract does what.
 *
 * WITH DCF'S OWN HEADERS
 *
 * dcf_transport_v1.h and dcf_types.h may come before this header or after it. If the compiler finds
 * dcf_types.h, this header includes it, unless system headers came first with -std=c11 or another strict
 * standard: glibc then hides what dcf_types.h needs, and this header defines ITransport itself.
 * A dcf_plugin_manager.h has to come before. What they define is theirs. Where
 * a header of yours defines the types in another way, define DCF_PLUGIN_NO_V1 (DCFTransportV1) or
 * DCF_PLUGIN_NO_V2 (ITransport) before including this one, and DCF_PLUGIN_NO_PROTOTYPES if a name such
 * as `iface` is taken.
 *
 * RULES FOR ALL OF THEM
 *
 * Threads    Any function may be called from any thread at any time, send and receive at once too. The
 *            exception is destroy: no other call may begin any more. Those under way end first.
 * Ownership  What is passed in is used during the call only. The bytes of a message, and the sender
 *            of v2, come from the C library's malloc: the host frees them with free().
 * Errors     false, NULL or a number of DCF's DCFError, which are those of dcf_tb_status (0 is
 *            success). What went wrong, in words, is in dcf_tb_last_error, on the same thread.
 * Host       An interface ("thunderbolt0"), one of this host's own IPv6 addresses on one
 *            ("fe80::1%thunderbolt0", "::1%lo"), or NULL: the interface thunderbolt0.
 * Port       The control port, 1 to 65534. The data port is the next one.
 * Peers      As dcf_thunderbolt.h has them: "fe80::1%thunderbolt0", "fe80::1", and with another control
 *            port than our own "[fe80::1]:6000", where the data port has the same distance.
 * Messages   Up to 65507 bytes: one datagram, which may be lost. Up to 67108864 (64 MiB): over a
 *            connection, in order. Whole or refused, never cut.
 * fork       As in dcf_thunderbolt.h: in the child of a process with a plugin that is set up, every call
 *            fails at once, and destroy does nothing.
 */
#ifndef DCF_TB_PLUGIN_H
#define DCF_TB_PLUGIN_H

/*
 * A type that is defined twice is an error, so where DCF's types can be found, theirs are used. This comes
 * before all other headers, because dcf_types.h chooses the features of the C library. With glibc that
 * is impossible once a header was included without them (-std=c11): dcf_types.h does not compile
 * then, here or later, and the types below stand in for its own.
 */
#if !defined(DCF_PLUGIN_NO_V2) && !defined(DCF_TYPES_H) && !defined(DCF_PLUGIN_MANAGER_H) && \
    !(defined(__GLIBC__) && !defined(__USE_XOPEN2K)) && defined(__has_include)
#if __has_include("dcf_types.h")
#include "dcf_types.h"
#endif
#endif

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The largest message that a plugin's send takes, in bytes. */
#define DCF_TB_PLUGIN_MAX_MESSAGE_SIZE 67108864

/* What v2's setup returns when the plugin was set up with other values (DCF_ERR_ALREADY_INITIALIZED). */
#define DCF_TB_ERR_ALREADY_INITIALIZED 0x0605

#ifdef __cplusplus
extern "C" {
#endif

/* v1. dcf_transport_v1.h and an older dcf_plugin_manager.h have the same type. */
#if !defined(DCF_PLUGIN_NO_V1) && !defined(DCF_TRANSPORT_V1_H) && !defined(DCF_PLUGIN_MANAGER_H)
#define DCF_TRANSPORT_V1_H
typedef struct {
    /* Starts the transport. The same again: true, and nothing happens; other values: false. */
    bool (*setup)(void *self, const char *host, int port);
    /* Sends a message. A datagram waits for room in the kernel's queue for 1 s at most, what is
       larger for 30 s at most until all of it is on its way. */
    bool (*send)(void *self, const uint8_t *data, size_t size, const char *target);
    /* The oldest message, for the host to free. Waits 100 ms at most, then NULL with *size 0.
       A message of 0 bytes is not NULL. */
    uint8_t *(*receive)(void *self, size_t *size);
    /* Closes the transport, joins its threads and frees the object. */
    void (*destroy)(void *self);
} DCFTransportV1;
#endif

/* The design document, 5.2: on the object of create_plugin. */
typedef struct {
    /* `params`: a JSON object, for example {"interface": "thunderbolt0", "control_port": 5000}; docs/DCF.md
       lists the keys. Unknown keys are ignored; NULL is {}. It never waits, whatever the timeout. */
    bool (*setup)(void *self, const char *params, int timeout_ms);
    bool (*send)(void *self, const uint8_t *data, size_t size, const char *target);
    uint8_t *(*receive)(void *self, size_t *size);
    /* Measures a round trip: whole milliseconds, rounded up, into *rtt_ms (or NULL). False within 3 s
       when there is no answer. */
    bool (*health_check)(void *self, const char *target, int *rtt_ms);
    void (*destroy)(void *self);
} DCFTransportV1_1;

/* v2. dcf_types.h has the same type, and the oldest dcf_plugin_manager.h another one of this name. */
#if !defined(DCF_PLUGIN_NO_V2) && !defined(DCF_TYPES_H) && !defined(DCF_PLUGIN_MANAGER_H)
typedef struct ITransport {
    void *ctx; /* a dcf_tb_plugin, see below */
    int (*setup)(struct ITransport *self, const char *host, int port);
    /* timeout_ms: as in receive; of datagrams 1000 are used at most. When it is over before all of a
       message is on its way, the message is dropped, and the next one goes over another connection. */
    int (*send)(struct ITransport *self, const uint8_t *data, size_t len, const char *recipient,
                uint32_t timeout_ms);
    /* The oldest message and a sender that can be a recipient, both for the host to free.
       timeout_ms: 0 polls (0x0002 when nothing is there), 0xFFFFFFFF has no limit; 0x0A00 when it is
       over. sender_out may be NULL. On errors the pointers are set to NULL. */
    int (*receive)(struct ITransport *self, uint8_t **data_out, size_t *len_out, char **sender_out,
                   uint32_t timeout_ms);
    /* Whether anything came from the peer within 10 s: messages, pings, or answers to ours. */
    bool (*is_connected)(struct ITransport *self, const char *peer);
    /* Forgets the peer and closes what is open to it and from it. */
    int (*disconnect)(struct ITransport *self, const char *peer);
    /* Closes the transport and wakes who waits: 0x0604, as all calls give from now on. */
    int (*shutdown)(struct ITransport *self);
    void (*destroy)(struct ITransport *self);
    const char *(*get_name)(struct ITransport *self);    /* "thunderbolt" */
    const char *(*get_version)(struct ITransport *self); /* as dcf_tb_version */
    /* A descriptor for poll: readable as long as receive would return at once. It is the plugin's: never
       read or close it. -1 before the setup. */
    int (*get_fd)(struct ITransport *self);
} ITransport;
#endif

/*
 * What create_plugin gives, and what the ctx of v2 leads to, for hosts that know this library. `transport`
 * is 0 before the setup and then a dcf_tb_transport for all of dcf_thunderbolt.h: statistics, the log,
 * discovery, streams to peers. A message or stream callback that is set there takes the
 * messages away from receive; dcf_tb_close is what shutdown does.
 */
typedef struct dcf_tb_plugin {
    bool (*setup)(void *self, const char *host, int port);
    bool (*send)(void *self, const uint8_t *data, size_t size, const char *target);
    uint8_t *(*receive)(void *self, size_t *size);
    void (*destroy)(void *self);
    uint64_t transport;
} dcf_tb_plugin;

#ifndef DCF_PLUGIN_NO_PROTOTYPES
/* A plugin that is not set up yet, or NULL. */
void *create_plugin(void);
#if !defined(DCF_PLUGIN_NO_V2) && (defined(DCF_TYPES_H) || !defined(DCF_PLUGIN_MANAGER_H))
struct ITransport *create_plugin_v2(void);
#endif
/* "1.0" */
const char *get_plugin_version(void);
/* The functions for the object of create_plugin. They are constant. */
#if defined(DCF_TRANSPORT_V1_H) && !defined(DCF_PLUGIN_NO_V1)
extern DCFTransportV1 iface;
#endif
extern DCFTransportV1_1 iface_v1_1;
#endif

#ifdef __cplusplus
}
#endif

#endif /* DCF_TB_PLUGIN_H */
