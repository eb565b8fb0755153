/*
 * dcf_thunderbolt.h: messages, streams and round trips between two hosts on a Thunderbolt/USB4 cable
 * (or on any other IPv6 link with its own network interface).
 *
 * GROUND RULES. They apply to every function below and are not repeated there.
 *
 * Results    A function returns a dcf_tb_status: DCF_TB_OK (0), or a positive code. It writes
 *            results through out-pointers, and only on success unless its description says
 *            otherwise. dcf_tb_last_error returns the failure as a text with the offending value; a
 *            success does not clear it. In addition to the codes that a function lists, each
 *            function may return DCF_TB_ERR_FORKED, DCF_TB_ERR_OUT_OF_MEMORY and DCF_TB_ERR_PANIC.
 * Threads    Any function may be called from any thread at any time, and from inside any callback.
 *            Several calls on one handle may run at the same time. Do not cancel a thread
 *            (pthread_cancel) while it is inside a call: that would end the process.
 * Ownership  The caller never frees memory of the library, and the library never frees memory of
 *            the caller. The library uses arguments only during the call. Callbacks receive
 *            user_data unchanged.
 * Pointers   NULL for a required pointer gives DCF_TB_ERR_NULL_POINTER. Every out-pointer is
 *            required unless its function says otherwise. (NULL, 0) is an empty buffer. Memory that
 *            a call writes to must not overlap any other argument. Otherwise the call returns
 *            DCF_TB_ERR_OUT_OF_RANGE and has no effect, except that a count that is reported on
 *            errors becomes 0.
 * Strings    NUL-terminated UTF-8.
 * Handles    64-bit numbers, not pointers; 0 is never valid. A handle that is closed, stale, of
 *            another kind, of another process, or made up gives DCF_TB_ERR_INVALID_HANDLE, whatever
 *            the other arguments are.
 * Timeouts   Milliseconds. 0 = do not wait (DCF_TB_WOULD_BLOCK), DCF_TB_WAIT_FOREVER = no limit.
 *            Measured times are nanoseconds. After a signal (EINTR), a blocking call continues with
 *            the time that is left. If a handle is closed, calls that wait on it return
 *            DCF_TB_CANCELLED.
 * Peers      A peer string is an IPv6 address: "fe80::1%thunderbolt0", "fe80::1%2", "::1%lo", or
 *            "fe80::1" (on the transport's interface). The peer's port is the one configured for
 *            this transport, unless the string contains a port: "[fe80::1%thunderbolt0]:6000". That
 *            is the control port for messages and pings, and the data port for streams. If the port
 *            was configured as 0, no other host can have the same port, so the string must contain
 *            the peer's, except on loopback. Peer strings from the library can be passed back
 *            unchanged. All other strings (an IPv4 address, a host name, another interface) give
 *            DCF_TB_ERR_INVALID_ADDRESS.
 * Structs    The first member, struct_size, is the size of the struct in the caller's header. Fill
 *            a dcf_tb_config with dcf_tb_config_init. If the caller's struct is smaller than the
 *            library's, the missing members have their defaults. If it is larger, the bytes that
 *            the library does not know must be 0; otherwise it is refused with
 *            DCF_TB_ERR_CONFIG_INVALID. For dcf_tb_stats, dcf_tb_rtt and dcf_tb_stream_stats, set
 *            struct_size before each call. The call writes the members that fit, and does not
 *            change struct_size.
 * Callbacks  They run on threads of the library (a log callback also on threads of the caller). The
 *            library holds no lock while a callback runs. Callbacks may call any function of this
 *            header, and must return. A C++ exception or a pthread_exit that leaves a callback ends
 *            the process by abort(), without std::terminate. After a longjmp out of a callback,
 *            removing it and closing the transport wait for ever. The library's threads cannot be
 *            cancelled. Strings and bytes passed to a callback are valid only during the call. Set
 *            a callback to NULL to remove it. Callbacks are optional: dcf_tb_recv, dcf_tb_accept
 *            and dcf_tb_event_fd can be used instead.
 * Host       The library prints no output, raises no signal (not even SIGPIPE), never exits,
 *            changes no signal disposition, and raises no floating-point exception on a caller's
 *            thread. Its threads are named dcf-tb-..., do not block synchronous signals, and have
 *            the default floating-point environment. All descriptors are close-on-exec. dlclose
 *            does not unload the library. But it does unload a shared object that contains the
 *            static library, even while threads of the library run. Link such an object with
 *            -Wl,-z,nodelete, or close all transports before dlclose.
 * Memory     When no memory is left, calls that need some fail with DCF_TB_ERR_OUT_OF_MEMORY,
 *            messages from peers are dropped and counted, and streams from peers are reset. When
 *            there is memory again, everything works. Operations in progress use a reserve of 1 MiB
 *            (address space only, until it is needed), so that no call ends the process.
 * fork       In the child of a process that had a transport open, every function returns
 *            DCF_TB_ERR_FORKED at once. Only dcf_tb_config_init, dcf_tb_status_string,
 *            dcf_tb_last_error, dcf_tb_last_errno, dcf_tb_version and dcf_tb_abi_version still
 *            work. exec is allowed. A process without a transport may fork, and each child may use
 *            the library. A child that runs on without exec has copies of open descriptors: the
 *            control port of a transport stays in use until the child ends too.
 *
 * Link with -ldcf_thunderbolt, or with the static library and -lpthread -ldl -lm.
 */


#ifndef DCF_TB_THUNDERBOLT_H
#define DCF_TB_THUNDERBOLT_H

/* Generated from the Rust sources by cbindgen; change those, not this file. */

#include <stddef.h>
#include <stdint.h>

/**
 * The ABI that this header describes; see `dcf_tb_abi_version`.
 */
#define DCF_TB_ABI_VERSION 1

/**
 * A timeout that never expires.
 */
#define DCF_TB_WAIT_FOREVER 0xFFFFFFFFu

/**
 * The size of the largest control message, in bytes.
 */
#define DCF_TB_MAX_MESSAGE_SIZE 65507

/**
 * A buffer of this size holds every peer string of the library, with its NUL.
 */
#define DCF_TB_PEER_SIZE 80

/**
 * The most peers that `dcf_tb_discover` finds. An array of this length always has room.
 */
#define DCF_TB_MAX_DISCOVERED 1024

/**
 * Log level: debugging details.
 */
#define DCF_TB_LOG_DEBUG 1

/**
 * Log level: normal events.
 */
#define DCF_TB_LOG_INFO 2

/**
 * Log level: a problem that the library works around.
 */
#define DCF_TB_LOG_WARN 3

/**
 * Log level: a failure.
 */
#define DCF_TB_LOG_ERROR 4

/**
 * Success.
 */
#define DCF_TB_OK 0x0000

/**
 * The call would have to wait, and its timeout is 0. Poll, or call again later.
 */
#define DCF_TB_WOULD_BLOCK 0x0002

/**
 * The stream or its transport was closed during the call. Do not use the handle any more.
 */
#define DCF_TB_CANCELLED 0x0003

/**
 * The peer ended the stream, or the file ended. Compare the count with what you expected.
 */
#define DCF_TB_EOF 0x0004

/**
 * A required pointer is NULL. Fix the call.
 */
#define DCF_TB_ERR_NULL_POINTER 0x0100

/**
 * No memory is left, in the process or in the kernel. Free some, then call again.
 */
#define DCF_TB_ERR_OUT_OF_MEMORY 0x0103

/**
 * A buffer is too small. No data is lost. Call again with the size in the out-length.
 */
#define DCF_TB_ERR_BUFFER_TOO_SMALL 0x0104

/**
 * A setting is outside its range, or `struct_size` is wrong. Call `dcf_tb_config_init` first;
 * `dcf_tb_last_error` names the setting.
 */
#define DCF_TB_ERR_CONFIG_INVALID 0x0201

/**
 * The kernel refused a socket option that the library needs. `dcf_tb_last_error` names it; the
 * kernel may be too old.
 */
#define DCF_TB_ERR_SOCKET_OPTION 0x0300

/**
 * The host is there, but no program listens on that port. Start the program there, and compare the
 * ports.
 */
#define DCF_TB_ERR_CONNECTION_REFUSED 0x0302

/**
 * This host has no such network interface. Plug in the cable, load the driver (`modprobe
 * thunderbolt-net`), or set `wait_for_interface`.
 */
#define DCF_TB_ERR_INTERFACE_NOT_FOUND 0x0306

/**
 * A connection failed in another way. `dcf_tb_last_error` says how.
 */
#define DCF_TB_ERR_CONNECTION_FAILED 0x030B

/**
 * The peer reset the connection: its program ended, or it has `max_streams` streams open. Open a
 * new stream later.
 */
#define DCF_TB_ERR_CONNECTION_RESET 0x030D

/**
 * The link is up, but no route leads to that address, or no host answers for it. Waiting for the
 * link does not help: use the peer's link-local address, or discover the peer again.
 */
#define DCF_TB_ERR_HOST_UNREACHABLE 0x030E

/**
 * The interface is down or gone, or has no carrier or address; or that was the case when the
 * stream ended. `dcf_tb_last_error` says which, why, and what to do. Wait with `dcf_tb_wait_link`,
 * or for `on_link`, until it is up again.
 */
#define DCF_TB_ERR_LINK_DOWN 0x030F

/**
 * The peer stopped answering, or this host ended the connection. Open a new stream when the peer
 * is back.
 */
#define DCF_TB_ERR_CONNECTION_ABORTED 0x0310

/**
 * `max_streams` streams are open on this host. Close some, or raise it.
 */
#define DCF_TB_ERR_TOO_MANY_CONNECTIONS 0x0311

/**
 * Another program uses a port. `dcf_tb_last_error` says which port: stop that program, or
 * configure another port.
 */
#define DCF_TB_ERR_ADDRESS_IN_USE 0x0312

/**
 * Received bytes are invalid, or `dcf_tb_stream_detach` found bytes that a failed
 * `dcf_tb_stream_receive_file` left. Read those first.
 */
#define DCF_TB_ERR_INVALID_MESSAGE 0x0402

/**
 * One control message has more than `DCF_TB_MAX_MESSAGE_SIZE` bytes. Use a stream.
 */
#define DCF_TB_ERR_MESSAGE_TOO_LARGE 0x0403

/**
 * This process was forked from one that had a transport open. Call exec, or fork before you open
 * one.
 */
#define DCF_TB_ERR_FORKED 0x0600

/**
 * The transport was not started. The functions of this header do not return this.
 */
#define DCF_TB_ERR_NOT_INITIALIZED 0x0601

/**
 * The transport was closed during the call. The functions of this header return `DCF_TB_CANCELLED`
 * or `DCF_TB_ERR_INVALID_HANDLE` instead.
 */
#define DCF_TB_ERR_SHUTDOWN 0x0604

/**
 * This user has no permission for a port below 1024 or, before Linux 5.7, for binding to an
 * interface (CAP_NET_RAW).
 */
#define DCF_TB_ERR_PERMISSION_DENIED 0x0701

/**
 * A peer string is not an address, or not one on the transport's interface. Use an IPv6 address,
 * with that interface or without `%`.
 */
#define DCF_TB_ERR_INVALID_ADDRESS 0x0800

/**
 * An argument is outside its range. Fix the call.
 */
#define DCF_TB_ERR_OUT_OF_RANGE 0x0801

/**
 * A handle is closed or stale, is of another kind, or never existed. Fix the call.
 */
#define DCF_TB_ERR_INVALID_HANDLE 0x0805

/**
 * Another error of the operating system. `dcf_tb_last_errno` gives its number.
 */
#define DCF_TB_ERR_IO 0x0900

/**
 * The stream was finished or closed on one side, or the peer is gone. Stop writing.
 */
#define DCF_TB_ERR_BROKEN_PIPE 0x0908

/**
 * The time was up. Call again, or give up.
 */
#define DCF_TB_ERR_TIMEOUT 0x0A00

/**
 * The process or the system has no file descriptors left. Raise `ulimit -n`, or close some.
 */
#define DCF_TB_ERR_TOO_MANY_FILES 0x0B01

/**
 * The socket's send buffer or the interface's queue stayed full for a second. Send less, and check
 * that the peer receives.
 */
#define DCF_TB_ERR_QUEUE_FULL 0x0B02

