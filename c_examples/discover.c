/* discover: who else is on this cable? One line for each host that answered within
   TIMEOUT_MS: its address, ready for every other call, and the round trip.
   A host answers while it has a transport open with the same control port.
   Exit code 0: there was one. */
#include "example.h"

#define MOST 64

int main(int argc, char **argv)
{
    dcf_tb_config config = parse_options(argc, argv, 0, 1, "[TIMEOUT_MS]");
    unsigned long timeout_ms = number(argument(argc, argv, 0), 1000, 1, 3600000);
    dcf_tb_transport transport = open_until_signal(&config);
    static dcf_tb_peer peers[MOST];
    size_t count = 0, i;
    dcf_tb_status status;

    status = dcf_tb_discover(transport, (uint32_t)timeout_ms, peers, MOST, &count);
    if (status != DCF_TB_ERR_BUFFER_TOO_SMALL) /* more than MOST peers, which is fine */
        check(status);

    for (i = 0; i < count && i < MOST; i++)
        printf("%-40s %.1f µs\n", peers[i].address, (double)peers[i].rtt_ns / 1e3);
    if (count > MOST)
        fprintf(stderr, "%lu more not shown\n", (unsigned long)(count - MOST));
    if (count == 0)
        fprintf(stderr, "no peer answered\n");
    check(dcf_tb_close(transport));
    return count > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
