/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plain pickles into items, tokens and rows (pickle_scan_impl.h).
 */
#include "pickle_scan_impl.h"
#include "encode.h"

#include <stddef.h>

/** So many need no array that grows. */
#define FEW_TOKENS   48
#define FEW_ROWS     256
#define FEW_RECALLED 16

const instruction_t djs_pr_instructions[256] = {
    ['N'] = { FIXED, 0, DJS_TYPE_NULL },      [0x88] = { FIXED, 0, DJS_TYPE_BOOL },
    [0x89] = { FIXED, 0, DJS_TYPE_BOOL },     [')'] = { FIXED, 0, DJS_TYPE_TUPLE },

    ['K'] = { FIXED, 1, DJS_TYPE_INT },       ['M'] = { FIXED, 2, DJS_TYPE_INT },
    ['J'] = { FIXED, 4, DJS_TYPE_INT },       ['G'] = { FIXED, 8, DJS_TYPE_FLOAT },
    [0x8a] = { COUNTED, 1, DJS_TYPE_INT },    [0x8b] = { COUNTED, 4, DJS_TYPE_INT },

    [0x8c] = { COUNTED, 1, DJS_TYPE_STR },    ['X'] = { COUNTED, 4, DJS_TYPE_STR },
    [0x8d] = { COUNTED, 8, DJS_TYPE_STR },    ['C'] = { COUNTED, 1, DJS_TYPE_BYTES },
    ['B'] = { COUNTED, 4, DJS_TYPE_BYTES },   [0x8e] = { COUNTED, 8, DJS_TYPE_BYTES },

    [']'] = { EMPTY, 0, DJS_TYPE_LIST },      ['}'] = { EMPTY, 0, DJS_TYPE_DICT },
    ['('] = { MARK, 0, 0 },                   ['a'] = { INSERT, 0, DJS_TYPE_LIST },
    ['s'] = { INSERT, 0, DJS_TYPE_DICT },     ['e'] = { EXTEND, 0, DJS_TYPE_LIST },
    ['u'] = { EXTEND, 0, DJS_TYPE_DICT },     ['t'] = { TUPLE_TO_MARK, 0, DJS_TYPE_TUPLE },
    [0x85] = { SMALL_TUPLE, 0, DJS_TYPE_TUPLE }, [0x86] = { SMALL_TUPLE, 0, DJS_TYPE_TUPLE },
    [0x87] = { SMALL_TUPLE, 0, DJS_TYPE_TUPLE },

    ['c'] = { GLOBAL, 0, 0 },                 [0x93] = { STACK_GLOBAL, 0, 0 },
    ['R'] = { REDUCE, 0, CALLED_TYPE },

    ['q'] = { PUT, 1, 0 },                    ['r'] = { PUT, 4, 0 },
    [0x94] = { MEMOIZE, 0, 0 },               ['h'] = { GET, 1, 0 },
    ['j'] = { GET, 4, 0 },

    [0x80] = { PROTO, 1, 0 },                 [0x95] = { FRAME, 8, 0 },
    ['.'] = { STOP, 0, 0 },
};

/* ---- The scan's memory ----------------------------------------------------------------------- */

typedef struct scan_t {
    apr_pool_t *pool;    /* of the values */
    apr_pool_t *scratch; /* of what grows and is tried; NULL: nothing. Stays when all went well */
    const char *start, *at, *end;
    const char *from;    /* this instruction */
    token_t *tokens;
    apr_uint32_t token_count, token_size;
    apr_uint32_t *rows;
    apr_uint32_t row_count, row_size;
    apr_uint32_t *stack; /* items; a mark is what `floor` was before it */
    apr_uint32_t count, size, floor; /* floor: of what is above the last mark; 0: there is none */
    apr_uint32_t *memo;  /* items, and one more; 0: nothing */
    apr_uint32_t memo_size, memo_count;
    apr_uint64_t *recalled;
    apr_uint32_t recalled_count, recalled_size;
    apr_uint32_t recalled_from, recalled_to; /* the first and last place */
    apr_uint32_t noted;  /* what is short and was remembered last; as in the memo */
    apr_uint32_t shared; /* how many are */
    djs_value_t **tried; /* what was made of them for a trial; NULL: nothing */
    apr_uint32_t tried_size;
    apr_size_t work, work_max; /* as the reader's */
    /* Where they begin. */
    token_t few_tokens[FEW_TOKENS];
    apr_uint64_t few_recalled[FEW_RECALLED];
    djs_value_t *few_tried[FEW_RECALLED];
    apr_uint32_t few_rows[FEW_ROWS], few_on_stack[FEW_VALUES], few_in_memo[FEW_VALUES];
} scan_t;

