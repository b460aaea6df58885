/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Instructions of pickles that name a callable, and that call it: the value is made here instead.
 */
#include "pickle_read_impl.h"
#include "encode.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/bn.h>

/* ---- Callables by name ----------------------------------------------------------------------- */

static const struct {
    const char *module, *name;
    global_t global;
} names[] = {
    { "builtins", "set", SET },             { "__builtin__", "set", SET },
    { "builtins", "frozenset", FROZENSET }, { "__builtin__", "frozenset", FROZENSET },
    { "builtins", "bytes", BYTES },         { "__builtin__", "bytes", BYTES },
    { "builtins", "bytearray", BYTEARRAY }, { "__builtin__", "bytearray", BYTEARRAY },
    { "builtins", "object", OBJECT },       { "__builtin__", "object", OBJECT },
    { "_codecs", "encode", ENCODE },        { "datetime", "datetime", DATETIME },
    { "datetime", "date", DATE },           { "datetime", "time", TIME },
    { "datetime", "timedelta", TIMEDELTA }, { "datetime", "timezone", TIMEZONE },
    { "pytz", "_UTC", PYTZ_UTC },           { "decimal", "Decimal", DECIMAL },
    { "uuid", "UUID", UUID },               { "copyreg", "_reconstructor", RECONSTRUCTOR },
    { "copy_reg", "_reconstructor", RECONSTRUCTOR },
};

global_t djs_pr_find_global(djs_bytes_t module, djs_bytes_t name)
{
    apr_size_t i;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (djs_bytes_is(module, names[i].module) && djs_bytes_is(name, names[i].name)) {
            return names[i].global;
        }
    }
    return GLOBAL_COUNT;
}

static apr_status_t push_global(reader_t *reader, djs_bytes_t module, djs_bytes_t name)
{
    const global_t found = djs_pr_find_global(module, name);
    djs_value_t **global;

    if (found == GLOBAL_COUNT) {
        return djs_pr_unknown_global(reader, module, name);
    }
    global = &reader->globals[found];
    if (*global == NULL) {
        *global = not_a_value(djs_value_make_null(djs_pr_scratch(reader)), found);
    }
    push(reader, *global);
    return APR_SUCCESS;
}

apr_status_t djs_pr_do_global(reader_t *reader, unsigned char code)
{
    djs_bytes_t module, name;
    apr_status_t rv = djs_pr_take_line(reader, &module);

    if (rv == APR_SUCCESS) {
        rv = djs_pr_take_line(reader, &name);
    }
    return rv == APR_SUCCESS ? push_global(reader, module, name) : rv;
}

apr_status_t djs_pr_do_stack_global(reader_t *reader, unsigned char code)
{
    const djs_value_t *module, *name;
    apr_status_t rv = need(reader, 2);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    reader->count -= 2;
    module = reader->stack[reader->count];
    name = reader->stack[reader->count + 1];
    if (!is_of(module, DJS_TYPE_STR) || !is_of(name, DJS_TYPE_STR)) {
        return djs_pr_malformed(reader, "a class without a name");
    }
    return push_global(reader, djs_value_str(module), djs_value_str(name));
}

/* ---- What they would make -------------------------------------------------------------------- */

static apr_status_t bad_arguments(reader_t *reader)
{
    return djs_pr_malformed(reader, "not the arguments that Python writes for this type");
}

/* A set or frozenset of a list. */
static apr_status_t make_set(reader_t *reader, global_t global, djs_value_t *args)
{
    djs_value_t *list = djs_value_at(args, 0), *item, *set;
    apr_size_t i;
    apr_status_t rv = APR_SUCCESS;

    if (djs_value_len(args) != 1 || !is_of(list, DJS_TYPE_LIST)) {
        return bad_arguments(reader);
    }
    set = djs_pr_make_container(reader, global == SET ? DJS_TYPE_SET : DJS_TYPE_FROZENSET);
    for (i = 0; rv == APR_SUCCESS && (item = djs_value_at(list, i)) != NULL; i++) {
        rv = djs_pr_work(reader, 1); /* the same list may be taken again */
        if (rv == APR_SUCCESS) {
            rv = djs_pr_add_item(reader, set, item);
        }
    }
    push(reader, set);
    return rv;
}

/* The bytes are not copied: they may be asked for again and again. */
static apr_status_t push_shared(reader_t *reader, djs_type_t type, djs_bytes_t bytes)
{
    djs_value_t *value = djs_value_make_bytes(reader->pool, type, djs_bytes(""));

    djs_value_fill_str(value, bytes);
    return push_sized(reader, value, bytes.len);
}

static apr_status_t make_bytes(reader_t *reader, global_t global, djs_value_t *args)
{
    return djs_value_len(args) == 0 ? push_shared(reader, DJS_TYPE_BYTES, djs_bytes(""))
                                    : bad_arguments(reader);
}

