/* A DCF node on the other host, until SIGTERM. Arguments: its role, and its peer. */
#include "plugin.h"

static ITransport *self;
static int stop;

static void *echo(void *unused)
{
    while (!value(&stop)) {
        uint8_t *data;
        size_t length;
        char *sender;
        if (self->receive(self, &data, &length, &sender, 100) != DCF_TB_OK)
            continue;
        /* The sender may be gone by now. */
        (void)self->send(self, data, length, sender, GENEROUS_MS);
        free(data);
        free(sender);
    }
    return unused;
}

static void *flood(void *peer)
{
    uint8_t *data = (uint8_t *)malloc(20000000);
    CHECK(data != NULL);
    fill(data, 20000000, 1);
    while (!value(&stop))
        (void)self->send(self, data, 20000000, (const char *)peer, 1000);
    free(data);
    return NULL;
}

int main(int count, char **arguments)
{
    CHECK(count >= 2);
    self = v2_on(NULL, 5000);
    pthread_t thread;
    bool busy = strcmp(arguments[1], "receive nothing") != 0;
    if (busy)
        thread = start_thread(strcmp(arguments[1], "echo") == 0 ? echo : flood,
                              count > 2 ? arguments[2] : NULL);
    request("ready");
    set(&stop, 1);
    if (busy) {
        OK(self->shutdown(self));
        join(thread);
    }
    self->destroy(self);
    return 0;
}