static apr_pool_t *scratch_of(scan_t *scan)
{
    if (scan->scratch == NULL) {
        apr_pool_create(&scan->scratch, scan->pool);
    }
    return scan->scratch;
}

/*
 * A copy of an array with room for @a least. The first one has a quarter of the pickle's length, which
 * most never fill, so that little is copied.
 */
static void *grown(scan_t *scan, const void *array, apr_uint32_t *size, apr_uint32_t least,
                   apr_size_t item)
{
    const apr_uint32_t had = *size;
    const apr_uint32_t likely = (apr_uint32_t)((apr_size_t)(scan->end - scan->start) / 4 / item);
    void *larger;

    *size = likely > *size ? likely : *size;
    while (*size < least) {
        *size *= 2;
    }
    larger = apr_palloc(scratch_of(scan), *size * item);
    memcpy(larger, array, had * item);
    return larger;
}

static inline void push_item(scan_t *scan, apr_uint32_t item)
{
    if (scan->count == scan->size) {
        scan->stack = grown(scan, scan->stack, &scan->size, scan->count + 1, sizeof(*scan->stack));
    }
    scan->stack[scan->count++] = item;
}

/* What this instruction makes: something short, or something with a token. */
static inline void push_short(scan_t *scan)
{
    push_item(scan, (apr_uint32_t)(scan->from - scan->start));
}

/* Valid until the next one. */
static token_t *add_token(scan_t *scan, apr_uint32_t start, apr_uint32_t note)
{
    token_t *token;

    if (scan->token_count == scan->token_size) {
        scan->tokens = grown(scan, scan->tokens, &scan->token_size, scan->token_count + 1,
                             sizeof(*scan->tokens));
    }
    token = &scan->tokens[scan->token_count++];
    token->start = start;
    token->note = note;
    token->first = token->last = 0;
    return token;
}

static token_t *push_token(scan_t *scan, apr_uint32_t note)
{
    push_item(scan, TOKEN | scan->token_count);
    return add_token(scan, (apr_uint32_t)(scan->from - scan->start), note);
}

/* A row: the next one's place, how many, the items. One directly behind the last becomes part of it. */
static void add_row(scan_t *scan, token_t *token, const apr_uint32_t *items, apr_uint32_t count)
{
    const int first = token->first == 0;
    const apr_uint32_t least = scan->row_count + 2 + count;

    if (count == 0) {
        return;
    }
    if (least > scan->row_size) {
        scan->rows = grown(scan, scan->rows, &scan->row_size, least, sizeof(*scan->rows));
    }
    if (first || token->last + 2 + scan->rows[token->last + 1] != scan->row_count) {
        *(first ? &token->first : &scan->rows[token->last]) = scan->row_count;
        token->last = scan->row_count;
        scan->rows[scan->row_count++] = 0;
        scan->rows[scan->row_count++] = 0;
    }
    scan->rows[token->last + 1] += count;
    memcpy(scan->rows + scan->row_count, items, count * sizeof(*items));
    scan->row_count += count;
}

/* ---- Items ----------------------------------------------------------------------------------- */

static inline token_t *token_of(const scan_t *scan, apr_uint32_t item)
{
    return &scan->tokens[item & ~TOKEN];
}

static inline const char *place_of(const scan_t *scan, apr_uint32_t item)
{
    return scan->start + ((item & TOKEN) != 0 ? token_of(scan, item)->start : item);
}

static inline djs_type_t type_of(const scan_t *scan, apr_uint32_t item)
{
    return (djs_type_t)instruction_at(place_of(scan, item))->type;
}

static inline int is_value_at(const scan_t *scan, apr_uint32_t item)
{
    return (item & TOKEN) == 0 || (token_of(scan, item)->note & NOT_A_VALUE) == 0;
}