static apr_status_t make_bytearray(reader_t *reader, global_t global, djs_value_t *args)
{
    const djs_value_t *bytes = djs_value_at(args, 0);

    if (bytes == NULL) {
        return push_shared(reader, DJS_TYPE_BYTEARRAY, djs_bytes(""));
    }
    if (djs_value_len(args) != 1 || !is_of(bytes, DJS_TYPE_BYTES)) {
        return bad_arguments(reader);
    }
    return push_shared(reader, DJS_TYPE_BYTEARRAY, djs_value_str(bytes));
}

/* _codecs.encode(text, "latin1"), which older protocols have for bytes. */
static apr_status_t make_encoded(reader_t *reader, global_t global, djs_value_t *args)
{
    const djs_value_t *text = djs_value_at(args, 0), *charset = djs_value_at(args, 1);
    djs_bytes_t from;
    char *bytes, *out;
    apr_status_t rv;

    if (djs_value_len(args) != 2 || !is_of(text, DJS_TYPE_STR) || !is_of(charset, DJS_TYPE_STR) ||
        !djs_bytes_is(djs_value_str(charset), "latin1")) {
        return bad_arguments(reader);
    }
    rv = djs_pr_work(reader, size_of(text));
    if (rv != APR_SUCCESS) {
        return rv;
    }
    from = djs_value_str(text);
    out = bytes = apr_palloc(reader->pool, from.len + 1);
    while (from.len > 0) {
        apr_uint32_t c;
        int used = djs_utf8_next(from, &c);

        if (used == 0 || c > 0xff) {
            return djs_pr_malformed(reader, "bytes beyond latin-1");
        }
        *out++ = (char)c;
        from = djs_bytes_of(from.data + used, from.len - (apr_size_t)used);
    }
    *out = '\0';
    return push_shared(reader, DJS_TYPE_BYTES, djs_bytes_of(bytes, (apr_size_t)(out - bytes)));
}

/* Arguments of a date or time: so many bytes, and perhaps a zone. */
static apr_status_t state_of(reader_t *reader, const djs_value_t *args, apr_size_t len,
                             const unsigned char **state, djs_value_t **zone)
{
    const djs_value_t *bytes = djs_value_at(args, 0);

    *zone = djs_value_at(args, 1);
    if (djs_value_len(args) > 2 || !is_of(bytes, DJS_TYPE_BYTES) ||
        djs_value_str(bytes).len != len || (*zone != NULL && !is_of(*zone, DJS_TYPE_TIMEZONE))) {
        return bad_arguments(reader);
    }
    *state = (const unsigned char *)djs_value_str(bytes).data;
    return APR_SUCCESS;
}

static void read_date(const unsigned char *state, djs_civil_t *civil)
{
    civil->year = state[0] << 8 | state[1];
    civil->month = state[2] & 0x7f;
    civil->day = state[3];
}

static void read_clock(const unsigned char *state, djs_civil_t *civil)
{
    civil->hour = state[0] & 0x7f;
    civil->minute = state[1];
    civil->second = state[2];
    civil->usec = state[3] << 16 | state[4] << 8 | state[5];
}

/* A time with a zone is as large as both. */
static apr_status_t push_time(reader_t *reader, djs_type_t type, const djs_civil_t *civil,
                              djs_value_t *zone, int fold)
{
    apr_time_t local;
    djs_value_t *made;

    if (!djs_moment_from_civil(civil, &local)) {
        return djs_pr_malformed(reader, "a date or time that the calendar has not");
    }
    made = sized(djs_value_make_time(reader->pool, type, local, zone, fold), 0);
    push(reader, made);
    return zone != NULL ? djs_pr_adopt(reader, made, zone) : APR_SUCCESS;
}

static apr_status_t make_datetime(reader_t *reader, global_t global, djs_value_t *args)
{
    djs_civil_t civil;
    const unsigned char *state;
    djs_value_t *zone;
    apr_status_t rv = state_of(reader, args, 10, &state, &zone);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    read_date(state, &civil);
    read_clock(state + 4, &civil);
    if ((state[4] & 0x80) != 0) {
        return djs_pr_malformed(reader, "a date or time that the calendar has not");
    }
    return push_time(reader, DJS_TYPE_DATETIME, &civil, zone, state[2] >> 7);
}

static apr_status_t make_date(reader_t *reader, global_t global, djs_value_t *args)
{
    djs_civil_t civil = { 0 };
    const unsigned char *state;
    djs_value_t *zone;
    apr_status_t rv = state_of(reader, args, 4, &state, &zone);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    read_date(state, &civil);
    if (zone != NULL || (state[2] & 0x80) != 0) {
        return bad_arguments(reader);
    }
    return push_time(reader, DJS_TYPE_DATE, &civil, NULL, 0);
}

