/* An honest host on a slow link, and strangers that hold the receiver's memory. Arguments: the other host's
   address, our own. */
#include "plugin.h"
#include "raw.h"

enum { MIB = 1 << 20, STRANGERS = 40, LARGE = 10 * MIB };

static ITransport *self;
static const char *peer;

static uint64_t sent_bytes(void)
{
    return stats_of(native_v2(self)).stream_bytes_sent;
}

static void *send_large(void *unused)
{
    (void)unused;
    return (void *)(intptr_t)v2_send(self, peer, LARGE, 7, GENEROUS_MS);
}

/* Begins a stranger's message that claims the maximum size, and stops after 1 MiB and a byte. */
static int stranger(const char *address)
{
    static uint8_t data[16 + MIB + 1] = "DCFTBMSG\1\0\0\0\4\0\0\0";
    char text[INET6_ADDRSTRLEN + 1];
    snprintf(text, sizeof text, "%s", address);
    *strchr(text, '%') = '\0';
    struct sockaddr_in6 to = raw_address(text, 5001);
    to.sin6_scope_id = if_nametoindex("thunderbolt0");
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0);
    CHECK(connect(fd, (struct sockaddr *)&to, sizeof to) == 0);
    CHECK(send(fd, data, sizeof data, MSG_NOSIGNAL) == (ssize_t)sizeof data);
    return fd;
}

int main(int count, char **arguments)
{
    int strangers[STRANGERS];
    void *status = NULL;
    CHECK(count == 3);
    peer = arguments[1];
    request("start echo");
    self = v2_on(NULL, 5000);
    for (int i = 0; i < STRANGERS; i++)
        strangers[i] = stranger(peer);

    OK(v2_send(self, peer, 70000, 6, GENEROUS_MS)); /* the connection is open, and is being read */
    v2_expect(self, peer, 70000, 6);

    TOPIC("10 Mb/s, and a pause in the middle: the message arrives");
    request("slow");
    pthread_t sender = start_thread(send_large, NULL);
    EVENTUALLY(sent_bytes() > 2 * MIB);
    request("carrier off");
    uint64_t start = milliseconds();
    while (milliseconds() - start < 4000) /* the pause is what this tests */
        pause_briefly();
    request("carrier on");
    CHECK(pthread_join(sender, &status) == 0);
    CHECK((intptr_t)status == DCF_TB_OK);
    v2_expect(self, peer, LARGE, 7);

    TOPIC("the next message arrives too");
    OK(v2_send(self, peer, MIB, 8, GENEROUS_MS));
    v2_expect(self, peer, MIB, 8);
    for (int i = 0; i < STRANGERS; i++)
        close(strangers[i]);
    self->destroy(self);
    return 0;
}
