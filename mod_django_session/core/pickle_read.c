/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading pickles: all values are made at once. Most pickles are plain, and pickle_scan.c has them;
 * what comes here has more in it, or something is wrong with it.
 *
 * A pickle is a row of instructions of one byte each, with their arguments behind. They push values
 * on a stack, put what is on its top into what is below, and remember values under numbers (the
 * memo). Marks lie in the stack: "everything above the last mark". `operations`, at the end, has all
 * instructions; those without an entry are in no protocol.
 *
 * What is not plain data never gets further than the stack: the names of callables (GLOBAL), the
 * arguments of the one that takes classes, a UUID before its state. REDUCE looks such a name up in
 * `reducers` and makes the value itself.
 *
 * No cycle can be made: what was put into something is closed and takes nothing in any more. So all
 * that a container has is known when it is put away, and its size and depth, as if nothing were
 * shared, are sums of what is on the nodes already. They are kept in the node's note,
 * its `place`.
 */
#include "pickle_read_impl.h"

#include <stddef.h>
#include <string.h>

/** A memo's number may be so far beyond what the pickle's length explains. */
#define MEMO_SLACK 16384

/* ---- Failing --------------------------------------------------------------------------------- */

apr_status_t djs_pr_fail(reader_t *reader, apr_status_t status, const char *what)
{
    return djs_fail(reader->ctx, status, "pickle: %s at byte %" APR_SIZE_T_FMT, what,
                    (apr_size_t)(reader->at - reader->start));
}

apr_status_t djs_pr_malformed(reader_t *reader, const char *what)
{
    return djs_pr_fail(reader, DJS_EFORMAT, what);
}

apr_status_t djs_pr_cut_off(reader_t *reader)
{
    return djs_pr_malformed(reader, "cut off");
}

/* A name out of the pickle, fit for a log. */
static const char *printable(apr_pool_t *pool, djs_bytes_t name)
{
    const apr_size_t len = name.len < 60 ? name.len : 60;
    char *text = apr_pstrmemdup(pool, name.data, len);
    apr_size_t i;

    for (i = 0; i < len; i++) {
        if (text[i] < 0x21 || text[i] > 0x7e) {
            text[i] = '?';
        }
    }
    return text;
}

apr_status_t djs_pr_unknown_global(reader_t *reader, djs_bytes_t module, djs_bytes_t name)
{
    return djs_fail(reader->ctx, DJS_EUNSUPPORTED, "pickle: %s.%s is none of the types that are read "
                    "(None, bool, int, float, str, bytes, bytearray, list, tuple, dict, set, "
                    "frozenset, datetime's, Decimal, UUID)", printable(reader->pool, module),
                    printable(reader->pool, name));
}

/* ---- Memory ---------------------------------------------------------------------------------- */

apr_pool_t *djs_pr_scratch(reader_t *reader)
{
    if (reader->scratch == NULL) {
        apr_pool_create(&reader->scratch, reader->pool);
    }
    return reader->scratch;
}

/* An array of twice the size. */
void *djs_pr_grown(reader_t *reader, const void *array, apr_uint32_t *size, apr_size_t item)
{
    void *larger = apr_palloc(djs_pr_scratch(reader), *size * 2 * item);

    memcpy(larger, array, *size * item);
    *size *= 2;
    return larger;
}

/* ---- Arguments ------------------------------------------------------------------------------- */

apr_status_t djs_pr_take_line(reader_t *reader, djs_bytes_t *line)
{
    const apr_size_t left = (apr_size_t)(reader->end - reader->at);
    const char *end = left > 0 ? memchr(reader->at, '\n', left) : NULL;

    if (end == NULL) {
        return djs_pr_cut_off(reader);
    }
    *line = djs_bytes_of(reader->at, (apr_size_t)(end - reader->at));
    reader->at = end + 1;
    return APR_SUCCESS;
}

/* ---- The stack ------------------------------------------------------------------------------- */

