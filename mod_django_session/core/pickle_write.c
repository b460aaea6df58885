/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing pickles, with the instructions that Python's own pickler takes for each type (see
 * pickle_read.c for the machine that runs them). Frames, from protocol 4 on, are left out: they only
 * spare readers of files some calls.
 *
 * Every text and every value but None, bool, int and float gets a number in the memo; what is met
 * again is taken from there. So what was one value in Python stays one, and a tree in which much is
 * shared is written in the time that it takes to visit each node once. Texts are found by what they
 * say, other values by where they are.
 */
#include "pickle.h"
#include "encode.h"

#include <string.h>

#include <openssl/bn.h>

/** As many items go into a container at once, as in Python. */
#define BATCH 1000

/** A memo of so many is searched from end to end. */
#define FEW 48

/* Keys of the memo that are no text begin with bytes that are in no UTF-8. */
typedef struct address_t {
    char text[1 + sizeof(void *)];
} address_t;

typedef struct writer_t {
    djs_ctx_t *ctx;
    apr_pool_t *scratch; /* NULL: nothing has needed it yet */
    int protocol;
    char *data;
    apr_size_t len, size;
    /* The memo: text, or address_t, or a class's name → number. Few are in an array, in the order of
       their numbers; when there are more all of them move to a dict. */
    apr_size_t count;
    apr_uint32_t tags[FEW]; /* equal for equal keys, and seldom else */
    djs_bytes_t keys[FEW];
    address_t addresses[FEW];
    djs_value_t *memo; /* NULL: few */
    apr_status_t failed;
} writer_t;

static apr_pool_t *scratch(writer_t *to)
{
    if (to->scratch == NULL) {
        apr_pool_create(&to->scratch, to->ctx->pool);
    }
    return to->scratch;
}

/* ---- Bytes ----------------------------------------------------------------------------------- */

static void grow(writer_t *to, apr_size_t len)
{
    char *larger;

    to->size = (to->len + len) * 2;
    larger = apr_palloc(to->ctx->pool, to->size);
    memcpy(larger, to->data, to->len);
    to->data = larger;
}

static inline void put(writer_t *to, const void *data, apr_size_t len)
{
    if (to->size - to->len < len) {
        grow(to, len);
    }
    if (len > 0) {
        memcpy(to->data + to->len, data, len);
        to->len += len;
    }
}

static inline void put_code(writer_t *to, int code)
{
    const char byte = (char)code;

    put(to, &byte, 1);
}

/* Little-endian. */
static inline void put_number(writer_t *to, apr_uint64_t number, int width)
{
    for (; width > 0; width--, number >>= 8) {
        put_code(to, (int)(number & 0xff));
    }
}

/* An instruction, a length and so many bytes. */
static void put_counted(writer_t *to, int code, int width, djs_bytes_t bytes)
{
    put_code(to, code);
    put_number(to, bytes.len, width);
    put(to, bytes.data, bytes.len);
}

/* ---- The memo -------------------------------------------------------------------------------- */

static djs_bytes_t key_of(address_t *address, const djs_value_t *value)
{
    address->text[0] = '\xff';
    memcpy(address->text + 1, &value, sizeof(value));
    return djs_bytes_of(address->text, sizeof(address->text));
}

/* Of the beginning, the end and the length. */
static apr_uint32_t tag_of(djs_bytes_t key)
{
    apr_uint64_t first = 0, last = 0;
    apr_size_t i;

    if (key.len >= sizeof(first)) {
        memcpy(&first, key.data, sizeof(first));
        memcpy(&last, key.data + key.len - sizeof(last), sizeof(last));
    }
    for (i = 0; key.len < sizeof(first) && i < key.len; i++) {
        first = first << 8 | (unsigned char)key.data[i];
    }
    first = (first ^ (last << 7 | last >> 57) ^ key.len) * APR_UINT64_C(0x9e3779b97f4a7c15);
    return (apr_uint32_t)(first >> 32);
}