static inline apr_uint32_t size_of_item(const scan_t *scan, apr_uint32_t item)
{
    return (item & TOKEN) != 0 ? token_of(scan, item)->note & SIZE_MASK : 1;
}

/* ---- Making them: 0 when the scan gives up, here and below ----------------------------------- */

/* Texts, bytes, and integers; those of more than 64 bits are the reader's. */
static int push_counted(scan_t *scan, djs_type_t type, apr_uint64_t len)
{
    const djs_bytes_t bytes = djs_bytes_of(scan->at, (apr_size_t)len);

    if (len > (apr_uint64_t)(scan->end - scan->at) ||
        (type == DJS_TYPE_STR && !djs_utf8_is_passable(bytes)) ||
        (type == DJS_TYPE_INT && len > INT64_BYTES)) {
        return 0;
    }
    scan->at += len;
    if (type == DJS_TYPE_BYTES || len >= BYTES_A_VALUE) {
        (void)push_token(scan, note_of(bytes.len));
    }
    else {
        push_short(scan);
    }
    return 1;
}

/* Can every other one be a key? The reader looks at those that need more than their type. */
static int are_keys(scan_t *scan, const apr_uint32_t *items, apr_uint32_t count)
{
    apr_uint32_t i;

    for (i = 0; i < count; i += 2) {
        const djs_type_t type = type_of(scan, items[i]);

        if (type == DJS_TYPE_LIST || type == DJS_TYPE_DICT || type == DJS_TYPE_TUPLE ||
            type == CALLED_TYPE) {
            return 0;
        }
        scan->work += type != DJS_TYPE_STR ? size_of_item(scan, items[i]) : 0;
    }
    return count % 2 == 0 && scan->work <= scan->work_max;
}

/* As djs_pr_adopt(), of many. */
static int adopt_all(const scan_t *scan, token_t *parent, const apr_uint32_t *items,
                     apr_uint32_t count)
{
    apr_uint64_t size = (parent->note & SIZE_MASK) + count; /* as if all were short */
    apr_uint32_t depth = depth_in(parent->note), notes = 0, i;

    depth = depth == 0 && count > 0 ? 1 : depth;
    for (i = 0; i < count; i++) {
        if ((items[i] & TOKEN) != 0) {
            const apr_uint32_t note = token_of(scan, items[i])->note, deeper = depth_in(note) + 1;

            notes |= note;
            size += (note & SIZE_MASK) - 1;
            depth = deeper > depth ? deeper : depth;
        }
    }
    if (size > DJS_PICKLE_VALUES_MAX || depth > DJS_PICKLE_DEPTH_MAX ||
        (notes & NOT_A_VALUE) != 0) {
        return 0;
    }
    parent->note = depth << DEPTH_SHIFT | (apr_uint32_t)size;
    return 1;
}

/* The items off the stack into what is below them, which has not been taken from the memo. */
static int receive(scan_t *scan, djs_type_t type, const apr_uint32_t *items, apr_uint32_t count)
{
    token_t *container;
    apr_uint32_t below;

    if (scan->count == scan->floor) {
        return 0;
    }
    below = scan->stack[scan->count - 1];
    if ((below & TOKEN) == 0) {
        return 0;
    }
    container = token_of(scan, below);
    if (type_of(scan, below) != type || (container->note & CLOSED) != 0 ||
        (type == DJS_TYPE_DICT && !are_keys(scan, items, count)) ||
        !adopt_all(scan, container, items, count)) {
        return 0;
    }
    add_row(scan, container, items, count);
    return 1;
}

/* The last mark and everything above it off the stack. */
static int pop_to_mark(scan_t *scan, const apr_uint32_t **items, apr_uint32_t *count)
{
    if (scan->floor == 0) {
        return 0;
    }
    *items = scan->stack + scan->floor;
    *count = scan->count - scan->floor;
    scan->count = scan->floor - 1;
    scan->floor = scan->stack[scan->count];
    return 1;
}

static int pop(scan_t *scan, apr_uint32_t count, const apr_uint32_t **items)
{
    if (scan->count - scan->floor < count) {
        return 0;
    }
    scan->count -= count;
    *items = scan->stack + scan->count;
    return 1;
}