/**
 * A thread could not be started. Raise `ulimit -u`, or end other threads.
 */
#define DCF_TB_ERR_THREAD 0x0B06

/**
 * An internal error, which the library caught. The process can go on. Please report it.
 */
#define DCF_TB_ERR_PANIC 0xFFFF

/**
 * Option: `log_level`, one of `DCF_TB_LOG_*`.
 */
#define DCF_TB_OPTION_LOG_LEVEL 1

/**
 * Option: `busy_poll_us`. Applies to waits that begin later.
 */
#define DCF_TB_OPTION_BUSY_POLL_US 2

/**
 * Option: `receive_queue`. If more messages are queued than the new limit, they stay, and new ones
 * are dropped and counted until there is room.
 */
#define DCF_TB_OPTION_RECEIVE_QUEUE 3

/**
 * Option: `receive_queue_bytes`. If more bytes are queued than the new limit, the messages stay, and
 * new ones are dropped and counted until there is room.
 */
#define DCF_TB_OPTION_RECEIVE_QUEUE_BYTES 4

/**
 * Option: `max_streams`. If more streams are open than the new limit, they stay open, and new ones
 * are refused until enough have closed.
 */
#define DCF_TB_OPTION_MAX_STREAMS 5

/**
 * Option: `max_silent_streams`. If more streams are silent than the new limit, they stay, and each
 * new stream replaces the oldest one or is refused. If there was no limit before, streams that are
 * silent now count as well.
 */
#define DCF_TB_OPTION_MAX_SILENT_STREAMS 6

/**
 * Option: `silent_after_ms`. Also applies to streams that are silent now.
 */
#define DCF_TB_OPTION_SILENT_AFTER_MS 7

/**
 * Option: `connect_timeout_ms`. Applies to calls that begin later.
 */
#define DCF_TB_OPTION_CONNECT_TIMEOUT_MS 8

/**
 * Option: `allow_any_source`. Open streams stay open.
 */
#define DCF_TB_OPTION_ALLOW_ANY_SOURCE 9

/**
 * Option: `stream_dead_after_ms`. Applies to streams that are opened or accepted later. Values
 * above 2147483647 have the effect of 2147483647.
 */
#define DCF_TB_OPTION_STREAM_DEAD_AFTER_MS 10

/**
 * The result of a call: one of `DCF_TB_OK` to `DCF_TB_ERR_PANIC`. The numbers are those of DCF's
 * `DCFError` table.
 */
typedef int32_t dcf_tb_status;

/**
 * A control message arrived. `message` has `message_len` bytes and no NUL. `sender` is a peer
 * string of at most `DCF_TB_PEER_SIZE` bytes with its NUL, and can be passed to other functions.
 * Both are valid only during the call.
 *
 * Runs on the receiver thread, never twice at the same time, and gets the messages of each peer in
 * order. It may take long: other threads answer pings meanwhile, and up to `buffer_size` bytes of
 * messages wait in the kernel.
 */
typedef void (*dcf_tb_message_callback)(const uint8_t *message,
                                        size_t message_len,
                                        const char *sender,
                                        void *user_data);

/**
 * A data stream, from `dcf_tb_open_stream`, `dcf_tb_accept` or a stream callback to
 * `dcf_tb_stream_close`, `dcf_tb_stream_detach`, or the close of its transport. 0 is never a valid
 * handle.
 */
typedef uint64_t dcf_tb_stream;

/**
 * A peer opened a data stream. The callback owns the handle, may keep it after the call, and must
 * close it with `dcf_tb_stream_close`. `peer` is the address without a port, and is valid only
 * during the call.
 *
 * Each call runs on its own thread, so it may read and write until the stream ends. If no thread
 * can be started, the stream is reset, counted in `errors`, and logged.
 */
typedef void (*dcf_tb_stream_callback)(dcf_tb_stream stream, const char *peer, void *user_data);

/**
 * A log record. `level` is one of `DCF_TB_LOG_*`. `message` is one line without a line end, and is
 * valid only during the call.
 *
 * Runs on the thread that logs, so several calls can run at the same time. That thread does no
 * other work meanwhile. It can be the one that accepts streams and watches the link.
 */
typedef void (*dcf_tb_log_callback)(int32_t level, const char *message, void *user_data);

/**
 * The link changed. `up` is 1 when the interface can carry traffic again (also after a replug),
 * and 0 when it cannot. `interface_name` is valid only during the call.
 *
 * A change is reported when the library checks the interface. An outage that begins and ends
 * between two checks is not reported, for example an interface that is switched off and on
 * immediately, unless a call noticed it. A replugged cable creates a new interface, so both
 * changes are reported.
 *
 * The order of a change is fixed. First, `link_up` and `link_changes` in the statistics change,
 * and `dcf_tb_wait_link` returns. Second, the calls and streams that the change ends fail with
 * `DCF_TB_ERR_LINK_DOWN`. Third, the change is logged. Last comes this callback, which delays no
 * other step. So after `DCF_TB_ERR_LINK_DOWN` the statistics show that the link is down, or that
 * it has already come back.
 *
 * Runs on its own thread, in the order of the changes, and never twice at the same time. While it
 * runs, further changes wait for it, up to 64. Beyond that, a change and its reversal are left out
 * together.
 */
typedef void (*dcf_tb_link_callback)(int32_t up, const char *interface_name, void *user_data);

/**
 * The transport has closed. No other callback of the transport runs after this one, so `user_data`
 * may be freed.
 */
typedef void (*dcf_tb_closed_callback)(void *user_data);

/**
 * A peer appeared or vanished. `appeared` is 1 or 0. `peer` is its address with the interface and
 * without a port. It can be passed to other functions, and is valid only during the call.
 *
 * A peer appears when anything comes from its address: a message, a ping, a pong, a stream, or
 * data of a stream. It vanishes when nothing came from it for `peer_timeout_ms`, or when the link
 * goes down. A peer that only listens vanishes too. No peer appears while the link is down.
 * `dcf_tb_forget` removes a peer without a call. Later traffic makes a removed peer appear again.
 * A source address does not prove the identity of the sender.
 *
 * Any host on the link can forge source addresses, so the number of calls is limited. At most 256
 * peers appear at once, then 16 per second, and at most 1,024 are present. Traffic from other
 * sources is counted in `peers_not_reported`. Such a source appears with its next traffic once
 * there is room. Present peers are never removed to make room. Peers that the program passed to
 * `dcf_tb_last_heard` have 1,024 separate places, so they appear even during such a flood.
 *
 * Runs on its own thread, in the order of the changes, and never twice at the same time. The
 * library never waits for it. If a peer vanishes and appears again before the callback could be
 * called, both changes are left out. A peer that appears only briefly is still reported, unless the
 * link goes down or the peer is forgotten first. The order relative to the link callback is not
 * defined.
 */
typedef void (*dcf_tb_peer_callback)(int32_t appeared, const char *peer, void *user_data);

/**
 * The settings of a transport. Fill the struct with `dcf_tb_config_init` first, then change
 * members. Later versions of this header may append members.
 *
 * `dcf_tb_init` reads the struct, and the memory that it points to, only during the call. A
 * boolean member is true for every number except 0. `dcf_tb_set_option` can change a member later
 * if there is a `DCF_TB_OPTION_*` for it.
 */
typedef struct dcf_tb_config {
    /**
     * Size of this struct in the caller's header. `dcf_tb_config_init` sets it.
     */
    uint32_t struct_size;
    /**
     * UDP port of control messages and pings. Default 5000; 0 = any free port, see `dcf_tb_ports`.
     * With 0, peer strings for messages and pings must contain a port, and discovery is not
     * possible.
     */
    uint16_t control_port;
    /**
     * TCP port of data streams. Default 5001; 0 = any free port, see `dcf_tb_ports`. With 0, peer
     * strings for streams must contain a port.
     */
    uint16_t data_port;
    /**
     * Name of the network interface, 1 to 15 bytes. Default "thunderbolt0" (also for NULL); "auto"
     * = the interface of the driver thunderbolt-net. If there are several, `dcf_tb_init` fails and
     * names them.
     */
    const char *interface_name;
    /**
     * Bytes of socket buffer to request from the kernel. Default 64 MiB. The log and the
     * statistics report how much the kernel granted.
     */
    uint64_t buffer_size;
    /**
     * Boolean: send small writes to a stream immediately (TCP_NODELAY). Default 1.
     */
    uint8_t tcp_nodelay;
    /**
     * Boolean: detect dead peers of idle streams (SO_KEEPALIVE). Default 1.
     */
    uint8_t tcp_keepalive;
    /**
     * Boolean: also accept traffic from sources that are neither link-local nor loopback. Default
     * 0.
     */
    uint8_t allow_any_source;
    /**
     * Boolean: start even if the interface does not exist; the link comes up when it appears. If 0,
     * `dcf_tb_init` fails without the interface. Default 0.
     */
    uint8_t wait_for_interface;
    /**
     * Microseconds to spin before sleeping. Applies to waits for messages and for pongs, and to
     * reads from a stream on which short messages go back and forth. Default 50; 0 = never spin.
     */
    uint32_t busy_poll_us;
    /**
     * Maximum number of messages kept for `dcf_tb_recv` while there is no message callback. When
     * the queue is full, new messages are dropped and counted. Default 1024.
     */
    uint32_t receive_queue;
    /**
     * Maximum number of open streams, both directions together. Default 1024.
     */
    uint32_t max_streams;
    /**
     * Maximum time to open a stream, in milliseconds. Default 10000.
     */
    uint32_t connect_timeout_ms;
    /**
     * Milliseconds that data may stay unacknowledged before the stream ends with
     * `DCF_TB_ERR_CONNECTION_ABORTED` (TCP_USER_TIMEOUT). If `tcp_keepalive` is set, an idle
     * stream is probed. A peer whose program does not read, but whose kernel answers, is alive.
     * Default 10000; 0 = the system's.
     */
    uint32_t stream_dead_after_ms;
    /**
     * The lowest level (`DCF_TB_LOG_*`) to log. Records below it are not even formatted. Default
     * `DCF_TB_LOG_INFO`.
     */
    int32_t log_level;
    /**
     * Called for each control message, or NULL. Default NULL.
     */
    dcf_tb_message_callback on_message;
    /**
     * Called for each stream that a peer opens, or NULL. Default NULL.
     */
    dcf_tb_stream_callback on_stream;
    /**
     * Called for each log record, or NULL. Default NULL.
     */
    dcf_tb_log_callback on_log;
    /**
     * Called when the link goes down or comes up, or NULL. Default NULL.
     */
    dcf_tb_link_callback on_link;
    /**
     * Called once, as the last callback, when the transport has closed, or NULL. Default NULL. Not
     * called if `dcf_tb_init` fails.
     */
    dcf_tb_closed_callback on_closed;
    /**
     * Passed to all six callbacks. Default NULL.
     */
    void *user_data;
    /**
     * Maximum total size of the messages in the receive queue, in bytes. Messages beyond it are
     * dropped and counted. Default 64 MiB.
     */
    uint64_t receive_queue_bytes;
    /**
     * Maximum number of silent streams; 0 = no limit. A stream is silent if a peer opened it and
     * neither side has sent data yet. At the limit, a new stream replaces the oldest silent one,
     * if that is older than `silent_after_ms`. Otherwise the new stream is reset. Default 1000.
     */
    uint32_t max_silent_streams;
    /**
     * Milliseconds after which a silent stream can be replaced, once `max_silent_streams` is
     * reached. Below that limit, silent streams stay open. Default 10000.
     */
    uint32_t silent_after_ms;
    /**
     * Called when a peer appears or vanishes, or NULL. Default NULL.
     */
    dcf_tb_peer_callback on_peer;
    /**
     * Milliseconds without any traffic from a peer after which it vanishes, for `on_peer`. Default
     * 5000; 0 = no limit. Without a limit, peers vanish only when the link goes down, and after
     * 1,024 peers no other can appear until `dcf_tb_forget`.
     */
    uint32_t peer_timeout_ms;
    /**
     * Boolean: remember when each peer was last heard from, for `dcf_tb_last_heard`, even without
     * a peer callback. Costs a few nanoseconds for each message. Default 0.
     */
    uint32_t remember_peers;
} dcf_tb_config;

/**
 * A transport, from `dcf_tb_init` to `dcf_tb_close`. 0 is never a valid handle.
 */
