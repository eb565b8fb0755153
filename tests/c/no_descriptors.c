/*
  * No descriptors left: connections are reset at once, counted, and logged once a second. No thread
  * spins, calls that need no descriptor work, and the others report EMFILE.
 */
#include "descriptors.h"
#include "raw.h"

#include <stdarg.h>

enum { PEERS = 50, MORE = PEERS + 4, PAUSE_MS = 100 };

static int no_spare, records;

/* The open64 of the executable replaces that of the C library, for the library too. */
int open64(const char *path, int flags, ...)
{
    va_list more;
    va_start(more, flags);
    mode_t mode = (flags & O_CREAT) != 0 ? va_arg(more, mode_t) : 0;
    va_end(more);
    if (value(&no_spare) && strcmp(path, "/dev/null") == 0) {
        errno = EMFILE;
        return -1;
    }
    return openat(AT_FDCWD, path, flags, mode);
}

static void on_log(int32_t level, const char *message, void *unused)
{
    (void)unused;
    if (level == DCF_TB_LOG_ERROR && strstr(message, "cannot accept") != NULL)
        add(&records, 1);
}

static dcf_tb_transport t, other;
static peers_of to;
static stream_pair pair;
static struct sockaddr_in6 address;
static int acceptor, acceptor_status, descriptors;

static void find_acceptor(int thread, const char *name, void *found)
{
    if (strcmp(name, "dcf-tb-accept") == 0) {
        acceptor = thread;
        ++*(int *)found;
    }
}

/* Context switches of the accepting thread. The file was opened while there were descriptors. */
static uint64_t switches(void)
{
    char text[4096], *own;
    ssize_t length = pread(acceptor_status, text, sizeof text - 1, 0);
    CHECK(length > 0);
    text[length] = '\0';
    CHECK((own = strstr(text, "\nvoluntary_ctxt_switches:")) != NULL);
    CHECK((own = strchr(own + 1, ':')) != NULL);
    uint64_t voluntary = strtoull(own + 1, &own, 10);
    CHECK((own = strchr(own, ':')) != NULL);
    return voluntary + strtoull(own + 1, NULL, 10);
}

static void is_reset(int tcp)
{
    char byte;
    if (connect(tcp, (struct sockaddr *)&address, sizeof address) == 0)
        CHECK(recv(tcp, &byte, 1, 0) == -1);
    CHECK(errno == ECONNRESET);
}

/* Checks calls that need no descriptor. */
static void goes_on(void)
{
    uint64_t rtt = 0, received = 0;
    char text[4];
    OK(dcf_tb_measure_rtt(other, to.control, GENEROUS_MS, &rtt));
    send_text(other, to.control, "goes on");
    expect_text(t, "goes on");
    write_all(pair.near_end, "four", 4);
    read_exactly(pair.far_end, text, 4);
    write_all(pair.near_end, "four", 4); /* without a pipe in between */
    OK(dcf_tb_stream_receive_file(pair.far_end, 0, 0, 4, GENEROUS_MS, &received));
}

static void no_files_said(dcf_tb_status status)
{
    CHECK(status == DCF_TB_ERR_TOO_MANY_FILES);
    CHECK(dcf_tb_last_errno() == EMFILE && error_says("Too many open files"));
    CHECK(error_says("ulimit -n"));
}

static void what_needs_one_says_so(void)
{
    dcf_tb_transport none = 77;
    dcf_tb_stream stream = 77;
    dcf_tb_rtt summary;
    dcf_tb_peer found;
    uint64_t rtt = 77;
    size_t count = 77;
    int32_t fd = -77;
    dcf_tb_config config = loopback_config();
    summary.struct_size = sizeof summary;
    no_files_said(dcf_tb_init(&config, &none));
    no_files_said(dcf_tb_open_stream(other, to.data, GENEROUS_MS, &stream));
    no_files_said(dcf_tb_event_fd(other, &fd));
    no_files_said(dcf_tb_measure_rtt(t, "[::1%lo]:9", 1, &rtt));
    no_files_said(dcf_tb_ping(t, "[::1%lo]:9", 1, 0, 1, &summary));
    no_files_said(dcf_tb_discover(t, 1, &found, 1, &count));
    uint64_t errors = stats_of(other).errors;
    no_files_said(dcf_tb_stream_detach(pair.near_end, &fd));
    CHECK(stats_of(other).errors == errors + 1);
    CHECK(none == 77 && stream == 77 && rtt == 77 && fd == -77);
}