static void put_in_dict(writer_t *to, djs_bytes_t key, apr_size_t number)
{
    djs_value_put(to->memo, key, djs_value_make_int(scratch(to), (apr_int64_t)number));
}

static void keep(writer_t *to, djs_bytes_t key, apr_size_t number)
{
    apr_size_t i;

    if (number < FEW) {
        to->tags[number] = tag_of(key);
        to->keys[number] = key;
        return;
    }
    if (to->memo == NULL) {
        to->memo = djs_value_make_dict(scratch(to));
        for (i = 0; i < FEW; i++) {
            put_in_dict(to, to->keys[i], i);
        }
    }
    put_in_dict(to, key, number);
}

/* Numbers what was written last. The key is borrowed. */
static void remember(writer_t *to, djs_bytes_t key)
{
    const apr_size_t number = to->count++;

    keep(to, key, number);
    if (to->protocol >= 4) {
        put_code(to, 0x94); /* MEMOIZE */
        return;
    }
    put_code(to, number < 256 ? 'q' : 'r');
    put_number(to, number, number < 256 ? 1 : 4);
}

static void remember_value(writer_t *to, const djs_value_t *value)
{
    address_t *address = to->count < FEW ? &to->addresses[to->count]
                                         : apr_palloc(scratch(to), sizeof(*address));

    remember(to, key_of(address, value));
}

static int find_in_dict(const writer_t *to, djs_bytes_t key, apr_size_t *number)
{
    const djs_value_t *known = djs_value_get(to->memo, key);
    apr_int64_t found = 0;

    if (known == NULL) {
        return 0;
    }
    (void)djs_value_int64(known, &found);
    *number = (apr_size_t)found;
    return 1;
}

static int find(const writer_t *to, djs_bytes_t key, apr_size_t *number)
{
    apr_uint32_t tag;
    apr_size_t i;

    if (to->memo != NULL) {
        return find_in_dict(to, key, number);
    }
    tag = tag_of(key);
    for (i = 0; i < to->count; i++) {
        if (to->tags[i] == tag && djs_bytes_equal(to->keys[i], key)) {
            *number = i;
            return 1;
        }
    }
    return 0;
}

/* 1: it has been written before, and is taken from the memo. */
static int recall(writer_t *to, djs_bytes_t key)
{
    apr_size_t number = 0;

    if (!find(to, key, &number)) {
        return 0;
    }
    put_code(to, number < 256 ? 'h' : 'j');
    put_number(to, number, number < 256 ? 1 : 4);
    return 1;
}

static int recall_value(writer_t *to, const djs_value_t *value)
{
    address_t address;

    return recall(to, key_of(&address, value));
}

/* ---- Numbers and text ------------------------------------------------------------------------ */

static void write_small_int(writer_t *to, apr_int64_t number)
{
    if (number >= 0 && number < 0x10000) {
        put_code(to, number < 0x100 ? 'K' : 'M');
        put_number(to, (apr_uint64_t)number, number < 0x100 ? 1 : 2);
    }
    else {
        put_code(to, 'J');
        put_number(to, (apr_uint64_t)number, 4);
    }
}

/* LONG1, LONG4: two's complement, little-endian, with a bit for the sign. */
static void write_wide(writer_t *to, const BIGNUM *number)
{
    const int negative = BN_is_negative(number), len = BN_num_bits(number) / 8 + 1;
    unsigned char *bytes = apr_palloc(scratch(to), (apr_size_t)len);
    int i, carry = 1;

    BN_bn2lebinpad(number, bytes, len);
    for (i = 0; negative && i < len; i++) {
        carry += (unsigned char)~bytes[i];
        bytes[i] = (unsigned char)carry;
        carry >>= 8;
    }
    put_counted(to, len < 256 ? 0x8a : 0x8b, len < 256 ? 1 : 4,
                djs_bytes_of((char *)bytes, (apr_size_t)len));
}