typedef uint64_t dcf_tb_transport;

/**
 * One message of a batch.
 */
typedef struct dcf_tb_datagram {
    /**
     * The receiver, a peer string. Consecutive entries with the same pointer are parsed only once.
     */
    const char *peer;
    /**
     * The message; NULL if `len` is 0.
     */
    const uint8_t *data;
    /**
     * Its size in bytes, 0 to `DCF_TB_MAX_MESSAGE_SIZE`.
     */
    size_t len;
} dcf_tb_datagram;

/**
 * A message that `dcf_tb_recv_batch` received.
 */
typedef struct dcf_tb_received {
    /**
     * Its first byte, in the buffer that the caller passed.
     */
    const uint8_t *data;
    /**
     * Its size in bytes.
     */
    size_t len;
    /**
     * The sender, a NUL-terminated peer string.
     */
    char sender[DCF_TB_PEER_SIZE];
} dcf_tb_received;

/**
 * One of the pieces that `dcf_tb_stream_writev` writes.
 */
typedef struct dcf_tb_slice {
    /**
     * The bytes; NULL if `len` is 0.
     */
    const uint8_t *data;
    /**
     * Their number.
     */
    size_t len;
} dcf_tb_slice;

/**
 * The result of a series of pings. All times are 0 if no answer came.
 */
typedef struct dcf_tb_rtt {
    /**
     * Size of this struct in the caller's header. The caller sets it.
     */
    uint32_t struct_size;
    /**
     * Pings sent.
     */
    uint32_t sent;
    /**
     * Answers that came in time.
     */
    uint32_t received;
    /**
     * Always 0.
     */
    uint32_t reserved;
    /**
     * The shortest round trip, in nanoseconds.
     */
    uint64_t min_ns;
    /**
     * The mean, in nanoseconds.
     */
    uint64_t mean_ns;
    /**
     * The median: half of the round trips took at most this many nanoseconds.
     */
    uint64_t p50_ns;
    /**
     * 90 % of the round trips took at most this many nanoseconds.
     */
    uint64_t p90_ns;
    /**
     * 99 % of the round trips took at most this many nanoseconds.
     */
    uint64_t p99_ns;
    /**
     * 99.9 % of the round trips took at most this many nanoseconds.
     */
    uint64_t p999_ns;
    /**
     * The longest round trip, in nanoseconds.
     */
    uint64_t max_ns;
} dcf_tb_rtt;

/**
 * A peer that answered a discovery.
 */
typedef struct dcf_tb_peer {
    /**
     * Its address with the scope: a NUL-terminated peer string for all other calls.
     */
    char address[DCF_TB_PEER_SIZE];
    /**
     * The time until its answer came, in nanoseconds.
     */
    uint64_t rtt_ns;
} dcf_tb_peer;

/**
 * Counters of a transport since `dcf_tb_init` or the last `dcf_tb_reset_stats`, and its state.
 * Later versions may append members.
 */
typedef struct dcf_tb_stats {
    /**
     * Size of this struct in the caller's header. The caller sets it.
     */
    uint32_t struct_size;
    /**
     * 1 while the interface can carry traffic, else 0.
     */
    uint32_t link_up;
    /**
     * Control messages sent, without pings.
     */
    uint64_t messages_sent;
    /**
     * Control messages received, including those that were dropped later.
     */
    uint64_t messages_received;
    /**
     * Bytes of the control messages sent.
     */
    uint64_t bytes_sent;
    /**
     * Bytes of the control messages received.
     */
    uint64_t bytes_received;
    /**
     * Streams that peers opened.
     */
    uint64_t connections_accepted;
    /**
     * Streams that this transport opened.
     */
    uint64_t connections_initiated;
    /**
     * Failed sends, receives, accepts and stream calls, without timeouts and ends of streams.
     */
    uint64_t errors;
    /**
     * Nanoseconds since `dcf_tb_init` or the last reset.
     */
    uint64_t uptime_ns;
    /**
     * Control messages dropped because the receive queue was full. They also count as received.
     */
    uint64_t messages_dropped;
    /**
     * Datagrams, including pings, that the kernel dropped because the socket buffer was full or
     * their checksum was wrong. A batch of up to 64 datagrams that the kernel handles together
     * counts as one.
     */
    uint64_t kernel_drops;
    /**
     * Messages, streams and pings refused because of their source, a limit, or their form.
     */
    uint64_t rejected;
    /**
     * Bytes written to streams.
     */
    uint64_t stream_bytes_sent;
    /**
     * Bytes read from streams.
     */
    uint64_t stream_bytes_received;
    /**
     * Streams that are open now. A reset does not change it.
     */
    uint64_t streams_open;
    /**
     * Pings sent, including those of discovery.
     */
    uint64_t pings_sent;
    /**
     * Pongs that answered a ping of this transport.
     */
    uint64_t pongs_received;
    /**
     * Pings of peers that this transport answered.
     */
    uint64_t pings_answered;
    /**
     * The most recent round trip, in nanoseconds.
     */
    uint64_t last_rtt_ns;
    /**
     * Number of times that the link went down or came up.
     */
    uint64_t link_changes;
    /**
     * Callbacks that failed in a way that the library noticed.
     */
    uint64_t callback_failures;
    /**
     * Bytes of send buffer that the kernel granted to the control socket.
     */
    uint64_t udp_send_buffer;
    /**
     * Bytes of receive buffer that the kernel granted to the control socket.
     */
    uint64_t udp_receive_buffer;
    /**
     * Part of `rejected`: the source is neither link-local nor loopback.
     */
    uint64_t rejected_source;
    /**
     * Part of `rejected`: `max_streams` were open, or a connection of a DCF plugin host was closed
     * to make room for others.
     */
    uint64_t rejected_max_streams;
    /**
     * Part of `rejected`: `max_silent_streams` were silent.
     */
    uint64_t rejected_silent;
    /**
     * Part of `rejected`: no descriptor, thread or memory was left for a connection.
     */
    uint64_t rejected_resources;
    /**
     * Part of `messages_dropped`: no memory was left, in the limit of `receive_queue_bytes` or in
     * the process.
     */
    uint64_t dropped_memory;
    /**
     * Pongs and ICMP errors that match no waiting ping: late, duplicate or forged.
     */
    uint64_t pongs_ignored;
    /**
     * Part of `rejected`: a connection that broke the protocol between DCF plugin hosts.
     */
    uint64_t rejected_malformed;
    /**
     * Discovery answers left out because `DCF_TB_MAX_DISCOVERED` hosts had answered before.
     */
    uint64_t discovery_dropped;
    /**
     * Datagrams that were not sent because the interface's queue was full: messages whose call
     * returned `DCF_TB_ERR_QUEUE_FULL`, pings, and pongs. Datagrams that a queue drops after
     * accepting them are unknown to the kernel and not counted.
     */
    uint64_t send_drops;
    /**
     * Pings that were not answered, because too many came from new addresses: those without an
     * answer within the last minute. It means that a host on the link forges addresses.
     */
    uint64_t pings_limited;
    /**
     * Part of `messages_dropped`: large messages to a DCF plugin host that came too slowly.
     */
    uint64_t dropped_slow;
    /**
     * Pings for which an ICMP error came back: no program listens on that port, or no host has the
     * address.
     */
    uint64_t pings_undelivered;
    /**
     * Traffic of peers that the peer callback did not report, because too many had appeared
     * recently or 1,024 were present: datagrams, pings, streams, and reads of streams.
     */
    uint64_t peers_not_reported;
} dcf_tb_stats;

/**
 * Counters of a stream since it was opened, and the state of its connection. Later versions may
 * append members.
 *
 * Times are those of CLOCK_MONOTONIC, which stops while the host sleeps. The members from
 * `since_sent_ns` on come from the kernel (TCP_INFO of tcp(7)).
 */
typedef struct dcf_tb_stream_stats {
    /**
     * Size of this struct in the caller's header. The caller sets it.
     */
    uint32_t struct_size;
    /**
     * 1 while the connection exists; 0 after it broke or both sides have ended it.
     */
    uint32_t connected;
    /**
     * Bytes that the kernel accepted for sending.
     */
    uint64_t bytes_sent;
    /**
     * Bytes that were read, or written to a file.
     */
    uint64_t bytes_received;
    /**
     * Number of times that the kernel accepted bytes. A call that waits for room counts several
     * times.
     */
    uint64_t writes;
    /**
     * Number of times that bytes were read. A call that waits for more bytes counts several times.
     */
    uint64_t reads;
    /**
     * Nanoseconds since the stream was opened or accepted.
     */
    uint64_t age_ns;
    /**
     * Nanoseconds since bytes were last sent or received, or since the stream was opened: the
     * smaller one of the next two members.
     */
    uint64_t idle_ns;
    /**
     * Nanoseconds since bytes were last sent, including retransmissions. The kernel counts in
     * ticks of 1 to 10 ms.
     */
    uint64_t since_sent_ns;
    /**
     * Nanoseconds since bytes last arrived, read or not. The kernel counts in ticks of 1 to 10 ms.
     */
    uint64_t since_received_ns;
    /**
     * Bytes of `bytes_sent` that still wait in the send buffer.
     */
    uint64_t bytes_unsent;
    /**
     * Bytes of `bytes_sent` that were sent, but not yet acknowledged by the peer's kernel.
     */
    uint64_t bytes_unacknowledged;
    /**
     * The kernel's smoothed round-trip time, in nanoseconds; 0 before the first acknowledgement.
     */
    uint64_t rtt_ns;
    /**
     * Variation of the round-trip time, in nanoseconds.
     */
    uint64_t rtt_variation_ns;
    /**
     * The shortest recent round-trip time, in nanoseconds.
     */
    uint64_t rtt_min_ns;
    /**
     * Segments that were retransmitted.
     */
    uint64_t retransmits;
    /**
     * Bytes per second that the peer acknowledged, as last measured by the kernel; 0 before the
     * first measurement.
     */
    uint64_t delivery_rate;
    /**
     * Size of the peer's receive window in bytes (since Linux 5.4; else 0). 0 is a closed window:
     * the peer's program does not read.
     */
    uint64_t peer_window;
    /**
     * 1 while bytes wait because the peer's window is closed, else 0.
     */
    uint64_t stalled;
    /**
     * Total time that the peer's window held up sending, in nanoseconds (since Linux 4.10; else
     * 0).
     */
    uint64_t stalled_ns;
    /**
     * The congestion window, in segments.
     */
    uint64_t congestion_window;
    /**
     * The most bytes of payload in a segment.
     */
    uint64_t mss;
} dcf_tb_stream_stats;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * A short text for a status. Works in a forked child.
 *
 * Ownership: static text, valid for the life of the process. It is never NULL and must not be freed.
 * Blocks: never.
 * In callbacks: allowed.
 * Returns: the text; "unknown status" for any other number.
 */
const char *dcf_tb_status_string(dcf_tb_status status);

/**
 * The ABI version of the loaded library. Compare it with `DCF_TB_ABI_VERSION` of the header that the
 * caller was compiled with. Works in a forked child.
 *
 * Ownership: unchanged.
 * Blocks: never.
 * In callbacks: allowed.
 * Returns: the number.
 */
uint32_t dcf_tb_abi_version(void);

/**
 * The version of the library, for example "1.0.0". Works in a forked child.
 *
 * Ownership: static text, valid for the life of the process. It is never NULL and must not be freed.
 * Blocks: never.
 * In callbacks: allowed.
 * Returns: the text.
 */
const char *dcf_tb_version(void);

/**
 * Copies the text of this thread's last error into `buf`: the function that failed, the offending
 * value, and the reason that the operating system gave.
 *
 * A successful call does not clear the text. Before the first error it is empty. Works in a forked
 * child.
 *
 * - `buf`, `cap`: the buffer and its size in bytes; 1100 bytes are always enough. A text that does
 *   not fit is cut between two characters, and always ends with a NUL if `cap` > 0. `(NULL, 0)`
 *   only returns the length.
 *
 * Ownership: the text is a copy that belongs to the caller.
 * Blocks: never.
 * In callbacks: allowed.
 * Returns: the full length in bytes without the NUL, even if the text was cut.
 */
size_t dcf_tb_last_error(char *buf, size_t cap);

