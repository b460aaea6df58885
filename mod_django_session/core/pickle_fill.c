/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plain pickles into values, when somebody asks: what pickle_scan.c has found, one level at a time.
 */
#include "pickle_scan_impl.h"

#include <stdlib.h>

/** More than any call takes. */
#define ARGUMENTS_MAX 3

static const token_t *token_in(const document_t *document, apr_uint32_t item)
{
    return &document->tokens[item & ~TOKEN];
}

static const char *place_of(const document_t *document, apr_uint32_t item)
{
    return document->pickle + ((item & TOKEN) != 0 ? token_in(document, item)->start : item);
}

static apr_int64_t int_at(const char *at)
{
    const instruction_t *is = instruction_at(at);
    djs_bytes_t bytes;
    int unused_bits;

    if (is->what == FIXED) {
        const apr_uint64_t number = little_endian(at + 1, is->width);

        return is->width == 4 ? (apr_int32_t)number : (apr_int64_t)number;
    }
    bytes = bytes_at(at);
    if (bytes.len == 0) {
        return 0;
    }
    unused_bits = (int)(INT64_BYTES - bytes.len) * 8;
    return (apr_int64_t)(little_endian(bytes.data, (int)bytes.len) << unused_bits) >> unused_bits;
}

/*
 * An argument, with the reader's note on it. NULL: nothing that a call takes, or long, which the reader
 * need not copy for each call.
 */
static djs_value_t *argument_of(const document_t *document, apr_pool_t *pool, apr_uint32_t item)
{
    const char *at = place_of(document, item);
    const instruction_t *is = instruction_at(at);
    djs_value_t *value;

    if (is->what == REDUCE) {
        return djs_pr_value_of(document, pool, item);
    }
    if ((is->type != DJS_TYPE_STR && is->type != DJS_TYPE_BYTES && is->type != DJS_TYPE_INT) ||
        (is->what == COUNTED && bytes_at(at).len >= BYTES_A_VALUE)) {
        return NULL;
    }
    value = djs_pr_value_of(document, pool, item);
    (void)djs_value_look_into(value); /* the note takes the place's place */
    return sized(value, 0);
}

djs_value_t *djs_pr_make_called(const document_t *document, apr_pool_t *pool, apr_uint32_t row,
                                apr_size_t *work)
{
    const apr_uint32_t class = document->rows[row + 2], tuple = document->rows[row + 3];
    const global_t global = (global_t)(token_in(document, class)->note & ~(NOT_A_VALUE | CLOSED));
    const apr_uint32_t from = (tuple & TOKEN) != 0 ? token_in(document, tuple)->first : 0;
    const apr_uint32_t count = from != 0 ? document->rows[from + 1] : 0;
    djs_value_t *args = sized(djs_value_make_group(pool, DJS_TYPE_TUPLE), 0), *arg;
    apr_uint32_t i;

    if (count > ARGUMENTS_MAX) {
        return NULL;
    }
    for (i = 0; i < count; i++) {
        arg = argument_of(document, pool, document->rows[from + 2 + i]);
        if (arg == NULL) {
            return NULL;
        }
        djs_value_append(args, arg);
    }
    return djs_pr_call(pool, global, args, work);
}

static inline djs_value_t *make_value(const document_t *document, apr_pool_t *pool, apr_uint32_t item)
{
    const char *at = place_of(document, item);
    const djs_type_t type = (djs_type_t)instruction_at(at)->type;
    apr_size_t work = 0;

    switch (type) {
    case DJS_TYPE_NULL:
        return djs_value_make_null(pool);
    case DJS_TYPE_BOOL:
        return djs_value_make_bool(pool, *at == (char)0x88);
    case DJS_TYPE_INT:
        return djs_value_make_int(pool, int_at(at));
    case DJS_TYPE_FLOAT:
        return djs_value_make_float(pool, big_endian_float(at + 1));
    case DJS_TYPE_STR:
        if (bytes_at(at).len < BYTES_A_VALUE) {
            return djs_value_make_str(pool, bytes_at(at));
        }
        break;
    case DJS_TYPE_TUPLE:
        if ((item & TOKEN) == 0 || token_in(document, item)->first == 0) {
            return djs_value_make_group(pool, DJS_TYPE_TUPLE);
        }
        break;
    case CALLED_TYPE: /* it succeeded when it was tried */
        return djs_pr_make_called(document, pool, token_in(document, item)->first, &work);
    default:
        break;
    }
    return djs_value_make_lazy(pool, type, &document->lazy, item);
}

