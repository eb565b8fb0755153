/* The life of a transport: defaults, start, close, and no leaks. */
#include "process.h"

static int closed_calls;

static void on_closed(void *user_data)
{
    CHECK(user_data == &closed_calls);
    add(&closed_calls, 1);
}

static void defaults(void)
{
    TOPIC("config_init gives the documented defaults");
    dcf_tb_config config;
    memset(&config, 0xFF, sizeof config);
    OK(dcf_tb_config_init(&config, sizeof config));
    CHECK(config.struct_size == sizeof config);
    CHECK(config.control_port == 5000);
    CHECK(config.data_port == 5001);
    CHECK(strcmp(config.interface_name, "thunderbolt0") == 0);
    CHECK(config.buffer_size == (uint64_t)64 << 20);
    CHECK(config.tcp_nodelay == 1);
    CHECK(config.tcp_keepalive == 1);
    CHECK(config.allow_any_source == 0);
    CHECK(config.wait_for_interface == 0);
    CHECK(config.receive_queue == 1024);
    CHECK(config.max_streams == 1024);
    CHECK(config.connect_timeout_ms == 10000);
    CHECK(config.stream_dead_after_ms == 10000);
    CHECK(config.log_level == DCF_TB_LOG_INFO);
    CHECK(config.on_message == NULL && config.on_stream == NULL && config.on_log == NULL);
    CHECK(config.on_peer == NULL && config.peer_timeout_ms == 5000 && config.remember_peers == 0);
    CHECK(config.on_link == NULL && config.on_closed == NULL && config.user_data == NULL);
}

static void one_life(void)
{
    TOPIC("a transport runs from init to close, and reports its state");
    dcf_tb_config config = loopback_config();
    config.on_closed = on_closed;
    config.user_data = &closed_calls;
    dcf_tb_transport transport = start_on_own_ports(&config);
    CHECK(transport != 0);

    uint8_t running = 0;
    OK(dcf_tb_is_running(transport, &running));
    CHECK(running == 1);

    char name[16];
    size_t length = 0;
    OK(dcf_tb_interface(transport, name, sizeof name, &length));
    CHECK(strcmp(name, "lo") == 0 && length == 2);
    length = 0;
    GIVES(DCF_TB_ERR_BUFFER_TOO_SMALL, dcf_tb_interface(transport, name, 2, &length));
    CHECK(length == 2 || length == 3); /* the size needed, with or without the NUL */

    uint16_t control = 0, data = 0;
    OK(dcf_tb_ports(transport, &control, &data));
    CHECK(control == config.control_port && data == config.data_port);
    CHECK(control == data); /* UDP and TCP can have the same number */

    OK(dcf_tb_close(transport));
    CHECK(value(&closed_calls) == 1);

    TOPIC("a closed handle is an invalid handle");
    GIVES(DCF_TB_ERR_INVALID_HANDLE, dcf_tb_close(transport));
    GIVES(DCF_TB_ERR_INVALID_HANDLE, dcf_tb_is_running(transport, &running));
    CHECK(value(&closed_calls) == 1);

    TOPIC("the ports are free again when close has returned");
    for (int i = 0; i < 20; i++) {
        config.on_closed = NULL;
        transport = start(&config);
        OK(dcf_tb_close(transport));
    }
}

static void ports_with_streams_are_free_again(void)
{
    TOPIC("the ports are free again even after streams");
    dcf_tb_config config = loopback_config();
    dcf_tb_transport transport = start_on_own_ports(&config);
    stream_pair pair = connect_streams(transport, transport);
    write_all(pair.near_end, "x", 1);
    OK(dcf_tb_close(transport));
    transport = start(&config);
    OK(dcf_tb_close(transport));
    GIVES(DCF_TB_ERR_INVALID_HANDLE, dcf_tb_stream_close(pair.near_end));
    GIVES(DCF_TB_ERR_INVALID_HANDLE, dcf_tb_stream_close(pair.far_end));
}

static void taken_port(void)
{
    TOPIC("a taken port fails init, and last_error names it");
    dcf_tb_transport holder = start_on_loopback(), other = 77;
    char number[16];

    dcf_tb_config config = loopback_config();
    config.control_port = control_port(holder);
    snprintf(number, sizeof number, "%u", config.control_port);
    GIVES(DCF_TB_ERR_ADDRESS_IN_USE, dcf_tb_init(&config, &other));
    CHECK(error_says(number));
    CHECK(dcf_tb_last_errno() == EADDRINUSE);
    CHECK(other == 77);

    config = loopback_config();
    config.data_port = data_port(holder);
    snprintf(number, sizeof number, "%u", config.data_port);
    GIVES(DCF_TB_ERR_ADDRESS_IN_USE, dcf_tb_init(&config, &other));
    CHECK(error_says(number));
    CHECK(other == 77);
    OK(dcf_tb_close(holder));
}

static uint64_t longest_close_us;

static void live_once(void)
{
    struct timespec before, after;
    dcf_tb_transport transport = start_on_loopback();
    send_text(transport, "::1%lo", "hello");
    expect_text(transport, "hello");
    clock_gettime(CLOCK_MONOTONIC, &before);
    OK(dcf_tb_close(transport));
    clock_gettime(CLOCK_MONOTONIC, &after);
    uint64_t us = (uint64_t)(after.tv_sec - before.tv_sec) * 1000000 +
                  (uint64_t)after.tv_nsec / 1000 - (uint64_t)before.tv_nsec / 1000;
    if (us > longest_close_us)
        longest_close_us = us;
}

static void nothing_left_behind(void)
{
    TOPIC("200 transports leak no descriptor, thread or memory");
    for (int i = 0; i < 20; i++)
        live_once();
    int descriptors = count_descriptors(), threads = count_threads();
    uint64_t resident = resident_kib();
    for (int i = 0; i < 200; i++)
        live_once();
    CHECK(count_descriptors() == descriptors);
    EVENTUALLY(count_threads() <= threads); /* a joined thread is listed for a moment */
    /* A leaked receive buffer, stack or queue for each transport would be many times this. */
    CHECK(resident_kib() < resident + 4096);
    /* Printed but not checked: a busy machine may be slow. */
    printf("  the longest close took %" PRIu64 " us\n", longest_close_us);
}

static void ignore(const uint8_t *message, size_t length, const char *sender, void *user_data)
{
    (void)message, (void)length, (void)sender, (void)user_data;
}

static void closed_in_full_swing(void)
{
    TOPIC("500 transports closed while their threads are waking up");
    dcf_tb_config config = loopback_config();
    config.on_message = ignore;
    for (int i = 0; i < 500; i++) {
        dcf_tb_transport transport = start(&config);
        for (int n = 0; n < i % 8; n++)
            send_text(transport, "::1%lo", "x");
        OK(dcf_tb_set_message_callback(transport, NULL, NULL));
        OK(dcf_tb_close(transport));
    }
}

int main(int count, char **arguments)
{
    int brief = count > 1 && strcmp(arguments[1], "brief") == 0;
    CHECK(dcf_tb_abi_version() == DCF_TB_ABI_VERSION);
    CHECK(strcmp(dcf_tb_version(), "1.0.0") == 0);
    defaults();
    one_life();
    ports_with_streams_are_free_again();
    taken_port();
    if (!brief) {
        nothing_left_behind();
        closed_in_full_swing();
    }
    return 0;
}
