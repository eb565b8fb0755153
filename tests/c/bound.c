/*
 * A transport is bound to its interface: nothing else on the host reaches it. This host has a
 * thunderbolt0; the argument is our address on it.
 */
#include "raw.h"

int main(int count, char **arguments)
{
    CHECK(count == 2);
    dcf_tb_config config;
    OK(dcf_tb_config_init(&config, sizeof config));
    dcf_tb_transport on_cable = start(&config);

    TOPIC("data from another interface does not arrive");
    struct sockaddr_in6 control = raw_address("::1", 5000), data = raw_address("::1", 5001);
    int datagrams = raw_socket(SOCK_DGRAM, "::1", 0), stream = raw_socket(SOCK_STREAM, "::1", 0);
    raw_send(datagrams, "stray", 5, control);
    CHECK(connect(stream, (struct sockaddr *)&data, sizeof data) == -1 && errno == ECONNREFUSED);
    close(stream);

    TOPIC("two interfaces may serve the same ports at once");
    config.interface_name = "lo";
    dcf_tb_transport on_lo = start(&config);
    raw_send(datagrams, "to lo", 5, control);
    expect_text(on_lo, "to lo");
    send_text(on_lo, "::1", "lo to lo");
    expect_text(on_lo, "lo to lo");
    send_text(on_cable, arguments[1], "to cable");
    expect_text(on_cable, "to cable");
    CHECK(stats_of(on_cable).messages_received == 1);
    CHECK(stats_of(on_lo).messages_received == 2);

    TOPIC("only one transport can have the same ports on one interface");
    dcf_tb_transport second = 0;
    GIVES(DCF_TB_ERR_ADDRESS_IN_USE, dcf_tb_init(&config, &second));
    CHECK(error_says("5000") && error_says("lo"));
    close(datagrams);
    OK(dcf_tb_close(on_lo));
    OK(dcf_tb_close(on_cable));
    return 0;
}
