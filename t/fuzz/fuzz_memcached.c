/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a memcached server says. The first byte chooses what we ask for, the second one whose client we
 * are; the rest is the script of the server (peer.h), which goes through libmemcached to us.
 *
 * Not all of it goes there as it is. libmemcached 1.1.4's reader of the text protocol is not sound: an
 * empty line, "VERSION" or "VALUE" with too little behind, a key of more than 250 bytes or a length that
 * is none make it read or write out of bounds, before anything of ours could look. (So does its reader
 * of the binary protocol: the length of a version, of a key. Nor is there a way to look first: its
 * sockets are its own.) And success of another kind than the one that add, replace or cas can have
 * ("OK", "END", a value) meets an assertion. Who speaks in memcached's place must therefore be trusted,
 * as the README says where sessions live; who can only store values there need not be, for memcached
 * writes the lines.
 *
 * So each line is tamed to what memcached's own lines have in common: it is not empty, VERSION and VALUE
 * have what belongs to them, keys are at most 250 bytes, lengths are digits and as many bytes follow.
 * Where we store something each request gets one reply, and what stores is told none of those successes.
 * All else is hostile: which lines come and in what order, flags, cas, keys, values, texts of errors,
 * extra values, END or not; and the connection ends where the script says, be it inside a line.
 */
#include "replies.h"

#include <string.h>

#define KEY_MAX  250
#define TEXT_MAX 300

/* Where the tamed script grows. */
typedef struct writer_t {
    char *start, *at;
} writer_t;

static void put(writer_t *writer, djs_bytes_t bytes)
{
    if (bytes.len > 0) {
        memcpy(writer->at, bytes.data, bytes.len);
        writer->at += bytes.len;
    }
}

static void put_text(writer_t *writer, const char *text)
{
    put(writer, djs_bytes(text));
}

/* Cut @a len bytes off, or all there are. */
static djs_bytes_t take(djs_bytes_t *rest, apr_size_t len)
{
    djs_bytes_t taken = djs_bytes_of(rest->data, len < rest->len ? len : rest->len);

    *rest = djs_bytes_of(rest->data + taken.len, rest->len - taken.len);
    return taken;
}

/* Without its line feed, and the carriage return before that. @a complete: it had one. */
static djs_bytes_t take_line(djs_bytes_t *rest, int *complete)
{
    const char *end = rest->len > 0 ? memchr(rest->data, '\n', rest->len) : NULL;
    djs_bytes_t line;

    *complete = end != NULL;
    line = take(rest, end != NULL ? (apr_size_t)(end - rest->data) : rest->len);
    (void)take(rest, (apr_size_t)*complete);
    if (line.len > 0 && line.data[line.len - 1] == '\r') {
        line.len--;
    }
    return line;
}

static int is_graphic(char c)
{
    return (unsigned char)c > ' ' && c != 0x7f;
}

/* The next word of a line, up to @a most bytes. */
static djs_bytes_t take_word(djs_bytes_t *line, apr_size_t most)
{
    apr_size_t len = 0;

    while (line->len > 0 && !is_graphic(*line->data)) {
        (void)take(line, 1);
    }
    while (len < line->len && len < most && is_graphic(line->data[len])) {
        len++;
    }
    return take(line, len);
}

static int begins_with(djs_bytes_t line, const char *word)
{
    return line.len >= strlen(word) && memcmp(line.data, word, strlen(word)) == 0;
}

/* The next word as a number, as far as it is one. */
static apr_uint64_t take_number(djs_bytes_t *line)
{
    djs_bytes_t word = take_word(line, 12);
    apr_uint64_t number = 0;
    apr_size_t i;

    for (i = 0; i < word.len && word.data[i] >= '0' && word.data[i] <= '9'; i++) {
        number = number * 10 + (apr_uint64_t)(word.data[i] - '0');
    }
    return number;
}

/* A value, in which there are no marks: its length would not be right. */
static void put_data(writer_t *writer, djs_bytes_t data)
{
    char *at = writer->at;

    put(writer, data);
    for (; at + 1 < writer->at; at++) {
        if (at[0] == '\n' && at[1] == '~') {
            at[1] = '-';
        }
    }
}

/* VALUE key flags length [cas], and as many bytes as that says, or as there are. */
static void tame_value(djs_ctx_t *ctx, writer_t *writer, djs_bytes_t line, djs_bytes_t *rest)
{
    djs_bytes_t key, cas, data;
    apr_uint64_t flags;

    (void)take(&line, strlen("VALUE"));
    key = take_word(&line, KEY_MAX);
    flags = take_number(&line);
    data = take(rest, (apr_size_t)take_number(&line));
    cas = take_word(&line, 24);
    put_text(writer, "VALUE ");
    put(writer, key.len > 0 ? key : djs_bytes(FUZZ_KEY));
    put_text(writer, apr_psprintf(ctx->pool, " %" APR_UINT64_T_FMT " %" APR_SIZE_T_FMT, flags,
                                  data.len));
    if (cas.len > 0) {
        put_text(writer, " ");
        put(writer, cas);
    }
    put_text(writer, "\r\n");
    put_data(writer, data);
    put_text(writer, "\r\n");
}