/* The last mark is taken away; everything above it is @a items and off the stack. */
static apr_status_t pop_to_mark(reader_t *reader, djs_value_t ***items, apr_uint32_t *count)
{
    *items = NULL;
    *count = 0;
    if (reader->mark_count == 0) {
        return djs_pr_malformed(reader, "no mark");
    }
    *count = above_mark(reader);
    reader->count -= *count;
    reader->mark_count--;
    *items = reader->stack + reader->count;
    return APR_SUCCESS;
}

/* ---- Sizes and what is closed ---------------------------------------------------------------- */

/* Put @a item into @a parent as far as sizes are concerned, and close it. */
apr_status_t djs_pr_adopt(reader_t *reader, djs_value_t *parent, djs_value_t *item)
{
    const apr_uint32_t size = size_of(parent) + size_of(item);
    apr_uint32_t depth = depth_in(parent->place);
    const apr_uint32_t deeper = depth_in(item->place) + 1;

    if (!is_value(item)) {
        return djs_pr_fail(reader, DJS_EUNSUPPORTED, "a class or half a value among the values");
    }
    item->place |= CLOSED;
    if ((parent->place & CLOSED) != 0) { /* it may be the item itself */
        return djs_pr_fail(reader, DJS_EUNSUPPORTED, "a value that contains itself");
    }
    depth = deeper > depth ? deeper : depth;
    if (size > DJS_PICKLE_VALUES_MAX || depth > DJS_PICKLE_DEPTH_MAX) {
        return djs_pr_fail(reader, DJS_ELIMIT, depth > DJS_PICKLE_DEPTH_MAX ? "nested too deep"
                                                                            : "too many values");
    }
    parent->place = depth << DEPTH_SHIFT | size;
    return APR_SUCCESS;
}

/* Work that a pickle may ask for again and again by referring to the same thing. */
apr_status_t djs_pr_work(reader_t *reader, apr_size_t amount)
{
    reader->work += amount;
    return reader->work > reader->work_max ? djs_pr_fail(reader, DJS_ELIMIT, "too many values")
                                           : APR_SUCCESS;
}

/* ---- Containers ------------------------------------------------------------------------------ */

static apr_status_t append_all(reader_t *reader, djs_value_t *list, djs_value_t **items,
                               apr_uint32_t count)
{
    apr_status_t rv = APR_SUCCESS;
    apr_uint32_t i;

    for (i = 0; rv == APR_SUCCESS && i < count; i++) {
        rv = djs_pr_adopt(reader, list, items[i]);
        if (rv == APR_SUCCESS) {
            djs_value_append(list, items[i]);
        }
    }
    return rv;
}

/* What a key's hash costs; a text is its own. */
static apr_status_t hash_work(reader_t *reader, const djs_value_t *key)
{
    return djs_value_type(key) != DJS_TYPE_STR ? djs_pr_work(reader, size_of(key)) : APR_SUCCESS;
}

static apr_status_t unhashable(reader_t *reader, const djs_value_t *key)
{
    return djs_fail(reader->ctx, DJS_EFORMAT, "pickle: a key or an item of a set is of type %s, "
                    "which Python cannot hash", djs_value_type_name(key));
}

static apr_status_t set_all(reader_t *reader, djs_value_t *dict, djs_value_t **items,
                            apr_uint32_t count)
{
    apr_status_t rv = APR_SUCCESS;
    apr_uint32_t i;

    if (count % 2 != 0) {
        return djs_pr_malformed(reader, "a key without a value");
    }
    for (i = 0; rv == APR_SUCCESS && i < count; i += 2) {
        rv = djs_pr_adopt(reader, dict, items[i]);
        if (rv == APR_SUCCESS) {
            rv = djs_pr_adopt(reader, dict, items[i + 1]);
        }
        if (rv == APR_SUCCESS) {
            rv = hash_work(reader, items[i]);
        }
        if (rv == APR_SUCCESS && !djs_value_put_key(dict, items[i], items[i + 1])) {
            rv = unhashable(reader, items[i]);
        }
    }
    return rv;
}

apr_status_t djs_pr_add_item(reader_t *reader, djs_value_t *set, djs_value_t *item)
{
    apr_status_t rv = djs_pr_adopt(reader, set, item);

    if (rv == APR_SUCCESS) {
        rv = hash_work(reader, item);
    }
    if (rv == APR_SUCCESS && !djs_value_add_item(set, item)) {
        rv = unhashable(reader, item);
    }
    return rv;
}

