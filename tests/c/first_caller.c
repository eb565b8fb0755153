/* A program that was compiled with the first header, whose structs are shorter than today's. */
#include "sized_caller.h"

int main(void)
{
    config settings = defaults();

    CHECK(sizeof(config) == 104 && sizeof(stats) == 184);
    live(&settings);
    return 0;
}