static apr_status_t make_time(reader_t *reader, global_t global, djs_value_t *args)
{
    djs_civil_t civil = { 1970, 1, 1, 0, 0, 0, 0 };
    const unsigned char *state;
    djs_value_t *zone;
    apr_status_t rv = state_of(reader, args, 6, &state, &zone);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    read_clock(state, &civil);
    return push_time(reader, DJS_TYPE_TIME, &civil, zone, state[0] >> 7);
}

/* An argument that is an int within bounds. */
static int int_argument(const djs_value_t *args, apr_size_t i, int least, int most, int *number)
{
    const djs_value_t *value = djs_value_at(args, i);
    apr_int64_t wide;

    if (!is_of(value, DJS_TYPE_INT) || !djs_value_int64(value, &wide) || wide < least ||
        wide > most) {
        return 0;
    }
    *number = (int)wide;
    return 1;
}

static apr_status_t make_timedelta(reader_t *reader, global_t global, djs_value_t *args)
{
    djs_span_t span;

    if (djs_value_len(args) != 3 ||
        !int_argument(args, 0, -DJS_SPAN_DAYS_MAX, DJS_SPAN_DAYS_MAX, &span.days) ||
        !int_argument(args, 1, 0, 86399, &span.seconds) ||
        !int_argument(args, 2, 0, 999999, &span.usec)) {
        return bad_arguments(reader);
    }
    return push_sized(reader, djs_value_make_span(reader->pool, span), 0);
}

static apr_status_t make_timezone(reader_t *reader, global_t global, djs_value_t *args)
{
    const djs_value_t *delta = djs_value_at(args, 0);
    djs_value_t *name = djs_value_at(args, 1), *zone;
    djs_span_t span;

    if (djs_value_len(args) > 2 || !is_of(delta, DJS_TYPE_TIMEDELTA) ||
        (name != NULL && !is_of(name, DJS_TYPE_STR))) {
        return bad_arguments(reader);
    }
    span = djs_value_span(delta);
    /* Less than a day in either direction. */
    if (span.days < -1 || span.days > 0 ||
        (span.days == -1 && span.seconds == 0 && span.usec == 0)) {
        return bad_arguments(reader);
    }
    zone = sized(djs_value_make_timezone(reader->pool, DJS_TIMEZONE_FIXED,
                                         apr_time_from_sec(span.days * 86400 + span.seconds) +
                                         span.usec, name), 0);
    push(reader, zone);
    return name != NULL ? djs_pr_adopt(reader, zone, name) : APR_SUCCESS;
}

static apr_status_t make_pytz_utc(reader_t *reader, global_t global, djs_value_t *args)
{
    if (djs_value_len(args) != 0) {
        return bad_arguments(reader);
    }
    return push_sized(reader, djs_value_make_timezone(reader->pool, DJS_TIMEZONE_PYTZ, 0, NULL), 0);
}

static apr_status_t make_decimal(reader_t *reader, global_t global, djs_value_t *args)
{
    const djs_value_t *digits = djs_value_at(args, 0);
    djs_value_t *decimal = NULL;
    apr_status_t rv;

    if (djs_value_len(args) != 1 || !is_of(digits, DJS_TYPE_STR)) {
        return bad_arguments(reader);
    }
    rv = djs_pr_work(reader, size_of(digits));
    if (rv != APR_SUCCESS) {
        return rv;
    }
    decimal = djs_value_make_decimal(reader->pool, djs_value_str(digits));
    return decimal != NULL ? push_sized(reader, decimal, djs_value_str(digits).len)
                           : bad_arguments(reader);
}

static void push_unfinished_uuid(reader_t *reader)
{
    static const unsigned char zero[16];

    push(reader, not_a_value(djs_value_make_uuid(reader->pool, zero, DJS_UUID_UNSAID),
                             UNFINISHED_UUID));
}

/* Protocols 0 and 1 make objects so; UUID's is the only one. */
static apr_status_t make_object(reader_t *reader, global_t global, djs_value_t *args)
{
    if (djs_value_len(args) != 3 || !is_global(djs_value_at(args, 0), UUID) ||
        !is_global(djs_value_at(args, 1), OBJECT) ||
        !is_of(djs_value_at(args, 2), DJS_TYPE_NULL)) {
        return bad_arguments(reader);
    }
    push_unfinished_uuid(reader);
    return APR_SUCCESS;
}

typedef apr_status_t (*reducer_fn)(reader_t *reader, global_t global, djs_value_t *args);

