/*
 * dcf_plugin.h: libdcf_thunderbolt as a transport plugin of DCF.
 *
 * Hosts of four contracts can load the shared library. Each host looks up its names with dlsym, so it
 * needs this header only if it has no declarations of its own:
 *
 *   old loader    create_plugin, get_plugin_version; the object begins with its function table
 *   v1            the same, and `iface`
 *   design 5.2    create_plugin, and `iface_v1_1`: JSON parameters, health checks
 *   v2            create_plugin_v2
 *
 * The static library has none of these names. docs/DCF.md describes the contracts.
 *
 * WITH DCF'S OWN HEADERS
 *
 * dcf_transport_v1.h and dcf_types.h may come before this header or after it. dcf_plugin_manager.h must
 * come before it. Types that DCF's headers define are used from there. If the compiler finds
 * dcf_types.h, this header includes it. There is one exception: with -std=c11 or another strict standard,
 * and system headers included first, glibc hides what dcf_types.h needs. Then this header defines
 * ITransport itself. If a header of yours defines one of the types differently, define DCF_PLUGIN_NO_V1
 * (for DCFTransportV1) or DCF_PLUGIN_NO_V2 (for ITransport) before you include this header. Define
 * DCF_PLUGIN_NO_PROTOTYPES if a name such as `iface` is taken.
 *
 * RULES FOR ALL CONTRACTS
 *
 * Threads    Any function may be called from any thread at any time, and send and receive may run at
 *            the same time. After destroy begins, no other call may begin; destroy waits for running
 *            calls.
 * Ownership  Arguments are used only during the call. The bytes of a message, and the sender in v2,
 *            come from the C library's malloc: the host frees them with free().
 * Errors     false, NULL, or a number of DCF's DCFError, which are those of dcf_tb_status (0 is
 *            success). dcf_tb_last_error gives the error as a text, on the same thread.
 * Host       An interface ("thunderbolt0"), an IPv6 address of this host with its interface
 *            ("fe80::1%thunderbolt0", "::1%lo"), or NULL for the interface thunderbolt0.
 * Port       The control port, 1 to 65534. The data port is the next one.
 * Peers      As in dcf_thunderbolt.h: "fe80::1%thunderbolt0", "fe80::1". If the peer's control port
 *            differs: "[fe80::1]:6000"; its data port must have the same distance from it as here.
 * Messages   Up to 65507 bytes: one datagram, which may be lost. Up to 67108864 bytes (64 MiB): over a
 *            connection, in order. A message arrives complete or not at all.
 * fork       As in dcf_thunderbolt.h: in the child of a process with a plugin after its setup, every
 *            call fails at once, and destroy does nothing.
 */
#ifndef DCF_TB_PLUGIN_H
#define DCF_TB_PLUGIN_H

/*
 * Defining a type twice is an error, so DCF's types are used if its header can be found. This comes
 * before all other headers, because dcf_types.h selects the features of the C library. With glibc that is
 * too late after another header was included without them (-std=c11). Then dcf_types.h does not compile,
 * here or later, and the types below replace its own.
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

/* The size of the largest message, in bytes. */
#define DCF_TB_PLUGIN_MAX_MESSAGE_SIZE 67108864

/* v2's setup returns this if the plugin was already set up with other values
   (DCF_ERR_ALREADY_INITIALIZED). */
#define DCF_TB_ERR_ALREADY_INITIALIZED 0x0605

