/* Content that follows from a seed and a position, so that a receiver can check every byte. */
#ifndef CONTENT_H
#define CONTENT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Hashes a number (the finalizer of SplitMix64, which is in the public domain). */
static inline uint64_t mix(uint64_t number)
{
    number += 0x9E3779B97F4A7C15u;
    number = (number ^ number >> 30) * 0xBF58476D1CE4E5B9u;
    number = (number ^ number >> 27) * 0x94D049BB133111EBu;
    return number ^ number >> 31;
}

/* Writes the bytes from `position` on of the endless content of `seed`. */
static inline void content_fill(uint8_t *data, size_t length, uint64_t seed, uint64_t position)
{
    uint64_t word = 0;
    for (size_t i = 0; i < length; i++, position++) {
        if (i == 0 || position % 8 == 0)
            word = mix(seed + position / 8);
        data[i] = (uint8_t)(word >> position % 8 * 8);
    }
}

/* The index of the first byte in `data` that differs from what content_fill writes; `length` if all match. */
static inline size_t content_wrong_at(const uint8_t *data, size_t length, uint64_t seed,
                                      uint64_t position)
{
    uint8_t expected[4096];
    size_t done = 0;
    while (done < length) {
        size_t part = length - done < sizeof expected ? length - done : sizeof expected;
        content_fill(expected, part, seed, position + done);
        if (memcmp(data + done, expected, part) != 0)
            for (size_t i = 0; i < part; i++)
                if (data[done + i] != expected[i])
                    return done + i;
        done += part;
    }
    return length;
}

static inline int content_matches(const uint8_t *data, size_t length, uint64_t seed,
                                  uint64_t position)
{
    return content_wrong_at(data, length, seed, position) == length;
}

#endif
