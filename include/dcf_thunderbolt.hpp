/*
 * dcf_thunderbolt.hpp: dcf_thunderbolt.h for C++17. It is optional, and everything is inline, so it has no ABI of its
 * own. The C header describes what a call does, how long it waits, and what it returns. This header only differs in
 * these points:
 *
 * Errors     A status that is neither success nor a result named below is thrown as dcf_tb::error, with the status, the
 *            text of dcf_tb_last_error, and the errno.
 * Ownership  The destructors of transport and stream close them. They can be moved, but not copied. Calls on a
 *            moved-from object throw DCF_TB_ERR_INVALID_HANDLE. A transport_ref refers to a transport with another
 *            owner, and can be copied.
 * Time       std::chrono::milliseconds; dcf_tb::forever = no limit. If the time is up (DCF_TB_WOULD_BLOCK,
 *            DCF_TB_ERR_TIMEOUT), recv, accept, measure_rtt and last_heard return an empty std::optional, and calls on
 *            streams throw.
 * Handlers   std::function. They get a transport_ref, so they need not wait for the handle. Exceptions of a handler
 *            go to handlers::on_exception, or are dropped if there is none.
 */
#ifndef DCF_TB_THUNDERBOLT_HPP
#define DCF_TB_THUNDERBOLT_HPP

#include <dcf_thunderbolt.h>