static int extend(scan_t *scan, djs_type_t type)
{
    const apr_uint32_t *items;
    apr_uint32_t count;

    return pop_to_mark(scan, &items, &count) && receive(scan, type, items, count);
}

static int insert(scan_t *scan, djs_type_t type)
{
    const apr_uint32_t count = type == DJS_TYPE_LIST ? 1 : 2;
    const apr_uint32_t *items;

    return pop(scan, count, &items) && receive(scan, type, items, count);
}

/* The empty one is short. */
static int push_tuple(scan_t *scan, const apr_uint32_t *items, apr_uint32_t count)
{
    token_t tuple = { 0, note_of(0), 0, 0 };

    if (count == 0) {
        push_short(scan);
        return 1;
    }
    if (!adopt_all(scan, &tuple, items, count)) {
        return 0;
    }
    add_row(scan, &tuple, items, count);
    push_token(scan, tuple.note)->first = tuple.first;
    return 1;
}

static int gather_tuple(scan_t *scan)
{
    const apr_uint32_t *items;
    apr_uint32_t count;

    return pop_to_mark(scan, &items, &count) && push_tuple(scan, items, count);
}

/* TUPLE1, TUPLE2, TUPLE3 */
static int gather_small_tuple(scan_t *scan)
{
    const apr_uint32_t count = (unsigned char)*scan->from - 0x84u;
    const apr_uint32_t *items;

    return pop(scan, count, &items) && push_tuple(scan, items, count);
}

/* ---- Dates and the like ---------------------------------------------------------------------- */

/* Those that make something of a few short arguments; it is not changed any more. */
static int push_global(scan_t *scan, djs_bytes_t module, djs_bytes_t name)
{
    const global_t global = djs_pr_find_global(module, name);

    switch (global) {
    case DATETIME:
    case DATE:
    case TIME:
    case TIMEDELTA:
    case TIMEZONE:
    case PYTZ_UTC:
    case DECIMAL:
        (void)push_token(scan, NOT_A_VALUE | global);
        return 1;
    default:
        return 0;
    }
}

static int take_line(scan_t *scan, djs_bytes_t *line)
{
    const apr_size_t left = (apr_size_t)(scan->end - scan->at);
    const char *end = left > 0 ? memchr(scan->at, '\n', left) : NULL;

    if (end == NULL) {
        return 0;
    }
    *line = djs_bytes_of(scan->at, (apr_size_t)(end - scan->at));
    scan->at = end + 1;
    return 1;
}

static int name_in_lines(scan_t *scan)
{
    djs_bytes_t module, name;

    return take_line(scan, &module) && take_line(scan, &name) && push_global(scan, module, name);
}

static int name_on_stack(scan_t *scan)
{
    const apr_uint32_t *names;

    if (!pop(scan, 2, &names) || type_of(scan, names[0]) != DJS_TYPE_STR ||
        type_of(scan, names[1]) != DJS_TYPE_STR) {
        return 0;
    }
    return push_global(scan, bytes_at(place_of(scan, names[0])),
                       bytes_at(place_of(scan, names[1])));
}

/* Room for all that are shared now. */
static void grow_tried(scan_t *scan)
{
    const apr_uint32_t had = scan->tried_size;

    scan->tried = grown(scan, scan->tried, &scan->tried_size, scan->shared, sizeof(*scan->tried));
    memset(scan->tried + had, 0, (scan->tried_size - had) * sizeof(*scan->tried));
}

/* What the scan has found until now, to be made for a trial. */
static document_t so_far(scan_t *scan)
{
    document_t document = { .lazy = { djs_pr_fill }, .pickle = scan->start };

    if (scan->shared > scan->tried_size) {
        grow_tried(scan);
    }
    document.tokens = scan->tokens;
    document.rows = scan->rows;
    document.shared = scan->tried;
    return document;
}

