/*
  * Leaving a callback other than by returning. In C++, an exception that leaves it and pthread_exit end
  * the process by abort(), after the destructors of the callback's own frames, because the state would be
  * unknown. pthread_cancel has no effect on threads of the library.
 */
#include "check.h"

#include <stdexcept>
#include <sys/mman.h>
#include <sys/resource.h>

enum way { THROW, EXIT, CANCEL, CATCH };
enum kind { MESSAGE, STREAM, LOG, CLOSED, KINDS };
static const char *const names[] = {"message", "stream", "log", "closed"};

/* What a child did, in memory shared with the parent. */
struct traces {
    int entered, destroyed, left;
};

static traces *left_behind;
static enum way way;
static enum kind kind;
static int let_go;

struct Local {
    ~Local() { add(&left_behind->destroyed, 1); }
};

static void leave(enum kind here)
{
    Local local;
    if (here != kind || add(&left_behind->entered, 1) > 1)
        return;
    if (way == THROW)
        throw std::runtime_error("thrown by a callback");
    if (way == EXIT)
        pthread_exit(NULL);
    if (way == CANCEL) {
        CHECK(pthread_cancel(pthread_self()) == 0);
        pthread_testcancel();
        pause_briefly(); /* a cancellation point */
    }
    if (way == CATCH) {
        try {
            throw std::runtime_error("thrown in a callback");
        } catch (const std::exception &) {
        }
    }
    add(&left_behind->left, 1);
    set(&let_go, 1);
}

static void on_message(const uint8_t *, size_t, const char *, void *) { leave(MESSAGE); }

static void on_stream(dcf_tb_stream stream, const char *, void *)
{
    leave(STREAM);
    (void)dcf_tb_stream_close(stream);
}

static void on_log(int32_t, const char *message, void *)
{
    if (strstr(message, "accepted") != NULL) /* a record of a thread of the library */
        leave(LOG);
}

static void on_closed(void *) { leave(CLOSED); }

/* In the child: provokes every callback. If the child survives that, everything must work. */
static void live(void)
{
    dcf_tb_config config = loopback_config();
    config.on_message = on_message;
    config.on_stream = on_stream;
    config.on_log = on_log;
    config.on_closed = on_closed;
    config.log_level = DCF_TB_LOG_DEBUG;
    dcf_tb_transport t = start(&config);
    dcf_tb_stream stream = 0;
    uint64_t rtt = 0;
    send_text(t, "::1%lo", "go");
    OK(dcf_tb_open_stream(t, "::1%lo", GENEROUS_MS, &stream));
    if (kind != CLOSED)
        EVENTUALLY(value(&let_go));
    OK(dcf_tb_measure_rtt(t, "::1%lo", GENEROUS_MS, &rtt));
    OK(dcf_tb_close(t));
    _exit(0);
}

static void play(enum way how, enum kind where, int dies)
{
    int status = 0;
    way = how;
    kind = where;
    memset(left_behind, 0, sizeof *left_behind);
    fflush(stdout);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        const struct rlimit none = {0, 0};
        CHECK(setrlimit(RLIMIT_CORE, &none) == 0);
        /* Hide the messages of the C and C++ libraries at the abort. */
        int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
        CHECK(dup2(nowhere, 2) == 2);
        live();
    }
    EVENTUALLY(waitpid(child, &status, WNOHANG) == child);
    printf("  %s: %s %d\n", names[where], WIFSIGNALED(status) ? "signal" : "exit",
           WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    CHECK(left_behind->entered == 1 && left_behind->destroyed >= 1);
    if (dies) {
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
        CHECK(left_behind->left == 0);
    } else {
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        CHECK(left_behind->left == 1);
    }
}

int main(void)
{
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(page != MAP_FAILED);
    left_behind = static_cast<traces *>(page);

    TOPIC("an exception that is caught inside the callback has no effect");
    for (int k = 0; k < KINDS; k++)
        play(CATCH, static_cast<enum kind>(k), 0);
    TOPIC("an exception that leaves a callback ends the process");
    for (int k = 0; k < KINDS; k++)
        play(THROW, static_cast<enum kind>(k), 1);
    TOPIC("so does pthread_exit");
    for (int k = 0; k < KINDS; k++)
        play(EXIT, static_cast<enum kind>(k), 1);
    TOPIC("a thread of the library cannot be cancelled");
    for (int k = 0; k < CLOSED; k++)
        play(CANCEL, static_cast<enum kind>(k), 0);
    return 0;
}