static apr_status_t add_all(reader_t *reader, djs_value_t *set, djs_value_t **items,
                            apr_uint32_t count)
{
    apr_status_t rv = APR_SUCCESS;
    apr_uint32_t i;

    for (i = 0; rv == APR_SUCCESS && i < count; i++) {
        rv = djs_pr_add_item(reader, set, items[i]);
    }
    return rv;
}

djs_value_t *djs_pr_make_container(reader_t *reader, djs_type_t type)
{
    return sized(djs_value_make_group(reader->pool, type), 0);
}

/* EMPTY_LIST, EMPTY_DICT, EMPTY_SET */
static apr_status_t do_empty(reader_t *reader, unsigned char code)
{
    push(reader, djs_pr_make_container(reader, code == ']' ? DJS_TYPE_LIST
                                               : code == '}' ? DJS_TYPE_DICT : DJS_TYPE_SET));
    return APR_SUCCESS;
}

static apr_status_t do_empty_tuple(reader_t *reader, unsigned char code)
{
    if (reader->nothing == NULL) {
        reader->nothing = djs_pr_make_container(reader, DJS_TYPE_TUPLE);
    }
    push(reader, reader->nothing);
    return APR_SUCCESS;
}

/* LIST, DICT, FROZENSET: of everything above the mark. */
static apr_status_t do_gather(reader_t *reader, unsigned char code)
{
    djs_value_t *made = djs_pr_make_container(reader, code == 'l' ? DJS_TYPE_LIST : code == 'd' ?
                                              DJS_TYPE_DICT : DJS_TYPE_FROZENSET);
    djs_value_t **items;
    apr_uint32_t count;
    apr_status_t rv = pop_to_mark(reader, &items, &count);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = code == 'l' ? append_all(reader, made, items, count)
         : code == 'd' ? set_all(reader, made, items, count) : add_all(reader, made, items, count);
    push(reader, made);
    return rv;
}

/* Is the top of the stack a container of this type that takes something in? */
static apr_status_t receiver(reader_t *reader, djs_type_t type, djs_value_t **container)
{
    apr_status_t rv = need(reader, 1);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    *container = reader->stack[reader->count - 1];
    if (!is_value(*container) || djs_value_type(*container) != type) {
        return djs_pr_malformed(reader, "items for what takes none");
    }
    return APR_SUCCESS;
}