/* Can it be made, and how large is it then? */
static int call(scan_t *scan)
{
    token_t token = { 0, 0, 0, 0 };
    const apr_uint32_t *items;
    document_t document;
    djs_value_t *made;

    if (!pop(scan, 2, &items) || is_value_at(scan, items[0]) ||
        type_of(scan, items[1]) != DJS_TYPE_TUPLE) {
        return 0;
    }
    add_row(scan, &token, items, 2);
    document = so_far(scan);
    made = djs_pr_make_called(&document, scratch_of(scan), token.first, &scan->work);
    if (made == NULL || scan->work > scan->work_max) {
        return 0;
    }
    push_token(scan, made->place & ~CLOSED)->first = token.first;
    return 1;
}

/* ---- The memo -------------------------------------------------------------------------------- */

/* Nobody needs as many numbers as the pickle has bytes. */
static int grow_memo(scan_t *scan, apr_uint64_t index)
{
    const apr_uint32_t had = scan->memo_size;

    if (index >= (apr_uint64_t)(scan->end - scan->start)) {
        return 0;
    }
    scan->memo = grown(scan, scan->memo, &scan->memo_size, (apr_uint32_t)index + 1,
                       sizeof(*scan->memo));
    memset(scan->memo + had, 0, (scan->memo_size - had) * sizeof(*scan->memo));
    return 1;
}

/* What is short has one number: a second one can only follow directly, and nobody writes that. */
static inline int remember(scan_t *scan, apr_uint64_t index)
{
    apr_uint32_t item;

    if (scan->count == scan->floor || (index >= scan->memo_size && !grow_memo(scan, index))) {
        return 0;
    }
    item = scan->stack[scan->count - 1];
    if ((item & TOKEN) == 0) {
        if (item + 1 == scan->noted) {
            return 0;
        }
        scan->noted = item + 1;
    }
    scan->memo_count += scan->memo[index] == 0;
    scan->memo[index] = item + 1;
    return 1;
}

/* A token for something short, under its number in the memo. */
static void recall_short(scan_t *scan, apr_uint64_t index, apr_uint32_t start)
{
    const apr_uint32_t last = scan->recalled_count;

    if (last == scan->recalled_size) {
        scan->recalled = grown(scan, scan->recalled, &scan->recalled_size, last + 1,
                               sizeof(*scan->recalled));
    }
    scan->recalled_from = last == 0 || start < scan->recalled_from ? start : scan->recalled_from;
    scan->recalled_to = start > scan->recalled_to ? start : scan->recalled_to;
    scan->recalled[scan->recalled_count++] = RECALLED(start, scan->token_count);
    scan->memo[index] = (TOKEN | scan->token_count) + 1;
    (void)add_token(scan, start, note_of(0));
}

static int recall(scan_t *scan, apr_uint64_t index)
{
    token_t *token;

    if (index >= scan->memo_size || scan->memo[index] == 0) {
        return 0;
    }
    if (((scan->memo[index] - 1) & TOKEN) == 0) {
        recall_short(scan, index, scan->memo[index] - 1);
    }
    token = token_of(scan, scan->memo[index] - 1);
    if ((token->note & CLOSED) == 0) {
        token->note |= CLOSED;
        token->last = scan->shared++;
    }
    push_item(scan, scan->memo[index] - 1);
    return 1;
}

/* ---- The machine ----------------------------------------------------------------------------- */

static inline apr_uint64_t argument_of(const scan_t *scan, const instruction_t *is)
{
    return little_endian(scan->from + 1, is->width);
}

/* The instruction at `from`, whose argument has been gone over. */
static inline int step(scan_t *scan, const instruction_t *is)
{
    switch ((what_t)is->what) {
    case FIXED:
        push_short(scan);
        return 1;
    case EMPTY:
        (void)push_token(scan, note_of(0));
        return 1;
    case COUNTED:
        return push_counted(scan, (djs_type_t)is->type, argument_of(scan, is));
    case MARK:
        push_item(scan, scan->floor);
        scan->floor = scan->count;
        return 1;
    case EXTEND:
        return extend(scan, (djs_type_t)is->type);
    case INSERT:
        return insert(scan, (djs_type_t)is->type);
    case TUPLE_TO_MARK:
        return gather_tuple(scan);
    case SMALL_TUPLE:
        return gather_small_tuple(scan);
    case GLOBAL:
        return name_in_lines(scan);
    case STACK_GLOBAL:
        return name_on_stack(scan);
    case REDUCE:
        return call(scan);
    case PUT:
        return remember(scan, argument_of(scan, is));
    case MEMOIZE:
        return remember(scan, scan->memo_count);
    case GET:
        return recall(scan, argument_of(scan, is));
    case PROTO:
        return argument_of(scan, is) <= DJS_PICKLE_PROTOCOL_MAX;
    case FRAME:
        return argument_of(scan, is) <= (apr_uint64_t)(scan->end - scan->at);
    case STOP:
    case OTHER:
        break;
    }
    return 0;
}

