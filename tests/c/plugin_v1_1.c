/* The contract of the design document: JSON parameters and health checks. */
#include "plugin.h"
#include "raw.h"

static bool set_up(void *self, const char *params)
{
    return iface_v1_1.setup(self, params, 1000);
}

static void parameters(void)
{
    TOPIC("malformed or invalid parameters are refused, and the error gives the place");
    void *self = create_plugin();
    static const struct {
        const char *params, *why;
    } bad[] = {
        {"", "line 1 column 0"},
        {"{", "line 1 column 1"},
        {"{\"interface\": \"lo\"", "line 1 column 18"},
        {"{\"interface\": lo}", "line 1 column 15"},
        {"[\"interface\", \"lo\"]", "not a JSON object"},
        {"{\"interface\": \"lo\"} trailing", "line 1 column 21"},
        {"{\"interface\": 5}", "interface is 5"},
        {"{\"interface\": \"\"}", "interface is \"\""},
        {"{\"interface\": \"none0\"}", "none0"},
        {"{\"interface\": \"lo\", \"control_port\": 0}", "control_port is 0"},
        {"{\"interface\": \"lo\", \"control_port\": -1}", "control_port is -1"},
        {"{\"interface\": \"lo\", \"control_port\": 65535}", "65535"},
        {"{\"interface\": \"lo\", \"control_port\": 65536}", "control_port is 65536"},
        {"{\"interface\": \"lo\", \"data_port\": 1e3}", "data_port is 1e3"},
        {"{\"interface\": \"lo\", \"buffer_size\": \"64k\"}", "buffer_size is \"64k\""},
        {"{\"interface\": \"lo\", \"tcp_nodelay\": 1}", "tcp_nodelay is 1"},
        {"{\"\xff\": 1}", "UTF-8"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        FAILS(bad[i].why, set_up(self, bad[i].params));
    FAILS("thunderbolt0", set_up(self, NULL)); /* the default interface does not exist */
    FAILS("thunderbolt0", set_up(self, "{}"));

    TOPIC("unknown keys are ignored, with any value");
    CHECK(set_up(self, "{\"interface\": \"lo\", \"of\": [1, {\"others\": 1e999}], \"timeout-ms\": 5}"));
    CHECK(control_port(native(self)) == 5000 && data_port(native(self)) == 5001);

    TOPIC("the same setup again succeeds, by this contract or by v1; another one is refused");
    CHECK(set_up(self, "{\"control_port\": 5000, \"interface\": \"lo\", \"tcp_nodelay\": true}"));
    CHECK(iface_v1_1.setup(self, "{\"interface\": \"lo\"}", -1)); /* the timeout does not matter, as setup never waits */
    CHECK(iface.setup(self, "lo", 5000));
    FAILS("other", set_up(self, "{\"interface\": \"lo\", \"control_port\": 6000}"));
    FAILS("other", set_up(self, "{\"interface\": \"lo\", \"buffer_size\": 1}"));
    iface_v1_1.destroy(self);

    TOPIC("ports that are not consecutive, and a queue of one message");
    self = create_plugin();
    CHECK(set_up(self, "{\"interface\": \"lo\", \"control_port\": 7000, \"data_port\": 7777,"
                       "\"receive_queue\": 1, \"receive_queue_bytes\": 1000000}"));
    CHECK(control_port(native(self)) == 7000 && data_port(native(self)) == 7777);
    for (uint32_t i = 0; i < 5; i++)
        CHECK(v1_send(self, "::1", 100, i));
    EVENTUALLY(stats_of(native(self)).messages_dropped == 4);
    v1_expect(self, 100, 0);
    CHECK(v1_send(self, "::1", 70000, 1)); /* over the connection to 7777 */
    v1_expect(self, 70000, 1);
    CHECK(v1_send(self, "[::1]:7000", 70000, 2));
    v1_expect(self, 70000, 2);
    iface_v1_1.destroy(self);
}

static void an_interface_that_comes_later(void)
{
    TOPIC("with wait_for_interface, the interface may come later");
    void *self = create_plugin();
    CHECK(set_up(self, "{\"interface\": \"later0\", \"wait_for_interface\": true}"));
    FAILS("later0", v1_send(self, "fe80::1", 5, 0));
    FAILS("later0", v1_send(self, "fe80::1", 70000, 0));
    int rtt = 77;
    FAILS("later0", iface_v1_1.health_check(self, "fe80::1", &rtt));
    CHECK(rtt == 77);
    iface_v1_1.destroy(self);
}

static void health(void)
{
    TOPIC("a health check measures a round trip");
    void *self = create_plugin(), *other = v1_on("lo", 6000);
    int rtt = -1;
    FAILS("call setup first", iface_v1_1.health_check(self, "::1", &rtt));
    CHECK(set_up(self, "{\"interface\": \"lo\"}"));
    CHECK(iface_v1_1.health_check(self, "::1%lo", &rtt) && rtt >= 1);
    rtt = -1;
    CHECK(iface_v1_1.health_check(self, "[::1%lo]:6000", &rtt) && rtt >= 1);
    CHECK(iface_v1_1.health_check(self, "::1", NULL));

    TOPIC("no answer: false after three pings, and the output is unchanged");
    int silent = raw_socket(SOCK_DGRAM, "::1", 0);
    char peer[80];
    snprintf(peer, sizeof peer, "[::1%%lo]:%u", raw_port(silent));
    rtt = -1;
    uint64_t before = stats_of(native(self)).pings_sent;
    FAILS("no answer", iface_v1_1.health_check(self, peer, &rtt));
    CHECK(rtt == -1);
    CHECK(stats_of(native(self)).pings_sent == before + 3);
    close(silent);

    TOPIC("nothing listens: false, with or without an ICMP error of the peer");
    iface.destroy(other);
    CHECK(!iface_v1_1.health_check(self, "[::1%lo]:6000", &rtt) && rtt == -1);
    CHECK(error_says("nothing listens on UDP port 6000") || error_says("no answer"));

    TOPIC("an invalid address is refused");
    FAILS("nonsense", iface_v1_1.health_check(self, "nonsense", &rtt));
    FAILS("NULL", iface_v1_1.health_check(self, NULL, &rtt));
    FAILS("NULL", iface_v1_1.health_check(NULL, "::1", &rtt));
    iface_v1_1.destroy(self);
}

int main(void)
{
    CHECK(iface_v1_1.send == iface.send && iface_v1_1.receive == iface.receive);
    parameters();
    an_interface_that_comes_later();
    health();
    return 0;
}
