/* A process that runs out of descriptors: calls report it, and everything works again later. */
#include "descriptors.h"

static void file_too_large(dcf_tb_transport a, dcf_tb_transport b)
{
    TOPIC("a file at its size limit: an error, no signal, and the rest stays in the stream");
    struct rlimit before, low;
    CHECK(getrlimit(RLIMIT_FSIZE, &before) == 0);
    low = before;
    low.rlim_cur = 1000;
    FILE *file = tmpfile();
    uint8_t data[5000], back[5000];
    uint64_t received = 0;
    CHECK(file != NULL);
    fill(data, sizeof data, 1);
    stream_pair pair = connect_streams(a, b);
    write_all(pair.near_end, data, sizeof data);
    CHECK(setrlimit(RLIMIT_FSIZE, &low) == 0);
    GIVES(DCF_TB_ERR_IO, dcf_tb_stream_receive_file(pair.far_end, fileno(file), 0, sizeof data,
                                                    GENEROUS_MS, &received));
    CHECK(dcf_tb_last_errno() == EFBIG);
    CHECK(setrlimit(RLIMIT_FSIZE, &before) == 0);
    CHECK(received <= 1000);
    CHECK(pread(fileno(file), back, sizeof back, 0) == (ssize_t)received);
    read_exactly(pair.far_end, back + received, sizeof back - received);
    CHECK(memcmp(back, data, sizeof data) == 0);
    close_pair(pair);
    fclose(file);
}

int main(void)
{
    begin_with_few_descriptors();
    dcf_tb_transport a = start_on_loopback(), b = start_on_loopback(), none = 77;
    dcf_tb_stream stream = 77;
    const peers_of to = peer_strings(b);

    TOPIC("init with too few descriptors fails at every step, and leaks none");
    dcf_tb_config config = loopback_config();
    dcf_tb_status status = DCF_TB_ERR_TOO_MANY_FILES;
    int descriptors = count_descriptors();
    for (rlim_t spare = 0; status != DCF_TB_OK; spare++) {
        leave(spare);
        status = dcf_tb_init(&config, &none);
        CHECK(status == DCF_TB_OK || status == DCF_TB_ERR_TOO_MANY_FILES);
        have_descriptors();
        if (status == DCF_TB_OK)
            OK(dcf_tb_close(none));
        EVENTUALLY(count_descriptors() <= descriptors);
        CHECK(spare < 64);
    }

    TOPIC("open_stream fails as well");
    leave(0);
    GIVES(DCF_TB_ERR_TOO_MANY_FILES, dcf_tb_open_stream(a, to.data, GENEROUS_MS, &stream));
    CHECK(stream == 77 && dcf_tb_last_errno() == EMFILE);

    TOPIC("\"cannot look for the interface\" is not reported as \"not found\"");
    config.interface_name = "auto";
    status = DCF_TB_ERR_TOO_MANY_FILES;
    for (rlim_t spare = 0; status == DCF_TB_ERR_TOO_MANY_FILES; spare++) {
        leave(spare);
        status = dcf_tb_init(&config, &none);
        CHECK(spare < 64);
    }
    CHECK(status == DCF_TB_ERR_INTERFACE_NOT_FOUND && error_says("this host has: "));
    CHECK(error_says(" lo") || error_says(", lo"));
    have_descriptors();

    TOPIC("an incoming connection does no harm, and messages still work");
    leave(1);
    status = dcf_tb_open_stream(a, to.data, GENEROUS_MS, &stream);
    /* The kernel completes the connection; the other end has no descriptor for it, and may reset it. */
    CHECK(status == DCF_TB_OK || status == DCF_TB_ERR_CONNECTION_RESET);
    send_text(a, to.control, "hello");
    expect_text(b, "hello");

    TOPIC("with descriptors again everything works");
    have_descriptors();
    if (status == DCF_TB_OK)
        OK(dcf_tb_stream_close(stream));
    dcf_tb_stream near_end = 0, far_end = 0;
    uint8_t byte;
    size_t count = 0;
    OK(dcf_tb_open_stream(a, to.data, GENEROUS_MS, &near_end));
    write_all(near_end, "x", 1);
    for (;;) { /* the earlier connection may come first, or not at all */
        OK(dcf_tb_accept(b, GENEROUS_MS, &far_end));
        if (dcf_tb_stream_read(far_end, &byte, 1, GENEROUS_MS, &count) == DCF_TB_OK)
            break;
        OK(dcf_tb_stream_close(far_end));
    }
    file_too_large(a, b);
    OK(dcf_tb_close(a));
    OK(dcf_tb_close(b));
    return 0;
}
