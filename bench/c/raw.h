/* Sockets of the yardsticks, bound to the interface like the library's. */
#ifndef RAW_H
#define RAW_H

#include "bench.h"
#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <sys/socket.h>

static inline int raw_socket(int type)
{
    int fd = (int)must(socket(AF_INET6, type | SOCK_CLOEXEC, 0), "socket");
    must(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, INTERFACE, sizeof INTERFACE),
         "SO_BINDTODEVICE");
    return fd;
}

static inline struct sockaddr_in6 raw_address(const char *text, uint16_t port)
{
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    if (text != NULL) {
        char bare[INET6_ADDRSTRLEN] = "";
        strncpy(bare, text, sizeof bare - 1);
        char *scope = strchr(bare, '%');
        if (scope != NULL)
            *scope = '\0';
        if (inet_pton(AF_INET6, bare, &address.sin6_addr) != 1)
            fail("%s is not an IPv6 address", text);
        address.sin6_scope_id = if_nametoindex(INTERFACE);
    }
    return address;
}

static inline int raw_bound(int type, uint16_t port)
{
    int one = 1;
    int fd = raw_socket(type);
    struct sockaddr_in6 any = raw_address(NULL, port);
    must(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one), "SO_REUSEADDR");
    must(bind(fd, (struct sockaddr *)&any, sizeof any), "bind");
    return fd;
}

static inline int raw_connected(int type, const char *peer, uint16_t port)
{
    int fd = raw_socket(type);
    struct sockaddr_in6 to = raw_address(peer, port);
    must(connect(fd, (struct sockaddr *)&to, sizeof to), "connect");
    return fd;
}

#endif
