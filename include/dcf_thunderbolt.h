/*
 * dcf_thunderbolt.h: messages, streams and round trips between two hosts on a Thunderbolt/USB4 cable
 * (or on any other IPv6 link that has an interface of its own).
 *
 * GROUND RULES, which hold for every function below and are not repeated there:
 *
 * Results    A function returns a dcf_tb_status: DCF_TB_OK (0), or a positive code. It writes results
 *            through out-pointers, only on success unless it says otherwise. dcf_tb_last_error has
 *            the failure in words, with the offending value; success does not clear it. Besides the
 *            codes that a function lists, each may return DCF_TB_ERR_FORKED, DCF_TB_ERR_OUT_OF_MEMORY
 *            and DCF_TB_ERR_PANIC.
 * Threads    Any function may be called from any thread at any time, and from inside any callback;
 *            calls on one handle may run at once. Do not cancel a thread (pthread_cancel) while it is
 *            inside a call: that would end the process.
 * Ownership  The caller never frees memory of the library, and the library never frees memory of the
 *            caller. The library uses arguments during the call only; callbacks get user_data
 *            unchanged.
 * Pointers   NULL where a pointer is needed gives DCF_TB_ERR_NULL_POINTER; every out-pointer is
 *            needed unless its function says otherwise. (NULL, 0) is an empty buffer. Memory that a
 *            call writes to must not overlap any other argument: else the call gives
 *            DCF_TB_ERR_OUT_OF_RANGE and has no effect. (It sets a count that it reports on errors to
 *            0.)
 * Strings    NUL-terminated UTF-8.
 * Handles    64-bit numbers, never pointers; 0 is never one. A handle that is stale, closed, of
 *            another kind, of another process, or was never one gives DCF_TB_ERR_INVALID_HANDLE,
 *            whatever the other arguments are.
 * Timeouts   Milliseconds. 0 = do not wait (DCF_TB_WOULD_BLOCK), DCF_TB_WAIT_FOREVER = no limit.
 *            Times are nanoseconds. A blocking call goes on after a signal (EINTR) with the time
 *            that is left. A call that waits on a handle wakes with DCF_TB_CANCELLED when it is
 *            closed.
 * Peers      An IPv6 address: "fe80::1%thunderbolt0", "fe80::1%2", "::1%lo", or "fe80::1" (on our
 *            interface). The peer's port is our own configured one, unless the string names it:
 *            "[fe80::1%thunderbolt0]:6000" (for messages and pings the control port, for streams the
 *            data port). If 0 was configured, no other host has our port, so the string must name the
 *            peer's, except on loopback. Strings from the library can be passed back unchanged. All
 *            other strings (an IPv4 address, a host name, another interface than ours) give
 *            DCF_TB_ERR_INVALID_ADDRESS.
 * Structs    struct_size, the first member, is the size of the struct as the caller's header has
 *            it. dcf_tb_config: fill it with dcf_tb_config_init; members beyond a smaller size
 *            have their defaults; bytes of a larger one that the library does not know must be 0,
 *            or it is refused with DCF_TB_ERR_CONFIG_INVALID. dcf_tb_stats, dcf_tb_rtt
 *            and dcf_tb_stream_stats: set struct_size before each call; what fits is written, and
 *            struct_size stays.
 * Callbacks  They run on the library's threads (a log callback on the caller's as well), and no lock
 *            of the library is held meanwhile. They may call any function of this header. They must
 *            return. A C++ exception that leaves one, or pthread_exit, ends the process by abort(),
 *            without std::terminate; after a longjmp out of one, removing it and closing the
 *            transport wait for ever. The library's threads cannot be cancelled. Strings and bytes
 *            that a callback gets are valid for the call only. To remove one, set NULL. Either
 *            callbacks or dcf_tb_recv, dcf_tb_accept and dcf_tb_event_fd are enough.
 * Host       The library prints no output, raises no signal (SIGPIPE neither), never exits, changes
 *            no signal disposition, and raises no floating-point exception on a caller's thread. Its
 *            threads are named dcf-tb-..., leave synchronous signals open, and have the default
 *            floating-point environment. All its descriptors are close-on-exec. dlclose does not
 *            unload it. A shared object of yours that is linked with the static library is unloaded,
 *            under threads of the library that still run: link it with -Wl,-z,nodelete, or close all
 *            transports before dlclose.
 * Memory     When no memory is left, calls that need some fail with DCF_TB_ERR_OUT_OF_MEMORY, peers'
 *            messages are dropped and counted, and their streams are reset. When there is memory
 *            again, everything works. Operations in flight use a reserve of 1 MiB (of addresses,
 *            until it is needed), so that no call ends the process.
 * fork       In the child of a process that had a transport open, every function returns
 *            DCF_TB_ERR_FORKED at once, except dcf_tb_config_init, dcf_tb_status_string,
 *            dcf_tb_last_error, dcf_tb_last_errno, dcf_tb_version and dcf_tb_abi_version, which go
 *            on working (exec is fine). A process without a transport may fork freely, and
 *            each child use the library. A child that lives on without exec has copies of open
 *            descriptors: the control port of a transport that is closed is free when it ends.
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
 * A timeout without a limit.
 */
#define DCF_TB_WAIT_FOREVER 0xFFFFFFFFu

/**
 * The most bytes that one control message can carry.
 */
#define DCF_TB_MAX_MESSAGE_SIZE 65507

/**
 * A buffer of this many bytes holds every peer string that the library gives, with its NUL.
 */
#define DCF_TB_PEER_SIZE 80

/**
 * The most peers that `dcf_tb_discover` finds: an array of so many holds them all.
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
 * Log level: failures.
 */
#define DCF_TB_LOG_ERROR 4

/**
 * Success.
 */
#define DCF_TB_OK 0x0000

/**
 * The timeout was 0, and the call would have had to wait. Poll, or call again later.
 */
#define DCF_TB_WOULD_BLOCK 0x0002

/**
 * A close of the stream or of its transport ended the wait. Do not use the handle any more.
 */
#define DCF_TB_CANCELLED 0x0003

/**
 * The peer ended the stream, or the file ended. Compare the count with what you expected.
 */
#define DCF_TB_EOF 0x0004

/**
 * A pointer that is needed is NULL. Repair the call.
 */
#define DCF_TB_ERR_NULL_POINTER 0x0100

/**
 * No memory is left, in the process or in the kernel. Free some, then call again.
 */
#define DCF_TB_ERR_OUT_OF_MEMORY 0x0103

/**
 * A buffer is too small; no data are lost. Call again with the size in the out-length.
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
 * The peer runs, but no program listens on that port. Start the program there, and compare the
 * ports.
 */
#define DCF_TB_ERR_CONNECTION_REFUSED 0x0302

/**
 * This host has no such network interface. Plug in the cable, load the driver (`modprobe
 * thunderbolt-net`), or set `wait_for_interface`.
 */
#define DCF_TB_ERR_INTERFACE_NOT_FOUND 0x0306

/**
 * A connection failed in some other way. `dcf_tb_last_error` says which.
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
 * The interface is down or gone, or has no carrier or address, or it was so when the stream ended.
 * `dcf_tb_last_error` says which, why, and what to do. Wait with `dcf_tb_wait_link`, or for
 * `on_link`, which reports when it is up again.
 */
#define DCF_TB_ERR_LINK_DOWN 0x030F

/**
 * The peer stopped answering, or the connection was ended on our side. Open a new stream when the
 * peer is back.
 */
#define DCF_TB_ERR_CONNECTION_ABORTED 0x0310

/**
 * `max_streams` streams are open on this host. Close some, or raise it.
 */
#define DCF_TB_ERR_TOO_MANY_CONNECTIONS 0x0311

/**
 * Another program has a port. `dcf_tb_last_error` says which port: stop that program, or configure
 * another port.
 */
#define DCF_TB_ERR_ADDRESS_IN_USE 0x0312

/**
 * The bytes do not mean what they should, or `dcf_tb_stream_detach` found bytes that a failed
 * `dcf_tb_stream_receive_file` left. Read those first.
 */
#define DCF_TB_ERR_INVALID_MESSAGE 0x0402

/**
 * One control message has more than `DCF_TB_MAX_MESSAGE_SIZE` bytes. Use a stream.
 */
#define DCF_TB_ERR_MESSAGE_TOO_LARGE 0x0403

/**
 * This process is a fork of one that had a transport open. Call exec, or fork before you open one.
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
 * The system does not allow it to this user: a port below 1024, or, before Linux 5.7, binding to
 * an interface without CAP_NET_RAW.
 */
#define DCF_TB_ERR_PERMISSION_DENIED 0x0701

/**
 * A peer string is not an address, or not one on our interface. Use an IPv6 address, with our
 * interface or without `%`.
 */
#define DCF_TB_ERR_INVALID_ADDRESS 0x0800

/**
 * An argument is outside its range. Repair the call.
 */
#define DCF_TB_ERR_OUT_OF_RANGE 0x0801

/**
 * A handle is stale, closed, of another kind, or was never one. Repair the call.
 */
#define DCF_TB_ERR_INVALID_HANDLE 0x0805

/**
 * Any other error of the operating system. `dcf_tb_last_errno` gives its number.
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
 * The socket's send buffer, or the interface's own queue, stayed full for a second. Send less, and
 * check that the peer receives.
 */
#define DCF_TB_ERR_QUEUE_FULL 0x0B02

/**
 * A thread could not be started. Raise `ulimit -u`, or end other threads.
 */
#define DCF_TB_ERR_THREAD 0x0B06

/**
 * A fault inside the library, which caught it. The process goes on; please report it.
 */
#define DCF_TB_ERR_PANIC 0xFFFF

/**
 * Option: `log_level`, one of `DCF_TB_LOG_*`.
 */
#define DCF_TB_OPTION_LOG_LEVEL 1

/**
 * Option: `busy_poll_us`. Waits that have begun are not changed.
 */
#define DCF_TB_OPTION_BUSY_POLL_US 2

/**
 * Option: `receive_queue`. With fewer messages than are kept now those stay, and new ones are dropped
 * and counted until there is room.
 */
