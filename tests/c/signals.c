/* Signals: no SIGPIPE, unchanged dispositions, masks of the library's threads, interruptions. */
#include "process.h"

#include <sys/mman.h>
#include <sys/time.h>

static void save_dispositions(struct sigaction *actions)
{
    memset(actions, 0, sizeof *actions * (size_t)NSIG);
    for (int i = 1; i < NSIG; i++)
        (void)sigaction(i, NULL, &actions[i]);
}

static void no_sigpipe(void)
{
    TOPIC("writing to a closed peer is an error without a SIGPIPE, not even a pending one");
    dcf_tb_config config = loopback_config();
    dcf_tb_transport a = start_on_loopback(), b = start_on_own_ports(&config);
    uint8_t data[4096] = {0};
    int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    for (int round = 0; round < 2; round++) {
        stream_pair pair = connect_streams(a, b);
        size_t written = 0;
        uint64_t sent = 0;
        dcf_tb_status status;
        write_all(pair.near_end, data, 10);
        OK(dcf_tb_stream_close(pair.far_end));
        for (int after = 0; after < 3; after++) {
            do
                status = round == 0 ? dcf_tb_stream_write(pair.near_end, data, sizeof data,
                                                          GENEROUS_MS, &written)
                                    : dcf_tb_stream_send_file(pair.near_end, file, 0, 4096,
                                                              GENEROUS_MS, &sent);
            while (status == DCF_TB_OK);
            CHECK(status == DCF_TB_ERR_CONNECTION_RESET || status == DCF_TB_ERR_BROKEN_PIPE);
        }
        OK(dcf_tb_stream_close(pair.near_end));
        OK(dcf_tb_send(a, peer_strings(b).control, data, 10));
    }
    uint16_t port = control_port(b);
    char peer[80];
    snprintf(peer, sizeof peer, "[::1%%lo]:%u", port);
    OK(dcf_tb_close(b));
    for (int i = 0; i < 10; i++)
        (void)dcf_tb_send(a, peer, data, 10);
    OK(dcf_tb_close(a));
    close(file);
}

/* Whether a mask blocks every asynchronous signal, and no synchronous one. */
static int good_mask(uint64_t mask)
{
    static const int open_ones[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSYS};
    const int blocked[] = {SIGHUP, SIGINT, SIGQUIT, SIGPIPE, SIGALRM, SIGTERM, SIGUSR1,
                           SIGUSR2, SIGCHLD, SIGURG, SIGVTALRM, SIGPROF, SIGWINCH, SIGIO,
                           SIGTSTP, SIGTTIN, SIGTTOU, SIGCONT, SIGRTMIN, SIGRTMAX};
    for (size_t i = 0; i < sizeof open_ones / sizeof open_ones[0]; i++)
        if (mask >> (open_ones[i] - 1) & 1)
            return 0;
    for (size_t i = 0; i < sizeof blocked / sizeof blocked[0]; i++)
        if (!(mask >> (blocked[i] - 1) & 1))
            return 0;
    return 1;
}

static void check_mask(int thread, const char *name, void *unused)
{
    (void)unused;
    printf("  %s blocks %016" PRIx64 "\n", name, status_value(thread, "SigBlk", 16));
    /* The C library blocks all signals for a moment while a thread starts another. */
    EVENTUALLY(good_mask(status_value(thread, "SigBlk", 16)));
}

static int inside_handler, let_go;

static void stay(dcf_tb_stream stream, const char *peer, void *unused)
{
    (void)peer, (void)unused;
    add(&inside_handler, 1);
    EVENTUALLY(value(&let_go));
    (void)dcf_tb_stream_close(stream); /* the transport may be closing it, too */
}

static void masks(void)
{
    TOPIC("library threads block exactly the asynchronous signals, whatever the starting thread blocks");
    for (int all_blocked = 0; all_blocked < 2; all_blocked++) {
        sigset_t mask, before, after;
        if (all_blocked)
            sigfillset(&mask);
        else
            sigemptyset(&mask);
        CHECK(pthread_sigmask(SIG_SETMASK, &mask, &before) == 0);
        set(&inside_handler, 0);
        set(&let_go, 0);
        dcf_tb_transport t = start_on_loopback();
        OK(dcf_tb_set_stream_callback(t, stay, NULL));
        dcf_tb_stream stream = 0;
        OK(dcf_tb_open_stream(t, "::1%lo", GENEROUS_MS, &stream));
        EVENTUALLY(value(&inside_handler) == 1);
        EVENTUALLY(each_library_thread(NULL, NULL) == 3); /* a thread sets its name when it begins to run */
        each_library_thread(check_mask, NULL);
        set(&let_go, 1);
        OK(dcf_tb_close(t));
        CHECK(pthread_sigmask(SIG_SETMASK, &before, &after) == 0);
        CHECK(sigismember(&after, SIGTERM) == all_blocked); /* the caller's mask is unchanged */
    }
}

static int alarms;

static void on_alarm(int signal)
{
    (void)signal;
    add(&alarms, 1);
}

static void *interrupted_reader(void *stream)
{
    static uint8_t data[1 << 20];
    for (int i = 0; i < 8; i++)
        read_exactly(*(dcf_tb_stream *)stream, data, sizeof data);
    return NULL;
}