static void write_digits(writer_t *to, djs_bytes_t digits)
{
    BIGNUM *number = NULL;

    if (BN_dec2bn(&number, djs_bytes_copy(scratch(to), digits).data) == 0) {
        to->failed = djs_fail(to->ctx, APR_ENOMEM, "OpenSSL cannot convert an integer");
    }
    else {
        write_wide(to, number);
    }
    BN_free(number);
}

static void write_int(writer_t *to, const djs_value_t *value)
{
    apr_int64_t number;

    if (djs_value_int64(value, &number) && number >= INT32_MIN && number <= INT32_MAX) {
        write_small_int(to, number);
    }
    else {
        write_digits(to, djs_value_int_digits(value, scratch(to)));
    }
}

static void write_float(writer_t *to, double number)
{
    apr_uint64_t bits;
    int shift;

    memcpy(&bits, &number, sizeof(bits));
    put_code(to, 'G');
    for (shift = 56; shift >= 0; shift -= 8) {
        put_code(to, (int)(bits >> shift & 0xff));
    }
}

static void write_text(writer_t *to, djs_bytes_t text)
{
    if (recall(to, text)) {
        return;
    }
    if (!djs_utf8_is_passable(text)) {
        to->failed = djs_fail(to->ctx, DJS_EFORMAT, "a text that is not UTF-8 cannot be pickled");
    }
    if (to->protocol >= 4 && text.len < 256) {
        put_counted(to, 0x8c, 1, text);
    }
    else {
        put_counted(to, 'X', 4, text);
    }
    remember(to, text);
}

/* ---- Classes --------------------------------------------------------------------------------- */

static void write_class(writer_t *to, const char *module, const char *name)
{
    /* No text begins with FE. */
    const djs_bytes_t key = djs_bytes(apr_pstrcat(scratch(to), "\xfe", module, " ", name, NULL));

    if (recall(to, key)) {
        return;
    }
    if (to->protocol >= 4) {
        write_text(to, djs_bytes(module));
        write_text(to, djs_bytes(name));
        put_code(to, 0x93); /* STACK_GLOBAL */
    }
    else {
        put_code(to, 'c');
        put(to, module, strlen(module));
        put_code(to, '\n');
        put(to, name, strlen(name));
        put_code(to, '\n');
    }
    remember(to, key);
}

/* Protocols up to 2 have Python 2's name for it. */
static void write_builtin(writer_t *to, const char *name)
{
    write_class(to, to->protocol >= 3 ? "builtins" : "__builtin__", name);
}

/* The call of the class below as many arguments. */
static void write_call(writer_t *to, int arguments)
{
    static const int tuples[] = { ')', 0x85, 0x86, 0x87 };

    put_code(to, tuples[arguments]);
    put_code(to, 'R');
}

/* ---- Bytes and dates ------------------------------------------------------------------------- */

/* As protocol 2 has it: encode(text, "latin1"). */
static void write_encoded(writer_t *to, djs_bytes_t bytes)
{
    char *text = apr_palloc(scratch(to), bytes.len * 2 + 1), *out = text;
    apr_size_t i;

    if (bytes.len == 0) {
        write_builtin(to, "bytes");
        write_call(to, 0);
        return;
    }
    for (i = 0; i < bytes.len; i++) {
        out += djs_utf8_put((unsigned char)bytes.data[i], out);
    }
    write_class(to, "_codecs", "encode");
    write_text(to, djs_bytes_of(text, (apr_size_t)(out - text)));
    write_text(to, djs_bytes("latin1"));
    write_call(to, 2);
}

static void write_bytes(writer_t *to, djs_bytes_t bytes)
{
    if (to->protocol < 3) {
        write_encoded(to, bytes);
    }
    else {
        put_counted(to, bytes.len < 256 ? 'C' : 'B', bytes.len < 256 ? 1 : 4, bytes);
    }
}

static void write_bytearray(writer_t *to, djs_bytes_t bytes)
{
    if (to->protocol >= 5) {
        put_counted(to, 0x96, 8, bytes); /* BYTEARRAY8 */
        return;
    }
    write_builtin(to, "bytearray");
    if (bytes.len > 0) {
        write_bytes(to, bytes);
    }
    write_call(to, bytes.len > 0);
}

