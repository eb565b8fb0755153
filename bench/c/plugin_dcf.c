/* Large messages of a DCF plugin by the contract v2, which sends them over a stream of the library. The
 * work is that of transfer.h, with `piece` as the size of a message. */
#include "dcf.h"
#include "transfer.h"
#include <dcf_plugin.h>

static ITransport *plugin;

static void receive_all(void)
{
    uint64_t position = 0;
    char *sender = NULL;
    while (position < transfer.share) {
        uint8_t *data;
        size_t size;
        free(sender);
        dcf_must(plugin->receive(plugin, &data, &size, &sender, DCF_TB_WAIT_FOREVER), "receive");
        atomic_fetch_add(&sink.bad, check_stream(data, size, position, transfer.piece, transfer.step));
        position += size;
        free(data);
    }
    atomic_store(&sink.bytes, position);
    dcf_must(plugin->send(plugin, (const uint8_t *)&position, sizeof position, sender, 1000), "send");
    free(sender);
}

static void *send_all(void *peer)
{
    uint8_t *piece = must_allocate(transfer.piece), *answer;
    uint64_t arrived = 0;
    size_t size;
    fill_stream(piece, transfer.piece, 0);
    for (uint64_t sent = 0; sent < transfer.share; sent += transfer.piece)
        dcf_must(plugin->send(plugin, piece, transfer.piece, peer, DCF_TB_WAIT_FOREVER), "send");
    dcf_must(plugin->receive(plugin, &answer, &size, NULL, DCF_TB_WAIT_FOREVER), "receive");
    if (size == sizeof arrived)
        memcpy(&arrived, answer, size);
    if (arrived != transfer.share)
        fail("%" PRIu64 " of %" PRIu64 " bytes arrived", arrived, transfer.share);
    free(answer);
    free(piece);
    return NULL;
}

int main(int argc, char **argv)
{
    bool far = is_far(argc, argv);
    transfer_arguments(argv, far);
    if (transfer.streams != 1 || transfer.share % transfer.piece != 0)
        fail("one stream, and whole messages");
    plugin = create_plugin_v2();
    dcf_must(plugin->setup(plugin, NULL, 5000), "setup");
    if (far) {
        say_ready();
        receive_all();
        wait_for_end();
        say("bytes", atomic_load(&sink.bytes));
        say("bad", atomic_load(&sink.bad));
    } else {
        transfer_run(send_all, (void *)(uintptr_t)peer_argument(argv));
    }
    plugin->destroy(plugin);
    return 0;
}