/* APPENDS, SETITEMS, ADDITEMS: everything above the mark into what is below it. */
static apr_status_t do_extend(reader_t *reader, unsigned char code)
{
    djs_value_t **items, *container;
    apr_uint32_t count;
    apr_status_t rv = pop_to_mark(reader, &items, &count);

    if (rv == APR_SUCCESS) {
        rv = receiver(reader, code == 'e' ? DJS_TYPE_LIST : code == 'u' ? DJS_TYPE_DICT
                                                                        : DJS_TYPE_SET, &container);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    return code == 'e' ? append_all(reader, container, items, count)
           : code == 'u' ? set_all(reader, container, items, count)
                         : add_all(reader, container, items, count);
}

/* APPEND, SETITEM: one. */
static apr_status_t do_insert(reader_t *reader, unsigned char code)
{
    const apr_uint32_t count = code == 'a' ? 1 : 2;
    djs_value_t **items, *container;
    apr_status_t rv = need(reader, count + 1);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    reader->count -= count;
    items = reader->stack + reader->count;
    rv = receiver(reader, code == 'a' ? DJS_TYPE_LIST : DJS_TYPE_DICT, &container);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    return code == 'a' ? append_all(reader, container, items, count)
                       : set_all(reader, container, items, count);
}

/* Arguments may have classes among them; then the tuple is no value. */
static apr_status_t push_tuple(reader_t *reader, djs_value_t **items, apr_uint32_t count)
{
    djs_value_t *tuple;
    apr_uint32_t i, classes = 0;
    apr_status_t rv = APR_SUCCESS;

    if (count == 0) {
        return do_empty_tuple(reader, 0);
    }
    tuple = djs_pr_make_container(reader, DJS_TYPE_TUPLE);
    for (i = 0; i < count; i++) {
        classes += is_global(items[i], UUID) || is_global(items[i], OBJECT);
    }
    if (classes == 0) {
        rv = append_all(reader, tuple, items, count);
    }
    for (i = 0; classes > 0 && i < count; i++) {
        djs_value_append(tuple, items[i]);
    }
    push(reader, classes > 0 ? not_a_value(tuple, ARGUMENTS) : tuple);
    return rv;
}

static apr_status_t do_tuple(reader_t *reader, unsigned char code)
{
    djs_value_t **items;
    apr_uint32_t count;
    apr_status_t rv = pop_to_mark(reader, &items, &count);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    return push_tuple(reader, items, count);
}

/* TUPLE1, TUPLE2, TUPLE3 */
static apr_status_t do_small_tuple(reader_t *reader, unsigned char code)
{
    const apr_uint32_t count = code - 0x84u;
    apr_status_t rv = need(reader, count);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    reader->count -= count;
    return push_tuple(reader, reader->stack + reader->count, count);
}

/* ---- Stack and memo -------------------------------------------------------------------------- */

static apr_status_t do_mark(reader_t *reader, unsigned char code)
{
    if (reader->mark_count == reader->mark_size) {
        reader->marks = djs_pr_grown(reader, reader->marks, &reader->mark_size, sizeof(*reader->marks));
    }
    reader->marks[reader->mark_count++] = reader->count;
    return APR_SUCCESS;
}

static apr_status_t do_pop(reader_t *reader, unsigned char code)
{
    apr_status_t rv;

    if (reader->mark_count > 0 && above_mark(reader) == 0) {
        reader->mark_count--;
        return APR_SUCCESS;
    }
    rv = need(reader, 1);
    reader->count -= rv == APR_SUCCESS;
    return rv;
}

static apr_status_t do_pop_mark(reader_t *reader, unsigned char code)
{
    djs_value_t **items;
    apr_uint32_t count;

    return pop_to_mark(reader, &items, &count);
}

static apr_status_t do_dup(reader_t *reader, unsigned char code)
{
    apr_status_t rv = need(reader, 1);

    if (rv == APR_SUCCESS) {
        push(reader, reader->stack[reader->count - 1]);
    }
    return rv;
}

/* The number of a PUT or GET in any of their forms. */
static apr_status_t take_index(reader_t *reader, unsigned char code, apr_uint64_t *index)
{
    djs_bytes_t line;
    apr_size_t i;
    apr_status_t rv;

    if (code != 'p' && code != 'g') {
        return take_number(reader, code == 'q' || code == 'h' ? 1 : 4, index);
    }
    rv = djs_pr_take_line(reader, &line);
    *index = 0;
    if (rv == APR_SUCCESS && (line.len == 0 || line.len > 10)) {
        return djs_pr_malformed(reader, "no number for the memo");
    }
    for (i = 0; rv == APR_SUCCESS && i < line.len; i++) {
        if (line.data[i] < '0' || line.data[i] > '9') {
            return djs_pr_malformed(reader, "no number for the memo");
        }
        *index = *index * 10 + (apr_uint64_t)(line.data[i] - '0');
    }
    return rv;
}

/* Room in the memo for this number. */
static apr_status_t grow_memo(reader_t *reader, apr_uint64_t index)
{
    apr_uint32_t size = reader->memo_size;
    djs_value_t **larger;

    if (index >= (apr_uint64_t)(reader->end - reader->start) + MEMO_SLACK) {
        return djs_pr_fail(reader, DJS_ELIMIT, "a number for the memo that is too large");
    }
    while (index >= size) {
        size *= 2;
    }
    larger = apr_pcalloc(djs_pr_scratch(reader), size * sizeof(*larger));
    memcpy(larger, reader->memo, reader->memo_size * sizeof(*larger));
    reader->memo = larger;
    reader->memo_size = size;
    return APR_SUCCESS;
}

static inline apr_status_t remember(reader_t *reader, apr_uint64_t index)
{
    apr_status_t rv = need(reader, 1);

    if (rv == APR_SUCCESS && index >= reader->memo_size) {
        rv = grow_memo(reader, index);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    reader->memo_count += reader->memo[index] == NULL;
    reader->memo[index] = reader->stack[reader->count - 1];
    return APR_SUCCESS;
}

static apr_status_t do_put(reader_t *reader, unsigned char code)
{
    apr_uint64_t index;
    apr_status_t rv = take_index(reader, code, &index);

    return rv == APR_SUCCESS ? remember(reader, index) : rv;
}

static apr_status_t do_memoize(reader_t *reader, unsigned char code)
{
    return remember(reader, reader->memo_count);
}

static apr_status_t do_get(reader_t *reader, unsigned char code)
{
    apr_uint64_t index;
    apr_status_t rv = take_index(reader, code, &index);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (index >= reader->memo_size || reader->memo[index] == NULL) {
        return djs_pr_malformed(reader, "nothing in the memo under this number");
    }
    push(reader, reader->memo[index]);
    return APR_SUCCESS;
}

/* ---- The machine ----------------------------------------------------------------------------- */

static apr_status_t do_proto(reader_t *reader, unsigned char code)
{
    apr_uint64_t protocol;
    apr_status_t rv = take_number(reader, 1, &protocol);

    if (rv == APR_SUCCESS && protocol > DJS_PICKLE_PROTOCOL_MAX) {
        return djs_fail(reader->ctx, DJS_EUNSUPPORTED, "pickle of protocol %d, known are 0 to %d",
                        (int)protocol, DJS_PICKLE_PROTOCOL_MAX);
    }
    return rv;
}

/* Frames tell how much to read at once; we have it all. */
static apr_status_t do_frame(reader_t *reader, unsigned char code)
{
    apr_uint64_t len;
    apr_status_t rv = take_number(reader, 8, &len);

    if (rv == APR_SUCCESS && len > (apr_uint64_t)(reader->end - reader->at)) {
        return djs_pr_cut_off(reader);
    }
    return rv;
}

/* INST, OBJ, NEWOBJ_EX, EXT1, EXT2, EXT4, PERSID, BINPERSID, NEXT_BUFFER, READONLY_BUFFER */
static apr_status_t do_refuse(reader_t *reader, unsigned char code)
{
    return djs_fail(reader->ctx, DJS_EUNSUPPORTED, "pickle: instruction 0x%02x, which no type that "
                    "is read needs", code);
}

/* Under the result may lie the result again, as when it was filled by way of the memo. */
static apr_status_t do_stop(reader_t *reader, unsigned char code)
{
    djs_value_t *value;
    apr_uint32_t i;
    apr_status_t rv = need(reader, 1);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    value = reader->stack[reader->count - 1];
    if (!is_value(value)) {
        return djs_pr_fail(reader, DJS_EUNSUPPORTED, "a class or half a value as the result");
    }
    for (i = 0; i < reader->count; i++) {
        if (reader->stack[i] != value || reader->mark_count > 0) {
            return djs_pr_malformed(reader, "more than the result on the stack");
        }
    }
    reader->result = value;
    return APR_SUCCESS;
}

static operation_t *const operations[256] = {
    ['N'] = djs_pr_do_none,         [0x88] = djs_pr_do_bool,        [0x89] = djs_pr_do_bool,
    ['I'] = djs_pr_do_int,          ['L'] = djs_pr_do_long_text,    ['J'] = djs_pr_do_binint,
    ['K'] = djs_pr_do_binint,       ['M'] = djs_pr_do_binint,       [0x8a] = djs_pr_do_long,
    [0x8b] = djs_pr_do_long,        ['F'] = djs_pr_do_float,        ['G'] = djs_pr_do_binfloat,

    ['V'] = djs_pr_do_unicode,      ['X'] = djs_pr_do_binunicode,   [0x8c] = djs_pr_do_binunicode,
    [0x8d] = djs_pr_do_binunicode,  ['S'] = djs_pr_do_string,       ['T'] = djs_pr_do_binstring,
    ['U'] = djs_pr_do_binstring,    ['B'] = djs_pr_do_binbytes,     ['C'] = djs_pr_do_binbytes,
    [0x8e] = djs_pr_do_binbytes,    [0x96] = djs_pr_do_binbytes,

    [']'] = do_empty,               ['}'] = do_empty,               [0x8f] = do_empty,
    [')'] = do_empty_tuple,         ['l'] = do_gather,              ['d'] = do_gather,
    [0x91] = do_gather,             ['t'] = do_tuple,               [0x85] = do_small_tuple,
    [0x86] = do_small_tuple,        [0x87] = do_small_tuple,        ['a'] = do_insert,
    ['s'] = do_insert,              ['e'] = do_extend,              ['u'] = do_extend,
    [0x90] = do_extend,

    ['('] = do_mark,                ['0'] = do_pop,                 ['1'] = do_pop_mark,
    ['2'] = do_dup,                 ['p'] = do_put,                 ['q'] = do_put,
    ['r'] = do_put,                 [0x94] = do_memoize,            ['g'] = do_get,
    ['h'] = do_get,                 ['j'] = do_get,

    ['c'] = djs_pr_do_global,       [0x93] = djs_pr_do_stack_global, ['R'] = djs_pr_do_reduce,
    [0x81] = djs_pr_do_newobj,      ['b'] = djs_pr_do_build,

    [0x80] = do_proto,              [0x95] = do_frame,              ['.'] = do_stop,

    ['i'] = do_refuse,              ['o'] = do_refuse,              [0x92] = do_refuse,
    [0x82] = do_refuse,             [0x83] = do_refuse,             [0x84] = do_refuse,
    ['P'] = do_refuse,              ['Q'] = do_refuse,              [0x97] = do_refuse,
    [0x98] = do_refuse,
};

static apr_status_t run(reader_t *reader)
{
    apr_status_t rv = APR_SUCCESS;

    while (rv == APR_SUCCESS && reader->result == NULL) {
        unsigned char code;

        if (reader->at == reader->end) {
            return djs_pr_cut_off(reader);
        }
        code = (unsigned char)*reader->at++;
        rv = operations[code] != NULL ? operations[code](reader, code)
                                      : djs_pr_malformed(reader, "no such instruction");
    }
    return rv;
}

void djs_pr_begin(reader_t *reader, djs_ctx_t *ctx, djs_bytes_t pickle)
{
    memset(reader, 0, offsetof(reader_t, few_on_stack));
    memset(reader->few_in_memo, 0, sizeof(reader->few_in_memo));
    reader->ctx = ctx;
    reader->pool = ctx->pool;
    reader->start = reader->at = pickle.data != NULL ? pickle.data : "";
    reader->end = reader->start + pickle.len;
    reader->work_max = work_max_of(pickle.len);
    reader->stack = reader->few_on_stack;
    reader->memo = reader->few_in_memo;
    reader->size = reader->memo_size = FEW_VALUES;
    reader->marks = reader->few_marks;
    reader->mark_size = FEW_MARKS;
}

apr_status_t djs_pr_read(djs_ctx_t *ctx, djs_bytes_t pickle, djs_value_t **value)
{
    reader_t reader;
    apr_status_t rv;

    djs_pr_begin(&reader, ctx, pickle);
    rv = run(&reader);
    if (reader.scratch != NULL) {
        apr_pool_destroy(reader.scratch);
    }
    if (rv == APR_SUCCESS) {
        *value = reader.result;
    }
    return rv;
}

apr_status_t djs_pickle_loads(djs_ctx_t *ctx, djs_bytes_t pickle, djs_value_t **value)
{
    djs_value_t *plain;

    if (pickle.len > DJS_PICKLE_MAX) {
        return djs_fail(ctx, DJS_ELIMIT, "pickle of %" APR_SIZE_T_FMT " bytes, allowed are %d",
                        pickle.len, DJS_PICKLE_MAX);
    }
    plain = djs_pr_scan(ctx, pickle);
    if (plain == NULL) {
        return djs_pr_read(ctx, pickle, value);
    }
    *value = plain;
    return APR_SUCCESS;
}