static void write_value(writer_t *to, const djs_value_t *value);

/* A date's or time's state, its zone, and the call. */
static void write_state(writer_t *to, const char *name, const unsigned char *state, apr_size_t len,
                        const djs_value_t *zone)
{
    write_class(to, "datetime", name);
    write_bytes(to, djs_bytes_of((const char *)state, len));
    if (zone != NULL) {
        write_value(to, zone);
    }
    write_call(to, zone != NULL ? 2 : 1);
}

static void put_date(unsigned char *state, const djs_civil_t *civil)
{
    state[0] = (unsigned char)(civil->year >> 8);
    state[1] = (unsigned char)civil->year;
    state[2] = (unsigned char)civil->month;
    state[3] = (unsigned char)civil->day;
}

static void put_clock(unsigned char *state, const djs_civil_t *civil)
{
    state[0] = (unsigned char)civil->hour;
    state[1] = (unsigned char)civil->minute;
    state[2] = (unsigned char)civil->second;
    state[3] = (unsigned char)(civil->usec >> 16);
    state[4] = (unsigned char)(civil->usec >> 8);
    state[5] = (unsigned char)civil->usec;
}

/* Python leaves the fold out in protocols before 4, for readers older than 3.6; we keep it. */
static void write_datetime(writer_t *to, const djs_value_t *value)
{
    const djs_civil_t civil = djs_moment_civil(djs_value_moment(value).local);
    unsigned char state[10];

    put_date(state, &civil);
    put_clock(state + 4, &civil);
    state[2] |= (unsigned char)(djs_value_fold(value) << 7);
    write_state(to, "datetime", state, sizeof(state), djs_value_zone(value));
}

static void write_date(writer_t *to, const djs_value_t *value)
{
    const djs_civil_t civil = djs_moment_civil(djs_value_moment(value).local);
    unsigned char state[4];

    put_date(state, &civil);
    write_state(to, "date", state, sizeof(state), NULL);
}

static void write_time(writer_t *to, const djs_value_t *value)
{
    const djs_civil_t civil = djs_moment_civil(djs_value_moment(value).local);
    unsigned char state[6];

    put_clock(state, &civil);
    state[0] |= (unsigned char)(djs_value_fold(value) << 7);
    write_state(to, "time", state, sizeof(state), djs_value_zone(value));
}

static void write_span(writer_t *to, djs_span_t span)
{
    write_class(to, "datetime", "timedelta");
    write_small_int(to, span.days);
    write_small_int(to, span.seconds);
    write_small_int(to, span.usec);
    write_call(to, 3);
}

static void write_timezone(writer_t *to, const djs_value_t *value)
{
    apr_interval_time_t offset;
    djs_value_t *name;
    djs_span_t span;

    if (djs_value_timezone(value, &offset, &name) == DJS_TIMEZONE_PYTZ) {
        write_class(to, "pytz", "_UTC");
        write_call(to, 0);
        return;
    }
    span.days = offset < 0 ? -1 : 0;
    offset -= span.days * apr_time_from_sec(86400);
    span.seconds = (int)apr_time_sec(offset);
    span.usec = (int)(offset % APR_USEC_PER_SEC);
    write_class(to, "datetime", "timezone");
    write_span(to, span);
    if (name != NULL) {
        write_value(to, name);
    }
    write_call(to, name != NULL ? 2 : 1);
}