/* NULL: not called by REDUCE. */
static const reducer_fn reducers[GLOBAL_COUNT] = {
    [SET] = make_set,             [FROZENSET] = make_set,       [BYTES] = make_bytes,
    [BYTEARRAY] = make_bytearray, [ENCODE] = make_encoded,      [DATETIME] = make_datetime,
    [DATE] = make_date,           [TIME] = make_time,           [TIMEDELTA] = make_timedelta,
    [TIMEZONE] = make_timezone,   [PYTZ_UTC] = make_pytz_utc,   [DECIMAL] = make_decimal,
    [RECONSTRUCTOR] = make_object,
};

djs_value_t *djs_pr_call(apr_pool_t *pool, global_t global, djs_value_t *args, apr_size_t *work)
{
    djs_ctx_t quiet = { .pool = pool };
    reader_t reader;

    djs_pr_begin(&reader, &quiet, djs_bytes(""));
    if (reducers[global](&reader, global, args) != APR_SUCCESS) {
        return NULL;
    }
    *work += reader.work;
    return reader.stack[0];
}

/* A callable and its arguments, off the stack. */
static apr_status_t pop_call(reader_t *reader, global_t *global, djs_value_t **args)
{
    const djs_value_t *callable;
    apr_status_t rv = need(reader, 2);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    reader->count -= 2;
    callable = reader->stack[reader->count];
    *args = reader->stack[reader->count + 1];
    if (is_value(callable) || djs_value_type(callable) != DJS_TYPE_NULL) {
        return djs_pr_malformed(reader, "a call of what is no class");
    }
    *global = (global_t)(callable->place & ~NOT_A_VALUE);
    if (djs_value_type(*args) != DJS_TYPE_TUPLE) {
        return bad_arguments(reader);
    }
    /* Only the constructor takes classes. */
    return is_value(*args) || *global == RECONSTRUCTOR ? APR_SUCCESS : bad_arguments(reader);
}

apr_status_t djs_pr_do_reduce(reader_t *reader, unsigned char code)
{
    global_t global;
    djs_value_t *args;
    apr_status_t rv = pop_call(reader, &global, &args);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    return reducers[global] != NULL ? reducers[global](reader, global, args)
                                    : bad_arguments(reader);
}

apr_status_t djs_pr_do_newobj(reader_t *reader, unsigned char code)
{
    global_t global;
    djs_value_t *args;
    apr_status_t rv = pop_call(reader, &global, &args);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (global != UUID || djs_value_len(args) != 0) {
        return bad_arguments(reader);
    }
    push_unfinished_uuid(reader);
    return APR_SUCCESS;
}

/* A UUID's integer as its bytes; 0: it is none, or has more than 128 bits. */
static int uuid_bytes(reader_t *reader, const djs_value_t *number, unsigned char bytes[16])
{
    BIGNUM *wide = NULL;
    djs_bytes_t digits;
    int ok;

    if (!is_of(number, DJS_TYPE_INT)) {
        return 0;
    }
    digits = djs_bytes_copy(djs_pr_scratch(reader),
                            djs_value_int_digits(number, djs_pr_scratch(reader)));
    ok = digits.len <= 39 && digits.data[0] != '-' && BN_dec2bn(&wide, digits.data) > 0 &&
         BN_bn2binpad(wide, bytes, 16) == 16;
    BN_free(wide);
    return ok;
}

static int uuid_safety(const djs_value_t *said, djs_uuid_safety_t *safety)
{
    apr_int64_t number;

    *safety = DJS_UUID_UNSAID;
    if (said == NULL) {
        return 1;
    }
    if (!is_of(said, DJS_TYPE_INT) || !djs_value_int64(said, &number) || number > 0 ||
        number < -1) {
        return 0;
    }
    *safety = number == 0 ? DJS_UUID_SAFE : DJS_UUID_UNSAFE;
    return 1;
}

apr_status_t djs_pr_do_build(reader_t *reader, unsigned char code)
{
    djs_value_t *state, *uuid, *number, *safe;
    djs_uuid_safety_t safety;
    unsigned char bytes[16];
    apr_status_t rv = need(reader, 2);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    state = reader->stack[--reader->count];
    uuid = reader->stack[reader->count - 1];
    if (!is_global(uuid, UNFINISHED_UUID) || !is_of(state, DJS_TYPE_DICT)) {
        return djs_pr_fail(reader, DJS_EUNSUPPORTED, "state for what has none");
    }
    number = djs_value_get(state, djs_bytes("int"));
    safe = djs_value_get(state, djs_bytes("is_safe"));
    if (number == NULL || djs_value_len(state) != (safe != NULL ? 2 : 1) ||
        !uuid_bytes(reader, number, bytes) || !uuid_safety(safe, &safety)) {
        return bad_arguments(reader);
    }
    djs_value_fill_uuid(uuid, bytes, safety);
    (void)sized(uuid, 0);
    return APR_SUCCESS;
}
