/* The yardstick of messages: from one sender to one receiver, as fast as possible or at a rate.
 *
 *   far:   mode=block   recvmmsg sleeps
 *          mode=spin    recvmmsg(MSG_DONTWAIT) up to 50 us before it sleeps
  *          mode=gro     the same with UDP_GRO, split here
  *   near:  mode=send    one send per message on a connected socket
 *          mode=mmsg    sendmmsg of 32
 *          mode=gso     UDP_SEGMENT, as many as one send takes
 *          rate=N duration_ms=N
 *   both:  size=N */
#include "pace.h"
#include "raw.h"

#define BATCH 32
#define SLOT 65536

static struct arrivals arrivals;
static bool spin, gro;

static uint16_t segment_size(struct msghdr *header, size_t otherwise)
{
    struct cmsghdr *control = CMSG_FIRSTHDR(header);
    int size;
    if (control == NULL || control->cmsg_level != SOL_UDP || control->cmsg_type != UDP_GRO)
        return (uint16_t)otherwise;
    memcpy(&size, CMSG_DATA(control), sizeof size);
    return (uint16_t)size;
}

static void *receive(void *argument)
{
    static struct mmsghdr headers[BATCH];
    static struct iovec vectors[BATCH];
    static char controls[BATCH][64];
    int fd = *(int *)argument;
    uint8_t *slots = must_allocate((size_t)BATCH * SLOT);
    uint64_t last = 0;
    for (;;) {
        for (int i = 0; i < BATCH; i++) {
            vectors[i] = (struct iovec){slots + (size_t)i * SLOT, SLOT};
            headers[i].msg_hdr = (struct msghdr){.msg_iov = &vectors[i], .msg_iovlen = 1};
            if (gro) {
                headers[i].msg_hdr.msg_control = controls[i];
                headers[i].msg_hdr.msg_controllen = sizeof controls[i];
            }
        }
        bool look = spin && now_ns() - last < 50000;
        int count = recvmmsg(fd, headers, BATCH, look ? MSG_DONTWAIT : MSG_WAITFORONE, NULL);
        if (count <= 0)
            continue;
        if (spin)
            last = now_ns();
        for (int i = 0; i < count; i++) {
            size_t size = headers[i].msg_len;
            size_t step = gro ? segment_size(&headers[i].msg_hdr, size) : size;
            for (size_t at = 0; at < size; at += step)
                arrived(&arrivals, slots + (size_t)i * SLOT + at,
                        step < size - at ? step : size - at);
        }
    }
    return NULL;
}

static void send_singly(int fd, size_t size, char **argv)
{
    uint8_t *message = must_allocate(size);
    uint64_t sent = 0;
    fill_message(message, size);
    struct pace pace = pace_begin(argv);
    while (pace_next(&pace, 1)) {
        number_message(message, sent++);
        must(send(fd, message, size, 0), "send");
    }
    pace_say(&pace, sent);
}

static void send_many(int fd, size_t size, char **argv)
{
    static struct mmsghdr headers[BATCH];
    static struct iovec vectors[BATCH];
    uint8_t *messages = must_allocate(BATCH * size);
    uint64_t sent = 0;
    for (size_t i = 0; i < BATCH; i++) {
        fill_message(messages + i * size, size);
        vectors[i] = (struct iovec){messages + i * size, size};
        headers[i].msg_hdr = (struct msghdr){.msg_iov = &vectors[i], .msg_iovlen = 1};
    }
    struct pace pace = pace_begin(argv);
    while (pace_next(&pace, BATCH)) {
        for (size_t i = 0; i < BATCH; i++)
            number_message(messages + i * size, sent++);
        must(sendmmsg(fd, headers, BATCH, 0), "sendmmsg");
    }
    pace_say(&pace, sent);
}

static void send_segmented(int fd, size_t size, char **argv)
{
    size_t most = 65000 / size < 64 ? 65000 / size : 64;
    uint8_t *messages = must_allocate(most * size);
    int segment = (int)size;
    uint64_t sent = 0;
    for (size_t i = 0; i < most; i++)
        fill_message(messages + i * size, size);
    must(setsockopt(fd, SOL_UDP, UDP_SEGMENT, &segment, sizeof segment), "UDP_SEGMENT");
    struct pace pace = pace_begin(argv);
    for (uint64_t trains = 0; pace_next(&pace, 1); trains++) {
        for (size_t i = 0; i < most; i++)
            number_message(messages + i * size, sent++);
        must(send(fd, messages, most * size, 0), "send");
    }
    pace_say(&pace, sent);
}

int main(int argc, char **argv)
{
    bool far = is_far(argc, argv);
    size_t size = number_argument(argv, "size", 64);
    const char *mode = text_argument(argv, "mode", far ? "block" : "send");
    if (far) {
        int fd = raw_bound(SOCK_DGRAM, CONTROL_PORT);
        int buffer = 64 << 20, one = 1;
        /* Like the library: beyond the limit if permitted, else up to it. */
        if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof buffer) != 0)
            must(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer), "SO_RCVBUF");
        spin = strcmp(mode, "block") != 0;
        gro = strcmp(mode, "gro") == 0;
        if (gro)
            must(setsockopt(fd, SOL_UDP, UDP_GRO, &one, sizeof one), "UDP_GRO");
        arrivals_begin(&arrivals, size);
        must_start(receive, &fd);
        say_ready();
        wait_for_end();
        arrivals_say(&arrivals);
        say("cpu_ns", cpu_ns());
        return 0;
    }
    int fd = raw_connected(SOCK_DGRAM, peer_argument(argv), CONTROL_PORT);
    if (strcmp(mode, "send") == 0)
        send_singly(fd, size, argv);
    else if (strcmp(mode, "mmsg") == 0)
        send_many(fd, size, argv);
    else if (strcmp(mode, "gso") == 0)
        send_segmented(fd, size, argv);
    else
        fail("mode=%s is not send, mmsg or gso", mode);
    return 0;
}