/**
 * Returns the errno of this thread's last error. Works in a forked child.
 *
 * Ownership: unchanged.
 * Blocks: never.
 * In callbacks: allowed.
 * Returns: the errno, or 0 if the error did not come from the operating system.
 */
int32_t dcf_tb_last_errno(void);

/**
 * Fills a configuration with the defaults. Works in a forked child.
 *
 * - `config`, `config_size`: the struct, and its size in the caller's header: pass
 *   `sizeof(dcf_tb_config)`, 4 to 4096. The size becomes `struct_size`. Bytes that this version
 *   does not know are set to 0, and no byte beyond the size is written.
 *
 * Ownership: the struct belongs to the caller. `interface_name` points to static text.
 * Blocks: never.
 * In callbacks: allowed.
 * Returns:
 *   DCF_TB_OK
 *   DCF_TB_ERR_NULL_POINTER     `config` is NULL
 *   DCF_TB_ERR_CONFIG_INVALID   `config_size` is not the size of any version of the struct
 */
dcf_tb_status dcf_tb_config_init(struct dcf_tb_config *config, size_t config_size);

/**
 * Starts a transport: binds its ports on the interface and starts its threads.
 *
 * Callbacks in the configuration may run before this call returns, and so before `*transport` is
 * set. If a callback needs the handle, it must wait for it, or the program sets the callback
 * later, for example with `dcf_tb_set_message_callback`.
 *
 * A process may open any number of transports, each with its own ports or interface. A transport
 * without traffic uses 8 descriptors, 2 threads and about 100 KiB of memory. Each stream adds 1
 * descriptor, and so does `dcf_tb_event_fd`. Each thread that measures round trips adds 2, and up
 * to 8 such pairs stay open for reuse. Each peer that receives many messages adds 1, for up to 64
 * peers.
 *
 * - `config`: from `dcf_tb_config_init`, or NULL for the defaults. Read only during the call.
 * - `transport`: receives the handle.
 *
 * Ownership: the handle belongs to the caller, which ends it with `dcf_tb_close`. `user_data` must
 * stay valid until `on_closed` was called, or until `dcf_tb_close` has returned outside of a
 * callback.
 * Blocks: not on the network.
 * In callbacks: allowed.
 * Returns:
 *   DCF_TB_OK
 *   DCF_TB_ERR_NULL_POINTER            `transport` is NULL
 *   DCF_TB_ERR_CONFIG_INVALID          the error text quotes the setting
 *   DCF_TB_ERR_INTERFACE_NOT_FOUND     and `wait_for_interface` is 0
 *   DCF_TB_ERR_LINK_DOWN               the interface cannot be bound to at the moment
 *   DCF_TB_ERR_ADDRESS_IN_USE          the error text names the port
 *   DCF_TB_ERR_PERMISSION_DENIED       a port below 1024, or binding to the interface
 *   DCF_TB_ERR_SOCKET_OPTION
 *   DCF_TB_ERR_TOO_MANY_FILES
 *   DCF_TB_ERR_THREAD
 *   DCF_TB_ERR_OUT_OF_MEMORY
 *   DCF_TB_ERR_IO                      see `dcf_tb_last_errno`
 */
dcf_tb_status dcf_tb_init(const struct dcf_tb_config *config, dcf_tb_transport *transport);

/**
 * Closes a transport. It stops and joins the threads, closes the streams, and frees the ports.
 * Calls that wait on the transport or its streams return DCF_TB_CANCELLED. `on_closed` is called
 * last.
 *
 * The handle, and the handles of the streams, are invalid as soon as the call begins. If a
 * callback of the transport makes this call, it returns at once, and the close completes after the
 * callback has returned. The ports are free when `on_closed` runs.
 *
 * - `transport`: the handle.
 *
 * Ownership: the handle, and the handles of the streams, no longer exist. No callback of the
 * transport runs after the call (if a callback made the call: after `on_closed`).
 * Blocks: until running callbacks have returned, so do not hold a lock that they take. It does not
 * wait for the network.
 * In callbacks: allowed.
 * Returns:
 *   DCF_TB_OK
 *   DCF_TB_ERR_INVALID_HANDLE   also on a second close
 */
dcf_tb_status dcf_tb_close(dcf_tb_transport transport);

/**
 * Whether a transport runs: from `dcf_tb_init` until its close begins, even while the link is
 * down. After the close its handle is invalid.
 *
 * - `transport`: the handle.
 * - `running`: receives 1 or 0.
 *
 * Ownership: unchanged.
 * Blocks: never.
 * In callbacks: allowed.
 * Returns:
 *   DCF_TB_OK
 *   DCF_TB_ERR_INVALID_HANDLE
 *   DCF_TB_ERR_NULL_POINTER     `running` is NULL
 */
dcf_tb_status dcf_tb_is_running(dcf_tb_transport transport, uint8_t *running);

/**
 * Copies the name of the transport's interface. If "auto" was configured, this is the interface
 * that was found.
 *
 * - `transport`: the handle.
 * - `buf`, `cap`: the buffer and its size in bytes. 16 bytes are enough.
 * - `len`: receives the length without the NUL or, if the buffer is too small, the size needed.
 *
 * Ownership: the text is a copy that belongs to the caller.
 * Blocks: never.
 * In callbacks: allowed.
 * Returns:
 *   DCF_TB_OK
 *   DCF_TB_ERR_INVALID_HANDLE
 *   DCF_TB_ERR_NULL_POINTER       `len` is NULL, or `buf` is NULL and `cap` is not 0
 *   DCF_TB_ERR_BUFFER_TOO_SMALL   `buf` is untouched
 */
dcf_tb_status dcf_tb_interface(dcf_tb_transport transport, char *buf, size_t cap, size_t *len);

/**
 * The ports that the transport uses. If 0 was configured, these are the ports that the kernel
 * chose.
 *
 * - `transport`: the handle.
 * - `control_port`, `data_port`: receive the UDP port and the TCP port. Both are needed.
 *
 * Ownership: unchanged.
 * Blocks: never.
 * In callbacks: allowed.
 * Returns:
 *   DCF_TB_OK
 *   DCF_TB_ERR_INVALID_HANDLE
 *   DCF_TB_ERR_NULL_POINTER     `control_port` or `data_port` is NULL
 */
dcf_tb_status dcf_tb_ports(dcf_tb_transport transport, uint16_t *control_port, uint16_t *data_port);

/**
 * Waits until the link is up, or until it is down. Returns at once if the link already has that
 * state. It returns before any call or stream reports the change, and before the link callback
 * runs.
 *
 * If the link changes to that state and back while the call waits, the call returns too, so a
 * short outage is not missed. By the time the call returns, the state may differ again: `link_up`
 * in the statistics has the present state.
 *
 * - `transport`: the handle.
 * - `up`: 1 waits for a link that can carry traffic, 0 for one that cannot.
 * - `timeout_ms`: milliseconds; 0 = do not wait, `DCF_TB_WAIT_FOREVER` = no limit.
 *
 * Ownership: unchanged.
 * Blocks: up to `timeout_ms`. It sleeps until the link changes, and does not poll.
 * In callbacks: allowed, also in the link callback: the state changes while that runs.
 * Returns:
 *   DCF_TB_OK
 *   DCF_TB_WOULD_BLOCK          the link has the other state, and `timeout_ms` is 0
 *   DCF_TB_CANCELLED            the transport was closed during the call
 *   DCF_TB_ERR_INVALID_HANDLE
 *   DCF_TB_ERR_OUT_OF_RANGE     `up` is neither 0 nor 1; the error text quotes it
 *   DCF_TB_ERR_TIMEOUT          the error text says why the link is still down
 */
dcf_tb_status dcf_tb_wait_link(dcf_tb_transport transport, int32_t up, uint32_t timeout_ms);

/**
 * Changes a setting of a running transport. The new value applies at once, on all threads, to
 * everything that begins later. It ends nothing that is in progress: if more is in use than a new
 * limit allows, that stays, and further requests are refused until there is room. The call takes
 * no lock that traffic takes.
 *
 * Settings without a `DCF_TB_OPTION_*` belong to the sockets or threads, and are fixed when the
 * transport starts. To change one, close the transport and start another. Callbacks have their own
 * functions, such as `dcf_tb_set_message_callback`.
 *
 * - `transport`: the handle.
 * - `option`: one of `DCF_TB_OPTION_*`.
 * - `value`: the new value, in the unit and range of the member of `dcf_tb_config`. A boolean is
 *   true for every number except 0.
 *
 * Ownership: unchanged.
 * Blocks: never.
 * In callbacks: allowed.
 * Returns:
 *   DCF_TB_OK
 *   DCF_TB_ERR_INVALID_HANDLE
 *   DCF_TB_ERR_CONFIG_INVALID   `dcf_tb_init` would refuse the value, or this version does not know
 *                               the option; the error text quotes it
 */
dcf_tb_status dcf_tb_set_option(dcf_tb_transport transport, int32_t option, uint64_t value);

/**
 * Reads the present value of a setting.
 *
 * - `transport`: the handle.
 * - `option`: one of `DCF_TB_OPTION_*`.
 * - `value`: receives the value.
 *
 * Ownership: unchanged.
 * Blocks: never.
 * In callbacks: allowed.
 * Returns:
 *   DCF_TB_OK
 *   DCF_TB_ERR_INVALID_HANDLE
 *   DCF_TB_ERR_NULL_POINTER     `value` is NULL
 *   DCF_TB_ERR_CONFIG_INVALID   this version does not know the option; the error text quotes it
 */
dcf_tb_status dcf_tb_get_option(dcf_tb_transport transport, int32_t option, uint64_t *value);

/**
 * Sets or replaces the message callback; NULL removes it.
 *
 * The new callback first gets the queued messages, in order. Without a callback, messages are
 * queued for `dcf_tb_recv`.
 *
 * - `callback`, `user_data`: the function or NULL, and a pointer that it receives.
 *
 * Ownership: after the call, the old callback does not run any more, and its `user_data` may be
 * freed. If the old callback itself makes this call, it is not called again after it returns.
 * Blocks: until the old callback has returned, so do not hold a lock that it takes.
 * In callbacks: allowed.
 * Returns:
 *   DCF_TB_OK
 *   DCF_TB_CANCELLED            the transport was closed during the call
 *   DCF_TB_ERR_INVALID_HANDLE
 */
dcf_tb_status dcf_tb_set_message_callback(dcf_tb_transport transport,
                                          dcf_tb_message_callback callback,
                                          void *user_data);

/**
 * Sets or replaces the stream callback; NULL removes it.
 *
 * Without a callback, streams that peers open are queued for `dcf_tb_accept`.
 *
 * - `callback`, `user_data`: the function or NULL, and a pointer that it receives.
 *
 * Ownership: after the call, the old callback does not run any more, and its `user_data` may be
 * freed. If the old callback itself makes this call, it is not called again after it returns.
 * Streams that the old callback received still belong to the caller.
 * Blocks: until all calls of the old callback have returned, so do not hold a lock that they take.
 * In callbacks: allowed.
 * Returns:
 *   DCF_TB_OK
 *   DCF_TB_CANCELLED            the transport was closed during the call
 *   DCF_TB_ERR_INVALID_HANDLE
 */
dcf_tb_status dcf_tb_set_stream_callback(dcf_tb_transport transport,
                                         dcf_tb_stream_callback callback,
                                         void *user_data);

/**
 * Sets or replaces the log callback; NULL removes it.
 *
 * - `callback`, `user_data`: the function or NULL, and a pointer that it receives.
 *
 * Ownership: after the call, the old callback does not run any more, and its `user_data` may be
 * freed. If the old callback itself makes this call, it is not called again after it returns.
 * Blocks: until all calls of the old callback have returned, so do not hold a lock that they take.
 * In callbacks: allowed.
 * Returns:
 *   DCF_TB_OK
 *   DCF_TB_CANCELLED            the transport was closed during the call
 *   DCF_TB_ERR_INVALID_HANDLE
 */
dcf_tb_status dcf_tb_set_log_callback(dcf_tb_transport transport,
                                      dcf_tb_log_callback callback,
                                      void *user_data);

