/* Helpers of the tests of DCF's plugin contracts. The plugins are on the loopback interface of a host of
   their own, where all ports are free. */
#ifndef PLUGIN_H
#define PLUGIN_H

#include "check.h"
#include "dcf_plugin.h"

/* Less than the 10 s after which a plugin closes a connection on which nothing comes. */
enum { BEFORE_IDLE_MS = 8000 };

/* The contracts v1 and 1.1 report errors only as text. */
#define FAILS(part, call) check_fails(__FILE__, __LINE__, #call, (part), (call))

static inline void check_fails(const char *file, int line, const char *call, const char *part,
                               bool succeeded)
{
    if (succeeded || !error_says(part)) {
        printf("%s, but should fail with \"%s\"\n", succeeded ? "succeeded" : "failed with another error", part);
        check_failed(file, line, call, NULL, DCF_TB_OK);
    }
}

static inline void *v1_on(const char *host, int port)
{
    void *self = create_plugin();
    CHECK(self != NULL);
    CHECK(iface.setup(self, host, port));
    return self;
}

static inline ITransport *v2_on(const char *host, int port)
{
    ITransport *self = create_plugin_v2();
    CHECK(self != NULL);
    OK(self->setup(self, host, port));
    return self;
}

/* The native handle of a plugin. */
static inline dcf_tb_transport native(const void *v1)
{
    return ((const dcf_tb_plugin *)v1)->transport;
}

static inline dcf_tb_transport native_v2(const ITransport *v2)
{
    return native(v2->ctx);
}

/* Sends a message of `size` bytes that depend on `seed`. */
static inline bool v1_send(void *self, const char *target, size_t size, uint32_t seed)
{
    uint8_t *data = (uint8_t *)malloc(size + 1);
    CHECK(data != NULL);
    fill(data, size, seed);
    bool sent = iface.send(self, data, size, target);
    free(data);
    return sent;
}

static inline int v2_send(ITransport *self, const char *target, size_t size, uint32_t seed,
                          uint32_t timeout_ms)
{
    uint8_t *data = (uint8_t *)malloc(size + 1);
    CHECK(data != NULL);
    fill(data, size, seed);
    int status = self->send(self, data, size, target, timeout_ms);
    free(data);
    return status;
}

static inline bool is_message(const uint8_t *data, size_t length, size_t size, uint32_t seed)
{
    uint8_t *expected = (uint8_t *)malloc(size + 1);
    CHECK(expected != NULL);
    fill(expected, size, seed);
    bool same = length == size && memcmp(data, expected, size) == 0;
    free(expected);
    return same;
}

/* Waits for the next message. The caller frees it. */
static inline uint8_t *v1_next(void *self, size_t *size)
{
    uint64_t start = milliseconds();
    uint8_t *data;
    while ((data = iface.receive(self, size)) == NULL)
        CHECK(milliseconds() - start < GENEROUS_MS);
    return data;
}

/* Checks that the next message is the one of `size` and `seed`. */
static inline void v1_expect(void *self, size_t size, uint32_t seed)
{
    size_t length = 12345;
    uint8_t *data = v1_next(self, &length);
    CHECK(is_message(data, length, size, seed));
    free(data);
}

static inline void v2_expect(ITransport *self, const char *from, size_t size, uint32_t seed)
{
    uint8_t *data = NULL;
    size_t length = 0;
    char *sender = NULL;
    OK(self->receive(self, &data, &length, &sender, GENEROUS_MS));
    CHECK(is_message(data, length, size, seed));
    CHECK(from == NULL || strcmp(sender, from) == 0);
    free(data);
    free(sender);
}

#endif
