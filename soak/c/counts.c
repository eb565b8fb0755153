#include "counts.h"

#include <stdarg.h>

/* Failures of one kind in this round. */
struct failure {
    enum place place;
    dcf_tb_status status;
    uint64_t count;
};

/* Enough for every place and status that occur together. Each logs its first LOGGED failures. */
enum { FAILURES = 128, LOGGED = 8 };

static uint64_t counts[COUNT_ALL];
static struct failure failures[FAILURES];
static pthread_mutex_t failures_lock = PTHREAD_MUTEX_INITIALIZER;
static FILE *log_file;
static uint64_t began;

static const char *const count_names[] = {
#define COUNT_TEXT(name) #name,
    COUNTS(COUNT_TEXT)
};

static const char *const place_names[] = {
#define PLACE_TEXT(name) #name,
    PLACES(PLACE_TEXT)
};

void counts_log_to(const char *path)
{
    began = milliseconds();
    log_file = fopen(path, "ae");
    CHECK(log_file != NULL);
}

void count(enum count which, uint64_t amount)
{
    __atomic_fetch_add(&counts[which], amount, __ATOMIC_SEQ_CST);
}

uint64_t counted(enum count which)
{
    return __atomic_load_n(&counts[which], __ATOMIC_SEQ_CST);
}

void note(const char *format, ...)
{
    uint64_t now = milliseconds() - began;
    va_list arguments;
    flockfile(log_file);
    fprintf(log_file, "%6" PRIu64 ".%03u ", now / 1000, (unsigned)(now % 1000));
    va_start(arguments, format);
    vfprintf(log_file, format, arguments);
    va_end(arguments);
    putc('\n', log_file);
    fflush(log_file);
    funlockfile(log_file);
}

/* As the header defines dcf_tb_stats.errors: timeouts, ends of streams and closes are not errors. */
static int counts_as_error(dcf_tb_status status)
{
    switch (status) {
    case DCF_TB_OK: case DCF_TB_WOULD_BLOCK: case DCF_TB_CANCELLED: case DCF_TB_EOF:
    case DCF_TB_ERR_TIMEOUT: case DCF_TB_ERR_BUFFER_TOO_SMALL: case DCF_TB_ERR_INVALID_HANDLE:
        return 0;
    default:
        return 1;
    }
}

int fine_or_planned(dcf_tb_status status)
{
    if (counts_as_error(status))
        count(COUNT_failures, 1);
    return status == DCF_TB_OK;
}

/* Records a failure; returns how often it has happened in this round. */
static uint64_t remember(enum place place, dcf_tb_status status)
{
    uint64_t times = 0;
    CHECK(pthread_mutex_lock(&failures_lock) == 0);
    for (int i = 0; i < FAILURES && times == 0; i++) {
        struct failure *failure = &failures[i];
        if (failure->count == 0) {
            failure->place = place;
            failure->status = status;
        }
        if (failure->place == place && failure->status == status)
            times = ++failure->count;
    }
    CHECK(pthread_mutex_unlock(&failures_lock) == 0);
    CHECK(times > 0);
    return times;
}

int fine(enum place place, dcf_tb_status status)
{
    char text[1024];
    if (status == DCF_TB_OK)
        return 1;
    if (place != AT_transient)
        fine_or_planned(status);
    if (remember(place, status) <= LOGGED) {
        dcf_tb_last_error(text, sizeof text);
        note("%s: 0x%04X %s: %s", place_names[place], (unsigned)status,
             dcf_tb_status_string(status), text);
    }
    return 0;
}

void counts_print(FILE *output)
{
    for (int i = 0; i < COUNT_ALL; i++)
        fprintf(output, " %s=%" PRIu64, count_names[i], counted((enum count)i));
    CHECK(pthread_mutex_lock(&failures_lock) == 0);
    for (int i = 0; i < FAILURES && failures[i].count > 0; i++)
        fprintf(output, " failure.%s.%04X=%" PRIu64, place_names[failures[i].place],
                (unsigned)failures[i].status, failures[i].count);
    CHECK(pthread_mutex_unlock(&failures_lock) == 0);
}

void counts_reset(void)
{
    for (int i = 0; i < COUNT_ALL; i++)
        __atomic_store_n(&counts[i], 0, __ATOMIC_SEQ_CST);
    CHECK(pthread_mutex_lock(&failures_lock) == 0);
    memset(failures, 0, sizeof failures);
    CHECK(pthread_mutex_unlock(&failures_lock) == 0);
}