/**
 * Sets or replaces the link callback; NULL removes it. The callback reports only later changes.
 * `link_up` in the statistics has the present state.
 *
 * - `callback`, `user_data`: the function or NULL, and a pointer that it receives.
 *
 * Ownership: after the call, the old callback does not run any more, and its `user_data` may be
 * freed. If the old callback itself makes this call, it is not called again after it returns.
 * Blocks: until the old callback has returned, so do not hold a lock that it takes.
 * In callbacks: allowed.
 * Returns:
 *   DCF_TB_OK
 *   DCF_TB_CANCELLED            the transport was closed during the call
 *   DCF_TB_ERR_INVALID_HANDLE
 */
dcf_tb_status dcf_tb_set_link_callback(dcf_tb_transport transport,
                                       dcf_tb_link_callback callback,
                                       void *user_data);

/**
 * Sets or replaces the peer callback; NULL removes it. If there was a callback before, the new one
 * reports only later changes. Otherwise each peer appears when something next comes from it.
 *
 * - `callback`, `user_data`: the function or NULL, and a pointer that it receives.
 *
 * Ownership: after the call, the old callback does not run any more, and its `user_data` may be
 * freed. If the old callback itself makes this call, it is not called again after it returns.
 * Blocks: until the old callback has returned, so do not hold a lock that it takes.
 * In callbacks: allowed.
 * Returns:
 *   DCF_TB_OK
 *   DCF_TB_CANCELLED            the transport was closed during the call
 *   DCF_TB_ERR_INVALID_HANDLE
 */
dcf_tb_status dcf_tb_set_peer_callback(dcf_tb_transport transport,
                                       dcf_tb_peer_callback callback,
                                       void *user_data);

/**
 * A ready-made log callback that sends each record as one datagram to a socket. It is for
 * languages whose code must not run on threads of the library.
 *
 * The datagram is text without a NUL: `log`, a space, the level, a space, the record. Sending does
 * not wait and raises no SIGPIPE. If the socket has no room, the record is lost. Close the socket
 * after `dcf_tb_close` has returned.
 *
 * - `level`, `message`: the arguments of a log callback.
 * - `user_data`: the descriptor of a connected socket that preserves message boundaries, cast to a
 *   pointer: `(void *)(intptr_t)pair[0]` after `socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair)`.
 *
 * Ownership: the descriptor belongs to the caller.
 * Blocks: never.
 * In callbacks: it is a callback itself, and any code may call it.
 * Returns: no value.
 */
void dcf_tb_log_to_socket(int32_t level, const char *message, void *user_data);

/**
 * A ready-made link callback that sends each change as one datagram to a socket. It is for
 * languages whose code must not run on threads of the library.
 *
 * The datagram is text without a NUL: `link`, a space, `up`, a space, the name of the interface.
 * The socket can be that of `dcf_tb_log_to_socket`, and then receives all datagrams in the order
 * of the events. It is used in the same way.
 *
 * - `up`, `interface_name`: the arguments of a link callback.
 * - `user_data`: the descriptor, as in `dcf_tb_log_to_socket`.
 *
 * Ownership: the descriptor belongs to the caller.
 * Blocks: never.
 * In callbacks: it is a callback itself, and any code may call it.
 * Returns: no value.
 */
void dcf_tb_link_to_socket(int32_t up, const char *interface_name, void *user_data);

/**
 * A ready-made peer callback that sends each change as one datagram to a socket. It is for
 * languages whose code must not run on threads of the library.
 *
 * The datagram is text without a NUL: `peer`, a space, `appeared`, a space, the peer. The socket
 * can be that of `dcf_tb_log_to_socket`, and is used in the same way.
 *
 * - `appeared`, `peer`: the arguments of a peer callback.
 * - `user_data`: the descriptor, as in `dcf_tb_log_to_socket`.
 *
 * Ownership: the descriptor belongs to the caller.
 * Blocks: never.
 * In callbacks: it is a callback itself, and any code may call it.
 * Returns: no value.
 */
void dcf_tb_peer_to_socket(int32_t appeared, const char *peer, void *user_data);

/**
 * Sends one control message as one UDP datagram: all of it, or none and an error. Delivery is not
 * guaranteed.
 *
 * `DCF_TB_OK` means that the kernel accepted the message, and says nothing about the peer. ICMP
 * errors, for example because no program listens there, do not make later messages fail: they do
 * not identify a message, and any host on the link can forge them. `dcf_tb_measure_rtt` tells
 * whether a program with a transport runs on the peer.
 *
 * A message to the multicast address of all nodes, `ff02::1`, goes to all other hosts on the link
 * that have a transport with this control port. This transport does not receive it. Streams and
 * round trips refuse multicast addresses.
 *
 * - `transport`: the handle.
 * - `peer`: the receiver; see "Peers" at the top of this header.
 * - `data`, `len`: the message, 0 to `DCF_TB_MAX_MESSAGE_SIZE` bytes. `(NULL, 0)` is an empty
 *   message.
 *
 * Ownership: `peer` and `data` are used only during the call.
 * Blocks: at most a second, while the socket's send buffer or the interface's queue is full.
 * In callbacks: allowed.
 * Returns:
 *   DCF_TB_OK                          the kernel accepted it
 *   DCF_TB_CANCELLED                   the transport was closed during the call
 *   DCF_TB_ERR_INVALID_HANDLE
 *   DCF_TB_ERR_NULL_POINTER            `peer` is NULL, or `data` is NULL and `len` is not 0
 *   DCF_TB_ERR_INVALID_ADDRESS         the error text quotes it
 *   DCF_TB_ERR_INTERFACE_NOT_FOUND     `peer` names an interface that does not exist
 *   DCF_TB_ERR_MESSAGE_TOO_LARGE
 *   DCF_TB_ERR_OUT_OF_RANGE            `len` is larger than any buffer
 *   DCF_TB_ERR_LINK_DOWN
 *   DCF_TB_ERR_HOST_UNREACHABLE        this host has no route to it
 *   DCF_TB_ERR_QUEUE_FULL
 *   DCF_TB_ERR_PERMISSION_DENIED
 *   DCF_TB_ERR_OUT_OF_MEMORY
 *   DCF_TB_ERR_IO                      see `dcf_tb_last_errno`
 */
dcf_tb_status dcf_tb_send(dcf_tb_transport transport,
                          const char *peer,
                          const uint8_t *data,
                          size_t len);

/**
 * Sends several control messages, in order, in as few system calls as possible.
 *
 * Stops at the first message that fails; all messages before it were sent. As with `dcf_tb_send`,
 * ICMP errors do not make messages fail.
 *
 * - `transport`: the handle.
 * - `datagrams`, `count`: the messages. `(NULL, 0)` sends none.
 * - `sent`: receives the number of messages sent, also on errors.
 *
 * Ownership: the array and the memory that it points to are used only during the call.
 * Blocks: at most a second each time that the socket's send buffer or the interface's queue is
 * full.
 * In callbacks: allowed.
 * Returns:
 *   DCF_TB_OK                          all were sent
 *   DCF_TB_CANCELLED                   the transport was closed during the call
 *   DCF_TB_ERR_INVALID_HANDLE
 *   DCF_TB_ERR_NULL_POINTER            `sent`, the array, or a member of it is NULL
 *   DCF_TB_ERR_INVALID_ADDRESS         the error text quotes it
 *   DCF_TB_ERR_INTERFACE_NOT_FOUND     a peer names an interface that does not exist
 *   DCF_TB_ERR_MESSAGE_TOO_LARGE
 *   DCF_TB_ERR_OUT_OF_RANGE            a size is larger than any buffer
 *   DCF_TB_ERR_LINK_DOWN
 *   DCF_TB_ERR_HOST_UNREACHABLE        this host has no route to it
 *   DCF_TB_ERR_QUEUE_FULL
 *   DCF_TB_ERR_PERMISSION_DENIED
 *   DCF_TB_ERR_OUT_OF_MEMORY
 *   DCF_TB_ERR_IO                      see `dcf_tb_last_errno`
 */
dcf_tb_status dcf_tb_send_batch(dcf_tb_transport transport,
                                const struct dcf_tb_datagram *datagrams,
                                size_t count,
                                size_t *sent);

/**
 * Takes the oldest control message out of the receive queue, and waits for one if the queue is
 * empty. Messages are queued while there is no message callback.
 *
 * - `transport`: the handle.
 * - `buf`, `cap`: the buffer for the message and its size. `DCF_TB_MAX_MESSAGE_SIZE` bytes are
 *   always enough.
 * - `len`: receives the length of the message. If a buffer is too small, the message stays in the
 *   queue, and `len` still receives its length.
 * - `sender`, `sender_cap`: the buffer for the sender and its size. It receives a NUL-terminated
 *   peer string. `DCF_TB_PEER_SIZE` bytes are always enough. `(NULL, 0)` if the sender is not
 *   needed.
 * - `timeout_ms`: milliseconds; 0 = do not wait, `DCF_TB_WAIT_FOREVER` = no limit.
 *
 * Ownership: the message and the sender are copies that belong to the caller.
 * Blocks: up to `timeout_ms`, also while the link is down: messages that come after the link is
 * back are received. Inside the message callback no message is queued, so the call waits for the
 * whole timeout.
 * In callbacks: allowed.
 * Returns:
 *   DCF_TB_OK
 *   DCF_TB_WOULD_BLOCK            the queue is empty, and `timeout_ms` is 0
 *   DCF_TB_CANCELLED              the transport was closed during the call
 *   DCF_TB_ERR_INVALID_HANDLE
 *   DCF_TB_ERR_NULL_POINTER       `len` is NULL, or a buffer is NULL and its size is not 0
 *   DCF_TB_ERR_BUFFER_TOO_SMALL   `cap` is less than `*len`, or else `sender_cap` is too small
 *   DCF_TB_ERR_OUT_OF_RANGE       a size is larger than any buffer
 *   DCF_TB_ERR_TIMEOUT
 */
dcf_tb_status dcf_tb_recv(dcf_tb_transport transport,
                          uint8_t *buf,
                          size_t cap,
                          size_t *len,
                          char *sender,
                          size_t sender_cap,
                          uint32_t timeout_ms);

/**
 * Takes several control messages out of the receive queue, oldest first. Waits if the queue is
 * empty, but never for more than the first message. Messages are queued while there is no message
 * callback.
 *
 * - `transport`: the handle.
 * - `buf`, `cap`: the buffer for all messages, one after the other, and its size.
 *   `DCF_TB_MAX_MESSAGE_SIZE` bytes are always enough for one.
 * - `messages`, `most`: an array that receives the place and the sender of each message, and its
 *   length.
 * - `count`: receives the number of messages; 0 on errors.
 * - `timeout_ms`: milliseconds; 0 = do not wait, `DCF_TB_WAIT_FOREVER` = no limit.
 *
 * A message that does not fit into the rest of `buf` stays in the queue for the next call. If the
 * first message does not fit, the call fails, and `messages[0].len` is its size.
 *
 * Ownership: the messages are copies that belong to the caller. `data` points into `buf`.
 * Blocks: up to `timeout_ms`, also while the link is down.
 * In callbacks: allowed. Inside the message callback no message is queued, so the call waits for
 * the whole timeout.
 * Returns:
 *   DCF_TB_OK
 *   DCF_TB_WOULD_BLOCK            the queue is empty, and `timeout_ms` is 0
 *   DCF_TB_CANCELLED              the transport was closed during the call
 *   DCF_TB_ERR_INVALID_HANDLE
 *   DCF_TB_ERR_NULL_POINTER       `messages` or `count` is NULL, or `buf` is NULL and `cap` is not 0
 *   DCF_TB_ERR_BUFFER_TOO_SMALL   `cap` is less than `messages[0].len`; the message stays in the queue
 *   DCF_TB_ERR_OUT_OF_RANGE       `most` is 0, or a size is larger than any buffer
 *   DCF_TB_ERR_TIMEOUT
 */
dcf_tb_status dcf_tb_recv_batch(dcf_tb_transport transport,
                                uint8_t *buf,
                                size_t cap,
                                struct dcf_tb_received *messages,
                                size_t most,
                                size_t *count,
                                uint32_t timeout_ms);

/**
 * A descriptor for poll, select or epoll. It is readable exactly while `dcf_tb_recv` or
 * `dcf_tb_accept` would not wait.
 *
 * - `transport`: the handle.
 * - `fd`: receives the descriptor, which is the same for each call.
 *
 * Ownership: the descriptor belongs to the library, which closes it with the transport. Do not
 * read or close it.
 * Blocks: never.
 * In callbacks: allowed.
 * Returns:
 *   DCF_TB_OK
 *   DCF_TB_CANCELLED             the transport was closed during the call
 *   DCF_TB_ERR_INVALID_HANDLE
 *   DCF_TB_ERR_NULL_POINTER      `fd` is NULL
 *   DCF_TB_ERR_TOO_MANY_FILES
 *   DCF_TB_ERR_IO                see `dcf_tb_last_errno`
 */