static int by_start(const void *one, const void *other)
{
    const apr_uint64_t a = *(const apr_uint64_t *)one, b = *(const apr_uint64_t *)other;

    return (a > b) - (a < b);
}

/* When somebody searches them for the first time, which is not always. */
static void order_recalled(const document_t *document)
{
    document_t *self = (document_t *)document;

    if (!self->is_ordered) {
        qsort(self->recalled, self->recalled_count, sizeof(*self->recalled), by_start);
        self->is_ordered = 1;
    }
}

/* The token of what stands here, if the memo gave it back; else what stands here. */
static apr_uint32_t recalled_item(const document_t *document, apr_uint32_t item)
{
    const apr_uint64_t *recalled = document->recalled;
    apr_uint32_t from = 0, to = document->recalled_count;

    if (to == 0 || item < document->recalled_from || item > document->recalled_to) {
        return item;
    }
    order_recalled(document);
    while (from < to) {
        const apr_uint32_t middle = from + (to - from) / 2;

        if (RECALLED_START(recalled[middle]) < item) {
            from = middle + 1;
        }
        else {
            to = middle;
        }
    }
    return RECALLED_START(recalled[from]) == item ? TOKEN | RECALLED_TOKEN(recalled[from]) : item;
}

djs_value_t *djs_pr_value_of(const document_t *document, apr_pool_t *pool, apr_uint32_t item)
{
    djs_value_t **shared;

    if ((item & TOKEN) == 0) {
        item = recalled_item(document, item);
    }
    if ((item & TOKEN) == 0 || (token_in(document, item)->note & CLOSED) == 0) {
        return make_value(document, pool, item);
    }
    shared = &document->shared[token_in(document, item)->last];
    if (*shared == NULL) {
        *shared = make_value(document, pool, item);
    }
    return *shared;
}

static void put_member(djs_value_t *dict, const document_t *document, apr_uint32_t key,
                       apr_uint32_t item)
{
    apr_pool_t *pool = djs_value_pool(dict);
    const char *at = place_of(document, key);
    djs_value_t *value = djs_pr_value_of(document, pool, item);

    if (instruction_at(at)->type == DJS_TYPE_STR) {
        djs_value_put(dict, bytes_at(at), value);
    }
    else {
        (void)djs_value_put_key(dict, djs_pr_value_of(document, pool, key), value); /* see are_keys() */
    }
}

static void fill_container(djs_value_t *container, const document_t *document, apr_uint32_t row)
{
    const int is_dict = djs_value_type(container) == DJS_TYPE_DICT;
    apr_pool_t *pool = djs_value_pool(container);
    apr_uint32_t i;

    for (; row != 0; row = document->rows[row]) {
        const apr_uint32_t *items = document->rows + row + 2, count = document->rows[row + 1];

        for (i = 0; i < count; i += 1 + is_dict) {
            if (is_dict) {
                put_member(container, document, items[i], items[i + 1]);
            }
            else {
                djs_value_append(container, djs_pr_value_of(document, pool, items[i]));
            }
        }
    }
}

void djs_pr_fill(const djs_lazy_t *lazy, apr_uint32_t place, djs_value_t *value)
{
    const document_t *document = (const document_t *)lazy;

    switch (djs_value_type(value)) {
    case DJS_TYPE_STR:
    case DJS_TYPE_BYTES:
        djs_value_fill_str(value, djs_bytes_copy(djs_value_pool(value),
                                                 bytes_at(place_of(document, place))));
        break;
    default:
        fill_container(value, document, token_in(document, place)->first);
    }
}