static void write_uuid(writer_t *to, const djs_value_t *value)
{
    djs_uuid_safety_t safety;
    const unsigned char *bytes = djs_value_uuid(value, &safety);
    BIGNUM *number = BN_bin2bn(bytes, 16, NULL);

    write_class(to, "uuid", "UUID");
    put(to, ")\x81", 2); /* NEWOBJ without arguments */
    remember_value(to, value);
    put(to, "}(", 2);
    write_text(to, djs_bytes("int"));
    if (number != NULL && BN_num_bits(number) > 31) {
        write_wide(to, number);
    }
    else {
        write_small_int(to, number != NULL ? (apr_int64_t)BN_get_word(number) : 0);
    }
    if (number == NULL) {
        to->failed = djs_fail(to->ctx, APR_ENOMEM, "OpenSSL cannot convert an integer");
    }
    if (safety != DJS_UUID_UNSAID) {
        write_text(to, djs_bytes("is_safe"));
        write_small_int(to, safety == DJS_UUID_SAFE ? 0 : -1);
    }
    put(to, "ub", 2);
    BN_free(number);
}

/* ---- Containers ------------------------------------------------------------------------------ */

/* Before item @a i of @a len: a batch of several begins with a mark. */
static void begin_batch(writer_t *to, apr_size_t i, apr_size_t len)
{
    if (i % BATCH == 0 && len - i > 1) {
        put_code(to, '(');
    }
}

/* Behind item @a i: the batch's end puts them into the container. */
static void end_batch(writer_t *to, apr_size_t i, apr_size_t len, int one, int several)
{
    if (i % BATCH == BATCH - 1 || i == len - 1) {
        put_code(to, i % BATCH == 0 ? one : several);
    }
}

static void write_list(writer_t *to, const djs_value_t *list)
{
    const apr_size_t len = djs_value_len(list);
    apr_size_t i;

    put_code(to, ']');
    remember_value(to, list);
    for (i = 0; i < len; i++) {
        begin_batch(to, i, len);
        write_value(to, djs_value_at(list, i));
        end_batch(to, i, len, 'a', 'e');
    }
}

/* Small ones take no mark. The empty one is not remembered: it is shorter than its number. */
static void write_tuple(writer_t *to, const djs_value_t *tuple)
{
    const apr_size_t len = djs_value_len(tuple);
    apr_size_t i;

    if (len == 0) {
        put_code(to, ')');
        return;
    }
    if (len > 3) {
        put_code(to, '(');
    }
    for (i = 0; i < len; i++) {
        write_value(to, djs_value_at(tuple, i));
    }
    put_code(to, len > 3 ? 't' : 0x84 + (int)len);
    remember_value(to, tuple);
}

static void write_dict(writer_t *to, const djs_value_t *dict)
{
    const apr_size_t len = djs_value_len(dict);
    djs_value_t *value;
    djs_bytes_t text;
    apr_size_t i;

    put_code(to, '}');
    remember_value(to, dict);
    for (i = 0; djs_value_member(dict, i, &text, &value); i++) {
        const djs_value_t *key = djs_value_key(dict, i);

        begin_batch(to, i, len);
        if (key != NULL) {
            write_value(to, key);
        }
        else {
            write_text(to, text);
        }
        write_value(to, value);
        end_batch(to, i, len, 's', 'u');
    }
}

/* Items, with what puts one into the container (0: nothing does) and what several. */
static void write_items(writer_t *to, const djs_value_t *set, int one, int several)
{
    const apr_size_t len = djs_value_len(set);
    djs_value_t *item;
    djs_bytes_t unused;
    apr_size_t i;

    for (i = 0; djs_value_member(set, i, &unused, &item); i++) {
        if (one != 0) {
            begin_batch(to, i, len);
        }
        else if (i % BATCH == 0) { /* there is no instruction for one alone */
            put_code(to, '(');
        }
        write_value(to, item);
        end_batch(to, i, len, one != 0 ? one : several, several);
    }
}

/* Protocols before 4: set([...]) */
static void write_set_of_list(writer_t *to, const djs_value_t *set)
{
    write_builtin(to, djs_value_type_name(set));
    put_code(to, ']');
    write_items(to, set, 'a', 'e');
    write_call(to, 1);
    remember_value(to, set);
}

static void write_set(writer_t *to, const djs_value_t *set)
{
    put_code(to, 0x8f); /* EMPTY_SET */
    remember_value(to, set);
    write_items(to, set, 0, 0x90);
}

