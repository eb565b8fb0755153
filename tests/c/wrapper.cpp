/* dcf_thunderbolt.hpp: errors, ownership, outcomes, handlers, and exceptions that do not cross into C. */
#include "check.h"

#include <dcf_thunderbolt.hpp>

#include <atomic>
#include <cstdlib>
#include <mutex>
#include <netinet/in.h>
#include <new>
#include <type_traits>

using ms = std::chrono::milliseconds;

/* Allocations of this thread by operator new. Not inlined, because GCC would warn about malloc with operator delete. */
static thread_local std::size_t allocations = 0;

__attribute__((noinline)) void *operator new(std::size_t size)
{
    allocations++;
    if (void *memory = std::malloc(size ? size : 1)) return memory;
    throw std::bad_alloc();
}
__attribute__((noinline)) void operator delete(void *memory) noexcept { std::free(memory); }
__attribute__((noinline)) void operator delete(void *memory, std::size_t) noexcept { std::free(memory); }

static_assert(!std::is_copy_constructible_v<dcf_tb::transport> && !std::is_copy_assignable_v<dcf_tb::transport>);
static_assert(!std::is_copy_constructible_v<dcf_tb::stream> && !std::is_copy_assignable_v<dcf_tb::stream>);
static_assert(std::is_nothrow_move_constructible_v<dcf_tb::transport>);
static_assert(std::is_nothrow_move_assignable_v<dcf_tb::transport>);
static_assert(std::is_nothrow_move_constructible_v<dcf_tb::stream>);
static_assert(std::is_nothrow_move_assignable_v<dcf_tb::stream>);
static_assert(std::is_base_of_v<std::runtime_error, dcf_tb::error>);
/* The wrapper holds exactly a handle. */
static_assert(sizeof(dcf_tb::transport) == sizeof(dcf_tb_transport));
static_assert(sizeof(dcf_tb::stream) == sizeof(dcf_tb_stream));