/* VERSION and three numbers. */
static void tame_version(djs_ctx_t *ctx, writer_t *writer, djs_bytes_t line)
{
    unsigned int numbers[3] = { 0, 0, 0 }, i;

    (void)take(&line, strlen("VERSION"));
    for (i = 0; i < 3; i++) {
        while (line.len > 0 && (*line.data < '0' || *line.data > '9')) {
            (void)take(&line, 1);
        }
        while (line.len > 0 && *line.data >= '0' && *line.data <= '9' && numbers[i] < 1000) {
            numbers[i] = numbers[i] * 10 + (unsigned int)(*take(&line, 1).data - '0');
        }
    }
    put_text(writer, apr_psprintf(ctx->pool, "VERSION %u.%u.%u\r\n", numbers[0], numbers[1],
                                  numbers[2]));
}

static void tame_line(djs_ctx_t *ctx, writer_t *writer, djs_bytes_t line, djs_bytes_t *rest)
{
    if (begins_with(line, "VALUE")) {
        tame_value(ctx, writer, line, rest);
        return;
    }
    if (begins_with(line, "VERSION")) {
        tame_version(ctx, writer, line);
        return;
    }
    if (line.len == 0) {
        line = djs_bytes("END");
    }
    put(writer, take(&line, TEXT_MAX));
    put_text(writer, "\r\n");
}

/* A line is not longer than it was by more than a value's key and lengths. */
static djs_bytes_t tame(djs_ctx_t *ctx, djs_bytes_t script)
{
    const apr_size_t room = script.len + (script.len + 1) * (sizeof(FUZZ_KEY) + 64);
    writer_t writer;
    djs_bytes_t line;
    int complete;

    writer.start = writer.at = apr_palloc(ctx->pool, room);
    while (script.len > 0) {
        if (begins_with(script, "~") && script.len >= 2) { /* a mark, as it is */
            put(&writer, take(&script, 2));
            continue;
        }
        line = take_line(&script, &complete);
        if (!complete && script.len == 0 && line.len > 0 && line.data[0] != '~') {
            put(&writer, take(&line, TEXT_MAX)); /* the connection ends inside a line */
            break;
        }
        tame_line(ctx, &writer, line, &script);
    }
    return djs_bytes_of(writer.start, (apr_size_t)(writer.at - writer.start));
}

/* The length of the reply to gets at the beginning: values, and the first line that is none. */
static apr_size_t reply_to_gets(djs_bytes_t stage)
{
    djs_bytes_t rest = stage, line;
    int is_value, complete;

    do {
        line = take_line(&rest, &complete);
        is_value = begins_with(line, "VALUE ");
        if (is_value) {
            (void)take(&line, strlen("VALUE"));
            (void)take_word(&line, KEY_MAX);
            (void)take_number(&line);
            (void)take(&rest, (apr_size_t)take_number(&line) + 2);
        }
    } while (is_value && rest.len > 0);
    return stage.len - rest.len;
}

static int is_stored_or_failure(djs_bytes_t line)
{
    static const char *const lines[] = {
        "STORED", "NOT_STORED", "EXISTS", "NOT_FOUND", "ERROR", "CLIENT_ERROR", "SERVER_ERROR"
    };
    size_t i;

    for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        if (begins_with(line, lines[i])) {
            return 1;
        }
    }
    return 0;
}

/* One reply to each request. */
static djs_bytes_t reply_once(djs_bytes_t request, djs_bytes_t stage)
{
    djs_bytes_t rest = stage, line;
    int complete;

    if (begins_with(request, "gets ")) {
        return djs_bytes_of(stage.data, reply_to_gets(stage));
    }
    line = take_line(&rest, &complete);
    if (!begins_with(request, "version") && complete && !is_stored_or_failure(line)) {
        return djs_bytes("ERROR\r\n");
    }
    return djs_bytes_of(stage.data, stage.len - rest.len);
}

void fuzz_one(djs_ctx_t *ctx, djs_bytes_t bytes)
{
    static const char *const formats[] = {
        "format=pymemcache", "format=pylibmc", "format=python-memcached"
    };
    static const char *const nothing[] = { "END", "NOT_FOUND", NULL };
    const char *const argv[] = {
        "memcached+unix://" PEER_PATH, formats[bytes.len >= 2 ? (unsigned char)bytes.data[1] % 3 : 0],
        "prefix=fuzz", "timeout=60s", NULL
    };

    int operation;

    if (bytes.len < 2) {
        return;
    }
    operation = (unsigned char)bytes.data[0] % FUZZ_OPERATIONS;
    fuzz_cache(ctx, argv, tame(ctx, djs_bytes_of(bytes.data + 2, bytes.len - 2)),
               fuzz_stores(operation) ? reply_once : NULL, operation, DJS_WIRE_PICKLE,
               (unsigned char)bytes.data[1] & 64 ? 0 : 60, nothing);
}