static void interruptions(void)
{
    TOPIC("blocking calls continue after interruptions, with the remaining time");
    static uint8_t data[1 << 20];
    struct sigaction action;
    struct itimerval often = {{0, 1000}, {0, 1000}}, never = {{0, 0}, {0, 0}};
    dcf_tb_transport a = start_on_loopback(), b = start_on_loopback();
    uint8_t buffer[16];
    size_t length = 0, count = 0;
    uint64_t rtt = 0;
    dcf_tb_rtt summary;
    dcf_tb_peer found;
    dcf_tb_stream stream = 0;
    summary.struct_size = sizeof summary;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_alarm; /* and no SA_RESTART */
    CHECK(sigaction(SIGALRM, &action, NULL) == 0);
    CHECK(setitimer(ITIMER_REAL, &often, NULL) == 0);

    uint64_t start_time = milliseconds();
    GIVES(DCF_TB_ERR_TIMEOUT, dcf_tb_recv(a, buffer, sizeof buffer, &length, NULL, 0, 100));
    CHECK(milliseconds() - start_time >= 99);
    start_time = milliseconds();
    GIVES(DCF_TB_ERR_TIMEOUT, dcf_tb_accept(a, 100, &stream));
    CHECK(milliseconds() - start_time >= 99);
    start_time = milliseconds();
    OK(dcf_tb_discover(a, 100, &found, 1, &count));
    CHECK(milliseconds() - start_time >= 99);
    for (int i = 0; i < 200; i++) {
        OK(dcf_tb_measure_rtt(a, peer_strings(b).control, GENEROUS_MS, &rtt));
        send_text(a, peer_strings(b).control, "on");
        expect_text(b, "on");
    }
    OK(dcf_tb_ping(a, peer_strings(b).control, 20, 5000, GENEROUS_MS, &summary));
    CHECK(summary.received == 20);
    stream_pair pair = connect_streams(a, b);
    start_time = milliseconds();
    GIVES(DCF_TB_ERR_TIMEOUT, dcf_tb_stream_read(pair.far_end, data, 1, 100, &count));
    CHECK(milliseconds() - start_time >= 99);
    pthread_t reader = start_thread(interrupted_reader, &pair.far_end);
    for (int i = 0; i < 8; i++)
        write_all(pair.near_end, data, sizeof data);
    join(reader);
    OK(dcf_tb_close(a));
    OK(dcf_tb_close(b));
    CHECK(setitimer(ITIMER_REAL, &never, NULL) == 0);
    CHECK(value(&alarms) > 100);
    action.sa_handler = SIG_DFL;
    CHECK(sigaction(SIGALRM, &action, NULL) == 0);
}

enum { FILE_SIZE = 1 << 22 };
static uint8_t sent_content[FILE_SIZE];
static pthread_t receiver;
static int received_all;

/* Writes small pieces, so that the other side makes many system calls. */
static void *write_pieces(void *stream)
{
    for (size_t done = 0; done < FILE_SIZE; done += 256)
        write_all(*(dcf_tb_stream *)stream, sent_content + done, 256);
    return NULL;
}

static void *interrupt_receiver(void *unused)
{
    while (!value(&received_all))
        CHECK(pthread_kill(receiver, SIGALRM) == 0);
    return unused;
}

static void interrupted_files(void)
{
    TOPIC("transfers into files continue too, and lose no bytes");
    static uint8_t back[FILE_SIZE];
    uint64_t received = 0;
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_alarm; /* and no SA_RESTART */
    CHECK(sigaction(SIGALRM, &action, NULL) == 0);
    dcf_tb_transport a = start_on_loopback(), b = start_on_loopback();
    stream_pair pair = connect_streams(a, b);
    int file = memfd_create("received", MFD_CLOEXEC);
    CHECK(file >= 0);
    receiver = pthread_self();
    fill(sent_content, FILE_SIZE, 5);
    pthread_t sender = start_thread(write_pieces, &pair.near_end);
    pthread_t interrupter = start_thread(interrupt_receiver, NULL);
    OK(dcf_tb_stream_receive_file(pair.far_end, file, 0, FILE_SIZE, GENEROUS_MS, &received));
    set(&received_all, 1);
    join(interrupter);
    join(sender);
    CHECK(received == FILE_SIZE && pread(file, back, FILE_SIZE, 0) == FILE_SIZE);
    CHECK(memcmp(sent_content, back, FILE_SIZE) == 0);
    close(file);
    OK(dcf_tb_close(a));
    OK(dcf_tb_close(b));
    action.sa_handler = SIG_DFL;
    CHECK(sigaction(SIGALRM, &action, NULL) == 0);
}

int main(void)
{
    static struct sigaction before[NSIG], after[NSIG];
    sigset_t pipe_only, pending;
    CHECK(signal(SIGPIPE, SIG_DFL) != SIG_ERR);
    save_dispositions(before);
    no_sigpipe();
    sigemptyset(&pipe_only);
    sigaddset(&pipe_only, SIGPIPE);
    CHECK(pthread_sigmask(SIG_BLOCK, &pipe_only, NULL) == 0);
    no_sigpipe();
    CHECK(sigpending(&pending) == 0 && !sigismember(&pending, SIGPIPE));
    CHECK(pthread_sigmask(SIG_UNBLOCK, &pipe_only, NULL) == 0);
    masks();
    TOPIC("the process's signal dispositions are unchanged");
    save_dispositions(after);
    for (int i = 1; i < NSIG; i++)
        CHECK(before[i].sa_handler == after[i].sa_handler && before[i].sa_flags == after[i].sa_flags);
    interruptions();
    interrupted_files();
    return 0;
}