#ifdef __cplusplus
extern "C" {
#endif

/* v1. dcf_transport_v1.h and an older dcf_plugin_manager.h have the same type. */
#if !defined(DCF_PLUGIN_NO_V1) && !defined(DCF_TRANSPORT_V1_H) && !defined(DCF_PLUGIN_MANAGER_H)
#define DCF_TRANSPORT_V1_H
typedef struct {
    /* Starts the transport. A second call with the same values has no effect and returns true; with
       other values it returns false. */
    bool (*setup)(void *self, const char *host, int port);
    /* Sends a message. A datagram waits at most 1 s for room in the kernel's queue. A larger message
       takes at most 30 s, until the kernel has accepted all of it. */
    bool (*send)(void *self, const uint8_t *data, size_t size, const char *target);
    /* Returns the oldest message, which the host must free. Waits at most 100 ms, then returns NULL
       with *size 0. A message of 0 bytes is not NULL. */
    uint8_t *(*receive)(void *self, size_t *size);
    /* Closes the transport, joins its threads and frees the object. */
    void (*destroy)(void *self);
} DCFTransportV1;
#endif

/* Section 5.2 of the design document: for objects of create_plugin. */
typedef struct {
    /* `params`: a JSON object, for example {"interface": "thunderbolt0", "control_port": 5000}; docs/DCF.md
       lists the keys. Unknown keys are ignored; NULL means {}. It never waits, so timeout_ms is
       ignored. */
    bool (*setup)(void *self, const char *params, int timeout_ms);
    bool (*send)(void *self, const uint8_t *data, size_t size, const char *target);
    uint8_t *(*receive)(void *self, size_t *size);
    /* Measures a round trip, in whole milliseconds, rounded up, in *rtt_ms (which may be NULL). Returns
       false within 3 s if there is no answer. */
    bool (*health_check)(void *self, const char *target, int *rtt_ms);
    void (*destroy)(void *self);
} DCFTransportV1_1;

/* v2. dcf_types.h has the same type. The oldest dcf_plugin_manager.h has a different type of this
   name. */
#if !defined(DCF_PLUGIN_NO_V2) && !defined(DCF_TYPES_H) && !defined(DCF_PLUGIN_MANAGER_H)
typedef struct ITransport {
    void *ctx; /* a dcf_tb_plugin, see below */
    int (*setup)(struct ITransport *self, const char *host, int port);
    /* timeout_ms: as in receive; at most 1000 for datagrams. If the time is up before the kernel has
       accepted all of a message, the message is dropped, and the next one uses a new connection. */
    int (*send)(struct ITransport *self, const uint8_t *data, size_t len, const char *recipient,
                uint32_t timeout_ms);
    /* Returns the oldest message and its sender, which can be used as a recipient. The host must free
       both. timeout_ms: 0 does not wait (0x0002 if there is no message), 0xFFFFFFFF has no limit; 0x0A00
       if the time is up. sender_out may be NULL. On errors the pointers are set to NULL. */
    int (*receive)(struct ITransport *self, uint8_t **data_out, size_t *len_out, char **sender_out,
                   uint32_t timeout_ms);
    /* Whether anything came from the peer within 10 s: messages, pings, or answers to ours. */
    bool (*is_connected)(struct ITransport *self, const char *peer);
    /* Forgets the peer, and closes the connections to it and from it. */
    int (*disconnect)(struct ITransport *self, const char *peer);
    /* Closes the transport. Waiting calls, and all later calls, return 0x0604. */
    int (*shutdown)(struct ITransport *self);
    void (*destroy)(struct ITransport *self);
    const char *(*get_name)(struct ITransport *self);    /* "thunderbolt" */
    const char *(*get_version)(struct ITransport *self); /* as dcf_tb_version */
    /* A descriptor for poll: readable exactly while receive would return at once. It belongs to the
       plugin: do not read or close it. -1 before the setup. */
    int (*get_fd)(struct ITransport *self);
} ITransport;
#endif

/*
 * The object of create_plugin, and of the ctx of v2, for hosts that use this library directly. After the
 * setup, `transport` is a dcf_tb_transport for all functions of dcf_thunderbolt.h: statistics, the log,
 * discovery, streams to peers. Before, it is 0. If the host sets a message or stream callback there,
 * receive gets no more messages. dcf_tb_close does the same as shutdown.
 */
typedef struct dcf_tb_plugin {
    bool (*setup)(void *self, const char *host, int port);
    bool (*send)(void *self, const uint8_t *data, size_t size, const char *target);
    uint8_t *(*receive)(void *self, size_t *size);
    void (*destroy)(void *self);
    uint64_t transport;
} dcf_tb_plugin;

#ifndef DCF_PLUGIN_NO_PROTOTYPES
/* Creates a plugin before its setup; NULL on failure. */
void *create_plugin(void);
#if !defined(DCF_PLUGIN_NO_V2) && (defined(DCF_TYPES_H) || !defined(DCF_PLUGIN_MANAGER_H))
struct ITransport *create_plugin_v2(void);
#endif
/* "1.0" */
const char *get_plugin_version(void);
/* The constant function tables for objects of create_plugin. */
#if defined(DCF_TRANSPORT_V1_H) && !defined(DCF_PLUGIN_NO_V1)
extern DCFTransportV1 iface;
#endif
extern DCFTransportV1_1 iface_v1_1;
#endif

#ifdef __cplusplus
}
#endif

#endif /* DCF_TB_PLUGIN_H */