static void write_frozenset(writer_t *to, const djs_value_t *set)
{
    djs_value_t *item;
    djs_bytes_t unused;
    apr_size_t i;

    put_code(to, '(');
    for (i = 0; djs_value_member(set, i, &unused, &item); i++) {
        write_value(to, item);
    }
    put_code(to, 0x91); /* FROZENSET */
    remember_value(to, set);
}

/* ---- Values ---------------------------------------------------------------------------------- */

/* Those that remember themselves before what is in them is written. */
static int write_container(writer_t *to, const djs_value_t *value)
{
    switch (djs_value_type(value)) {
    case DJS_TYPE_LIST:
        write_list(to, value);
        return 1;
    case DJS_TYPE_TUPLE:
        write_tuple(to, value);
        return 1;
    case DJS_TYPE_DICT:
        write_dict(to, value);
        return 1;
    case DJS_TYPE_SET:
        (to->protocol >= 4 ? write_set : write_set_of_list)(to, value);
        return 1;
    case DJS_TYPE_FROZENSET:
        (to->protocol >= 4 ? write_frozenset : write_set_of_list)(to, value);
        return 1;
    case DJS_TYPE_UUID:
        write_uuid(to, value);
        return 1;
    default:
        return 0;
    }
}

static void write_scalar(writer_t *to, const djs_value_t *value)
{
    switch (djs_value_type(value)) {
    case DJS_TYPE_BYTES:
        write_bytes(to, djs_value_str(value));
        break;
    case DJS_TYPE_BYTEARRAY:
        write_bytearray(to, djs_value_str(value));
        break;
    case DJS_TYPE_DATETIME:
        write_datetime(to, value);
        break;
    case DJS_TYPE_DATE:
        write_date(to, value);
        break;
    case DJS_TYPE_TIME:
        write_time(to, value);
        break;
    case DJS_TYPE_TIMEDELTA:
        write_span(to, djs_value_span(value));
        break;
    case DJS_TYPE_TIMEZONE:
        write_timezone(to, value);
        break;
    default: /* Decimal */
        write_class(to, "decimal", "Decimal");
        write_text(to, djs_value_str(value));
        write_call(to, 1);
    }
    remember_value(to, value);
}

static void write_value(writer_t *to, const djs_value_t *value)
{
    switch (djs_value_type(value)) {
    case DJS_TYPE_NULL:
        put_code(to, 'N');
        break;
    case DJS_TYPE_BOOL:
        put_code(to, djs_value_bool(value) ? 0x88 : 0x89);
        break;
    case DJS_TYPE_INT:
        write_int(to, value);
        break;
    case DJS_TYPE_FLOAT:
        write_float(to, djs_value_float(value));
        break;
    case DJS_TYPE_STR:
        write_text(to, djs_value_str(value));
        break;
    default:
        if (!recall_value(to, value) && !write_container(to, value)) {
            write_scalar(to, value);
        }
    }
}

apr_status_t djs_pickle_dumps(djs_ctx_t *ctx, int protocol, const djs_value_t *value,
                              djs_bytes_t *pickle)
{
    writer_t to;

    if (protocol < 2 || protocol > DJS_PICKLE_PROTOCOL_MAX) {
        return djs_fail(ctx, DJS_EINVAL, "pickle of protocol %d, written are 2 to %d", protocol,
                        DJS_PICKLE_PROTOCOL_MAX);
    }
    to.ctx = ctx;
    to.scratch = NULL;
    to.protocol = protocol;
    to.len = 0;
    to.size = 1024;
    to.data = apr_palloc(ctx->pool, to.size);
    to.count = 0;
    to.memo = NULL;
    to.failed = APR_SUCCESS;
    put_code(&to, 0x80);
    put_code(&to, protocol);
    write_value(&to, value);
    put_code(&to, '.');
    if (to.scratch != NULL) {
        apr_pool_destroy(to.scratch);
    }
    *pickle = djs_bytes_of(to.data, to.len);
    return to.failed;
}
