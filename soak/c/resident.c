#include "resident.h"

#include "receive_log.h"
#include "counts.h"
#include "serving.h"

/*
  * The user_data of one callback, from its registration to its replacement. A call with a freed registration means
  * that a callback ran after its replacement had returned.
 */
struct registration {
    int alive, inside;
};

enum kind { ON_MESSAGE, ON_STREAM, ON_LOG, ON_LINK, KINDS };

const char *peer;
static dcf_tb_transport handle;
static struct registration *registered[KINDS];
static int reopen_wanted, closed;

int is_peer(const char *text)
{
    text += *text == '[';
    size_t length = strcspn(text, "%]");
    return length == strlen(peer) && strncmp(text, peer, length) == 0;
}

static void enter(void *registration)
{
    struct registration *self = (struct registration *)registration;
    CHECK(value(&self->alive) == 1);
    add(&self->inside, 1);
}

static void leave(void *registration)
{
    struct registration *self = (struct registration *)registration;
    CHECK(value(&self->alive) == 1);
    add(&self->inside, -1);
}

static struct registration *new_registration(void)
{
    struct registration *new_one = (struct registration *)calloc(1, sizeof *new_one);
    CHECK(new_one != NULL);
    set(&new_one->alive, 1);
    return new_one;
}

/* The replacement has returned, so the old callback must not be running. */
static void retire(struct registration *old)
{
    if (old == NULL)
        return;
    CHECK(value(&old->inside) == 0);
    set(&old->alive, 0);
    free(old);
}

static void on_message(const uint8_t *message, size_t length, const char *sender, void *data)
{
    enter(data);
    workers_stall();
    receive_log_add(message, length, sender);
    leave(data);
}

static void on_stream(dcf_tb_stream stream, const char *from, void *data)
{
    enter(data);
    CHECK(is_peer(from));
    serve(stream);
    leave(data);
}

static void on_log(int32_t level, const char *message, void *data)
{
    enter(data);
    note("library, level %d: %s", (int)level, message);
    leave(data);
}

static void on_link(int32_t up, const char *name, void *data)
{
    enter(data);
    note("link %s is %s", name, up ? "up" : "down");
    count(COUNT_link_events, 1);
    leave(data);
}

static void on_closed(void *data)
{
    (void)data;
    add(&closed, 1);
}

dcf_tb_config settings(void)
{
    dcf_tb_config config;
    OK(dcf_tb_config_init(&config, sizeof config));
    config.interface_name = INTERFACE;
    config.wait_for_interface = 1;
    config.buffer_size = 2 << 20; /* so small that a stalled host loses messages */
    config.max_streams = 64;
    config.stream_dead_after_ms = 20000; /* longer than any fault that streams must survive */
    return config;
}

dcf_tb_transport resident(void)
{
    return __atomic_load_n(&handle, __ATOMIC_SEQ_CST);
}

static dcf_tb_status replace(enum kind kind, struct registration *new_one)
{
    dcf_tb_transport now = resident();
    switch (kind) {
    case ON_MESSAGE:
        return dcf_tb_set_message_callback(now, new_one ? on_message : NULL, new_one);
    case ON_STREAM:
        return dcf_tb_set_stream_callback(now, new_one ? on_stream : NULL, new_one);
    case ON_LOG:
        return dcf_tb_set_log_callback(now, new_one ? on_log : NULL, new_one);
    default:
        return dcf_tb_set_link_callback(now, new_one ? on_link : NULL, new_one);
    }
}

static void change_callback(enum kind kind, struct registration *new_one)
{
    if (fine(AT_callback, replace(kind, new_one))) {
        retire(registered[kind]);
        registered[kind] = new_one;
        count(COUNT_replacements, 1);
    } else {
        free(new_one);
    }
}

static int try_open(void)
{
    dcf_tb_config config = settings();
    dcf_tb_transport new_handle = 0;
    config.control_port = CONTROL_PORT;
    config.data_port = DATA_PORT;
    config.on_closed = on_closed;
    if (!fine(AT_init, dcf_tb_init(&config, &new_handle)))
        return 0;
    __atomic_store_n(&handle, new_handle, __ATOMIC_SEQ_CST);
    change_callback(ON_LOG, new_registration());
    change_callback(ON_LINK, new_registration());
    return 1;
}

void resident_open(void)
{
    CHECK(try_open());
}

void resident_close(void)
{
    dcf_tb_transport now = resident();
    int closed_before = value(&closed);
    OK(dcf_tb_close(now));
    CHECK(value(&closed) == closed_before + 1);
    GIVES(DCF_TB_ERR_INVALID_HANDLE, dcf_tb_close(now));
    /* No callback runs any more. */
    for (int kind = 0; kind < KINDS; kind++) {
        retire(registered[kind]);
        registered[kind] = NULL;
    }
}

void resident_reopen(void)
{
    set(&reopen_wanted, 1);
}

void resident_remove_callbacks(void)
{
    for (int kind = 0; kind < KINDS; kind++)
        change_callback((enum kind)kind, NULL);
}

void replace_callbacks(struct worker *self)
{
    if (value(&reopen_wanted)) {
        resident_close();
        /* Opening fails only if the interface disappears at this moment. */
        while (!try_open())
            rest(self, 100);
        set(&reopen_wanted, 0);
        count(COUNT_reopened, 1);
    }
    enum kind kind = (enum kind)below(self, KINDS);
    change_callback(kind, once_in(self, 2) ? new_registration() : NULL);
    rest(self, 300);
}