#if !defined(__cplusplus) || (__cplusplus < 201703L && (!defined(_MSVC_LANG) || _MSVC_LANG < 201703L))
#error "dcf_thunderbolt.hpp needs C++17; dcf_thunderbolt.h does not"
#endif

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace dcf_tb {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

/** The timeout that never expires. */
inline constexpr milliseconds forever = milliseconds::max();

/** A call that failed. what() returns the error text. */
class error : public std::runtime_error {
public:
    /** Made from this thread's last error. `done`: the number of bytes that were moved before it. */
    explicit error(dcf_tb_status status, std::uint64_t done = 0)
        : std::runtime_error(words(status)), status_(status), os_error_(dcf_tb_last_errno()), done_(done) {}

    /** One of DCF_TB_WOULD_BLOCK to DCF_TB_ERR_PANIC. */
    dcf_tb_status code() const noexcept { return status_; }
    /** The errno, or 0. */
    std::int32_t os_error() const noexcept { return os_error_; }
    /** For a write or a file: the number of bytes that were moved before the failure. */
    std::uint64_t done() const noexcept { return done_; }

private:
    static std::string words(dcf_tb_status status) {
        std::string text(dcf_tb_last_error(nullptr, 0) + 1, '\0');
        text.resize(std::min(dcf_tb_last_error(text.data(), text.size()), text.size() - 1));
        return std::string(dcf_tb_status_string(status)) + ": " + text;
    }

    dcf_tb_status status_;
    std::int32_t os_error_;
    std::uint64_t done_;
};

/** Throws dcf_tb::error unless `status` is DCF_TB_OK. */
inline void check(dcf_tb_status status, std::uint64_t done = 0) {
    if (status != DCF_TB_OK) throw error(status, done);
}

namespace detail {

/** A timeout for the C API. Negative times become 0, and times that are too long become no limit. */
inline std::uint32_t timeout(milliseconds time) {
    if (time.count() < 0) return 0;
    return time.count() < std::int64_t{DCF_TB_WAIT_FOREVER} ? static_cast<std::uint32_t>(time.count())
                                                             : DCF_TB_WAIT_FOREVER;
}

/** Returns false if the time was up (DCF_TB_WOULD_BLOCK, DCF_TB_ERR_TIMEOUT). */
inline bool came(dcf_tb_status status) {
    if (status == DCF_TB_WOULD_BLOCK || status == DCF_TB_ERR_TIMEOUT) return false;
    check(status);
    return true;
}

inline const std::uint8_t *bytes(const void *data) { return static_cast<const std::uint8_t *>(data); }

/** Reads a text of any length with a function that returns the length needed. */
template <typename Function, typename Handle>
std::string name(Function function, Handle handle) {
    char text[DCF_TB_PEER_SIZE]; // the names of interfaces are shorter
    std::size_t length = 0;
    check(function(handle, text, sizeof text, &length));
    return std::string(text, length);
}

} // namespace detail

/** A data stream. The destructor closes it. */
class stream {
public:
    stream() noexcept = default;
    /** Takes ownership of a handle of the C API. */
    explicit stream(dcf_tb_stream handle) noexcept : handle_(handle) {}
    stream(stream &&other) noexcept : handle_(other.release()) {}
    stream &operator=(stream &&other) noexcept {
        if (this != &other) reset(other.release());
        return *this;
    }
    ~stream() { reset(); }

    /** The handle for the C API, still owned by this object; 0 if there is none. */
    dcf_tb_stream get() const noexcept { return handle_; }
    /** Gives up the handle without closing it. */
    dcf_tb_stream release() noexcept { return std::exchange(handle_, 0); }
    /** Closes the stream, if there is one. */
    void reset(dcf_tb_stream handle = 0) noexcept {
        if (handle_ != 0) dcf_tb_stream_close(handle_);
        handle_ = handle;
    }
    /** Whether this object has a stream. */
    explicit operator bool() const noexcept { return handle_ != 0; }

    /** Writes all bytes. On failure, error::done() is the number of bytes written. */
    void write(const void *data, std::size_t size, milliseconds wait = forever) {
        std::size_t written = 0;
        auto status = dcf_tb_stream_write(handle_, detail::bytes(data), size, detail::timeout(wait), &written);
        check(status, written);
    }
    void write(std::string_view data, milliseconds wait = forever) { write(data.data(), data.size(), wait); }

    /** Reads the bytes that are there, at least one. Returns 0 at the end of the stream. */
    std::size_t read(void *data, std::size_t size, milliseconds wait = forever) {
        std::size_t got = 0;
        auto status = dcf_tb_stream_read(handle_, static_cast<std::uint8_t *>(data), size, detail::timeout(wait), &got);
        if (status == DCF_TB_EOF) return 0;
        check(status);
        return got;
    }
    /** Writes all slices, one after the other. On failure, error::done() is the number of bytes written. */
    void writev(const dcf_tb_slice *slices, std::size_t count, milliseconds wait = forever) {
        std::size_t written = 0;
        auto status = dcf_tb_stream_writev(handle_, slices, count, detail::timeout(wait), &written);
        check(status, written);
    }
    /** Reads exactly `size` bytes within `wait`. On failure, error::done() is the number of bytes read. If the
        stream ends before, the error is DCF_TB_EOF. */
    void read_exact(void *data, std::size_t size, milliseconds wait = forever) {
        std::size_t got = 0;
        auto status =
            dcf_tb_stream_read_exact(handle_, static_cast<std::uint8_t *>(data), size, detail::timeout(wait), &got);
        check(status, got);
    }
    /** Reads exactly `size` bytes, and waits up to `wait` for each piece. If the stream ends before, the error is
        DCF_TB_EOF. */
    void read_all(void *data, std::size_t size, milliseconds wait = forever) {
        for (std::size_t have = 0; have < size;) {
            auto got = read(static_cast<std::uint8_t *>(data) + have, size - have, wait);
            if (got == 0) throw error(DCF_TB_EOF, have);
            have += got;
        }
    }

    /** Sends part of a file. If the file ends before, the error is DCF_TB_EOF. */
    void send_file(int fd, std::uint64_t offset, std::uint64_t count, milliseconds wait = forever) {
        std::uint64_t sent = 0;
        auto status = dcf_tb_stream_send_file(handle_, fd, offset, count, detail::timeout(wait), &sent);
        check(status, sent);
    }
    /** Receives into a file. If the stream ends before, the error is DCF_TB_EOF. */
    void receive_file(int fd, std::uint64_t offset, std::uint64_t count, milliseconds wait = forever) {
        std::uint64_t received = 0;
        auto status = dcf_tb_stream_receive_file(handle_, fd, offset, count, detail::timeout(wait), &received);
        check(status, received);
    }

    /** Ends the sending direction. This side can still read. */
    void finish() { check(dcf_tb_stream_finish(handle_)); }
    /** The peer's address. */
    std::string peer() const { return detail::name(dcf_tb_stream_peer, handle_); }
    /** Stores a pointer with the handle. It stays there when the handle moves to another object, and is never
        freed. */
    void set_user_data(void *data) { check(dcf_tb_stream_set_user_data(handle_, data)); }
    /** The pointer that was last stored, or nullptr. */
    void *user_data() const {
        void *data = nullptr;
        check(dcf_tb_stream_user_data(handle_, &data));
        return data;
    }
    /** The same as a pointer to T. The stored pointer must have that type; it is not checked. */
    template <typename T> T *user_data_as() const { return static_cast<T *>(user_data()); }
    /** The statistics of the stream. */
    dcf_tb_stream_stats stats() const {
        dcf_tb_stream_stats stats{};
        stats.struct_size = sizeof stats;
        check(dcf_tb_stream_get_stats(handle_, &stats));
        return stats;
    }
    /** The descriptor for poll; the library still owns it. */
    int fd() const {
        std::int32_t fd = -1;
        check(dcf_tb_stream_fd(handle_, &fd));
        return fd;
    }
    /** Takes the descriptor out of the library. The caller owns it, and this object has no stream any more. */
    int detach() {
        std::int32_t fd = -1;
        check(dcf_tb_stream_detach(handle_, &fd));
        handle_ = 0;
        return fd;
    }

private:
    dcf_tb_stream handle_ = 0;
};

/** A control message and its sender, a peer string. */
struct message {
    std::vector<std::uint8_t> data{};
    std::string sender{};

    /** The bytes as text. */
    std::string_view text() const noexcept { return {reinterpret_cast<const char *>(data.data()), data.size()}; }
};

/** A dcf_tb_config with the defaults. Strings in it must live until the transport is constructed. The transport sets
    the callbacks and user_data itself: use handlers instead. */
struct config : dcf_tb_config {
    config() : dcf_tb_config() { check(dcf_tb_config_init(this, sizeof(dcf_tb_config))); }
};

/** A peer string as an argument. It only refers to the text, so it allocates no memory. */
class peer_string {
public:
    peer_string(const char *text) noexcept : text_(text) {}
    peer_string(const std::string &text) noexcept : text_(text.c_str()) {}
    peer_string(const dcf_tb_peer &found) noexcept : text_(found.address) {}

    const char *c_str() const noexcept { return text_; }

private:
    const char *text_;
};

/** A reference to a transport with another owner. If the transport was closed, calls throw. */
class transport_ref {
public:
    transport_ref() noexcept = default;
    explicit transport_ref(dcf_tb_transport handle) noexcept : handle_(handle) {}

    /** The handle for the C API; 0 if there is none. */
    dcf_tb_transport get() const noexcept { return handle_; }
    /** Whether this object has a transport. */
    explicit operator bool() const noexcept { return handle_ != 0; }

    /** True until the close begins. */
    bool is_running() const {
        std::uint8_t running = 0;
        check(dcf_tb_is_running(handle_, &running));
        return running != 0;
    }
    /** The name of the interface. */
    std::string interface_name() const { return detail::name(dcf_tb_interface, handle_); }
    /** The ports that the transport uses. */
    std::uint16_t control_port() const { return ports().first; }
    std::uint16_t data_port() const { return ports().second; }
    /** Waits until the link is up, or down. Returns false if the time was up before. */
    bool wait_link(bool up, milliseconds wait = forever) const {
        return detail::came(dcf_tb_wait_link(handle_, up ? 1 : 0, detail::timeout(wait)));
    }

    /** Changes a setting, one of DCF_TB_OPTION_*, for everything that begins later. */
    void set_option(std::int32_t option, std::uint64_t value) const {
        check(dcf_tb_set_option(handle_, option, value));
    }
    /** The present value of a setting. */
    std::uint64_t option(std::int32_t option) const {
        std::uint64_t value = 0;
        check(dcf_tb_get_option(handle_, option, &value));
        return value;
    }

    /** Sends one datagram: all of it, or none and an error. */
    void send(peer_string peer, const void *data, std::size_t size) const {
        check(dcf_tb_send(handle_, peer.c_str(), detail::bytes(data), size));
    }
    void send(peer_string peer, std::string_view data) const { send(peer, data.data(), data.size()); }
    /** Returns how many were sent. Throws only if none was. */
    std::size_t send_batch(const dcf_tb_datagram *datagrams, std::size_t count) const {
        std::size_t sent = 0;
        auto status = dcf_tb_send_batch(handle_, datagrams, count, &sent);
        if (sent == 0) check(status);
        return sent;
    }
    /** The oldest message; empty if none came in time. Messages are queued while there is no on_message. */
    std::optional<message> recv(milliseconds wait = forever) const {
        message received;
        received.data.resize(2048);
        char sender[DCF_TB_PEER_SIZE];
        std::size_t size = 0;
        auto take = [&] {
            return dcf_tb_recv(handle_, received.data.data(), received.data.size(), &size, sender, sizeof sender,
                               detail::timeout(wait));
        };
        auto status = take();
        while (status == DCF_TB_ERR_BUFFER_TOO_SMALL) { // another thread may have taken the first one
            received.data.resize(size);
            status = take();
        }
        if (!detail::came(status)) return std::nullopt;
        received.data.resize(size);
        received.sender = sender;
        return received;
    }
    /** Takes up to `most` messages into `buf`, one after the other. Returns how many; 0 if none came in time. If the
        first message does not fit, the error is DCF_TB_ERR_BUFFER_TOO_SMALL. Messages are queued while there is no
        on_message. */
    std::size_t recv_batch(void *buf, std::size_t size, dcf_tb_received *messages, std::size_t most,
                           milliseconds wait = forever) const {
        std::size_t count = 0;
        auto status = dcf_tb_recv_batch(handle_, static_cast<std::uint8_t *>(buf), size, messages, most, &count,
                                        detail::timeout(wait));
        return detail::came(status) ? count : 0;
    }
    /** A descriptor that is readable exactly while recv or accept would not wait. Do not read or close it. */
    int event_fd() const {
        std::int32_t fd = -1;
        check(dcf_tb_event_fd(handle_, &fd));
        return fd;
    }

    /** Opens a stream. A wait of 0 is the configured connect_timeout_ms. */
    stream open_stream(peer_string peer, milliseconds wait = milliseconds(0)) const {
        dcf_tb_stream opened = 0;
        check(dcf_tb_open_stream(handle_, peer.c_str(), detail::timeout(wait), &opened));
        return stream(opened);
    }
    /** The oldest stream that a peer opened; empty if none came in time. Streams are queued while there is no
        on_stream. */
    std::optional<stream> accept(milliseconds wait = forever) const {
        dcf_tb_stream accepted = 0;
        if (!detail::came(dcf_tb_accept(handle_, detail::timeout(wait), &accepted))) return std::nullopt;
        return stream(accepted);
    }

    /** Measures one round trip; empty if no answer came in time. Throws if no program listens there, or no host has
        the address. */
    std::optional<nanoseconds> measure_rtt(peer_string peer, milliseconds wait) const {
        std::uint64_t rtt = 0;
        if (!detail::came(dcf_tb_measure_rtt(handle_, peer.c_str(), detail::timeout(wait), &rtt))) return std::nullopt;
        return nanoseconds(rtt);
    }
    /** How long ago anything last came from a peer; empty if nothing came yet, or the transport does not remember. */
    std::optional<nanoseconds> last_heard(peer_string peer) const {
        std::uint64_t ago = 0;
        if (!detail::came(dcf_tb_last_heard(handle_, peer.c_str(), &ago))) return std::nullopt;
        return nanoseconds(ago);
    }
    /** Forgets when the peer was last heard from. on_peer reports it when it appears again. */
    void forget(peer_string peer) const { check(dcf_tb_forget(handle_, peer.c_str())); }
    /** Measures a series of round trips. If no answer comes, the error is DCF_TB_ERR_TIMEOUT, or the reason why the
        pings did not reach the peer. */
    dcf_tb_rtt ping(peer_string peer, std::uint32_t count, std::chrono::microseconds interval,
                    milliseconds wait) const {
        dcf_tb_rtt summary{};
        summary.struct_size = sizeof summary;
        auto gap = std::min<std::int64_t>(std::max<std::int64_t>(interval.count(), 0),
                                          std::numeric_limits<std::uint32_t>::max());
        check(dcf_tb_ping(handle_, peer.c_str(), count, static_cast<std::uint32_t>(gap), detail::timeout(wait),
                          &summary));
        return summary;
    }
    /** All peers that answer within this time. */
    std::vector<dcf_tb_peer> discover(milliseconds wait) const {
        std::vector<dcf_tb_peer> peers(DCF_TB_MAX_DISCOVERED);
        std::size_t count = 0;
        auto ask = [&] { return dcf_tb_discover(handle_, detail::timeout(wait), peers.data(), peers.size(), &count); };
        auto status = ask();
        while (status == DCF_TB_ERR_BUFFER_TOO_SMALL) {
            peers.resize(count + 16);
            status = ask();
        }
        check(status);
        peers.resize(count);
        return peers;
    }

    /** The first `most` peers that answer; fewer if the time is up. A cable has one peer. */
    std::vector<dcf_tb_peer> discover_first(std::size_t most, milliseconds wait) const {
        std::vector<dcf_tb_peer> peers(most);
        std::size_t count = 0;
        check(dcf_tb_discover_first(handle_, detail::timeout(wait), peers.data(), peers.size(), &count));
        peers.resize(count);
        return peers;
    }

    /** The statistics of the transport. */
    dcf_tb_stats stats() const {
        dcf_tb_stats stats{};
        stats.struct_size = sizeof stats;
        check(dcf_tb_get_stats(handle_, &stats));
        return stats;
    }
    /** Sets the counters to 0. */
    void reset_stats() const { check(dcf_tb_reset_stats(handle_)); }

protected:
    dcf_tb_transport handle_ = 0;

private:
    std::pair<std::uint16_t, std::uint16_t> ports() const {
        std::uint16_t control = 0, data = 0;
        check(dcf_tb_ports(handle_, &control, &data));
        return {control, data};
    }
};

/** The handlers of a transport, which run on threads of the library. Each may be empty. They are destroyed when the
    transport has closed and no handler runs any more. */
struct handlers {
    /** A message arrived. Its bytes and the sender are valid only during the call. */
    std::function<void(transport_ref, std::string_view data, const char *sender)> on_message{};
    /** A peer opened a stream. Each call runs on its own thread. */
    std::function<void(transport_ref, stream, const char *peer)> on_stream{};
    /** A log record; `level` is one of DCF_TB_LOG_*. Several threads may call it at the same time. */
    std::function<void(std::int32_t level, const char *text)> on_log{};
    /** The link came up (true) or went down. */
    std::function<void(bool up, const char *interface_name)> on_link{};
    /** A peer appeared (true) or vanished. */
    std::function<void(bool appeared, const char *peer)> on_peer{};
    /** An exception that another handler threw. Several threads may call it at the same time. */
    std::function<void(std::exception_ptr)> on_exception{};
};

/** A transport. The destructor closes it. In a handler the close returns at once, otherwise when it is complete. */
class transport : public transport_ref {
public:
    /** Has no transport. */
    transport() noexcept = default;
    explicit transport(config settings, handlers called = {}) {
        auto kept = std::make_unique<context>(std::move(called));
        settings.on_message = nullptr;
        settings.on_stream = nullptr;
        settings.on_log = kept->called.on_log ? log : nullptr;
        settings.on_link = kept->called.on_link ? link : nullptr;
        settings.on_peer = kept->called.on_peer ? peer_changed : nullptr;
        settings.on_closed = closed;
        settings.user_data = kept.get();
        check(dcf_tb_init(&settings, &handle_));
        auto *shared = kept.release(); // on_closed deletes it
        // These two need the handle. Until they are set, messages and streams are queued.
        shared->self = transport_ref(handle_);
        auto status = shared->called.on_message ? dcf_tb_set_message_callback(handle_, arrived, shared) : DCF_TB_OK;
        if (status == DCF_TB_OK && shared->called.on_stream)
            status = dcf_tb_set_stream_callback(handle_, opened, shared);
        if (status != DCF_TB_OK) {
            error failure(status); // reads the error text before the close changes it
            reset();
            throw failure;
        }
    }
    transport(transport &&other) noexcept : transport_ref(other.release()) {}
    transport &operator=(transport &&other) noexcept {
        if (this != &other) {
            reset();
            handle_ = other.release();
        }
        return *this;
    }
    transport(const transport &) = delete;
    transport &operator=(const transport &) = delete;
    ~transport() { reset(); }

    /** Gives up the handle without closing it. */
    dcf_tb_transport release() noexcept { return std::exchange(handle_, 0); }
    /** Closes the transport, if there is one. */
    void reset() noexcept {
        if (handle_ != 0) dcf_tb_close(release());
    }
    /** Closes the transport, and throws if that fails. */
    void close() { check(dcf_tb_close(release())); }

private:
    struct context {
        explicit context(handlers given) : called(std::move(given)) {}
        handlers called;
        transport_ref self{};
    };

    /** Runs a handler, and passes its exceptions to on_exception. */
    template <typename Call>
    static void guarded(void *user_data, Call call) noexcept {
        auto *shared = static_cast<context *>(user_data);
        try {
            try {
                call(*shared);
            } catch (...) {
                if (shared->called.on_exception) shared->called.on_exception(std::current_exception());
            }
        } catch (...) { // on_exception itself threw; the exception is dropped
        }
    }

    static void arrived(const std::uint8_t *data, std::size_t size, const char *sender, void *user_data) noexcept {
        guarded(user_data, [&](context &shared) {
            shared.called.on_message(shared.self, {reinterpret_cast<const char *>(data), size}, sender);
        });
    }
    static void opened(dcf_tb_stream handle, const char *peer, void *user_data) noexcept {
        stream taken(handle);
        guarded(user_data, [&](context &shared) { shared.called.on_stream(shared.self, std::move(taken), peer); });
    }
    static void log(std::int32_t level, const char *text, void *user_data) noexcept {
        guarded(user_data, [&](context &shared) { shared.called.on_log(level, text); });
    }
    static void link(std::int32_t up, const char *interface_name, void *user_data) noexcept {
        guarded(user_data, [&](context &shared) { shared.called.on_link(up != 0, interface_name); });
    }
    static void peer_changed(std::int32_t appeared, const char *peer, void *user_data) noexcept {
        guarded(user_data, [&](context &shared) { shared.called.on_peer(appeared != 0, peer); });
    }
    static void closed(void *user_data) noexcept { delete static_cast<context *>(user_data); }
};

} // namespace dcf_tb

#endif