dcf_tb_status dcf_tb_event_fd(dcf_tb_transport transport, int32_t *fd);

/**
 * Opens a data stream to a peer.
 *
 * - `transport`: the handle.
 * - `peer`: the peer to connect to; see "Peers" at the top of this header.
 * - `timeout_ms`: milliseconds; 0 = the configured `connect_timeout_ms`, `DCF_TB_WAIT_FOREVER` =
 *   as long as the kernel tries.
 * - `stream`: receives the handle.
 *
 * Ownership: the handle belongs to the caller, which ends it with `dcf_tb_stream_close` or
 * `dcf_tb_stream_detach`. `peer` is used only during the call.
 * Blocks: up to `timeout_ms`.
 * In callbacks: allowed.
 * Returns:
 *   DCF_TB_OK
 *   DCF_TB_CANCELLED                    the transport was closed during the call
 *   DCF_TB_ERR_INVALID_HANDLE
 *   DCF_TB_ERR_NULL_POINTER             `peer` or `stream` is NULL
 *   DCF_TB_ERR_INVALID_ADDRESS          the error text quotes it
 *   DCF_TB_ERR_INTERFACE_NOT_FOUND      `peer` names an interface that does not exist
 *   DCF_TB_ERR_TIMEOUT
 *   DCF_TB_ERR_CONNECTION_REFUSED       no program listens there
 *   DCF_TB_ERR_CONNECTION_RESET         by the peer, for example because it has too many streams
 *   DCF_TB_ERR_CONNECTION_ABORTED       the peer stopped answering
 *   DCF_TB_ERR_HOST_UNREACHABLE
 *   DCF_TB_ERR_CONNECTION_FAILED
 *   DCF_TB_ERR_LINK_DOWN
 *   DCF_TB_ERR_TOO_MANY_CONNECTIONS     `max_streams` are open
 *   DCF_TB_ERR_TOO_MANY_FILES
 *   DCF_TB_ERR_SOCKET_OPTION
 *   DCF_TB_ERR_PERMISSION_DENIED
 *   DCF_TB_ERR_OUT_OF_MEMORY
 *   DCF_TB_ERR_IO                       see `dcf_tb_last_errno`
 */
dcf_tb_status dcf_tb_open_stream(dcf_tb_transport transport,
                                 const char *peer,
                                 uint32_t timeout_ms,
                                 dcf_tb_stream *stream);

/**
 * Takes the oldest data stream that a peer opened, and waits for one if there is none. Streams
 * wait here while there is no stream callback.
 *
 * - `transport`: the handle.
 * - `timeout_ms`: milliseconds; 0 = do not wait, `DCF_TB_WAIT_FOREVER` = no limit.
 * - `stream`: receives the handle.
 *
 * Ownership: the handle belongs to the caller, which ends it with `dcf_tb_stream_close` or
 * `dcf_tb_stream_detach`.
 * Blocks: up to `timeout_ms`, also while the link is down.
 * In callbacks: allowed.
 * Returns:
 *   DCF_TB_OK
 *   DCF_TB_WOULD_BLOCK           no stream is waiting, and `timeout_ms` is 0
 *   DCF_TB_CANCELLED             the transport was closed during the call
 *   DCF_TB_ERR_INVALID_HANDLE
 *   DCF_TB_ERR_NULL_POINTER      `stream` is NULL
 *   DCF_TB_ERR_TIMEOUT
 *   DCF_TB_ERR_TOO_MANY_FILES
 *   DCF_TB_ERR_OUT_OF_MEMORY
 *   DCF_TB_ERR_IO                see `dcf_tb_last_errno`
 */
dcf_tb_status dcf_tb_accept(dcf_tb_transport transport, uint32_t timeout_ms, dcf_tb_stream *stream);

/**
 * Ends the sending direction. The peer reads the data that was written, and then DCF_TB_EOF. This
 * side can still read.
 *
 * - `stream`: the handle.
 *
 * Ownership: unchanged. The stream must still be closed.
 * Blocks: never.
 * In callbacks: allowed.
 * Returns:
 *   DCF_TB_OK
 *   DCF_TB_CANCELLED                 the stream or the transport was closed during the call
 *   DCF_TB_ERR_INVALID_HANDLE
 *   DCF_TB_ERR_BROKEN_PIPE           the connection has already ended
 *   DCF_TB_ERR_CONNECTION_RESET      by the peer
 *   DCF_TB_ERR_CONNECTION_FAILED
 *   DCF_TB_ERR_IO                    see `dcf_tb_last_errno`
 */
dcf_tb_status dcf_tb_stream_finish(dcf_tb_stream stream);

/**
 * Closes a stream. Threads that wait on it return with DCF_TB_CANCELLED.
 *
 * - `stream`: the handle.
 *
 * Ownership: the handle no longer exists.
 * Blocks: never. The kernel still delivers the data that was written.
 * In callbacks: allowed.
 * Returns:
 *   DCF_TB_OK
 *   DCF_TB_ERR_INVALID_HANDLE   also on a second close
 */
dcf_tb_status dcf_tb_stream_close(dcf_tb_stream stream);

/**
 * Copies the peer's address, without a port.
 *
 * - `stream`: the handle.
 * - `buf`, `cap`: the buffer and its size. `DCF_TB_PEER_SIZE` bytes are always enough.
 * - `len`: receives the length without the NUL or, if the buffer is too small, the size needed.
 *
 * Ownership: the text is a copy that belongs to the caller.
 * Blocks: never.
 * In callbacks: allowed.
 * Returns:
 *   DCF_TB_OK
 *   DCF_TB_ERR_INVALID_HANDLE
 *   DCF_TB_ERR_NULL_POINTER       `len` is NULL, or `buf` is NULL and `cap` is not 0
 *   DCF_TB_ERR_OUT_OF_RANGE       `cap` is larger than any buffer
 *   DCF_TB_ERR_BUFFER_TOO_SMALL   `buf` is untouched
 */
dcf_tb_status dcf_tb_stream_peer(dcf_tb_stream stream, char *buf, size_t cap, size_t *len);

/**
 * Stores a pointer of the program with a stream, in place of the previous one. The library never
 * dereferences it.
 *
 * A thread that later gets the pointer from `dcf_tb_stream_user_data` sees everything that this
 * thread wrote before this call. A thread that got the previous pointer may still be using it.
 *
 * - `stream`: the handle.
 * - `user_data`: any pointer, or NULL for none.
 *
 * Ownership: the pointed-to data belongs to the caller, which frees it when no thread uses it any
 * more. Closing the stream or its transport does not free it, and calls no function for it.
 * Blocks: never.
 * In callbacks: allowed.
 * Returns:
 *   DCF_TB_OK
 *   DCF_TB_ERR_INVALID_HANDLE
 */
dcf_tb_status dcf_tb_stream_set_user_data(dcf_tb_stream stream, void *user_data);

/**
 * Returns the pointer that was last stored with a stream. It is NULL for a new stream, also in a
 * stream callback.
 *
 * - `stream`: the handle.
 * - `user_data`: receives the pointer.
 *
 * Ownership: the pointed-to data belongs to the caller.
 * Blocks: never.
 * In callbacks: allowed.
 * Returns:
 *   DCF_TB_OK
 *   DCF_TB_ERR_INVALID_HANDLE   also if the stream was closed or detached: get the pointer before
 *   DCF_TB_ERR_NULL_POINTER     `user_data` is NULL
 */
dcf_tb_status dcf_tb_stream_user_data(dcf_tb_stream stream, void **user_data);

/**
 * The descriptor of a stream, for poll, select or epoll.
 *
 * - `stream`: the handle.
 * - `fd`: receives the descriptor.
 *
 * Ownership: the descriptor belongs to the library, which closes it with the stream. Do not close
 * it.
 * Blocks: never.
 * In callbacks: allowed.
 * Returns:
 *   DCF_TB_OK
 *   DCF_TB_ERR_INVALID_HANDLE
 *   DCF_TB_ERR_NULL_POINTER     `fd` is NULL
 */
dcf_tb_status dcf_tb_stream_fd(dcf_tb_stream stream, int32_t *fd);

/**
 * Takes the descriptor of a stream out of the library. The descriptor is in blocking mode, and no
 * longer ends with the transport.
 *
 * - `stream`: the handle.
 * - `fd`: receives the descriptor.
 *
 * Ownership: the descriptor belongs to the caller, which closes it. The handle no longer exists,
 * and threads that wait on it return with DCF_TB_CANCELLED. If the call fails, the stream is
 * unchanged.
 * Blocks: until calls on the stream in other threads have returned, so that none of them takes
 * bytes that belong to the caller. They return at once, except a call that is reading or writing a file on
 * disk. It does not wait for the network.
 * In callbacks: allowed.
 * Returns:
 *   DCF_TB_OK
 *   DCF_TB_CANCELLED            the stream or the transport was closed during the call
 *   DCF_TB_ERR_INVALID_HANDLE
 *   DCF_TB_ERR_NULL_POINTER     `fd` is NULL
 *   DCF_TB_ERR_INVALID_MESSAGE  there are bytes that `dcf_tb_stream_receive_file` could not write:
 *                               read them first
 *   DCF_TB_ERR_TOO_MANY_FILES
 *   DCF_TB_ERR_IO               see `dcf_tb_last_errno`
 */
dcf_tb_status dcf_tb_stream_detach(dcf_tb_stream stream,
                                   int32_t *fd);

/**
 * Writes all of `data`. If that fails, reports how much was written.
 *
 * One thread may read while another writes. Concurrent writes may mix their bytes.
 *
 * - `stream`: the handle.
 * - `data`, `len`: the bytes to write. `(NULL, 0)` writes none.
 * - `timeout_ms`: milliseconds for all of it; 0 = only what the kernel accepts at once,
 *   `DCF_TB_WAIT_FOREVER` = no limit.
 * - `written`: receives the number of bytes written, also on errors.
 *
 * Ownership: `data` is used only during the call.
 * Blocks: up to `timeout_ms`, while the peer does not read.
 * In callbacks: allowed.
 * Returns:
 *   DCF_TB_OK                         all were written
 *   DCF_TB_WOULD_BLOCK                not all, and `timeout_ms` is 0
 *   DCF_TB_CANCELLED                  the stream or the transport was closed during the call
 *   DCF_TB_ERR_INVALID_HANDLE
 *   DCF_TB_ERR_NULL_POINTER           `written` is NULL, or `data` is NULL and `len` is not 0
 *   DCF_TB_ERR_OUT_OF_RANGE           `len` is larger than any buffer
 *   DCF_TB_ERR_TIMEOUT
 *   DCF_TB_ERR_BROKEN_PIPE            the stream was finished, or the peer is gone
 *   DCF_TB_ERR_CONNECTION_RESET       by the peer
 *   DCF_TB_ERR_CONNECTION_ABORTED     the peer stopped answering
 *   DCF_TB_ERR_HOST_UNREACHABLE
 *   DCF_TB_ERR_CONNECTION_FAILED
 *   DCF_TB_ERR_LINK_DOWN
 *   DCF_TB_ERR_OUT_OF_MEMORY
 *   DCF_TB_ERR_IO                     see `dcf_tb_last_errno`
 */
dcf_tb_status dcf_tb_stream_write(dcf_tb_stream stream,
                                  const uint8_t *data,
                                  size_t len,
                                  uint32_t timeout_ms,
                                  size_t *written);

