/*
  * No memory: each allocation of each call fails in turn, alone and with all later ones. No call
  * crashes or hangs, each succeeds or gives OUT_OF_MEMORY, and afterwards everything works.
 */
#include "memory.h"
#include "single_calls.h"

/* Runs a call whose `n`th allocation fails. Returns whether the call made that many. */
static int play_once(const struct scene *s, int n, int ends, int *exhausted)
{
    if (s->before != NULL)
        s->before();
    fail_allocation(n, ends);
    dcf_tb_status status = s->call();
    int refused = have_memory();
    if (status == DCF_TB_ERR_OUT_OF_MEMORY) {
        CHECK(refused > 0 && error_says("memory"));
        ++*exhausted;
    } else if (status != s->usual && status != s->by_peer) {
        check_failed(__FILE__, __LINE__, s->name, "the usual status, or OUT_OF_MEMORY", status);
    }
    if (s->after != NULL)
        s->after(status);
    return refused > 0;
}

static void play(const struct scene *s, int ends)
{
    int n = 1, exhausted = 0;
    CHECK(!play_once(s, 0, ends, &exhausted));
    while (play_once(s, n, ends, &exhausted))
        CHECK(n++ < 1000);
    printf("  %s: %d allocations, %d times OUT_OF_MEMORY\n", s->name, n - 1, exhausted);
    fflush(stdout);
}

int main(void)
{
    set_the_scenes();
    for (int ends = 0; ends < 2; ends++) {
        TOPIC(ends ? "one allocation fails, and all later ones on every thread" : "one allocation fails");
        for (size_t i = 0; i < sizeof scenes / sizeof scenes[0]; i++)
            play(&scenes[i], ends);
    }
    strike_the_scenes();
    return 0;
}
