/*
 * The least that a worker can be: the entry that the path names, and what is in it. It knows just the
 * requests of the bench, and their order of fields; examples/pool has one that knows all.
 */

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static unsigned char in[1 << 20], out[256];

static int fill(unsigned char *at, size_t size) {
    while (size > 0) {
        ssize_t got = read(0, at, size);
        if (got <= 0) return 0;
        at += got;
        size -= (size_t)got;
    }
    return 1;
}

int main(void) {
    int32_t size;
    while (fill((unsigned char *)&size, 4) && size >= 0 && size < (int32_t)sizeof in) {
        if (!fill(in, (size_t)size)) break;
        unsigned entry = 0;
        if (in[0] == 0) {
            /* remote address and URI, each with one byte for its length */
            unsigned char *uri = in + 2 + in[1], *end = uri + 1 + uri[0];
            for (unsigned char *at = end; at[-1] != '-' && at > uri; at--) end = at - 1;
            for (; end < uri + 1 + uri[0]; end++) entry = entry * 10 + (*end - '0');
        }
        char body[64];
        int length = snprintf(body, sizeof body, "entry-%u has %u\n", entry, entry * 0x9e3779b1u >> 8);
        unsigned char head[] = {0, 200, 1, 0, (unsigned char)length};
        int32_t answer = (int32_t)sizeof head + length;
        memcpy(out, &answer, 4);
        memcpy(out + 4, head, sizeof head);
        memcpy(out + 4 + sizeof head, body, (size_t)length);
        if (write(3, out, 4 + (size_t)answer) != 4 + answer) return 1;
    }
    return 0;
}
