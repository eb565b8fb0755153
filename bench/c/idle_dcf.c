/* The cost of an idle transport in a second. */
#include "dcf.h"
#include "process.h"

int main(int argc, char **argv)
{
    (void)argc;
    dcf_tb_config config = dcf_config(argv);
    uint64_t before = resident_bytes();
    dcf_tb_transport transport = dcf_start(&config);
    say("memory", resident_bytes() - before);
    say_idleness();
    dcf_must(dcf_tb_close(transport), "dcf_tb_close");
    return 0;
}
