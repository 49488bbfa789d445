/*
 * A worker for Alcedo's pool in plain C: it says what it was asked, and sends the body back.
 *
 *     cc -O2 -o worker worker.c && alcedo pool -- ./worker
 *
 * docs/workers.md has the protocol: packets come on standard input, answers go to file descriptor 3.
 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct bytes {
    unsigned char *at;
    size_t size, room;
};

static void die(const char *why) {
    fprintf(stderr, "worker: %s\n", why);
    exit(1);
}

/* Makes room for `size` bytes in all. */
static void reserve(struct bytes *b, size_t size) {
    if (size <= b->room) return;
    b->room = size > 2 * b->room ? size : 2 * b->room;
    if ((b->at = realloc(b->at, b->room)) == NULL) die("no memory");
}

static void add(struct bytes *b, const void *from, size_t size) {
    reserve(b, b->size + size);
    memcpy(b->at + b->size, from, size);
    b->size += size;
}

static void add_uint(struct bytes *b, uint64_t value) {
    for (; value >= 0x80; value >>= 7) add(b, &(unsigned char){value | 0x80}, 1);
    add(b, &(unsigned char){value}, 1);
}

static void add_data(struct bytes *b, const void *from, size_t size) {
    add_uint(b, size);
    add(b, from, size);
}

static void add_str(struct bytes *b, const char *text) { add_data(b, text, strlen(text)); }

static uint64_t take_uint(struct bytes *message) {
    uint64_t value = 0;
    for (unsigned shift = 0; message->size > 0 && shift < 64; shift += 7) {
        unsigned char byte = *message->at++;
        message->size--;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) return value;
    }
    die("bad request");
    return 0;
}

static struct bytes take_data(struct bytes *message) {
    struct bytes taken = {message->at, take_uint(message), 0};
    taken.at = message->at;
    if (taken.size > message->size) die("bad request");
    message->at += taken.size;
    message->size -= taken.size;
    return taken;
}

/* Answers a request. This is the part to change. */
static void handle(struct bytes *out, struct bytes method, struct bytes uri, struct bytes body) {
    add_uint(out, 200);
    add_uint(out, 2); /* headers, each with as many values as it likes */
    add_str(out, "Content-Type");
    add_uint(out, 1);
    add_str(out, "text/plain; charset=utf-8");
    add_str(out, "Set-Cookie");
    add_uint(out, 2);
    add_str(out, "visited=yes");
    add_str(out, "worker=c");
    add_uint(out, method.size + 1 + uri.size + 1 + body.size);
    add(out, method.at, method.size);
    add(out, " ", 1);
    add(out, uri.at, uri.size);
    add(out, "\n", 1);
    add(out, body.at, body.size);
}

static void answer(struct bytes *out, struct bytes message) {
    uint64_t tag = take_uint(&message);
    add_uint(out, 0);
    if (tag == 1) { /* a health check, to which any answer will do */
        add(out, "\xc8\x01\0\0", 4);
        return;
    }
    take_data(&message); /* the peer's address */
    struct bytes uri = take_data(&message), method = take_data(&message);
    for (uint64_t left = take_uint(&message); left > 0; left--) {
        take_data(&message); /* a header's name */
        take_data(&message); /* and its value */
    }
    handle(out, method, uri, take_data(&message));
}

/* Reads `size` bytes; returns 0 if there are no more at all. */
static int read_all(unsigned char *to, size_t size) {
    size_t got = 0;
    while (got < size) {
        ssize_t count = read(0, to + got, size - got);
        if (count < 0) die("cannot read");
        if (count == 0 && got > 0) die("the pool closed standard input in the middle of a request");
        if (count == 0) return 0;
        got += count;
    }
    return 1;
}

static void write_all(const unsigned char *from, size_t size) {
    while (size > 0) {
        ssize_t count = write(3, from, size);
        if (count < 0) die("cannot write to file descriptor 3");
        from += count;
        size -= count;
    }
}

int main(void) {
    struct bytes in = {0}, out = {0};
    unsigned char size[4];
    while (read_all(size, 4)) {
        in.size = size[0] | size[1] << 8 | size[2] << 16 | (size_t)size[3] << 24;
        reserve(&in, in.size);
        if (in.size > 0 && !read_all(in.at, in.size)) die("bad request");
        out.size = 0;
        add(&out, "\0\0\0\0", 4);
        answer(&out, in);
        for (int i = 0; i < 4; i++) out.at[i] = (out.size - 4) >> (8 * i);
        write_all(out.at, out.size);
    }
    return 0;
}