#define DCF_TB_OPTION_RECEIVE_QUEUE 3

/**
 * Option: `receive_queue_bytes`, likewise.
 */
#define DCF_TB_OPTION_RECEIVE_QUEUE_BYTES 4

/**
 * Option: `max_streams`. With fewer than are open now those stay open, and new ones are refused until
 * enough have closed.
 */
#define DCF_TB_OPTION_MAX_STREAMS 5

/**
 * Option: `max_silent_streams`. With fewer than there are now those stay, and each new one makes the
 * oldest give way or is refused. After 0, no limit, those that are silent now count as well.
 */
#define DCF_TB_OPTION_MAX_SILENT_STREAMS 6

/**
 * Option: `silent_after_ms`. It holds for the streams that are silent now, too.
 */
#define DCF_TB_OPTION_SILENT_AFTER_MS 7

/**
 * Option: `connect_timeout_ms`. Calls that have begun are not changed.
 */
#define DCF_TB_OPTION_CONNECT_TIMEOUT_MS 8

/**
 * Option: `allow_any_source`. Streams that are open stay open.
 */
#define DCF_TB_OPTION_ALLOW_ANY_SOURCE 9

/**
 * Option: `stream_dead_after_ms`, of streams that are opened or accepted next. More than 2147483647 is as
 * much as that.
 */
#define DCF_TB_OPTION_STREAM_DEAD_AFTER_MS 10

/**
 * What a call came to: one of `DCF_TB_OK` to `DCF_TB_ERR_PANIC`. The numbers are those of DCF's own
 * `DCFError` table.
 */
typedef int32_t dcf_tb_status;

/**
 * A control message came. `message` has `message_len` bytes and no NUL; `sender` can be handed
 * back as a peer, and is at most `DCF_TB_PEER_SIZE` bytes with its NUL. Both live for the call only.
 *
 * Runs on the receiver thread: the messages of one peer come in order, and no two calls overlap. It may
 * take long: meanwhile pings are answered, and messages wait, as many as fit into `buffer_size` bytes.
 */
typedef void (*dcf_tb_message_callback)(const uint8_t *message,
                                        size_t message_len,
                                        const char *sender,
                                        void *user_data);

/**
 * A data stream: from `dcf_tb_open_stream`, `dcf_tb_accept` or a stream callback to
 * `dcf_tb_stream_close`, `dcf_tb_stream_detach`, or the close of its transport. 0 is never one.
 */
typedef uint64_t dcf_tb_stream;

/**
 * A peer opened a data stream. The handle is the callee's, which may keep it beyond the call, and
 * closes it with `dcf_tb_stream_close`. `peer` is the bare address and lives for the call only.
 *
 * Each call has a thread of its own, so it may read and write to the end. Where no thread can be
 * started the stream is reset, counted under `errors`, and logged.
 */
typedef void (*dcf_tb_stream_callback)(dcf_tb_stream stream, const char *peer, void *user_data);

/**
 * A log record: `level` is one of `DCF_TB_LOG_*`; `message` is one line without its end, and lives
 * for the call only.
 *
 * Runs on whichever thread has something to say, several at once too; on the one that accepts streams
 * and watches the link, for example: they wait for it.
 */
typedef void (*dcf_tb_log_callback)(int32_t level, const char *message, void *user_data);

/**
 * The link changed. `up` is 1 when the interface can carry traffic again (after a replug too), and
 * 0 when it cannot. `interface_name` lives for the call only.
 *
 * It reports what a look at the interface finds. It does not report an outage that begins and ends
 * between two looks and that no call noticed, such as an interface that is switched off and on at
 * once. (A replugged cable makes a new interface, and both changes are reported.)
 *
 * The order of a change: first `link_up` and `link_changes` in the statistics, and with them
 * `dcf_tb_wait_link`; then the calls and streams that the change ends, with `DCF_TB_ERR_LINK_DOWN`; then
 * the log; then this callback, which does not delay them and may be later than a call that reports
 * the outage. So after `DCF_TB_ERR_LINK_DOWN` the statistics never say that the link is still up: it is
 * down, or has come back meanwhile.
 *
 * Runs on a thread of its own, in the order of the changes, and never two at once. While it runs the
 * next changes wait for it, and nothing else does. Beyond 64 a change and the one back are left out
 * together.
 */
typedef void (*dcf_tb_link_callback)(int32_t up, const char *interface_name, void *user_data);

/**
 * The transport has closed. This is the last call of all for it: `user_data` may be freed.
 */
typedef void (*dcf_tb_closed_callback)(void *user_data);

/**
 * A peer appeared or vanished. `appeared` is 1 or 0. `peer` is its address with the interface, without a
 * port, can be handed back as a peer, and lives for the call only.
 *
 * A peer appears when anything comes from its address while it is not there: a message, a ping, a pong,
 * a stream, or bytes of one. It vanishes when nothing has come for `peer_timeout_ms`, or when the link
 * goes down; a peer that only listens vanishes too. While the link is down no peer appears. One that is
 * given to `dcf_tb_forget` is gone without a call. What is heard later makes a peer appear again. An
 * address is no proof of who sends.
 *
 * Anybody on the link can make up sources: no more than 256 peers appear at once, then 16 a second, and
 * no more than 1,024 are there. What comes from others is counted in `peers_not_reported`; they appear
 * with what they send when there is room again. Nobody who is there makes room for them. A peer that the
 * program asked for, by `dcf_tb_last_heard`, appears in any such flood: there are 1,024 places more for
 * those.
 *
 * Runs on a thread of its own, in the order of the changes, and never two at once; nothing waits for it.
 * A change that comes while it runs, and the one back, are left out together; but that a peer appeared is
 * told, unless the link went down or it was forgotten before. The order with the link callback is not
 * defined.
 */
typedef void (*dcf_tb_peer_callback)(int32_t appeared, const char *peer, void *user_data);

/**
 * The settings of a transport. Always fill it with `dcf_tb_config_init` first, then change what
 * should differ: later versions of this header may append members.
 *
 * `dcf_tb_init` reads it and what it points to during the call only. In the members that are
 * booleans every number but 0 means yes. What has a `DCF_TB_OPTION_*` can change later, by
 * `dcf_tb_set_option`.
 */
typedef struct dcf_tb_config {
    /**
     * Size of this struct as the caller knows it; `dcf_tb_config_init` sets it.
     */
    uint32_t struct_size;
    /**
     * UDP port of control messages and pings. Default 5000; 0 = any free one, see `dcf_tb_ports`.
     * With 0, peers of messages and pings have to name their port, and discovery is not possible.
     */
    uint16_t control_port;
    /**
     * TCP port of data streams. Default 5001; 0 = any free one, see `dcf_tb_ports`. With 0, peers of
     * streams have to name their port.
     */
    uint16_t data_port;
    /**
     * Network interface, 1 to 15 bytes. Default "thunderbolt0" (NULL too); "auto" = the one
     * whose driver is thunderbolt-net; if there are several, `dcf_tb_init` fails and names them.
     */
    const char *interface_name;
    /**
     * Bytes of socket buffer asked of the kernel. Default 64 MiB. The log and the statistics say
     * what the kernel granted.
     */
    uint64_t buffer_size;
    /**
     * Boolean: small writes to a stream leave at once (TCP_NODELAY). Default 1.
     */
    uint8_t tcp_nodelay;
    /**
     * Boolean: a silent peer of a stream is noticed (SO_KEEPALIVE). Default 1.
     */
    uint8_t tcp_keepalive;
    /**
     * Boolean: serve sources that are neither link-local nor loopback too. Default 0.
     */
    uint8_t allow_any_source;
    /**
     * Boolean: start without the interface, the link comes when it does; else a missing interface
     * fails `dcf_tb_init`. Default 0.
     */
    uint8_t wait_for_interface;
    /**
     * Microseconds to spin before sleeping: in receive and round-trip waits, and in reads of a
     * conversation over a stream. Default 50; 0 = never.
     */
    uint32_t busy_poll_us;
    /**
     * Messages kept for `dcf_tb_recv` while no message callback is set. When it is full, new messages
     * are dropped and counted. Default 1024.
     */
    uint32_t receive_queue;
    /**
     * Streams that may be open, both directions together. Default 1024.
     */
    uint32_t max_streams;
    /**
     * Milliseconds that opening a stream may take. Default 10000.
     */
    uint32_t connect_timeout_ms;
    /**
     * Milliseconds that a stream's peer may leave data unacknowledged before the stream ends with
     * `DCF_TB_ERR_CONNECTION_ABORTED` (TCP_USER_TIMEOUT; an idle stream is probed, if `tcp_keepalive`
     * is set). A peer that does not read, but whose kernel answers, is not dead. Default 10000; 0 =
     * the system's.
     */
    uint32_t stream_dead_after_ms;
    /**
     * The lowest of `DCF_TB_LOG_*` that is logged; records below it are not even formatted.
     * Default `DCF_TB_LOG_INFO`.
     */
    int32_t log_level;
    /**
     * Called with each control message, or NULL. Default NULL.
     */
    dcf_tb_message_callback on_message;
    /**
     * Called with each stream that a peer opens, or NULL. Default NULL.
     */
    dcf_tb_stream_callback on_stream;
    /**
     * Called with each log record, or NULL. Default NULL.
     */
    dcf_tb_log_callback on_log;
    /**
     * Called when the link goes and comes back, or NULL. Default NULL.
     */
    dcf_tb_link_callback on_link;
    /**
     * Called last of all, when the transport has closed, or NULL. Default NULL. Not called when
     * `dcf_tb_init` fails.
     */
    dcf_tb_closed_callback on_closed;
    /**
     * Handed to all six. Default NULL.
     */
    void *user_data;
    /**
     * Bytes that the messages of `receive_queue` may have together; what would exceed it is dropped
     * and counted. Default 64 MiB.
     */
    uint64_t receive_queue_bytes;
    /**
     * Streams that peers opened and on which neither side has sent anything yet; 0 = no limit. When
     * there are as many, the oldest is reset to make room, if it is older than `silent_after_ms`;
     * else the newcomer is. Default 1000.
     */
    uint32_t max_silent_streams;
    /**
     * Milliseconds that a stream may stay silent before it gives way to another one, when there are
     * `max_silent_streams`; with fewer, silence ends no stream. Default 10000.
     */
    uint32_t silent_after_ms;
    /**
     * Called when a peer appears and when it vanishes, or NULL. Default NULL.
     */
    dcf_tb_peer_callback on_peer;
    /**
     * Milliseconds of silence after which a peer has vanished, for `on_peer`. Default 5000; 0 = no limit:
     * then only the link makes peers vanish, and 1,024 that were there once leave no room for others
     * until `dcf_tb_forget`.
     */
    uint32_t peer_timeout_ms;
    /**
     * Boolean: remember when each peer was last heard from, for `dcf_tb_last_heard`, also while there is
     * no peer callback. It costs some nanoseconds for each message. Default 0.
     */
    uint32_t remember_peers;
} dcf_tb_config;