namespace {

constexpr ms generous(GENEROUS_MS);

dcf_tb::config loopback()
{
    dcf_tb::config config;
    config.interface_name = "lo";
    config.control_port = 0;
    config.data_port = 0;
    return config;
}

/* The peer string of a transport on the loopback interface. */
std::string peer_of(const dcf_tb::transport_ref &transport, bool data = false)
{
    return "[::1%lo]:" + std::to_string(data ? transport.data_port() : transport.control_port());
}

/* The call must throw an error with this status. */
template <typename Call>
dcf_tb::error fails(dcf_tb_status expected, Call call)
{
    try {
        call();
    } catch (const dcf_tb::error &error) {
        GIVES(expected, error.code());
        return error;
    }
    GIVES(expected, DCF_TB_OK);
    abort();
}

/* A busy kernel drops some ICMP errors, so a single call may not get one. */
template <typename Call>
void refused_at_last(Call call)
{
    EVENTUALLY([&] {
        try {
            call();
        } catch (const dcf_tb::error &error) {
            return error.code() == DCF_TB_ERR_CONNECTION_REFUSED;
        }
        return false;
    }());
}

void errors()
{
    TOPIC("an error has the status, the text and the errno");
    auto error = fails(DCF_TB_ERR_INTERFACE_NOT_FOUND, [] {
        auto config = loopback();
        config.interface_name = "no-such-if0";
        dcf_tb::transport transport(config);
    });
    CHECK(std::string(error.what()).find("no-such-if0") != std::string::npos);
    CHECK(std::string(error.what()).find(dcf_tb_status_string(error.code())) == 0);

    dcf_tb::transport transport(loopback());
    error = fails(DCF_TB_ERR_INVALID_ADDRESS, [&] { transport.send("10.0.0.1", "x"); });
    CHECK(std::string(error.what()).find("10.0.0.1") != std::string::npos);
    error = fails(DCF_TB_ERR_CONNECTION_REFUSED, [&] { transport.open_stream("[::1%lo]:1"); });
    CHECK(error.os_error() == ECONNREFUSED);
    CHECK(error.done() == 0);
}

void ownership()
{
    TOPIC("a transport is closed by its destructor, and by assignment");
    dcf_tb::config config = loopback();
    dcf_tb_transport handle = 0;
    uint8_t running = 0;
    {
        dcf_tb::transport transport(config);
        handle = transport.get();
        CHECK(transport.is_running() && transport.interface_name() == "lo");
    }
    GIVES(DCF_TB_ERR_INVALID_HANDLE, dcf_tb_is_running(handle, &running));
    dcf_tb::transport first(config);
    handle = first.get();
    first = dcf_tb::transport(config);
    GIVES(DCF_TB_ERR_INVALID_HANDLE, dcf_tb_is_running(handle, &running));

    TOPIC("moving leaves an empty object, and closes nothing");
    handle = first.get();
    dcf_tb::transport second(std::move(first));
    CHECK(!first && second && second.get() == handle && second.is_running());
    fails(DCF_TB_ERR_INVALID_HANDLE, [&] { first.is_running(); });
    fails(DCF_TB_ERR_INVALID_HANDLE, [&] { first.close(); });

    TOPIC("a handle can be released to the C API and wrapped again");
    handle = second.release();
    OK(dcf_tb_is_running(handle, &running));
    OK(dcf_tb_close(handle));
    dcf_tb::transport third(config);
    third.close();
    CHECK(!third);
    fails(DCF_TB_ERR_INVALID_HANDLE, [&] { third.close(); });
}

void messages()
{
    TOPIC("messages of every size arrive, and \"no message\" is an outcome");
    dcf_tb::transport transport(loopback());
    auto peer = peer_of(transport);
    CHECK(!transport.recv(ms(0)));
    CHECK(!transport.recv(ms(20)));
    for (std::size_t size : {std::size_t{0}, std::size_t{5}, std::size_t{2048}, std::size_t{2049},
                             std::size_t{DCF_TB_MAX_MESSAGE_SIZE}}) {
        std::string data(size, 'm');
        transport.send(peer, data);
        auto message = transport.recv(generous);
        CHECK(message && message->text() == data);
        transport.send(message->sender, "again");
        CHECK(transport.recv(generous)->text() == "again");
    }
    fails(DCF_TB_ERR_MESSAGE_TOO_LARGE,
          [&] { transport.send(peer, std::string(DCF_TB_MAX_MESSAGE_SIZE + 1, 'm')); });

    TOPIC("a send allocates nothing, with any kind of peer string");
    dcf_tb_peer found{};
    peer.copy(found.address, sizeof found.address - 1);
    std::size_t before = allocations;
    transport.send(peer, "from a string");
    transport.send(peer.c_str(), "from C");
    transport.send(found, "found by discovery");
    CHECK(allocations == before);
    for (const char *text : {"from a string", "from C", "found by discovery"})
        CHECK(transport.recv(generous)->text() == text);
    CHECK(allocations > before); /* allocations are counted */

    TOPIC("a batch");
    dcf_tb_datagram batch[2] = {{peer.c_str(), dcf_tb::detail::bytes("one"), 3},
                                {peer.c_str(), dcf_tb::detail::bytes("two"), 3}};
    CHECK(transport.send_batch(batch, 2) == 2);
    CHECK(transport.recv(generous)->text() == "one");
    CHECK(transport.recv(generous)->text() == "two");
    CHECK(transport.event_fd() >= 0);

    TOPIC("messages are received as a batch");
    dcf_tb_received received[4];
    char room[64];
    CHECK(transport.recv_batch(room, sizeof room, received, 4, ms(0)) == 0);
    CHECK(transport.send_batch(batch, 2) == 2);
    EVENTUALLY(transport.stats().messages_received == transport.stats().messages_sent);
    CHECK(transport.recv_batch(room, sizeof room, received, 4, generous) == 2);
    CHECK(std::string_view(room, 6) == "onetwo" && received[1].len == 3);
    transport.send(received[1].sender, "back");
    CHECK(transport.recv(generous)->text() == "back");

    TOPIC("no peers on the loopback interface");
    CHECK(transport.discover_first(2, ms(20)).empty());
    fails(DCF_TB_ERR_OUT_OF_RANGE, [&] { (void)transport.discover_first(0, ms(20)); });

    TOPIC("statistics");
    CHECK(transport.stats().messages_received == transport.stats().messages_sent);
    TOPIC("settings that change");
    CHECK(transport.option(DCF_TB_OPTION_MAX_STREAMS) == 1024);
    transport.set_option(DCF_TB_OPTION_MAX_STREAMS, 1000);
    CHECK(transport.option(DCF_TB_OPTION_MAX_STREAMS) == 1000);
    fails(DCF_TB_ERR_CONFIG_INVALID, [&] { transport.set_option(DCF_TB_OPTION_LOG_LEVEL, 5); });

    transport.reset_stats();
    CHECK(transport.stats().messages_received == 0);
}

void peers()
{
    TOPIC("peers appear, are remembered, vanish and are forgotten");
    std::atomic<int> appeared{0}, vanished{0};
    dcf_tb::handlers handlers;
    handlers.on_peer = [&](bool here, const char *peer) {
        CHECK(std::string_view(peer) == "::1%lo");
        (here ? appeared : vanished)++;
    };
    auto settings = loopback();
    settings.peer_timeout_ms = 200;
    dcf_tb::transport transport(settings, std::move(handlers)), other(loopback());
    CHECK(!transport.last_heard("::1") && !other.last_heard("::1"));
    other.send(peer_of(transport), "hello");
    CHECK(transport.recv(generous)->text() == "hello");
    EVENTUALLY(appeared == 1 && vanished == 1);
    CHECK(transport.last_heard("::1")->count() > 0);
    transport.forget("::1");
    CHECK(!transport.last_heard("::1"));
    fails(DCF_TB_ERR_INVALID_ADDRESS, [&] { transport.forget("nobody"); });
    fails(DCF_TB_ERR_INVALID_ADDRESS, [&] { transport.last_heard("nobody"); });
}

void round_trips()
{
    TOPIC("round trips, and none");
    dcf_tb::transport transport(loopback());
    auto peer = peer_of(transport);
    CHECK(transport.measure_rtt(peer, generous)->count() > 0);
    auto summary = transport.ping(peer, 3, std::chrono::microseconds(0), generous);
    CHECK(summary.sent == 3 && summary.received == 3);
    CHECK(transport.discover(ms(1)).empty());
    CHECK(transport.wait_link(true) && !transport.wait_link(false, ms(1)));
    /* A bound socket that does not answer. */
    int mute = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_in6 address{};
    socklen_t length = sizeof address;
    address.sin6_family = AF_INET6;
    address.sin6_addr.s6_addr[15] = 1;
    CHECK(bind(mute, reinterpret_cast<sockaddr *>(&address), sizeof address) == 0);
    CHECK(getsockname(mute, reinterpret_cast<sockaddr *>(&address), &length) == 0);
    peer = "[::1%lo]:" + std::to_string(ntohs(address.sin6_port));
    CHECK(!transport.measure_rtt(peer, ms(20)));
    fails(DCF_TB_ERR_TIMEOUT, [&] { transport.ping(peer, 1, std::chrono::microseconds(0), ms(20)); });
    close(mute);
    /* The port is free now. */
    refused_at_last([&] { transport.measure_rtt(peer, ms(300)); });
    refused_at_last([&] { transport.ping(peer, 2, std::chrono::microseconds(0), ms(300)); });
}

void streams()
{
    TOPIC("a stream: bytes, the end, ownership");
    dcf_tb::transport transport(loopback());
    CHECK(!transport.accept(ms(0)));
    dcf_tb::stream near = transport.open_stream(peer_of(transport, true));
    dcf_tb::stream far = *transport.accept(generous);
    CHECK(near && far && near.peer() == "::1%lo" && near.fd() >= 0);
    fails(DCF_TB_ERR_TIMEOUT, [&] { char none; far.read(&none, 1, ms(20)); });
    near.write("hello");
    char text[5];
    far.read_all(text, sizeof text);
    CHECK(std::string_view(text, sizeof text) == "hello");
    far.write(std::string("world"));
    near.finish();
    CHECK(far.read(text, sizeof text) == 0);
    CHECK(fails(DCF_TB_EOF, [&] { near.read_all(text, 0); far.read_all(text, 1); }).done() == 0);
    near.read_all(text, sizeof text);
    CHECK(std::string_view(text, sizeof text) == "world");

    TOPIC("a failed write reports the number of written bytes");
    std::vector<char> much(64 << 20, 'x');
    auto error = fails(DCF_TB_ERR_TIMEOUT, [&] { far.write(much.data(), much.size(), ms(100)); });
    CHECK(error.done() > 0 && error.done() < much.size());

    TOPIC("a stream is closed by its destructor");
    near.reset();
    far = dcf_tb::stream();
    EVENTUALLY(transport.stats().streams_open == 0);
    fails(DCF_TB_ERR_INVALID_HANDLE, [&] { far.write("x"); });

    TOPIC("a detached descriptor is the caller's");
    near = transport.open_stream(peer_of(transport, true));
    far = *transport.accept(generous);
    int fd = near.detach();
    CHECK(!near && write(fd, "raw", 3) == 3);
    far.read_all(text, 3);
    CHECK(std::string_view(text, 3) == "raw");
    close(fd);

    TOPIC("files");
    char path[] = "/tmp/dcf-tb-wrapper-XXXXXX";
    int file = mkstemp(path);
    CHECK(file >= 0 && unlink(path) == 0 && write(file, "content", 7) == 7);
    near = transport.open_stream(peer_of(transport, true));
    far = *transport.accept(generous);
    TOPIC("several slices are written with one call, and read exactly");
    const dcf_tb_slice slices[] = {{dcf_tb::detail::bytes("he"), 2}, {nullptr, 0}, {dcf_tb::detail::bytes("llo"), 3}};
    near.writev(slices, 3, generous);
    char exact[5];
    far.read_exact(exact, sizeof exact, generous);
    CHECK(std::string_view(exact, sizeof exact) == "hello");
    near.writev(slices, 1, generous);
    CHECK(fails(DCF_TB_ERR_TIMEOUT, [&] { far.read_exact(exact, 3, ms(100)); }).done() == 2);

    TOPIC("the user pointer stays with the handle");
    struct session {
        int number;
    } mine{7};
    CHECK(near.user_data() == nullptr);
    near.set_user_data(&mine);
    dcf_tb::stream moved = std::move(near);
    CHECK(moved.user_data() == &mine && moved.user_data_as<session>()->number == 7);
    fails(DCF_TB_ERR_INVALID_HANDLE, [&] { near.set_user_data(&mine); });
    near = std::move(moved);
    near.set_user_data(nullptr);
    CHECK(near.user_data_as<session>() == nullptr);

    TOPIC("statistics of a stream");
    auto figures = near.stats();
    CHECK(figures.connected == 1 && figures.bytes_sent == 7 && figures.writes == 2 && figures.rtt_ns > 0);
    CHECK(far.stats().bytes_received == 7 && far.stats().bytes_sent == 0);
    fails(DCF_TB_ERR_INVALID_HANDLE, [] { dcf_tb::stream().stats(); });

    near.send_file(file, 0, 7);
    far.receive_file(file, 7, 7);
    char copy[14];
    CHECK(pread(file, copy, sizeof copy, 0) == 14 && std::string_view(copy, 14) == "contentcontent");
    CHECK(fails(DCF_TB_EOF, [&] { near.send_file(file, 0, 100); }).done() == 14);
    close(file);
}

void called_back()
{
    TOPIC("handlers get messages, streams and log records, and the transport");
    std::atomic<int> logged{0}, streams{0};
    dcf_tb::handlers handlers;
    handlers.on_message = [](dcf_tb::transport_ref self, std::string_view data, const char *sender) {
        self.send(sender, data);
    };
    handlers.on_stream = [&](dcf_tb::transport_ref, dcf_tb::stream stream, const char *) {
        char text[64];
        while (std::size_t got = stream.read(text, sizeof text)) stream.write(text, got);
        streams++;
    };
    handlers.on_log = [&](std::int32_t, const char *) { logged++; };
    dcf_tb::transport echo(loopback(), std::move(handlers)), transport(loopback());
    transport.send(peer_of(echo), "echo");
    CHECK(transport.recv(generous)->text() == "echo");
    auto stream = transport.open_stream(peer_of(echo, true));
    stream.write("echo");
    stream.finish();
    char text[4];
    stream.read_all(text, sizeof text);
    CHECK(std::string_view(text, 4) == "echo" && stream.read(text, 1) == 0);
    EVENTUALLY(streams == 1);
    CHECK(logged > 0);
}

void exceptions_stay()
{
    TOPIC("an exception does not leave a handler, and the next call still comes");
    std::atomic<int> calls{0}, told{0};
    dcf_tb::handlers handlers;
    handlers.on_message = [&](dcf_tb::transport_ref, std::string_view data, const char *) {
        calls++;
        if (data == "int") throw 42;
        throw std::runtime_error(std::string(data));
    };
    handlers.on_stream = [](dcf_tb::transport_ref, dcf_tb::stream, const char *) { throw std::logic_error("stream"); };
    handlers.on_log = [](std::int32_t, const char *) { throw std::logic_error("log"); };
    handlers.on_exception = [&](std::exception_ptr thrown) {
        told++;
        std::rethrow_exception(thrown); /* even from the error handler */
    };
    dcf_tb::transport transport(loopback(), std::move(handlers));
    CHECK(told > 0); /* by the log handler */
    int before = told;
    for (auto text : {"one", "int", "two"}) transport.send(peer_of(transport), text);
    EVENTUALLY(calls == 3);
    auto stream = transport.open_stream(peer_of(transport, true));
    char none;
    CHECK(stream.read(&none, 1, generous) == 0); /* the handler closed the other end */
    EVENTUALLY(told >= before + 4);
    CHECK(transport.is_running());
}

void life_of_handlers()
{
    TOPIC("handlers are destroyed with the transport");
    auto alive = std::make_shared<int>(0);
    auto with = [](std::shared_ptr<int> kept) {
        dcf_tb::handlers handlers;
        handlers.on_message = [kept](dcf_tb::transport_ref, std::string_view, const char *) {};
        return handlers;
    };
    {
        dcf_tb::transport transport(loopback(), with(alive));
        CHECK(alive.use_count() == 2);
    }
    CHECK(alive.use_count() == 1);

    TOPIC("handlers are destroyed when the transport could not start");
    fails(DCF_TB_ERR_INTERFACE_NOT_FOUND, [&] {
        auto config = loopback();
        config.interface_name = "no-such-if0";
        dcf_tb::transport transport(config, with(alive));
    });
    CHECK(alive.use_count() == 1);

    TOPIC("a transport may be destroyed inside its own handler, which still runs to its end");
    std::mutex guard;
    dcf_tb::transport transport;
    std::atomic<bool> ended{false};
    dcf_tb::handlers handlers;
    handlers.on_message = [&, alive](dcf_tb::transport_ref, std::string_view, const char *) {
        { std::lock_guard lock(guard); transport = dcf_tb::transport(); }
        CHECK(*alive == 0); /* its captures are still alive */
        ended = true;
    };
    std::string peer;
    {
        std::lock_guard lock(guard);
        transport = dcf_tb::transport(loopback(), std::move(handlers));
        peer = peer_of(transport);
    }
    dcf_tb::transport(loopback()).send(peer, "go");
    EVENTUALLY(ended && alive.use_count() == 1);
}

} // namespace

int main()
{
    errors();
    ownership();
    messages();
    peers();
    round_trips();
    streams();
    called_back();
    exceptions_stay();
    life_of_handlers();
    return 0;
}