/* 1: up to STOP, and nothing but the result is on the stack. */
static int run(scan_t *scan)
{
    while (scan->at < scan->end) {
        const instruction_t *is = instruction_at(scan->at);

        if (is->what == STOP) {
            return scan->count == 1 && scan->floor == 0 && is_value_at(scan, scan->stack[0]);
        }
        scan->from = scan->at++;
        if (scan->end - scan->at < is->width) {
            return 0;
        }
        scan->at += is->width;
        if (!step(scan, is)) {
            return 0;
        }
    }
    return 0;
}

/* ---- What the scan leaves -------------------------------------------------------------------- */

/* The bytes of an array, if it has to be moved; what has grown stays where it is. */
static apr_size_t bytes_to_move(const void *array, const void *few, apr_size_t bytes)
{
    return array == few ? bytes : 0;
}

/* To the beginning of @a room. */
static void *moved(char **room, void *array, apr_size_t len)
{
    void *copy = *room;

    if (len == 0) {
        return array;
    }
    *room += len;
    return memcpy(copy, array, len);
}

/* What is aligned most comes first. */
static djs_value_t *keep(scan_t *scan)
{
    const apr_size_t tokens = bytes_to_move(scan->tokens, scan->few_tokens,
                                            scan->token_count * sizeof(*scan->tokens));
    const apr_size_t rows = bytes_to_move(scan->rows, scan->few_rows,
                                          scan->row_count * sizeof(*scan->rows));
    const apr_size_t recalled = bytes_to_move(scan->recalled, scan->few_recalled,
                                              scan->recalled_count * sizeof(*scan->recalled));
    const apr_size_t shared = scan->shared * sizeof(djs_value_t *);
    document_t *document = apr_palloc(scan->pool,
                                      sizeof(*document) + shared + recalled + tokens + rows);
    char *room = (char *)(document + 1) + shared;

    document->lazy.fill = djs_pr_fill;
    document->pickle = scan->start;
    document->shared = memset(document + 1, 0, shared);
    document->recalled = moved(&room, scan->recalled, recalled);
    document->recalled_count = scan->recalled_count;
    document->recalled_from = scan->recalled_from;
    document->recalled_to = scan->recalled_to;
    document->is_ordered = 0;
    document->tokens = moved(&room, scan->tokens, tokens);
    document->rows = moved(&room, scan->rows, rows);
    return djs_pr_value_of(document, scan->pool, scan->stack[0]);
}

djs_value_t *djs_pr_scan(djs_ctx_t *ctx, djs_bytes_t pickle)
{
    djs_value_t *value = NULL;
    scan_t scan;

    memset(&scan, 0, offsetof(scan_t, few_tokens));
    memset(scan.few_in_memo, 0, sizeof(scan.few_in_memo));
    memset(scan.few_tried, 0, sizeof(scan.few_tried));
    scan.pool = ctx->pool;
    scan.start = scan.at = pickle.data != NULL ? pickle.data : "";
    scan.end = scan.start + pickle.len;
    scan.work_max = work_max_of(pickle.len);
    scan.tokens = scan.few_tokens;
    scan.token_size = FEW_TOKENS;
    scan.rows = scan.few_rows;
    scan.row_size = FEW_ROWS;
    scan.row_count = 1; /* 0 is none */
    scan.recalled = scan.few_recalled;
    scan.tried = scan.few_tried;
    scan.recalled_size = scan.tried_size = FEW_RECALLED;
    scan.stack = scan.few_on_stack;
    scan.memo = scan.few_in_memo;
    scan.size = scan.memo_size = FEW_VALUES;
    if (run(&scan)) {
        value = keep(&scan);
    }
    else if (scan.scratch != NULL) {
        apr_pool_destroy(scan.scratch);
    }
    return value;
}