/**
 * A transport: from `dcf_tb_init` to `dcf_tb_close`. 0 is never one.
 */
typedef uint64_t dcf_tb_transport;

/**
 * One message of a batch.
 */
typedef struct dcf_tb_datagram {
    /**
     * The receiver. Entries that share the pointer are parsed once.
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
     * Its first byte, in the buffer of the call.
     */
    const uint8_t *data;
    /**
     * Its size in bytes.
     */
    size_t len;
    /**
     * From whom: a peer string, NUL-terminated.
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
 * The result of a series of pings. The times are 0 if no answer came.
 */
typedef struct dcf_tb_rtt {
    /**
     * Size of this struct as the caller knows it; the caller sets it.
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
     * 0.
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
     * Half of the round trips took at most so many nanoseconds.
     */
    uint64_t p50_ns;
    /**
     * 90 % took at most so many nanoseconds.
     */
    uint64_t p90_ns;
    /**
     * 99 % took at most so many nanoseconds.
     */
    uint64_t p99_ns;
    /**
     * 99.9 % took at most so many nanoseconds.
     */
    uint64_t p999_ns;
    /**
     * The longest round trip, in nanoseconds.
     */
    uint64_t max_ns;
} dcf_tb_rtt;

/**
 * A peer that answered to discovery.
 */
typedef struct dcf_tb_peer {
    /**
     * Its address with the scope, NUL-terminated: ready to be a peer in every other call.
     */
    char address[DCF_TB_PEER_SIZE];
    /**
     * How long its answer took, in nanoseconds.
     */
    uint64_t rtt_ns;
} dcf_tb_peer;

/**
 * What a transport has done since `dcf_tb_init` or the last `dcf_tb_reset_stats`. Later versions
 * may append members.
 */
typedef struct dcf_tb_stats {
    /**
     * Size of this struct as the caller knows it; the caller sets it.
     */
    uint32_t struct_size;
    /**
     * 1 while the interface can carry traffic, else 0.
     */
    uint32_t link_up;
    /**
     * Control messages sent. Pings are not counted here.
     */
    uint64_t messages_sent;
    /**
     * Control messages received, including those that were then dropped.
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
     * Streams that we opened.
     */
    uint64_t connections_initiated;
    /**
     * Failed sends, receives, accepts and stream calls; not timeouts, and not the end of a stream.
     */
    uint64_t errors;
    /**
     * Nanoseconds since init or the last reset.
     */
    uint64_t uptime_ns;
    /**
     * Control messages dropped because the receive queue was full; counted as received too.
     */
    uint64_t messages_dropped;
    /**
     * Datagrams dropped by the kernel because the socket buffer was full, or because they arrived
     * damaged (their checksum was wrong), pings included. Those of a batch that it handled in one
     * piece, up to 64, count as one.
     */
    uint64_t kernel_drops;
    /**
     * What was refused: by its source, by a limit, or because it was malformed.
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
     * Streams open at the moment. A reset does not change it.
     */
    uint64_t streams_open;
    /**
     * Pings sent, including those of discovery.
     */
    uint64_t pings_sent;
    /**
     * Answers to our pings.
     */
    uint64_t pongs_received;
    /**
     * Pings of others that we answered.
     */
    uint64_t pings_answered;
    /**
     * The last round trip, in nanoseconds.
     */
    uint64_t last_rtt_ns;
    /**
     * How often the link went down or came up.
     */
    uint64_t link_changes;
    /**
     * Callbacks that failed in a way that the library noticed.
     */
    uint64_t callback_failures;
    /**
     * Bytes of send buffer that the kernel granted to control messages.
     */
    uint64_t udp_send_buffer;
    /**
     * Bytes of receive buffer that the kernel granted to control messages.
     */
    uint64_t udp_receive_buffer;
    /**
     * Of `rejected`: the source is neither link-local nor loopback.
     */
    uint64_t rejected_source;
    /**
     * Of `rejected`: `max_streams` were open, or a connection of a DCF plugin host made room for others.
     */
    uint64_t rejected_max_streams;
    /**
     * Of `rejected`: `max_silent_streams` were silent.
     */
    uint64_t rejected_silent;
    /**
     * Of `rejected`: no descriptor, thread or memory was left for a connection.
     */
    uint64_t rejected_resources;
    /**
     * Of `messages_dropped`: there was no memory for them (`receive_queue_bytes`, or none at all).
     */
    uint64_t dropped_memory;
    /**
     * Pongs without a waiting ping, and ICMP errors about no waiting ping: late, doubled or forged.
     */
    uint64_t pongs_ignored;
    /**
     * Of `rejected`: a connection that did not follow the protocol between DCF plugin hosts.
     */
    uint64_t rejected_malformed;
    /**
     * Answers to discovery that were left out, from hosts beyond `DCF_TB_MAX_DISCOVERED`.
     */
    uint64_t discovery_dropped;
    /**
     * Datagrams that did not leave because the interface's own queue had no room for them: messages
     * whose call gave `DCF_TB_ERR_QUEUE_FULL`, pings, and pongs. As far as the kernel tells: a queue
     * that drops what it took before does not say so.
     */
    uint64_t send_drops;
    /**
     * Pings that were not answered, because too many came from addresses that were not answered within
     * the last minute: a host on the link forges addresses.
     */
    uint64_t pings_limited;
    /**
     * Of `messages_dropped`: large messages to a DCF plugin host that came too slowly.
     */
    uint64_t dropped_slow;
    /**
     * Pings that did not reach the peer, as an ICMP error said that quotes them: nothing listens on that
     * port there, or no host has the address.
     */
    uint64_t pings_undelivered;
    /**
     * What came from peers that the peer callback was not told of, because too many appeared of late or
     * 1,024 were there: datagrams, pings, streams, reads of streams.
     */
    uint64_t peers_not_reported;
} dcf_tb_stats;

/**
 * What a stream has done since it was opened, and the state of its connection. Later versions may
 * append members.
 *
 * Times are of CLOCK_MONOTONIC, which stands still while the host sleeps. From `since_sent_ns` on the
 * kernel tells it (TCP_INFO of tcp(7)).
 */
typedef struct dcf_tb_stream_stats {
    /**
     * Size of this struct as the caller knows it; the caller sets it.
     */
    uint32_t struct_size;
    /**
     * 1 while the connection exists; 0 when it broke, or both sides have ended it.
     */
    uint32_t connected;
    /**
     * Bytes that the kernel took to send.
     */
    uint64_t bytes_sent;
    /**
     * Bytes that were read, or written to a file.
     */
    uint64_t bytes_received;
    /**
     * How often the kernel took bytes. A call that waits for room in between counts each time.
     */
    uint64_t writes;
    /**
     * How often bytes were read. A call that waits for more in between counts each time.
     */
    uint64_t reads;
    /**
     * Nanoseconds since the stream was opened or accepted.
     */
    uint64_t age_ns;
    /**
     * Nanoseconds since bytes last left or arrived, or since the stream was opened: the shorter one of
     * the next two.
     */
    uint64_t idle_ns;
    /**
     * Nanoseconds since bytes last left, those that were sent again too. The kernel counts in ticks of
     * 1 to 10 ms.
     */
    uint64_t since_sent_ns;
    /**
     * Nanoseconds since bytes last arrived, read or not. The kernel counts in ticks of 1 to 10 ms.
     */
    uint64_t since_received_ns;
    /**
     * Bytes of `bytes_sent` that wait in the send buffer.
     */
    uint64_t bytes_unsent;
    /**
     * Bytes of `bytes_sent` that left and that the peer's kernel has not acknowledged.
     */
    uint64_t bytes_unacknowledged;
    /**
     * The kernel's smoothed round-trip time, in nanoseconds; 0 until something was acknowledged.
     */
    uint64_t rtt_ns;
    /**
     * How much it varies, in nanoseconds.
     */
    uint64_t rtt_variation_ns;
    /**
     * The shortest one of late, in nanoseconds.
     */
    uint64_t rtt_min_ns;
    /**
     * Segments that were sent again.
     */
    uint64_t retransmits;
    /**
     * Bytes a second that the peer acknowledged when the kernel last measured it; 0 until it has.
     */
    uint64_t delivery_rate;
    /**
     * Bytes that the peer has room for (since Linux 5.4; else 0). 0 is a closed window: its program
     * does not read.
     */
    uint64_t peer_window;
    /**
     * 1 while bytes wait because the peer's window is closed, else 0.
     */
    uint64_t stalled;
    /**
     * Nanoseconds in all that sending was held up by the peer's window (since Linux 4.10; else 0).
     */
    uint64_t stalled_ns;
    /**
     * The congestion window, in segments.
     */
    uint64_t congestion_window;
    /**
     * Bytes of payload in a segment at most.
     */
    uint64_t mss;
} dcf_tb_stream_stats;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * A status in a few words, for people. Works in a forked child.
 *
 * Ownership: static text, valid for the life of the process; never NULL, never freed.
 * Blocks: never.
 * In callbacks: allowed.
 * Returns: the words; "unknown status" for a number that is none.
 */
const char *dcf_tb_status_string(dcf_tb_status status);

/**
 * The ABI that the loaded library has, to be compared with `DCF_TB_ABI_VERSION` of the header that
 * the caller was compiled with. Works in a forked child.
 *
 * Ownership: nothing changes hands.
 * Blocks: never.
 * In callbacks: allowed.
 * Returns: the number.
 */
uint32_t dcf_tb_abi_version(void);

/**
 * The library's version, for example "1.0.0". Works in a forked child.
 *
 * Ownership: static text, valid for the life of the process; never NULL, never freed.
 * Blocks: never.
 * In callbacks: allowed.
 * Returns: the text.
 */
const char *dcf_tb_version(void);

/**
 * Copies this thread's last failure, in words, into `buf`: the function that failed, the offending
 * value, and what the operating system said.
 *
 * A call that succeeds does not clear it. Before the first failure it is the empty text. Works in a
 * forked child.
 *
 * - `buf`, `cap`: where to, and its size in bytes; 1100 are always enough. A text that does not fit
 *   is cut at the end of a character; there is always a NUL when `cap` > 0. `(NULL, 0)` only asks
 *   for the length.
 *
 * Ownership: the text is the caller's copy.
 * Blocks: never.
 * In callbacks: allowed.
 * Returns: the full length in bytes without the NUL, what was cut included.
 */
size_t dcf_tb_last_error(char *buf, size_t cap);

/**
 * The errno behind this thread's last failure. Works in a forked child.
 *
 * Ownership: nothing changes hands.
 * Blocks: never.
 * In callbacks: allowed.
 * Returns: the errno, or 0 where the operating system had no part in it.
 */
int32_t dcf_tb_last_errno(void);

/**
 * Fills a configuration with the defaults. Works in a forked child.
 *
 * - `config`, `config_size`: the struct, and its size as the caller's header has it: pass
 *   `sizeof(dcf_tb_config)`. No byte beyond it is touched. It becomes `struct_size`; what this
 *   version does not know is zeroed. 4 to 4096.
 *
 * Ownership: the struct is the caller's; `interface_name` gets a static text.
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
 * Callbacks in the configuration may run before this call has returned, that is, before
 * `*transport` is written; a callback that needs the handle must wait for it, or be set afterwards
 * by `dcf_tb_set_message_callback` and its like. Any number of transports may be open in a process,
 * each with its own ports or interface. One without traffic costs 8 descriptors, 2 threads and some
 * 100 KiB of memory. A stream takes 1 descriptor more, the event descriptor 1; a thread that measures
 * round trips 2, of which up to 8 pairs are kept; a peer that much is sent to 1, for up to 64 of them.
 *
 * - `config`: from `dcf_tb_config_init`, or NULL for the defaults. Read during the call only.
 * - `transport`: gets the handle.
 *
 * Ownership: the handle is the caller's, who ends it with `dcf_tb_close`. `user_data` must stay valid
 * until `on_closed` was called, or `dcf_tb_close` has returned outside of a callback.
 * Blocks: not on the network.
 * In callbacks: allowed.
 * Returns:
 *   DCF_TB_OK
 *   DCF_TB_ERR_NULL_POINTER            `transport` is NULL
 *   DCF_TB_ERR_CONFIG_INVALID          the text quotes the setting
 *   DCF_TB_ERR_INTERFACE_NOT_FOUND     and `wait_for_interface` is 0
 *   DCF_TB_ERR_LINK_DOWN               the interface cannot be bound to at the moment
 *   DCF_TB_ERR_ADDRESS_IN_USE          the text names the port
 *   DCF_TB_ERR_PERMISSION_DENIED       a port below 1024, or binding to the interface
 *   DCF_TB_ERR_SOCKET_OPTION
 *   DCF_TB_ERR_TOO_MANY_FILES
 *   DCF_TB_ERR_THREAD
 *   DCF_TB_ERR_OUT_OF_MEMORY
 *   DCF_TB_ERR_IO                      see `dcf_tb_last_errno`
 */
dcf_tb_status dcf_tb_init(const struct dcf_tb_config *config,
                          dcf_tb_transport *transport);

/**
 * Closes a transport: stops and joins its threads, closes its streams, frees its ports, wakes calls
 * that wait on it or on its streams (with DCF_TB_CANCELLED), and calls `on_closed` last.
 *
 * From the moment of the call its handle, and those of its streams, are invalid. Called from inside
 * one of its callbacks it returns at once and does the rest after that callback; the ports are free
 * when `on_closed` runs.
 *
 * - `transport`: the handle.
 *
 * Ownership: the handle and all of its streams' handles are gone. When the call has returned (from
 * inside a callback: when `on_closed` was called), no callback of the transport runs any more.
 * Blocks: until running callbacks have returned, so do not hold a lock that they take. It does not
 * wait for the network.
 * In callbacks: allowed.
 * Returns:
 *   DCF_TB_OK
 *   DCF_TB_ERR_INVALID_HANDLE   also on a second close
 */
dcf_tb_status dcf_tb_close(dcf_tb_transport transport);

/**
 * Whether a transport runs. It does from `dcf_tb_init` until its close begins, whatever the link
 * does; after that its handle is invalid.
 *
 * - `transport`: the handle.
 * - `running`: gets 1 or 0.
 *
 * Ownership: nothing changes hands.
 * Blocks: never.
 * In callbacks: allowed.
 * Returns:
 *   DCF_TB_OK
 *   DCF_TB_ERR_INVALID_HANDLE
 *   DCF_TB_ERR_NULL_POINTER     `running` is NULL
 */
dcf_tb_status dcf_tb_is_running(dcf_tb_transport transport, uint8_t *running);

/**
 * Copies the name of the transport's interface; the one that was found, if "auto" was configured.
 *
 * - `transport`: the handle.
 * - `buf`, `cap`: where to, and its size in bytes. 16 are enough.
 * - `len`: gets the length without the NUL; or, if the buffer is too small, the size needed.
 *
 * Ownership: the text is the caller's copy.
 * Blocks: never.
 * In callbacks: allowed.
 * Returns:
 *   DCF_TB_OK
 *   DCF_TB_ERR_INVALID_HANDLE
 *   DCF_TB_ERR_NULL_POINTER       `len` is NULL, or `buf` is and `cap` is not 0
 *   DCF_TB_ERR_BUFFER_TOO_SMALL   `buf` is untouched
 */
dcf_tb_status dcf_tb_interface(dcf_tb_transport transport, char *buf, size_t cap, size_t *len);

/**
 * The ports that the transport really has, also where 0 was configured.
 *
 * - `transport`: the handle.
 * - `control_port`, `data_port`: get the UDP and the TCP port. Both are needed.
 *
 * Ownership: nothing changes hands.
 * Blocks: never.
 * In callbacks: allowed.
 * Returns:
 *   DCF_TB_OK
 *   DCF_TB_ERR_INVALID_HANDLE
 *   DCF_TB_ERR_NULL_POINTER     one of the two is NULL
 */
dcf_tb_status dcf_tb_ports(dcf_tb_transport transport, uint16_t *control_port, uint16_t *data_port);

/**
 * Waits until the link is up, or down. Returns at once if it is so already. It is told before any call
 * or stream reports the change, and before the link callback is called.
 *
 * A link that changes and changes back while the call waits ends the wait too, so that no outage is
 * missed because it was short. What is so by the time that it returns the next call tells.
 *
 * - `transport`: the handle.
 * - `up`: 1 waits for a link that can carry traffic, 0 for one that cannot.
 * - `timeout_ms`: milliseconds; 0 = do not wait, `DCF_TB_WAIT_FOREVER` = no limit.
 *
 * Ownership: nothing changes hands.
 * Blocks: up to `timeout_ms`. It sleeps until the link changes, and does not poll.
 * In callbacks: allowed, in the link callback too: the state changes while that runs.
 * Returns:
 *   DCF_TB_OK
 *   DCF_TB_WOULD_BLOCK          it is not so, and `timeout_ms` is 0
 *   DCF_TB_CANCELLED            the transport was closed meanwhile
 *   DCF_TB_ERR_INVALID_HANDLE
 *   DCF_TB_ERR_OUT_OF_RANGE     `up` is neither 0 nor 1; the text quotes it
 *   DCF_TB_ERR_TIMEOUT          the text says why the link is down still
 */
dcf_tb_status dcf_tb_wait_link(dcf_tb_transport transport,
                               int32_t up,
                               uint32_t timeout_ms);

/**
 * Changes a setting of a transport that runs. It holds at once, on all threads, for what begins after
 * it, and ends nothing that goes on: where a limit is now below what is in use, that stays, and newcomers
 * are refused until there is room. No lock is taken that traffic takes.
 *
 * The settings without a `DCF_TB_OPTION_*` belong to the sockets or to their threads (`dcf_tb_config` has
 * them all) and are fixed when the transport starts: to change one, close it and start another. The
 * callbacks have functions of their own.
 *
 * - `transport`: the handle.
 * - `option`: one of `DCF_TB_OPTION_*`: which one.
 * - `value`: the new value, in the unit and the range of the member of `dcf_tb_config`. A boolean is yes
 *   with every number but 0.
 *
 * Ownership: nothing changes hands.
 * Blocks: never.
 * In callbacks: allowed.
 * Returns:
 *   DCF_TB_OK
 *   DCF_TB_ERR_INVALID_HANDLE
 *   DCF_TB_ERR_CONFIG_INVALID   a value that `dcf_tb_init` would refuse, or an option that this version
 *                               does not know: the text quotes it
 */
dcf_tb_status dcf_tb_set_option(dcf_tb_transport transport,
                                int32_t option,
                                uint64_t value);

/**
 * The value that a setting of a transport has now.
 *
 * - `transport`: the handle.
 * - `option`: one of `DCF_TB_OPTION_*`: which one.
 * - `value`: gets it.
 *
 * Ownership: nothing changes hands.
 * Blocks: never.
 * In callbacks: allowed.
 * Returns:
 *   DCF_TB_OK
 *   DCF_TB_ERR_INVALID_HANDLE
 *   DCF_TB_ERR_NULL_POINTER     `value` is NULL
 *   DCF_TB_ERR_CONFIG_INVALID   an option that this version does not know: the text quotes it
 */
dcf_tb_status dcf_tb_get_option(dcf_tb_transport transport, int32_t option, uint64_t *value);

/**
 * Sets, replaces or (NULL) removes the message callback.
 *
 * Messages that wait in the queue go to the new callback first, in order. While there is none,
 * they wait for `dcf_tb_recv`.
 *
 * - `callback`, `user_data`: the function, or NULL; and a pointer that it is handed.
 *
 * Ownership: when the call has returned, the old callback runs nowhere and never will again, and
 * its `user_data` may be freed. Called from inside that very callback, the running call is its last.
 * Blocks: until the old callback has returned, so do not hold a lock that it takes.
 * In callbacks: allowed.
 * Returns:
 *   DCF_TB_OK
 *   DCF_TB_CANCELLED            the transport was closed meanwhile
 *   DCF_TB_ERR_INVALID_HANDLE
 */
dcf_tb_status dcf_tb_set_message_callback(dcf_tb_transport transport,
                                          dcf_tb_message_callback callback,
                                          void *user_data);

/**
 * Sets, replaces or (NULL) removes the stream callback.
 *
 * While there is none, streams that peers open wait for `dcf_tb_accept`.
 *
 * - `callback`, `user_data`: the function, or NULL; and a pointer that it is handed.
 *
 * Ownership: when the call has returned, the old callback runs nowhere and never will again, and
 * its `user_data` may be freed. Called from inside that very callback, the running call is its last.
 * Streams that it was given stay the caller's.
 * Blocks: until the old callback's calls have returned, so do not hold a lock that they take.
 * In callbacks: allowed.
 * Returns:
 *   DCF_TB_OK
 *   DCF_TB_CANCELLED            the transport was closed meanwhile
 *   DCF_TB_ERR_INVALID_HANDLE
 */
dcf_tb_status dcf_tb_set_stream_callback(dcf_tb_transport transport,
                                         dcf_tb_stream_callback callback,
                                         void *user_data);

/**
 * Sets, replaces or (NULL) removes the log callback.
 *
 * - `callback`, `user_data`: the function, or NULL; and a pointer that it is handed.
 *
 * Ownership: when the call has returned, the old callback runs nowhere and never will again, and
 * its `user_data` may be freed. Called from inside that very callback, the running call is its last.
 * Blocks: until the old callback's calls have returned, so do not hold a lock that they take.
 * In callbacks: allowed.
 * Returns:
 *   DCF_TB_OK
 *   DCF_TB_CANCELLED            the transport was closed meanwhile
 *   DCF_TB_ERR_INVALID_HANDLE
 */
dcf_tb_status dcf_tb_set_log_callback(dcf_tb_transport transport,
                                      dcf_tb_log_callback callback,
                                      void *user_data);

/**
 * Sets, replaces or (NULL) removes the link callback. It tells changes from now on; the present
 * state is `link_up` in the statistics.
 *
 * - `callback`, `user_data`: the function, or NULL; and a pointer that it is handed.
 *
 * Ownership: when the call has returned, the old callback runs nowhere and never will again, and
 * its `user_data` may be freed. Called from inside that very callback, the running call is its last.
 * Blocks: until the old callback has returned, so do not hold a lock that it takes.
 * In callbacks: allowed.
 * Returns:
 *   DCF_TB_OK
 *   DCF_TB_CANCELLED            the transport was closed meanwhile
 *   DCF_TB_ERR_INVALID_HANDLE
 */
dcf_tb_status dcf_tb_set_link_callback(dcf_tb_transport transport,
                                       dcf_tb_link_callback callback,
                                       void *user_data);

/**
 * Sets, replaces or (NULL) removes the peer callback. In the place of another it tells changes from now
 * on; if there was none, every peer appears when it is heard from.
 *
 * - `callback`, `user_data`: the function, or NULL; and a pointer that it is handed.
 *
 * Ownership: when the call has returned, the old callback runs nowhere and never will again, and
 * its `user_data` may be freed. Called from inside that very callback, the running call is its last.
 * Blocks: until the old callback has returned, so do not hold a lock that it takes.
 * In callbacks: allowed.
 * Returns:
 *   DCF_TB_OK
 *   DCF_TB_CANCELLED            the transport was closed meanwhile
 *   DCF_TB_ERR_INVALID_HANDLE
 */
dcf_tb_status dcf_tb_set_peer_callback(dcf_tb_transport transport,
                                       dcf_tb_peer_callback callback,
                                       void *user_data);

/**
 * A log callback that is ready-made: it sends each record as one datagram to a socket, for programs in
 * languages that a thread of the library must not call.
 *
 * The datagram is text without a NUL: `log`, a space, the level, a space, the record. It is sent without
 * waiting and without a SIGPIPE: where the socket has no room, the record is lost. Close the socket when
 * `dcf_tb_close` has returned.
 *
 * - `level`, `message`: the record, as any log callback gets it.
 * - `user_data`: the descriptor of a connected socket that keeps datagrams apart, such as one of
 *   `socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair)`, cast to a pointer: `(void *)(intptr_t)pair[0]`.
 *
 * Ownership: the descriptor stays the caller's.
 * Blocks: never.
 * In callbacks: it is one. Called by the program itself, it does the same.
 * Returns: nothing.
 */
void dcf_tb_log_to_socket(int32_t level,
                          const char *message,
                          void *user_data);

/**
 * A link callback that is ready-made: it sends each change as one datagram to a socket, for programs in
 * languages that a thread of the library must not call.
 *
 * The datagram is text without a NUL: `link`, a space, `up`, a space, the interface's name. It may be the
 * socket of `dcf_tb_log_to_socket`: what happens first comes first. All that is said there holds.
 *
 * - `up`, `interface_name`: the change, as any link callback gets it.
 * - `user_data`: the descriptor, as in `dcf_tb_log_to_socket`.
 *
 * Ownership: the descriptor stays the caller's.
 * Blocks: never.
 * In callbacks: it is one. Called by the program itself, it does the same.
 * Returns: nothing.
 */
void dcf_tb_link_to_socket(int32_t up,
                           const char *interface_name,
                           void *user_data);

/**
 * A peer callback that is ready-made: it sends each change as one datagram to a socket, for programs in
 * languages that a thread of the library must not call.
 *
 * The datagram is text without a NUL: `peer`, a space, `appeared`, a space, the peer. It may be the
 * socket of `dcf_tb_log_to_socket`. All that is said there holds.
 *
 * - `appeared`, `peer`: the change, as any peer callback gets it.
 * - `user_data`: the descriptor, as in `dcf_tb_log_to_socket`.
 *
 * Ownership: the descriptor stays the caller's.
 * Blocks: never.
 * In callbacks: it is one. Called by the program itself, it does the same.
 * Returns: nothing.
 */
void dcf_tb_peer_to_socket(int32_t appeared,
                           const char *peer,
                           void *user_data);

/**
 * Sends one control message: one UDP datagram, whole or an error. There is no guarantee that it
 * arrives.
 *
 * `DCF_TB_OK` says that the kernel took it, and nothing of the peer. An ICMP error that comes back, because
 * nothing listens there for example, fails no later message: anybody on the link can make one up, and it
 * names no message. `dcf_tb_measure_rtt` tells whether a program with a transport runs there.
 *
 * To the multicast group of all nodes, `ff02::1`, it goes to every other host on the link that has a
 * transport with this control port, and not to our own. Streams and round trips need one peer and
 * refuse groups.
 *
 * - `transport`: the handle.
 * - `peer`: to whom; the strings are described at the top of this header.
 * - `data`, `len`: the message, 0 to `DCF_TB_MAX_MESSAGE_SIZE` bytes. `(NULL, 0)` is the empty one.
 *
 * Ownership: `peer` and `data` are used during the call only.
 * Blocks: while the socket's buffer or the interface's own queue is full, for a second at most.
 * In callbacks: allowed.
 * Returns:
 *   DCF_TB_OK                          the kernel has taken it
 *   DCF_TB_CANCELLED                   the transport was closed meanwhile
 *   DCF_TB_ERR_INVALID_HANDLE
 *   DCF_TB_ERR_NULL_POINTER            `peer` is NULL, or `data` is and `len` is not 0
 *   DCF_TB_ERR_INVALID_ADDRESS         the text quotes it
 *   DCF_TB_ERR_INTERFACE_NOT_FOUND     `peer` names an interface that does not exist
 *   DCF_TB_ERR_MESSAGE_TOO_LARGE
 *   DCF_TB_ERR_OUT_OF_RANGE            `len` is more than any buffer has
 *   DCF_TB_ERR_LINK_DOWN
 *   DCF_TB_ERR_HOST_UNREACHABLE        no route of this host leads there
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
 * It stops at the first one that fails; what came before it was sent. ICMP errors fail none of them,
 * as with `dcf_tb_send`.
 *
 * - `transport`: the handle.
 * - `datagrams`, `count`: the messages. `(NULL, 0)` is none.
 * - `sent`: gets how many were sent, on errors too.
 *
 * Ownership: the array and what it points to are used during the call only.
 * Blocks: while the socket's buffer or the interface's own queue is full, for a second at most each
 * time that it is.
 * In callbacks: allowed.
 * Returns:
 *   DCF_TB_OK                          all were sent
 *   DCF_TB_CANCELLED                   the transport was closed meanwhile
 *   DCF_TB_ERR_INVALID_HANDLE
 *   DCF_TB_ERR_NULL_POINTER            `sent`, the array, or a member of it is NULL
 *   DCF_TB_ERR_INVALID_ADDRESS         the text quotes it
 *   DCF_TB_ERR_INTERFACE_NOT_FOUND     a peer names an interface that does not exist
 *   DCF_TB_ERR_MESSAGE_TOO_LARGE
 *   DCF_TB_ERR_OUT_OF_RANGE            a size is more than any buffer has
 *   DCF_TB_ERR_LINK_DOWN
 *   DCF_TB_ERR_HOST_UNREACHABLE        no route of this host leads there
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
 * Takes the oldest control message out of the queue; waits for one if there is none. Messages are
 * queued while no message callback is set.
 *
 * - `transport`: the handle.
 * - `buf`, `cap`: where to, and its size in bytes. `DCF_TB_MAX_MESSAGE_SIZE` always suffice.
 * - `len`: gets the message's length; also if a buffer was too small, and then the message is kept.
 * - `sender`, `sender_cap`: get from whom, NUL-terminated, ready to be a peer; `DCF_TB_PEER_SIZE`
 *   bytes always suffice. `(NULL, 0)` if it is not wanted.
 * - `timeout_ms`: milliseconds; 0 = do not wait, `DCF_TB_WAIT_FOREVER` = no limit.
 *
 * Ownership: the message and the sender are the caller's copies.
 * Blocks: up to `timeout_ms`, also while the link is down: what comes when it is back is received.
 * From inside the message callback it would wait in vain.
 * In callbacks: allowed.
 * Returns:
 *   DCF_TB_OK
 *   DCF_TB_WOULD_BLOCK            nothing there, and `timeout_ms` is 0
 *   DCF_TB_CANCELLED              the transport was closed meanwhile
 *   DCF_TB_ERR_INVALID_HANDLE
 *   DCF_TB_ERR_NULL_POINTER       `len` is NULL, or a buffer is whose size is not 0
 *   DCF_TB_ERR_BUFFER_TOO_SMALL   `cap` is less than `*len`, or else `sender_cap` is too small
 *   DCF_TB_ERR_OUT_OF_RANGE       a size is more than any buffer has
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
 * Takes several control messages out of the queue in one call, oldest first; waits for one if there is
 * none, and not for more. Messages are queued while no message callback is set.
 *
 * - `transport`: the handle.
 * - `buf`, `cap`: where to, one message after the other, and its size in bytes.
 *   `DCF_TB_MAX_MESSAGE_SIZE` always suffice for one.
 * - `messages`, `most`: get where each message is and from whom, and how many there may be.
 * - `count`: gets how many were received; 0 on errors.
 * - `timeout_ms`: milliseconds; 0 = do not wait, `DCF_TB_WAIT_FOREVER` = no limit.
 *
 * A message that does not fit behind the others stays in the queue for the next call. If it is the
 * first, the call fails, and `messages[0].len` is its size.
 *
 * Ownership: the messages are the caller's copies. `data` points into `buf`.
 * Blocks: up to `timeout_ms`, also while the link is down.
 * In callbacks: allowed; from inside the message callback it would wait in vain.
 * Returns:
 *   DCF_TB_OK
 *   DCF_TB_WOULD_BLOCK            nothing there, and `timeout_ms` is 0
 *   DCF_TB_CANCELLED              the transport was closed meanwhile
 *   DCF_TB_ERR_INVALID_HANDLE
 *   DCF_TB_ERR_NULL_POINTER       `messages` or `count` is NULL, or `buf` is and `cap` is not 0
 *   DCF_TB_ERR_BUFFER_TOO_SMALL   `cap` is less than `messages[0].len`; the message is kept
 *   DCF_TB_ERR_OUT_OF_RANGE       `most` is 0, or a size is more than any buffer has
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
 * A descriptor for poll, select or epoll: readable as long as `dcf_tb_recv` or `dcf_tb_accept`
 * would not wait.
 *
 * - `transport`: the handle.
 * - `fd`: gets the descriptor, the same at each call.
 *
 * Ownership: it stays the library's, which closes it with the transport. Never read or close it.
 * Blocks: never.
 * In callbacks: allowed.
 * Returns:
 *   DCF_TB_OK
 *   DCF_TB_CANCELLED             the transport was closed meanwhile
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
 * - `peer`: to whom; the strings are described at the top of this header.
 * - `timeout_ms`: milliseconds; 0 = the configured `connect_timeout_ms`, `DCF_TB_WAIT_FOREVER` = as
 *   long as the kernel tries.
 * - `stream`: gets the handle.
 *
 * Ownership: the handle is the caller's, who ends it with `dcf_tb_stream_close` or
 * `dcf_tb_stream_detach`. `peer` is used during the call only.
 * Blocks: up to `timeout_ms`.
 * In callbacks: allowed.
 * Returns:
 *   DCF_TB_OK
 *   DCF_TB_CANCELLED                    the transport was closed meanwhile
 *   DCF_TB_ERR_INVALID_HANDLE
 *   DCF_TB_ERR_NULL_POINTER             `peer` or `stream` is NULL
 *   DCF_TB_ERR_INVALID_ADDRESS          the text quotes it
 *   DCF_TB_ERR_INTERFACE_NOT_FOUND      `peer` names an interface that does not exist
 *   DCF_TB_ERR_TIMEOUT
 *   DCF_TB_ERR_CONNECTION_REFUSED       nothing listens there
 *   DCF_TB_ERR_CONNECTION_RESET         for example, it has too many streams
 *   DCF_TB_ERR_CONNECTION_ABORTED       the kernel gave the peer up
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
 * Takes the oldest data stream that a peer opened; waits for one if there is none. Streams wait
 * here while no stream callback is set.
 *
 * - `transport`: the handle.
 * - `timeout_ms`: milliseconds; 0 = do not wait, `DCF_TB_WAIT_FOREVER` = no limit.
 * - `stream`: gets the handle.
 *
 * Ownership: the handle is the caller's, who ends it with `dcf_tb_stream_close` or
 * `dcf_tb_stream_detach`.
 * Blocks: up to `timeout_ms`, also while the link is down.
 * In callbacks: allowed.
 * Returns:
 *   DCF_TB_OK
 *   DCF_TB_WOULD_BLOCK           nothing there, and `timeout_ms` is 0
 *   DCF_TB_CANCELLED             the transport was closed meanwhile
 *   DCF_TB_ERR_INVALID_HANDLE
 *   DCF_TB_ERR_NULL_POINTER      `stream` is NULL
 *   DCF_TB_ERR_TIMEOUT
 *   DCF_TB_ERR_TOO_MANY_FILES
 *   DCF_TB_ERR_OUT_OF_MEMORY
 *   DCF_TB_ERR_IO                see `dcf_tb_last_errno`
 */
dcf_tb_status dcf_tb_accept(dcf_tb_transport transport, uint32_t timeout_ms, dcf_tb_stream *stream);

/**
 * Ends our direction: the peer reads what was written and then DCF_TB_EOF; we may still read.
 *
 * - `stream`: the handle.
 *
 * Ownership: nothing changes hands; the stream is still to be closed.
 * Blocks: never.
 * In callbacks: allowed.
 * Returns:
 *   DCF_TB_OK
 *   DCF_TB_CANCELLED                 the stream or the transport was closed meanwhile
 *   DCF_TB_ERR_INVALID_HANDLE
 *   DCF_TB_ERR_BROKEN_PIPE           the connection is gone already
 *   DCF_TB_ERR_CONNECTION_RESET      by the peer
 *   DCF_TB_ERR_CONNECTION_FAILED
 *   DCF_TB_ERR_IO                    see `dcf_tb_last_errno`
 */
dcf_tb_status dcf_tb_stream_finish(dcf_tb_stream stream);

/**
 * Closes a stream. Threads that wait on it wake with DCF_TB_CANCELLED.
 *
 * - `stream`: the handle.
 *
 * Ownership: the handle is gone.
 * Blocks: never; the kernel delivers what was written.
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
 * - `buf`, `cap`: where to, and its size in bytes. `DCF_TB_PEER_SIZE` always suffice.
 * - `len`: gets the length without the NUL; or, if the buffer is too small, the size needed.
 *
 * Ownership: the text is the caller's copy.
 * Blocks: never.
 * In callbacks: allowed.
 * Returns:
 *   DCF_TB_OK
 *   DCF_TB_ERR_INVALID_HANDLE
 *   DCF_TB_ERR_NULL_POINTER       `len` is NULL, or `buf` is and `cap` is not 0
 *   DCF_TB_ERR_OUT_OF_RANGE       `cap` is more than any buffer has
 *   DCF_TB_ERR_BUFFER_TOO_SMALL   `buf` is untouched
 */
dcf_tb_status dcf_tb_stream_peer(dcf_tb_stream stream, char *buf, size_t cap, size_t *len);

/**
 * Keeps a pointer of the program's own beside a stream, in place of the one before. The library copies
 * it and does nothing else with it.
 *
 * A thread that then gets the pointer by `dcf_tb_stream_user_data` sees what this thread had written
 * to what it leads to. A thread that got the one before may still use that.
 *
 * - `stream`: the handle.
 * - `user_data`: any pointer; NULL takes it away.
 *
 * Ownership: what it leads to stays the caller's, who frees it when no thread uses it any more. The
 * close of the stream or of its transport frees nothing, and tells nobody.
 * Blocks: never.
 * In callbacks: allowed.
 * Returns:
 *   DCF_TB_OK
 *   DCF_TB_ERR_INVALID_HANDLE
 */
dcf_tb_status dcf_tb_stream_set_user_data(dcf_tb_stream stream,
                                          void *user_data);

/**
 * The pointer that the program keeps beside a stream: the last one that was set. NULL on a new stream,
 * also on one that a callback gets.
 *
 * - `stream`: the handle.
 * - `user_data`: gets the pointer.
 *
 * Ownership: what it leads to is the caller's.
 * Blocks: never.
 * In callbacks: allowed.
 * Returns:
 *   DCF_TB_OK
 *   DCF_TB_ERR_INVALID_HANDLE   also when the stream was closed or detached: get it before
 *   DCF_TB_ERR_NULL_POINTER     `user_data` is NULL
 */
dcf_tb_status dcf_tb_stream_user_data(dcf_tb_stream stream,
                                      void **user_data);

/**
 * The stream's descriptor, for poll, select or epoll.
 *
 * - `stream`: the handle.
 * - `fd`: gets the descriptor.
 *
 * Ownership: it stays the library's, which closes it with the stream. Never close it.
 * Blocks: never.
 * In callbacks: allowed.
 * Returns:
 *   DCF_TB_OK
 *   DCF_TB_ERR_INVALID_HANDLE
 *   DCF_TB_ERR_NULL_POINTER     `fd` is NULL
 */
dcf_tb_status dcf_tb_stream_fd(dcf_tb_stream stream, int32_t *fd);

/**
 * Takes the stream's descriptor out of the library. It is in blocking mode, and the stream no
 * longer ends with the transport.
 *
 * - `stream`: the handle.
 * - `fd`: gets the descriptor.
 *
 * Ownership: the descriptor is the caller's, who closes it. The handle is gone; threads that wait on
 * it wake with DCF_TB_CANCELLED. If the call fails, nothing has changed.
 * Blocks: until the stream's calls on other threads have returned, so that none takes a byte of the
 * caller's. They wake at once; only one that is inside a read or write of a file's disk goes on as long
 * as that takes. Not on the network.
 * In callbacks: allowed.
 * Returns:
 *   DCF_TB_OK
 *   DCF_TB_CANCELLED            the stream or the transport was closed meanwhile
 *   DCF_TB_ERR_INVALID_HANDLE
 *   DCF_TB_ERR_NULL_POINTER     `fd` is NULL
 *   DCF_TB_ERR_INVALID_MESSAGE  bytes wait that `dcf_tb_stream_receive_file` could not write: read
 *                               them first
 *   DCF_TB_ERR_TOO_MANY_FILES
 *   DCF_TB_ERR_IO               see `dcf_tb_last_errno`
 */
dcf_tb_status dcf_tb_stream_detach(dcf_tb_stream stream,
                                   int32_t *fd);

/**
 * Writes all of `data`, or says how much.
 *
 * One thread may read while another writes. Concurrent writes may mix their bytes.
 *
 * - `stream`: the handle.
 * - `data`, `len`: what to write. `(NULL, 0)` is nothing.
 * - `timeout_ms`: milliseconds for all of it; 0 = only what the kernel takes at once,
 *   `DCF_TB_WAIT_FOREVER` = no limit.
 * - `written`: gets the number of bytes written, on errors too.
 *
 * Ownership: `data` is used during the call only.
 * Blocks: up to `timeout_ms`, while the peer does not read.
 * In callbacks: allowed.
 * Returns:
 *   DCF_TB_OK                         all were written
 *   DCF_TB_WOULD_BLOCK                not all, and `timeout_ms` is 0
 *   DCF_TB_CANCELLED                  the stream or the transport was closed meanwhile
 *   DCF_TB_ERR_INVALID_HANDLE
 *   DCF_TB_ERR_NULL_POINTER           `written` is NULL, or `data` is and `len` is not 0
 *   DCF_TB_ERR_OUT_OF_RANGE           `len` is more than any buffer has
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
 * Writes all pieces as if they were one, in as few system calls as possible, or says how much: a
 * header and its payload need no copy.
 *
 * One thread may read while another writes. Concurrent writes may mix their bytes.
 *
 * - `stream`: the handle.
 * - `slices`, `count`: the pieces. `(NULL, 0)` is nothing, and pieces may be empty.
 * - `timeout_ms`: milliseconds for all of it; 0 = only what the kernel takes at once,
 *   `DCF_TB_WAIT_FOREVER` = no limit.
 * - `written`: gets the number of bytes written, of all pieces together, on errors too.
 *
 * Ownership: the array and what it points to are used during the call only.
 * Blocks: up to `timeout_ms`, while the peer does not read.
 * In callbacks: allowed.
 * Returns:
 *   DCF_TB_OK                         all were written
 *   DCF_TB_WOULD_BLOCK                not all, and `timeout_ms` is 0
 *   DCF_TB_CANCELLED                  the stream or the transport was closed meanwhile
 *   DCF_TB_ERR_INVALID_HANDLE
 *   DCF_TB_ERR_NULL_POINTER           `written`, the array, or a piece of it is NULL; nothing was written
 *   DCF_TB_ERR_OUT_OF_RANGE           a size is more than any buffer has; nothing was written
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
 * Reads what is there, at least one byte; waits for it if there is none.
 *
 * One thread may write while another reads.
 *
 * - `stream`: the handle.
 * - `buf`, `cap`: where to, and its size in bytes. With a `cap` of 0 nothing is read and that is
 *   DCF_TB_OK.
 * - `timeout_ms`: milliseconds; 0 = do not wait, `DCF_TB_WAIT_FOREVER` = no limit.
 * - `read`: gets the number of bytes read; 0 on errors and at the end.
 *
 * Ownership: the bytes are the caller's copy.
 * Blocks: up to `timeout_ms`.
 * In callbacks: allowed.
 * Returns:
 *   DCF_TB_OK
 *   DCF_TB_WOULD_BLOCK                nothing there, and `timeout_ms` is 0
 *   DCF_TB_CANCELLED                  the stream or the transport was closed meanwhile
 *   DCF_TB_EOF                        the peer ended the stream
 *   DCF_TB_ERR_INVALID_HANDLE
 *   DCF_TB_ERR_NULL_POINTER           `read` is NULL, or `buf` is and `cap` is not 0
 *   DCF_TB_ERR_OUT_OF_RANGE           `cap` is more than any buffer has
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
 * Reads exactly `len` bytes, or says how many came before the end of the stream or a failure.
 *
 * One thread may write while another reads. Several threads that read at once may each get a part of
 * what the others wait for.
 *
 * - `stream`: the handle.
 * - `buf`, `len`: where to, and how many bytes. `(NULL, 0)` is nothing.
 * - `timeout_ms`: milliseconds for all of it; 0 = only what is there, `DCF_TB_WAIT_FOREVER` = no limit.
 * - `read`: gets the number of bytes read, on errors too. They are in `buf`, in order.
 *
 * Ownership: the bytes are the caller's copy.
 * Blocks: up to `timeout_ms`.
 * In callbacks: allowed.
 * Returns:
 *   DCF_TB_OK                         all were read
 *   DCF_TB_WOULD_BLOCK                not all, and `timeout_ms` is 0
 *   DCF_TB_CANCELLED                  the stream or the transport was closed meanwhile
 *   DCF_TB_EOF                        the peer ended the stream before all came
 *   DCF_TB_ERR_INVALID_HANDLE
 *   DCF_TB_ERR_NULL_POINTER           `read` is NULL, or `buf` is and `len` is not 0
 *   DCF_TB_ERR_OUT_OF_RANGE           `len` is more than any buffer has
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
 * Sends `count` bytes of a file, in the kernel where it can.
 *
 * - `stream`: the handle.
 * - `fd`: a descriptor open for reading. Of a regular file its position is neither used nor
 *   changed. Of what has no position (a pipe, a socket) the bytes come as they are read, and
 *   `offset` must be 0.
 * - `offset`: where in the file to begin, in bytes.
 * - `count`: how many bytes.
 * - `timeout_ms`: milliseconds for all of it; 0 = do not wait, `DCF_TB_WAIT_FOREVER` = no limit.
 * - `sent`: gets the number of bytes sent, on errors too.
 *
 * Ownership: `fd` stays the caller's, and must stay open during the call.
 * Blocks: up to `timeout_ms`, while the peer does not read; and on reading the file.
 * In callbacks: allowed.
 * Returns:
 *   DCF_TB_OK                         all were sent
 *   DCF_TB_WOULD_BLOCK                not all, and `timeout_ms` is 0
 *   DCF_TB_CANCELLED                  the stream or the transport was closed meanwhile
 *   DCF_TB_EOF                        the file ended first
 *   DCF_TB_ERR_INVALID_HANDLE
 *   DCF_TB_ERR_NULL_POINTER           `sent` is NULL
 *   DCF_TB_ERR_OUT_OF_RANGE           `fd` is negative, or `offset` is beyond what a file can have
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
 * Receives `count` bytes into a file, in the kernel where it can.
 *
 * - `stream`: the handle.
 * - `fd`: a descriptor open for writing. Of a regular file its position is neither used nor
 *   changed. Of what has no position (a pipe, a socket) the bytes are written as they come, and
 *   `offset` must be 0.
 * - `offset`: where in the file to begin, in bytes.
 * - `count`: how many bytes.
 * - `timeout_ms`: milliseconds for all of it; 0 = do not wait, `DCF_TB_WAIT_FOREVER` = no limit.
 * - `received`: gets the number of bytes that are in the file, on errors too.
 *
 * Ownership: `fd` stays the caller's, and must stay open during the call.
 * Blocks: up to `timeout_ms`, while the peer does not write; and on writing the file.
 * In callbacks: allowed.
 * Returns:
 *   DCF_TB_OK                         all were received
 *   DCF_TB_WOULD_BLOCK                not all, and `timeout_ms` is 0
 *   DCF_TB_CANCELLED                  the stream or the transport was closed meanwhile
 *   DCF_TB_EOF                        the peer ended the stream first
 *   DCF_TB_ERR_INVALID_HANDLE
 *   DCF_TB_ERR_NULL_POINTER           `received` is NULL
 *   DCF_TB_ERR_OUT_OF_RANGE           `fd` is negative, or `offset` is beyond what a file can have
 *   DCF_TB_ERR_TIMEOUT
 *   DCF_TB_ERR_BROKEN_PIPE            `fd` is a pipe or socket that nobody reads
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
 * Measures one round trip to a peer. This tells whether a program with a transport runs there:
 * `DCF_TB_OK`: it does. `DCF_TB_ERR_CONNECTION_REFUSED`, at once: the host is there, but nothing listens on
 * that port. `DCF_TB_ERR_HOST_UNREACHABLE`: no host has the address. The kernel takes about three
 * seconds to find that out; a call with a shorter timeout gives `DCF_TB_ERR_TIMEOUT`, and later ones say
 * it. `DCF_TB_ERR_TIMEOUT`: neither an answer nor an error came back; a firewall may drop them.
 *
 * The errors are ICMP errors of the peer's kernel and of ours. One counts only if it quotes the ping. The
 * peer's kernel sends about one a second when many are asked for: a call that gets neither answer nor error
 * gives the error of an earlier one, if that came within the last four seconds and no answer came since.
 * They are counted in `pings_undelivered`.
 *
 * - `transport`: the handle.
 * - `peer`: whom to ask; the strings are described at the top of this header.
 * - `timeout_ms`: milliseconds; 0 = do not wait, `DCF_TB_WAIT_FOREVER` = no limit.
 * - `rtt_ns`: gets the time in nanoseconds.
 *
 * Ownership: `peer` is used during the call only.
 * Blocks: up to `timeout_ms`.
 * In callbacks: allowed.
 * Returns:
 *   DCF_TB_OK
 *   DCF_TB_WOULD_BLOCK                 no answer yet, and `timeout_ms` is 0
 *   DCF_TB_CANCELLED                   the transport was closed meanwhile
 *   DCF_TB_ERR_INVALID_HANDLE
 *   DCF_TB_ERR_NULL_POINTER            `peer` or `rtt_ns` is NULL
 *   DCF_TB_ERR_INVALID_ADDRESS         the text quotes it
 *   DCF_TB_ERR_INTERFACE_NOT_FOUND     `peer` names an interface that does not exist
 *   DCF_TB_ERR_TIMEOUT                 no answer
 *   DCF_TB_ERR_LINK_DOWN
 *   DCF_TB_ERR_HOST_UNREACHABLE        no route leads there, or no host has the address
 *   DCF_TB_ERR_CONNECTION_REFUSED      the host is there, but nothing listens on that port
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
 * A ping that an ICMP error came back for (see `dcf_tb_measure_rtt`) ends the series, if none was answered
 * before it; else it counts as lost.
 *
 * - `transport`: the handle.
 * - `peer`: whom to ask; the strings are described at the top of this header.
 * - `count`: how many pings, at least 1.
 * - `interval_us`: microseconds from one ping to the next; 0 = at once after the answer.
 * - `timeout_ms`: milliseconds to wait for each answer; `DCF_TB_WAIT_FOREVER` = no limit.
 * - `summary`: gets the figures. The caller sets `struct_size`, which stays. It is written if
 *   there was no answer at all, too, whatever the reason.
 *
 * Ownership: `peer` is used during the call only.
 * Blocks: for the whole series.
 * In callbacks: allowed.
 * Returns:
 *   DCF_TB_OK                          at least one answer came
 *   DCF_TB_WOULD_BLOCK                 no answer yet, and `timeout_ms` is 0
 *   DCF_TB_CANCELLED                   the transport was closed meanwhile
 *   DCF_TB_ERR_INVALID_HANDLE
 *   DCF_TB_ERR_NULL_POINTER            `peer` or `summary` is NULL
 *   DCF_TB_ERR_OUT_OF_RANGE            `count` is 0, or `struct_size` less than 4
 *   DCF_TB_ERR_INVALID_ADDRESS         the text quotes it
 *   DCF_TB_ERR_INTERFACE_NOT_FOUND     `peer` names an interface that does not exist
 *   DCF_TB_ERR_TIMEOUT                 no answer at all
 *   DCF_TB_ERR_LINK_DOWN
 *   DCF_TB_ERR_HOST_UNREACHABLE        no route leads there, or no host has the address
 *   DCF_TB_ERR_CONNECTION_REFUSED      the host is there, but nothing listens on that port
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
 * Finds the other transports on the link, by a ping to all of them. We are not among them. An
 * interface without multicast (lo) has no peers.
 *
 * The first `DCF_TB_MAX_DISCOVERED` that answer are found. Answers of others are counted in
 * `discovery_dropped` and logged: somebody on the link makes up addresses.
 *
 * - `transport`: the handle.
 * - `timeout_ms`: milliseconds to collect answers; the call always takes that long.
 * - `peers`, `cap`: where to, and how many fit. `(NULL, 0)` only counts.
 * - `count`: gets how many there are, also if they do not all fit; then `cap` of them are written.
 *
 * Ownership: the peers are the caller's copies.
 * Blocks: for `timeout_ms`.
 * In callbacks: allowed.
 * Returns:
 *   DCF_TB_OK                        also if there is no peer
 *   DCF_TB_WOULD_BLOCK               `timeout_ms` is 0
 *   DCF_TB_CANCELLED                 the transport was closed meanwhile
 *   DCF_TB_ERR_INVALID_HANDLE
 *   DCF_TB_ERR_NULL_POINTER          `count` is NULL, or `peers` is and `cap` is not 0
 *   DCF_TB_ERR_OUT_OF_RANGE          `cap` is more than any buffer has, or `control_port` is 0: no other
 *                                    host has the one that the kernel chose
 *   DCF_TB_ERR_BUFFER_TOO_SMALL      more than `cap`
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
 * As `dcf_tb_discover`, but returns as soon as `cap` peers have answered, and finds no more than that.
 * On a cable there is one peer: with a `cap` of 1 the call takes one round trip.
 *
 * - `transport`: the handle.
 * - `timeout_ms`: milliseconds to wait at most; `DCF_TB_WAIT_FOREVER` = no limit.
 * - `peers`, `cap`: where to, and how many to find, at least one.
 * - `count`: gets how many were found: less than `cap`, or none, when the time was up.
 *
 * Ownership: the peers are the caller's copies.
 * Blocks: up to `timeout_ms`.
 * In callbacks: allowed.
 * Returns:
 *   DCF_TB_OK                        also if there is no peer
 *   DCF_TB_WOULD_BLOCK               `timeout_ms` is 0
 *   DCF_TB_CANCELLED                 the transport was closed meanwhile
 *   DCF_TB_ERR_INVALID_HANDLE
 *   DCF_TB_ERR_NULL_POINTER          `count` or `peers` is NULL
 *   DCF_TB_ERR_OUT_OF_RANGE          `cap` is 0, or more than any buffer has, or `control_port` is 0: no
 *                                    other host has the one that the kernel chose
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
 * How long ago anything came from a peer: a message, a ping, a pong, a stream, or bytes of one. Its port
 * does not matter.
 *
 * A transport remembers this with `remember_peers`, or while it has a peer callback. It remembers 4,096
 * peers that were asked for here, and as many others: made-up sources make no peer forgotten that was
 * asked for.
 *
 * - `transport`: the handle.
 * - `peer`: whom; the strings are described at the top of this header.
 * - `ns_ago`: gets the time in nanoseconds.
 *
 * Ownership: `peer` is used during the call only.
 * Blocks: never.
 * In callbacks: allowed.
 * Returns:
 *   DCF_TB_OK
 *   DCF_TB_WOULD_BLOCK                 nothing came from it yet, or since `dcf_tb_forget`, or the
 *                                      transport does not remember
 *   DCF_TB_ERR_INVALID_HANDLE
 *   DCF_TB_ERR_NULL_POINTER            `peer` or `ns_ago` is NULL
 *   DCF_TB_ERR_OUT_OF_RANGE            `peer` and `ns_ago` overlap
 *   DCF_TB_ERR_INVALID_ADDRESS         the text quotes it
 *   DCF_TB_ERR_INTERFACE_NOT_FOUND     `peer` names an interface that does not exist
 */
dcf_tb_status dcf_tb_last_heard(dcf_tb_transport transport,
                                const char *peer,
                                uint64_t *ns_ago);

/**
 * Forgets when a peer was last heard from. The peer callback is not told that it is gone; it is told that
 * it appears when it is heard from again.
 *
 * - `transport`: the handle.
 * - `peer`: whom; the strings are described at the top of this header.
 *
 * Ownership: `peer` is used during the call only.
 * Blocks: never.
 * In callbacks: allowed.
 * Returns:
 *   DCF_TB_OK                          also if it was never heard from
 *   DCF_TB_ERR_INVALID_HANDLE
 *   DCF_TB_ERR_NULL_POINTER            `peer` is NULL
 *   DCF_TB_ERR_INVALID_ADDRESS         the text quotes it
 *   DCF_TB_ERR_INTERFACE_NOT_FOUND     `peer` names an interface that does not exist
 */
dcf_tb_status dcf_tb_forget(dcf_tb_transport transport,
                            const char *peer);

/**
 * Reads the statistics.
 *
 * - `transport`: the handle.
 * - `stats`: gets them. The caller sets `struct_size` to `sizeof(dcf_tb_stats)`, and it stays.
 *
 * Ownership: the figures are the caller's copy.
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
 * Sets the counts to 0 and the uptime's begin to now. What describes the present (`link_up`,
 * `streams_open`, the buffers) stays.
 *
 * - `transport`: the handle.
 *
 * Ownership: nothing changes hands.
 * Blocks: never.
 * In callbacks: allowed.
 * Returns:
 *   DCF_TB_OK
 *   DCF_TB_ERR_INVALID_HANDLE
 */
dcf_tb_status dcf_tb_reset_stats(dcf_tb_transport transport);

/**
 * Reads the statistics of one stream. `dcf_tb_reset_stats` does not change them.
 *
 * They can be read as long as the handle is valid: also after `dcf_tb_stream_finish`, and when the
 * connection has broken or the peer has ended it. The counts then stay as they were, and so does what
 * the kernel told last; but it tells nothing of a connection that this side reset.
 *
 * - `stream`: the handle.
 * - `stats`: gets them. The caller sets `struct_size` to `sizeof(dcf_tb_stream_stats)`, and it stays.
 *
 * Ownership: the figures are the caller's copy.
 * Blocks: never.
 * In callbacks: allowed.
 * Returns:
 *   DCF_TB_OK
 *   DCF_TB_ERR_INVALID_HANDLE   also when the stream was closed or detached: read them before
 *   DCF_TB_ERR_NULL_POINTER     `stats` is NULL
 *   DCF_TB_ERR_OUT_OF_RANGE     `struct_size` is less than 4
 */
dcf_tb_status dcf_tb_stream_get_stats(dcf_tb_stream stream,
                                      struct dcf_tb_stream_stats *stats);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* DCF_TB_THUNDERBOLT_H */