/**
 * Writes several pieces one after another, such as a header and its payload, without copying them
 * together. Uses as few system calls as possible. If that fails, reports how much was written.
 *
 * One thread may read while another writes. Concurrent writes may mix their bytes.
 *
 * - `stream`: the handle.
 * - `slices`, `count`: the pieces. `(NULL, 0)` writes none, and pieces may be empty.
 * - `timeout_ms`: milliseconds for all of it; 0 = only what the kernel accepts at once,
 *   `DCF_TB_WAIT_FOREVER` = no limit.
 * - `written`: receives the total number of bytes written, also on errors.
 *
 * Ownership: the array and the memory that it points to are used only during the call.
 * Blocks: up to `timeout_ms`, while the peer does not read.
 * In callbacks: allowed.
 * Returns:
 *   DCF_TB_OK                         all were written
 *   DCF_TB_WOULD_BLOCK                not all, and `timeout_ms` is 0
 *   DCF_TB_CANCELLED                  the stream or the transport was closed during the call
 *   DCF_TB_ERR_INVALID_HANDLE
 *   DCF_TB_ERR_NULL_POINTER           `written`, the array, or a piece of it is NULL; no byte was written
 *   DCF_TB_ERR_OUT_OF_RANGE           a size is larger than any buffer; no byte was written
 *   DCF_TB_ERR_TIMEOUT
 *   DCF_TB_ERR_BROKEN_PIPE            the stream was finished, or the peer is gone
 *   DCF_TB_ERR_CONNECTION_RESET       by the peer
 *   DCF_TB_ERR_CONNECTION_ABORTED     the peer stopped answering
 *   DCF_TB_ERR_HOST_UNREACHABLE
 *   DCF_TB_ERR_CONNECTION_FAILED
 *   DCF_TB_ERR_LINK_DOWN
 *   DCF_TB_ERR_OUT_OF_MEMORY
 *   DCF_TB_ERR_IO                     see `dcf_tb_last_errno`
 */
dcf_tb_status dcf_tb_stream_writev(dcf_tb_stream stream,
                                   const struct dcf_tb_slice *slices,
                                   size_t count,
                                   uint32_t timeout_ms,
                                   size_t *written);

/**
 * Reads the bytes that are there, at least one. Waits if there are none.
 *
 * One thread may write while another reads.
 *
 * - `stream`: the handle.
 * - `buf`, `cap`: the buffer and its size in bytes. With a `cap` of 0 the call reads no byte and
 *   returns DCF_TB_OK.
 * - `timeout_ms`: milliseconds; 0 = do not wait, `DCF_TB_WAIT_FOREVER` = no limit.
 * - `read`: receives the number of bytes read; 0 on errors and at the end of the stream.
 *
 * Ownership: the bytes are a copy that belongs to the caller.
 * Blocks: up to `timeout_ms`.
 * In callbacks: allowed.
 * Returns:
 *   DCF_TB_OK
 *   DCF_TB_WOULD_BLOCK                no bytes are there, and `timeout_ms` is 0
 *   DCF_TB_CANCELLED                  the stream or the transport was closed during the call
 *   DCF_TB_EOF                        the peer ended the stream
 *   DCF_TB_ERR_INVALID_HANDLE
 *   DCF_TB_ERR_NULL_POINTER           `read` is NULL, or `buf` is NULL and `cap` is not 0
 *   DCF_TB_ERR_OUT_OF_RANGE           `cap` is larger than any buffer
 *   DCF_TB_ERR_TIMEOUT
 *   DCF_TB_ERR_CONNECTION_RESET       by the peer
 *   DCF_TB_ERR_CONNECTION_ABORTED     the peer stopped answering
 *   DCF_TB_ERR_HOST_UNREACHABLE
 *   DCF_TB_ERR_CONNECTION_FAILED
 *   DCF_TB_ERR_LINK_DOWN
 *   DCF_TB_ERR_OUT_OF_MEMORY
 *   DCF_TB_ERR_IO                     see `dcf_tb_last_errno`
 */
dcf_tb_status dcf_tb_stream_read(dcf_tb_stream stream,
                                 uint8_t *buf,
                                 size_t cap,
                                 uint32_t timeout_ms,
                                 size_t *read);

/**
 * Reads exactly `len` bytes. If the stream ends or fails before, reports how many came.
 *
 * One thread may write while another reads. If several threads read at the same time, each may get
 * a part of the bytes.
 *
 * - `stream`: the handle.
 * - `buf`, `len`: the buffer, and how many bytes to read. `(NULL, 0)` reads none.
 * - `timeout_ms`: milliseconds for all of it; 0 = only the bytes that are there,
 *   `DCF_TB_WAIT_FOREVER` = no limit.
 * - `read`: receives the number of bytes read, also on errors. They are in `buf`, in order.
 *
 * Ownership: the bytes are a copy that belongs to the caller.
 * Blocks: up to `timeout_ms`.
 * In callbacks: allowed.
 * Returns:
 *   DCF_TB_OK                         all were read
 *   DCF_TB_WOULD_BLOCK                not all, and `timeout_ms` is 0
 *   DCF_TB_CANCELLED                  the stream or the transport was closed during the call
 *   DCF_TB_EOF                        the peer ended the stream before `len` bytes came
 *   DCF_TB_ERR_INVALID_HANDLE
 *   DCF_TB_ERR_NULL_POINTER           `read` is NULL, or `buf` is NULL and `len` is not 0
 *   DCF_TB_ERR_OUT_OF_RANGE           `len` is larger than any buffer
 *   DCF_TB_ERR_TIMEOUT
 *   DCF_TB_ERR_CONNECTION_RESET       by the peer
 *   DCF_TB_ERR_CONNECTION_ABORTED     the peer stopped answering
 *   DCF_TB_ERR_HOST_UNREACHABLE
 *   DCF_TB_ERR_CONNECTION_FAILED
 *   DCF_TB_ERR_LINK_DOWN
 *   DCF_TB_ERR_OUT_OF_MEMORY
 *   DCF_TB_ERR_IO                     see `dcf_tb_last_errno`
 */
dcf_tb_status dcf_tb_stream_read_exact(dcf_tb_stream stream,
                                       uint8_t *buf,
                                       size_t len,
                                       uint32_t timeout_ms,
                                       size_t *read);

/**
 * Sends `count` bytes of a file, inside the kernel where possible.
 *
 * - `stream`: the handle.
 * - `fd`: a descriptor that is open for reading. For a regular file, its position is neither used
 *   nor changed. For a pipe or a socket, which have no position, the bytes are sent in the order
 *   in which they are read, and `offset` must be 0.
 * - `offset`: where to begin in the file, in bytes.
 * - `count`: how many bytes.
 * - `timeout_ms`: milliseconds for all of it; 0 = do not wait, `DCF_TB_WAIT_FOREVER` = no limit.
 * - `sent`: receives the number of bytes sent, also on errors.
 *
 * Ownership: `fd` belongs to the caller, and must stay open during the call.
 * Blocks: up to `timeout_ms` while the peer does not read, and while the file is read.
 * In callbacks: allowed.
 * Returns:
 *   DCF_TB_OK                         all were sent
 *   DCF_TB_WOULD_BLOCK                not all, and `timeout_ms` is 0
 *   DCF_TB_CANCELLED                  the stream or the transport was closed during the call
 *   DCF_TB_EOF                        the file ended first
 *   DCF_TB_ERR_INVALID_HANDLE
 *   DCF_TB_ERR_NULL_POINTER           `sent` is NULL
 *   DCF_TB_ERR_OUT_OF_RANGE           `fd` is negative, or `offset` is beyond the largest file
 *   DCF_TB_ERR_TIMEOUT
 *   DCF_TB_ERR_BROKEN_PIPE            the stream was finished, or the peer is gone
 *   DCF_TB_ERR_CONNECTION_RESET       by the peer
 *   DCF_TB_ERR_CONNECTION_ABORTED     the peer stopped answering
 *   DCF_TB_ERR_HOST_UNREACHABLE
 *   DCF_TB_ERR_CONNECTION_FAILED
 *   DCF_TB_ERR_LINK_DOWN
 *   DCF_TB_ERR_PERMISSION_DENIED
 *   DCF_TB_ERR_TOO_MANY_FILES
 *   DCF_TB_ERR_OUT_OF_MEMORY
 *   DCF_TB_ERR_IO                     also if `fd` is not open (EBADF), see `dcf_tb_last_errno`
 */
dcf_tb_status dcf_tb_stream_send_file(dcf_tb_stream stream,
                                      int32_t fd,
                                      uint64_t offset,
                                      uint64_t count,
                                      uint32_t timeout_ms,
                                      uint64_t *sent);

/**
 * Receives `count` bytes into a file, inside the kernel where possible.
 *
 * - `stream`: the handle.
 * - `fd`: a descriptor that is open for writing. For a regular file, its position is neither used
 *   nor changed. For a pipe or a socket, which have no position, the bytes are written as they
 *   come, and `offset` must be 0.
 * - `offset`: where to begin in the file, in bytes.
 * - `count`: how many bytes.
 * - `timeout_ms`: milliseconds for all of it; 0 = do not wait, `DCF_TB_WAIT_FOREVER` = no limit.
 * - `received`: receives the number of bytes written to the file, also on errors.
 *
 * Ownership: `fd` belongs to the caller, and must stay open during the call.
 * Blocks: up to `timeout_ms` while the peer does not write, and while the file is written.
 * In callbacks: allowed.
 * Returns:
 *   DCF_TB_OK                         all were received
 *   DCF_TB_WOULD_BLOCK                not all, and `timeout_ms` is 0
 *   DCF_TB_CANCELLED                  the stream or the transport was closed during the call
 *   DCF_TB_EOF                        the peer ended the stream first
 *   DCF_TB_ERR_INVALID_HANDLE
 *   DCF_TB_ERR_NULL_POINTER           `received` is NULL
 *   DCF_TB_ERR_OUT_OF_RANGE           `fd` is negative, or `offset` is beyond the largest file
 *   DCF_TB_ERR_TIMEOUT
 *   DCF_TB_ERR_BROKEN_PIPE            `fd` is a pipe or socket without a reader
 *   DCF_TB_ERR_CONNECTION_RESET       by the peer
 *   DCF_TB_ERR_CONNECTION_ABORTED     the peer stopped answering
 *   DCF_TB_ERR_HOST_UNREACHABLE
 *   DCF_TB_ERR_CONNECTION_FAILED
 *   DCF_TB_ERR_LINK_DOWN
 *   DCF_TB_ERR_PERMISSION_DENIED
 *   DCF_TB_ERR_TOO_MANY_FILES
 *   DCF_TB_ERR_OUT_OF_MEMORY
 *   DCF_TB_ERR_IO                     also if `fd` is not open (EBADF), or the disk is full
 *                                     (ENOSPC), see `dcf_tb_last_errno`
 */
dcf_tb_status dcf_tb_stream_receive_file(dcf_tb_stream stream,
                                         int32_t fd,
                                         uint64_t offset,
                                         uint64_t count,
                                         uint32_t timeout_ms,
                                         uint64_t *received);

/**
 * Measures one round trip to a peer. The result also tells whether a program with a transport runs
 * there. `DCF_TB_OK` means that it does. `DCF_TB_ERR_CONNECTION_REFUSED`, which comes at once, means
 * that the host is there, but no program listens on that port. `DCF_TB_ERR_HOST_UNREACHABLE` means
 * that no host has the address. The kernel needs about three seconds to find that out, so a call with
 * a shorter timeout returns `DCF_TB_ERR_TIMEOUT`, and a later call returns the error.
 * `DCF_TB_ERR_TIMEOUT` means that neither an answer nor an error came back. A firewall may drop them.
 *
 * The errors are ICMP errors of the peer's kernel or of this host's kernel. An error counts only
 * if it quotes the ping. The peer's kernel limits them to about one per second. So a call without
 * an answer or an error returns the error of an earlier ping, if that came within the last four
 * seconds and no answer came since. All of these errors are counted in `pings_undelivered`.
 *
 * - `transport`: the handle.
 * - `peer`: the peer to ping; see "Peers" at the top of this header.
 * - `timeout_ms`: milliseconds; 0 = do not wait, `DCF_TB_WAIT_FOREVER` = no limit.
 * - `rtt_ns`: receives the time in nanoseconds.
 *
 * Ownership: `peer` is used only during the call.
 * Blocks: up to `timeout_ms`.
 * In callbacks: allowed.
 * Returns:
 *   DCF_TB_OK
 *   DCF_TB_WOULD_BLOCK                 no answer yet, and `timeout_ms` is 0
 *   DCF_TB_CANCELLED                   the transport was closed during the call
 *   DCF_TB_ERR_INVALID_HANDLE
 *   DCF_TB_ERR_NULL_POINTER            `peer` or `rtt_ns` is NULL
 *   DCF_TB_ERR_INVALID_ADDRESS         the error text quotes it
 *   DCF_TB_ERR_INTERFACE_NOT_FOUND     `peer` names an interface that does not exist
 *   DCF_TB_ERR_TIMEOUT                 no answer
 *   DCF_TB_ERR_LINK_DOWN
 *   DCF_TB_ERR_HOST_UNREACHABLE        no route leads there, or no host has the address
 *   DCF_TB_ERR_CONNECTION_REFUSED      the host is there, but no program listens on that port
 *   DCF_TB_ERR_QUEUE_FULL
 *   DCF_TB_ERR_TOO_MANY_FILES
 *   DCF_TB_ERR_SOCKET_OPTION
 *   DCF_TB_ERR_PERMISSION_DENIED
 *   DCF_TB_ERR_OUT_OF_MEMORY
 *   DCF_TB_ERR_IO                      see `dcf_tb_last_errno`
 */