static void a_flood(const int *tcp)
{
    TOPIC("connections are reset at once, counted, and logged once a second");
    uint64_t begin = milliseconds(), before;
    OK(dcf_tb_reset_stats(t));
    set(&records, 0);
    for (int i = 0; i < PEERS; i++)
        is_reset(tcp[i]);
    CHECK(stats_of(t).rejected == PEERS && stats_of(t).errors == PEERS);
    CHECK(stats_of(t).connections_accepted == 0 && stats_of(t).streams_open == 2);
    CHECK(value(&records) >= 1);
    CHECK(value(&records) <= (int)((milliseconds() - begin) / 1000) + 2);

    TOPIC("afterwards no thread spins");
    uint64_t at_rest = switches();
    EVENTUALLY((before = at_rest, usleep(100000), before == (at_rest = switches())));
    usleep(500000);
    CHECK(switches() == at_rest);
}

/* Another thread of the process takes the descriptor before the library can reserve a spare again. */
static void without_the_spare(const int *tcp)
{
    TOPIC("without the spare descriptor connections wait, and the thread retries ten times a second");
    char byte;
    set(&no_spare, 1);
    is_reset(tcp[0]);
    EVENTUALLY(stats_of(t).rejected == PEERS + 1);
    int filler;
    EVENTUALLY((filler = dup(0)) >= 0);
    CHECK(dup(0) == -1 && errno == EMFILE);
    uint64_t begin = milliseconds(), before = switches(), errors = stats_of(t).errors;
    CHECK(connect(tcp[1], (struct sockaddr *)&address, sizeof address) == 0);
    EVENTUALLY(stats_of(t).errors >= errors + 5);
    goes_on();
    uint64_t failed = stats_of(t).errors - errors, switched = switches() - before;
    uint64_t looks = (milliseconds() - begin) / PAUSE_MS + 2;
    CHECK(failed <= looks && switched <= 10 * looks);
    CHECK(recv(tcp[1], &byte, 1, MSG_DONTWAIT) == -1 && errno == EAGAIN);

    TOPIC("a waiting connection is accepted once there is a descriptor, and a spare is reserved again");
    set(&no_spare, 0);
    close(filler);
    dcf_tb_stream accepted[2] = {0, 0};
    OK(dcf_tb_accept(t, GENEROUS_MS, &accepted[0]));
    have_descriptors();
    CHECK(connect(tcp[2], (struct sockaddr *)&address, sizeof address) == 0);
    OK(dcf_tb_accept(t, GENEROUS_MS, &accepted[1]));
    EVENTUALLY(count_descriptors() == descriptors + 2); /* the accepted ones */
    leave(0);
    is_reset(tcp[3]);
    for (int i = 0; i < 2; i++)
        OK(dcf_tb_stream_close(accepted[i]));
}

int main(void)
{
    begin_with_few_descriptors();
    int tcp[MORE];
    for (int i = 0; i < MORE; i++)
        tcp[i] = raw_socket(SOCK_STREAM, "::1", 0);
    FILE *file = tmpfile();
    CHECK(file != NULL && dup2(fileno(file), 0) == 0);
    other = start_on_loopback();
    dcf_tb_config config = loopback_config();
    config.on_log = on_log;
    t = start(&config);
    char path[64];
    /* Connected in both directions, so all their threads have started. */
    address = raw_address("::1", data_port(t));
    pair = connect_streams(t, other);
    pair = connect_streams(other, t);
    int acceptors = 0;
    each_library_thread(find_acceptor, &acceptors); /* the last thread of that name is t's */
    CHECK(acceptors == 2);
    snprintf(path, sizeof path, "/proc/self/task/%d/status", acceptor);
    CHECK((acceptor_status = open(path, O_RDONLY | O_CLOEXEC)) >= 0);
    to = peer_strings(t);
    goes_on();
    descriptors = count_descriptors();

    leave(0);
    a_flood(tcp);
    goes_on();
    what_needs_one_says_so();
    without_the_spare(&tcp[PEERS]);

    TOPIC("with descriptors again everything works, and no data was lost");
    have_descriptors();
    stream_pair fresh = connect_streams(other, t);
    write_all(fresh.near_end, "works", 5);
    close_pair(fresh);
    for (int i = 0; i < MORE; i++)
        close(tcp[i]);
    EVENTUALLY(count_descriptors() == descriptors - MORE);
    OK(dcf_tb_close(t));
    OK(dcf_tb_close(other));
    fclose(file);
    return 0;
}
