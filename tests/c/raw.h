/* Plain sockets, for peers that speak the protocol without the library. */
#ifndef RAW_H
#define RAW_H

#include "check.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>

static const uint8_t PING[8] = {0x00, 0x00, 0x00, 0x52, 0x54, 0x54, 0x50, 0x54};
static const uint8_t PONG[8] = {0x00, 0x00, 0x00, 0x52, 0x54, 0x54, 0x50, 0x53};

static inline struct sockaddr_in6 raw_address(const char *address, uint16_t port)
{
    struct sockaddr_in6 result;
    memset(&result, 0, sizeof result);
    result.sin6_family = AF_INET6;
    result.sin6_port = htons(port);
    CHECK(inet_pton(AF_INET6, address, &result.sin6_addr) == 1);
    if (IN6_IS_ADDR_LINKLOCAL(&result.sin6_addr))
        result.sin6_scope_id = if_nametoindex("lo");
    return result;
}

/* Opens a socket of a type on an address; port 0 takes any. */
static inline int raw_socket(int type, const char *address, uint16_t port)
{
    struct sockaddr_in6 own = raw_address(address, port);
    struct timeval limit = {GENEROUS_MS / 1000, 0};
    int fd = socket(AF_INET6, type | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0);
    CHECK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0);
    CHECK(bind(fd, (struct sockaddr *)&own, sizeof own) == 0);
    return fd;
}

static inline uint16_t raw_port(int fd)
{
    struct sockaddr_in6 own;
    socklen_t length = sizeof own;
    CHECK(getsockname(fd, (struct sockaddr *)&own, &length) == 0);
    return ntohs(own.sin6_port);
}

static inline void raw_send(int fd, const void *data, size_t length, struct sockaddr_in6 to)
{
    CHECK(sendto(fd, data, length, 0, (struct sockaddr *)&to, sizeof to) == (ssize_t)length);
}

static inline size_t raw_receive(int fd, void *data, size_t size, struct sockaddr_in6 *from)
{
    socklen_t length = sizeof *from;
    ssize_t count = recvfrom(fd, data, size, 0, (struct sockaddr *)from, &length);
    CHECK(count >= 0);
    return (size_t)count;
}

#endif