dcf_tb_status dcf_tb_measure_rtt(dcf_tb_transport transport,
                                 const char *peer,
                                 uint32_t timeout_ms,
                                 uint64_t *rtt_ns);

/**
 * Measures a series of round trips, one after another.
 *
 * If an ICMP error comes back for a ping (see `dcf_tb_measure_rtt`) and no earlier ping was
 * answered, the series ends with that error. After an answer, such a ping only counts as lost.
 *
 * - `transport`: the handle.
 * - `peer`: the peer to ping; see "Peers" at the top of this header.
 * - `count`: the number of pings, at least 1.
 * - `interval_us`: microseconds from one ping to the next; 0 = send the next ping as soon as the
 *   answer comes.
 * - `timeout_ms`: milliseconds to wait for each answer; `DCF_TB_WAIT_FOREVER` = no limit.
 * - `summary`: receives the figures, also if no answer came. The caller sets `struct_size`; the
 *   call does not change it.
 *
 * Ownership: `peer` is used only during the call.
 * Blocks: for the whole series.
 * In callbacks: allowed.
 * Returns:
 *   DCF_TB_OK                          at least one answer came
 *   DCF_TB_WOULD_BLOCK                 no answer yet, and `timeout_ms` is 0
 *   DCF_TB_CANCELLED                   the transport was closed during the call
 *   DCF_TB_ERR_INVALID_HANDLE
 *   DCF_TB_ERR_NULL_POINTER            `peer` or `summary` is NULL
 *   DCF_TB_ERR_OUT_OF_RANGE            `count` is 0, or `struct_size` is less than 4
 *   DCF_TB_ERR_INVALID_ADDRESS         the error text quotes it
 *   DCF_TB_ERR_INTERFACE_NOT_FOUND     `peer` names an interface that does not exist
 *   DCF_TB_ERR_TIMEOUT                 no answer came
 *   DCF_TB_ERR_LINK_DOWN
 *   DCF_TB_ERR_HOST_UNREACHABLE        no route leads there, or no host has the address
 *   DCF_TB_ERR_CONNECTION_REFUSED      the host is there, but no program listens on that port
 *   DCF_TB_ERR_QUEUE_FULL
 *   DCF_TB_ERR_TOO_MANY_FILES
 *   DCF_TB_ERR_SOCKET_OPTION
 *   DCF_TB_ERR_PERMISSION_DENIED
 *   DCF_TB_ERR_OUT_OF_MEMORY
 *   DCF_TB_ERR_IO                      see `dcf_tb_last_errno`
 */
dcf_tb_status dcf_tb_ping(dcf_tb_transport transport,
                          const char *peer,
                          uint32_t count,
                          uint32_t interval_us,
                          uint32_t timeout_ms,
                          struct dcf_tb_rtt *summary);

/**
 * Finds the other transports on the link with this control port, by one ping to the multicast
 * address. The transport itself is not among them. An interface without multicast (lo) has no
 * peers.
 *
 * Finds the first `DCF_TB_MAX_DISCOVERED` peers that answer. Further answers are counted in
 * `discovery_dropped` and logged, because they mean that a host on the link forges addresses.
 *
 * - `transport`: the handle.
 * - `timeout_ms`: milliseconds to collect answers. The call always takes that long.
 * - `peers`, `cap`: an array for the peers, and its length. `(NULL, 0)` only counts them.
 * - `count`: receives the number of peers. If that is more than `cap`, the array has the first
 *   `cap` peers.
 *
 * Ownership: the peers are copies that belong to the caller.
 * Blocks: for `timeout_ms`.
 * In callbacks: allowed.
 * Returns:
 *   DCF_TB_OK                        also if there is no peer
 *   DCF_TB_WOULD_BLOCK               `timeout_ms` is 0
 *   DCF_TB_CANCELLED                 the transport was closed during the call
 *   DCF_TB_ERR_INVALID_HANDLE
 *   DCF_TB_ERR_NULL_POINTER          `count` is NULL, or `peers` is NULL and `cap` is not 0
 *   DCF_TB_ERR_OUT_OF_RANGE          `cap` is larger than any buffer, or `control_port` was configured
 *                                    as 0, so that no other host can have the same port
 *   DCF_TB_ERR_BUFFER_TOO_SMALL      there are more than `cap`
 *   DCF_TB_ERR_LINK_DOWN
 *   DCF_TB_ERR_QUEUE_FULL
 *   DCF_TB_ERR_TOO_MANY_FILES
 *   DCF_TB_ERR_SOCKET_OPTION
 *   DCF_TB_ERR_PERMISSION_DENIED
 *   DCF_TB_ERR_OUT_OF_MEMORY
 *   DCF_TB_ERR_IO                    see `dcf_tb_last_errno`
 */
dcf_tb_status dcf_tb_discover(dcf_tb_transport transport,
                              uint32_t timeout_ms,
                              struct dcf_tb_peer *peers,
                              size_t cap,
                              size_t *count);

/**
 * Like `dcf_tb_discover`, but returns as soon as `cap` peers have answered, and finds no more. A
 * cable has one peer, so with a `cap` of 1 the call takes one round trip.
 *
 * - `transport`: the handle.
 * - `timeout_ms`: the longest time to wait, in milliseconds; `DCF_TB_WAIT_FOREVER` = no limit.
 * - `peers`, `cap`: an array for the peers, and how many to find, at least 1.
 * - `count`: receives the number of peers. It is less than `cap` if the time was up before.
 *
 * Ownership: the peers are copies that belong to the caller.
 * Blocks: up to `timeout_ms`.
 * In callbacks: allowed.
 * Returns:
 *   DCF_TB_OK                        also if there is no peer
 *   DCF_TB_WOULD_BLOCK               `timeout_ms` is 0
 *   DCF_TB_CANCELLED                 the transport was closed during the call
 *   DCF_TB_ERR_INVALID_HANDLE
 *   DCF_TB_ERR_NULL_POINTER          `count` or `peers` is NULL
 *   DCF_TB_ERR_OUT_OF_RANGE          `cap` is 0 or larger than any buffer, or `control_port` was
 *                                    configured as 0, so that no other host can have the same port
 *   DCF_TB_ERR_LINK_DOWN
 *   DCF_TB_ERR_QUEUE_FULL
 *   DCF_TB_ERR_TOO_MANY_FILES
 *   DCF_TB_ERR_SOCKET_OPTION
 *   DCF_TB_ERR_PERMISSION_DENIED
 *   DCF_TB_ERR_OUT_OF_MEMORY
 *   DCF_TB_ERR_IO                    see `dcf_tb_last_errno`
 */
dcf_tb_status dcf_tb_discover_first(dcf_tb_transport transport,
                                    uint32_t timeout_ms,
                                    struct dcf_tb_peer *peers,
                                    size_t cap,
                                    size_t *count);

/**
 * Returns how long ago anything last came from a peer: a message, a ping, a pong, a stream, or
 * data of a stream. The port of the peer does not matter.
 *
 * A transport remembers this if `remember_peers` is set, or while it has a peer callback. It
 * remembers up to 4,096 peers that this function was called for, and up to 4,096 others. So forged
 * source addresses cannot displace a peer that the program asked for.
 *
 * - `transport`: the handle.
 * - `peer`: the peer; see "Peers" at the top of this header.
 * - `ns_ago`: receives the time in nanoseconds.
 *
 * Ownership: `peer` is used only during the call.
 * Blocks: never.
 * In callbacks: allowed.
 * Returns:
 *   DCF_TB_OK
 *   DCF_TB_WOULD_BLOCK                 nothing came from it yet or since `dcf_tb_forget`, or the
 *                                      transport does not remember peers
 *   DCF_TB_ERR_INVALID_HANDLE
 *   DCF_TB_ERR_NULL_POINTER            `peer` or `ns_ago` is NULL
 *   DCF_TB_ERR_OUT_OF_RANGE            `peer` and `ns_ago` overlap
 *   DCF_TB_ERR_INVALID_ADDRESS         the error text quotes it
 *   DCF_TB_ERR_INTERFACE_NOT_FOUND     `peer` names an interface that does not exist
 */
dcf_tb_status dcf_tb_last_heard(dcf_tb_transport transport, const char *peer, uint64_t *ns_ago);

/**
 * Forgets when a peer was last heard from. The peer callback does not report that the peer
 * vanished. It reports that the peer appears when something comes from it again.
 *
 * - `transport`: the handle.
 * - `peer`: the peer; see "Peers" at the top of this header.
 *
 * Ownership: `peer` is used only during the call.
 * Blocks: never.
 * In callbacks: allowed.
 * Returns:
 *   DCF_TB_OK                          also if nothing ever came from it
 *   DCF_TB_ERR_INVALID_HANDLE
 *   DCF_TB_ERR_NULL_POINTER            `peer` is NULL
 *   DCF_TB_ERR_INVALID_ADDRESS         the error text quotes it
 *   DCF_TB_ERR_INTERFACE_NOT_FOUND     `peer` names an interface that does not exist
 */
dcf_tb_status dcf_tb_forget(dcf_tb_transport transport, const char *peer);

/**
 * Reads the statistics of a transport.
 *
 * - `transport`: the handle.
 * - `stats`: receives them. The caller sets `struct_size` to `sizeof(dcf_tb_stats)`; the call does
 *   not change it.
 *
 * Ownership: the figures are copies that belong to the caller.
 * Blocks: never.
 * In callbacks: allowed.
 * Returns:
 *   DCF_TB_OK
 *   DCF_TB_ERR_INVALID_HANDLE
 *   DCF_TB_ERR_NULL_POINTER     `stats` is NULL
 *   DCF_TB_ERR_OUT_OF_RANGE     `struct_size` is less than 4
 */
dcf_tb_status dcf_tb_get_stats(dcf_tb_transport transport, struct dcf_tb_stats *stats);

/**
 * Sets the counters to 0, and the start of the uptime to now. Members that describe the present
 * state (`link_up`, `streams_open`, the buffers) stay.
 *
 * - `transport`: the handle.
 *
 * Ownership: unchanged.
 * Blocks: never.
 * In callbacks: allowed.
 * Returns:
 *   DCF_TB_OK
 *   DCF_TB_ERR_INVALID_HANDLE
 */
dcf_tb_status dcf_tb_reset_stats(dcf_tb_transport transport);

/**
 * Reads the statistics of a stream. `dcf_tb_reset_stats` does not change them.
 *
 * They can be read as long as the handle is valid, also after `dcf_tb_stream_finish`, and after
 * the connection broke or the peer ended it. The counters, and the last values from the kernel,
 * then stay as they were. If this side reset the connection, there are no values from the kernel.
 *
 * - `stream`: the handle.
 * - `stats`: receives them. The caller sets `struct_size` to `sizeof(dcf_tb_stream_stats)`; the
 *   call does not change it.
 *
 * Ownership: the figures are copies that belong to the caller.
 * Blocks: never.
 * In callbacks: allowed.
 * Returns:
 *   DCF_TB_OK
 *   DCF_TB_ERR_INVALID_HANDLE   also if the stream was closed or detached: read them before
 *   DCF_TB_ERR_NULL_POINTER     `stats` is NULL
 *   DCF_TB_ERR_OUT_OF_RANGE     `struct_size` is less than 4
 */
dcf_tb_status dcf_tb_stream_get_stats(dcf_tb_stream stream, struct dcf_tb_stream_stats *stats);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* DCF_TB_THUNDERBOLT_H */
