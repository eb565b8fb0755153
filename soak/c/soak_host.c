/*
  * One of the two hosts of the soak. It uses every function of libdcf_thunderbolt with the other host, and counts what
  * it does. It prints a line with its counts, reads a command, executes it (see `execute`), and so on.
 *
 *   soak_host PEER INCARNATION SEED LOG
 */
#include "receive_log.h"
#include "conversation.h"
#include "workers.h"
#include "counts.h"
#include "transients.h"
#include "resident.h"
#include "messages.h"
#include "opening.h"
#include "serving.h"
#include "round_trips.h"

#include <malloc.h>
#include <sys/prctl.h>
#include <sys/resource.h>

static int resident_is_open;

/* Allocated memory, without the freed blocks that the allocator keeps. */
static uint64_t heap_in_use(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

static void print_statistics(void)
{
    dcf_tb_stats stats = {0};
    stats.struct_size = sizeof stats;
    if (!resident_is_open || dcf_tb_get_stats(resident(), &stats) != DCF_TB_OK)
        return; /* it is being reopened */
#define SAY(member) printf(" library.%s=%" PRIu64, #member, (uint64_t)stats.member)
    SAY(link_up);
    SAY(messages_sent);
    SAY(messages_received);
    SAY(bytes_sent);
    SAY(bytes_received);
    SAY(connections_accepted);
    SAY(connections_initiated);
    SAY(errors);
    SAY(messages_dropped);
    SAY(kernel_drops);
    SAY(rejected);
    SAY(stream_bytes_sent);
    SAY(stream_bytes_received);
    SAY(streams_open);
    SAY(pings_sent);
    SAY(pongs_received);
    SAY(pings_answered);
    SAY(link_changes);
    SAY(callback_failures);
#undef SAY
}

static void open_all(uint32_t round)
{
    messages_reset(round);
    conversations_prepare();
    resident_open();
    resident_is_open = 1;
    workers_start(replace_callbacks, 1);
    workers_start(send_messages, 1);
    workers_start(send_batches, 1);
    workers_start(make_round_trips, 1);
    workers_start(discover_peers, 1);
    workers_start(read_statistics, 1);
    workers_start(use_transient, 1);
    for (int i = 0; i < 3; i++)
        workers_start(open_streams, 1);
    workers_start(take_messages, 0);
    for (int i = 0; i < 4; i++)
        workers_start(take_streams, 0);
}

static void close_all(void)
{
    resident_remove_callbacks();
    workers_stop();
    resident_close();
    resident_is_open = 0;
    conversations_end();
    malloc_trim(0);
}

/* Both hosts are at rest: everything from now on belongs to the next round. */
static void settle(uint32_t round)
{
    dcf_tb_stats stats = {0};
    stats.struct_size = sizeof stats;
    OK(dcf_tb_reset_stats(resident()));
    OK(dcf_tb_get_stats(resident(), &stats));
    CHECK(stats.messages_sent == 0 && stats.messages_received == 0 && stats.bytes_sent == 0 &&
          stats.bytes_received == 0 && stats.stream_bytes_sent == 0 &&
          stats.stream_bytes_received == 0 && stats.connections_accepted == 0 &&
          stats.connections_initiated == 0 && stats.messages_dropped == 0 &&
          stats.kernel_drops == 0 && stats.pings_sent == 0 && stats.pongs_received == 0);
    counts_reset();
    receive_log_reset();
    messages_reset(round);
    malloc_trim(0);
}

/* Limits the process to `more` further descriptors. A negative number restores the original limit. */
static void limit_descriptors(int more)
{
    static struct rlimit usual;
    struct rlimit limit;
    if (usual.rlim_cur == 0)
        CHECK(getrlimit(RLIMIT_NOFILE, &usual) == 0);
    limit = usual;
    if (more >= 0) {
        int lowest = dup(0);
        CHECK(lowest >= 0 && close(lowest) == 0);
        limit.rlim_cur = (rlim_t)(lowest + more);
    }
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

static void report(void)
{
    printf("? busy=%d serving=%d heap=%" PRIu64, workers_busy(), serving_now(), heap_in_use());
    counts_print(stdout);
    print_statistics();
    putchar('\n');
    fflush(stdout);
}

/* False after the command `end`. */
static int execute(const char *command, int argument)
{
    if (strcmp(command, "open") == 0)
        open_all((uint32_t)argument);
    else if (strcmp(command, "go") == 0)
        workers_resume();
    else if (strcmp(command, "pause") == 0)
        workers_pause();
    else if (strcmp(command, "mark") == 0)
        send_mark();
    else if (strcmp(command, "settle") == 0)
        settle((uint32_t)argument);
    else if (strcmp(command, "stall") == 0)
        workers_stall_readers(argument);
    else if (strcmp(command, "interrupt") == 0)
        workers_interrupt(argument);
    else if (strcmp(command, "descriptors") == 0)
        limit_descriptors(argument);
    else if (strcmp(command, "reopen") == 0)
        resident_reopen();
    else if (strcmp(command, "close") == 0)
        close_all();
    else if (strcmp(command, "end") == 0)
        return 0;
    else
        CHECK(strcmp(command, "report") == 0);
    return 1;
}

int main(int count, char **arguments)
{
    char line[64], command[32];
    int argument = 0;
    CHECK(count == 5);
    /* End with the driver, even while stopped by SIGSTOP. */
    CHECK(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
    peer = arguments[1];
    incarnation = (uint32_t)strtoul(arguments[2], NULL, 10);
    workers_seed(strtoull(arguments[3], NULL, 10) + incarnation);
    counts_log_to(arguments[4]);
    do {
        report();
        if (fgets(line, sizeof line, stdin) == NULL)
            return 1;
        argument = 0;
        CHECK(sscanf(line, "%31s %d", command, &argument) >= 1);
    } while (execute(command, argument));
    return 0;
}
