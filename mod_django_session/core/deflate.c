/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One deflate block around a short text; RFC 1951 has the format.
 *
 * The text becomes bytes as they are, and repetitions with a length and a distance. How often each
 * symbol occurs decides on its code: shorter ones for what is frequent, with their lengths in front
 * of the text (dynamic), or, where that makes the whole longer, those that everybody knows (fixed).
 *
 *     stream  = 78 9c  block  Adler-32 of the text, most significant byte first
 *     block   = 1 (the last)  1 (fixed) or 2 (dynamic) with its lengths  the text  end of block
 *     lengths = counts of the three codes, less 257, 1 and 4
 *               the lengths of the code of lengths, 3 bits each, in a peculiar order
 *               the lengths of the codes of literals and of distances, run-length coded in it
 */
#include "deflate.h"

#include <string.h>
#include <zlib.h>

/* Symbols: bytes, the end, 29 lengths; distances up to our longest; lengths of codes. */
#define END_OF_BLOCK 256
#define LITERALS     286
#define DISTANCES    22
#define LENGTHS      19

/* Bits of a code: of literals and distances, and of lengths. */
#define CODE_MAX        15
#define LENGTH_CODE_MAX 7

/* The fixed codes have two literals that stand for nothing. */
#define FIXED_LITERALS 288
#define FIXED_DISTANCE 5

/* Symbols of the code of lengths beside the lengths themselves. */
#define REPEAT_3_TO_6   16 /* the length before; 2 bits say how often */
#define ZEROS_3_TO_10   17 /* 3 bits */
#define ZEROS_11_TO_138 18 /* 7 bits */

#define MATCH_MIN 3
#define MATCH_MAX 258

/* How much is searched, near zlib's level 6, which for texts of this length finds hardly more. */
#define HASH_BITS  10
#define CHAIN_MAX  24 /* earlier places that are looked at */
#define LAZY_MAX   16 /* a match of this length is taken without a look at the next place */

/* Places are counted from 1; 0 is none. They are entered one after the other. */
typedef struct finder_t {
    const unsigned char *text;
    unsigned int len;
    apr_uint32_t last_three; /* bytes, up to those of the place that was entered last */
    apr_uint16_t latest[1 << HASH_BITS];
    apr_uint16_t before[DJS_DEFLATE_SHORT_MAX + 1];
} finder_t;

typedef struct match_t {
    unsigned int length, distance; /* distance 0: there is none */
} match_t;

/* Some bytes as they are, and a repetition behind them; at the end of the text there is none. */
typedef struct token_t {
    apr_uint16_t literals;
    apr_uint16_t length, distance;
} token_t;

typedef struct block_t {
    const unsigned char *text;
    token_t tokens[DJS_DEFLATE_SHORT_MAX / MATCH_MIN + 1];
    int count;
    apr_uint16_t literals[LITERALS], distances[DISTANCES]; /* how often each occurs */
} block_t;

/* A prefix code. */
typedef struct code_t {
    unsigned char lengths[FIXED_LITERALS];
    apr_uint16_t bits[FIXED_LITERALS]; /* the first in the lowest */
    apr_uint16_t used[FIXED_LITERALS]; /* which symbols have a length, ascending */
    int count;                         /* of those */
} code_t;

/* Bits go out from the lowest. */
typedef struct writer_t {
    unsigned char *out;
    apr_uint64_t bits;
    unsigned int count;
} writer_t;

/* ---- Repetitions ----------------------------------------------------------------------------- */

/* Enters the place, which has at least three bytes, and gives the last one with the same hash. */
static unsigned int enter(finder_t *finder, unsigned int at)
{
    apr_uint32_t hash;
    unsigned int last;

    finder->last_three = (finder->last_three << 8 | finder->text[at + 2]) & 0xffffff;
    hash = finder->last_three * 0x9e3779b1u >> (32 - HASH_BITS);
    last = finder->latest[hash];
    finder->before[at + 1] = (apr_uint16_t)last;
    finder->latest[hash] = (apr_uint16_t)(at + 1);
    return last;
}

static unsigned int common_length(const unsigned char *a, const unsigned char *b, unsigned int max)
{
    unsigned int len = 0;

    while (len + 4 <= max && memcmp(a + len, b + len, 4) == 0) {
        len += 4;
    }
    while (len < max && a[len] == b[len]) {
        len++;
    }
    return len;
}

static void enter_all(finder_t *finder, unsigned int from, unsigned int to)
{
    const unsigned int end = finder->len - to < MATCH_MIN ? finder->len - (MATCH_MIN - 1) : to;

    for (; from < end; from++) {
        (void)enter(finder, from);
    }
}

/* The longest repetition that begins there, the nearest of them, of those from `place` on back. */
static match_t longest(const finder_t *finder, unsigned int at, unsigned int place, match_t best)
{
    const unsigned char *p = finder->text + at;
    const unsigned int max = finder->len - at < MATCH_MAX ? finder->len - at : MATCH_MAX;
    unsigned int tries = CHAIN_MAX;

    for (; place > 0 && tries > 0 && best.length < max; tries--) {
        const unsigned char *earlier = finder->text + place - 1;

        if (earlier[best.length] == p[best.length]) {
            unsigned int length = common_length(earlier, p, max);

            if (length > best.length) {
                best.length = length;
                best.distance = at + 1 - place;
            }
        }
        place = finder->before[place];
    }
    return best;
}

/* Enters the place, and gives the repetition that begins there, if it is longer than another. */
static match_t find(finder_t *finder, unsigned int at, unsigned int longer_than)
{
    match_t none = { longer_than, 0 };
    unsigned int place = enter(finder, at);

    return place == 0 ? none : longest(finder, at, place, none);
}

/* ---- Symbols --------------------------------------------------------------------------------- */

static unsigned int bits_of(unsigned int number)
{
    return number == 0 ? 0 : 32 - (unsigned int)__builtin_clz(number);
}

/* Four lengths share a number of extra bits; the longest has a symbol to itself. */
static unsigned int length_symbol(unsigned int length, unsigned int *extra_bits)
{
    const unsigned int number = length - MATCH_MIN;

    *extra_bits = number < 8 || length == MATCH_MAX ? 0 : bits_of(number) - 3;
    return length == MATCH_MAX ? 285 : 257 + 4 * *extra_bits + (number >> *extra_bits);
}

/* And two distances. */
static unsigned int distance_symbol(unsigned int distance, unsigned int *extra_bits)
{
    const unsigned int number = distance - 1;

    *extra_bits = number < 4 ? 0 : bits_of(number) - 2;
    return 2 * *extra_bits + (number >> *extra_bits);
}

static void add_literals(block_t *block, const unsigned char *literals, unsigned int count)
{
    unsigned int i;

    block->tokens[block->count].literals = (apr_uint16_t)count;
    for (i = 0; i < count; i++) {
        block->literals[literals[i]]++;
    }
}

static void add_match(block_t *block, match_t match)
{
    token_t *token = &block->tokens[block->count++];
    unsigned int unused;

    token->length = (apr_uint16_t)match.length;
    token->distance = (apr_uint16_t)match.distance;
    block->literals[length_symbol(match.length, &unused)]++;
    block->distances[distance_symbol(match.distance, &unused)]++;
}

/* A match waits for the next place: if that has a longer one, its first byte goes as a literal. */
static void tokenize(finder_t *finder, block_t *block)
{
    unsigned int at = 0, done = 0;

    while (at + MATCH_MIN <= finder->len) {
        match_t match = find(finder, at, MATCH_MIN - 1);
        unsigned int entered = at + 1;

        if (match.distance == 0) {
            at++;
            continue;
        }
        while (match.length < LAZY_MAX && entered + MATCH_MIN <= finder->len) {
            match_t next = find(finder, entered++, match.length);

            if (next.distance == 0) {
                break;
            }
            match = next;
            at++;
        }
        add_literals(block, finder->text + done, at - done);
        add_match(block, match);
        at += match.length;
        done = at;
        enter_all(finder, entered, at);
    }
    add_literals(block, finder->text + done, finder->len - done);
    block->literals[END_OF_BLOCK] = 1;
}

/* ---- Codes ----------------------------------------------------------------------------------- */

/* A symbol before it becomes a leaf: how often and, in the lowest bits, which. */
#define LEAF(often, symbol) ((apr_uint32_t)(often) << 9 | (apr_uint32_t)(symbol))
#define SYMBOL(leaf)        ((leaf) & 0x1ff)
#define WEIGHT(leaf)        ((leaf) >> 9)

#define HEAVY 32 /* a leaf of this weight or more; at most 64 of all our symbols are */

/* Symbols that occur; two at least, as old readers want it, be it that they do not. */
static void collect(const apr_uint16_t *often, int count, code_t *code)
{
    int i;

    code->count = 0;
    for (i = 0; i < count; i++) {
        if (often[i] > 0) {
            code->used[code->count++] = (apr_uint16_t)i;
        }
    }
    if (code->count == 0) {
        code->used[code->count++] = 0;
    }
    if (code->count == 1) {
        code->used[code->count++] = code->used[0] > 0 ? code->used[0] : 1;
        code->used[0] = 0;
    }
}

static unsigned int bucket_of(apr_uint32_t leaf)
{
    return WEIGHT(leaf) < HEAVY ? WEIGHT(leaf) : HEAVY;
}

/* The lightest first. Most are light, and go straight to their place; of heavy ones there are few. */
static void sort(const apr_uint32_t *leaves, int count, apr_uint32_t *sorted)
{
    int place[HEAVY + 2] = { 0 };
    int bucket, i, j;

    for (i = 0; i < count; i++) {
        place[bucket_of(leaves[i]) + 1]++;
    }
    for (bucket = 1; bucket <= HEAVY; bucket++) {
        place[bucket] += place[bucket - 1];
    }
    for (i = 0; i < count; i++) {
        sorted[place[bucket_of(leaves[i])]++] = leaves[i];
    }
    for (i = place[HEAVY - 1]; i < count; i++) {
        const apr_uint32_t leaf = sorted[i];

        for (j = i; j > 0 && sorted[j - 1] > leaf; j--) {
            sorted[j] = sorted[j - 1];
        }
        sorted[j] = leaf;
    }
}

/*
 * Huffman's tree over `count` leaves, two or more, in ascending order of weight: the two lightest
 * of all nodes become the children of a new one, and new ones come in ascending order, too, so that
 * the lightest is always first among the leaves or first among the new. Gives each leaf's depth;
 * the first leaf is the deepest.
 */
static void grow_tree(const apr_uint32_t *leaves, int count, unsigned char *depths)
{
    apr_uint32_t weight[LITERALS]; /* of a new node; a parent is one, by its number */
    apr_uint16_t parent_of_leaf[LITERALS], parent[LITERALS];
    unsigned char depth[LITERALS];
    int leaf = 0, inner = 0, made, child;

    for (made = 0; made < count - 1; made++) {
        weight[made] = 0;
        for (child = 0; child < 2; child++) {
            if (leaf < count && (inner == made || leaves[leaf] <= weight[inner])) {
                weight[made] += leaves[leaf];
                parent_of_leaf[leaf++] = (apr_uint16_t)made;
            }
            else {
                weight[made] += weight[inner];
                parent[inner++] = (apr_uint16_t)made;
            }
        }
    }
    for (made = count - 2; made >= 0; made--) {
        depth[made] = made == count - 2 ? 0 : (unsigned char)(depth[parent[made]] + 1);
    }
    for (leaf = 0; leaf < count; leaf++) {
        depths[leaf] = (unsigned char)(depth[parent_of_leaf[leaf]] + 1);
    }
}

/*
 * Lengths of the best code for symbols that occur so often; 0 for those that do not. Where the tree
 * is too deep it is grown again of weights that differ less. Gives the bits that all of them take.
 */
static apr_size_t find_lengths(const apr_uint16_t *often, int count, unsigned int max, code_t *code)
{
    apr_uint32_t leaves[LITERALS], sorted[LITERALS], weights[LITERALS];
    unsigned char depths[LITERALS];
    apr_size_t bits = 0;
    int i;

    collect(often, count, code);
    for (i = 0; i < code->count; i++) {
        leaves[i] = LEAF(often[code->used[i]], code->used[i]);
    }
    sort(leaves, code->count, sorted);
    for (i = 0; i < code->count; i++) {
        weights[i] = WEIGHT(sorted[i]);
    }
    grow_tree(weights, code->count, depths);
    while (depths[0] > max) {
        for (i = 0; i < code->count; i++) {
            weights[i] = (weights[i] + 1) / 2;
        }
        grow_tree(weights, code->count, depths);
    }
    memset(code->lengths, 0, (apr_size_t)count);
    for (i = 0; i < code->count; i++) {
        code->lengths[SYMBOL(sorted[i])] = depths[i];
        bits += (apr_size_t)WEIGHT(sorted[i]) * depths[i];
    }
    return bits;
}

/* One more, counted from the other end. */
static unsigned int next_reversed(unsigned int bits, unsigned int length)
{
    unsigned int bit = 1u << (length - 1);

    for (; bits & bit; bit >>= 1) {
        bits ^= bit;
    }
    return bits | bit;
}

/*
 * RFC 1951, 3.2.2: codes of one length count up in the order of their symbols, and begin where the
 * shorter ones end. Reversed, that end needs no shift: it is the same number for every length.
 */
static void assign_bits(code_t *code)
{
    unsigned int place[CODE_MAX + 2] = { 0 }, end = 0, length;
    apr_uint16_t ordered[FIXED_LITERALS];
    int i;

    for (i = 0; i < code->count; i++) {
        place[code->lengths[code->used[i]] + 1]++;
    }
    for (length = 1; length <= CODE_MAX; length++) {
        place[length] += place[length - 1];
    }
    for (i = 0; i < code->count; i++) {
        ordered[place[code->lengths[code->used[i]]]++] = code->used[i];
    }
    for (i = 0; i < code->count; i++) {
        code->bits[ordered[i]] = (apr_uint16_t)end;
        end = next_reversed(end, code->lengths[ordered[i]]);
    }
}

/* RFC 1951, 3.2.6. */
static unsigned int fixed_length(unsigned int literal)
{
    return literal < 144 ? 8 : literal < 256 ? 9 : literal < 280 ? 7 : 8;
}

static void take_fixed_codes(code_t *literals, code_t *distances)
{
    int i;

    for (i = 0; i < FIXED_LITERALS; i++) {
        literals->used[i] = (apr_uint16_t)i;
        literals->lengths[i] = (unsigned char)fixed_length((unsigned int)i);
    }
    for (i = 0; i < DISTANCES; i++) {
        distances->used[i] = (apr_uint16_t)i;
        distances->lengths[i] = FIXED_DISTANCE;
    }
    literals->count = FIXED_LITERALS;
    distances->count = DISTANCES;
}

/* ---- Bits ------------------------------------------------------------------------------------ */

/* At most 32 at a time, which leaves less than 32 behind. */
static inline void put(writer_t *writer, unsigned int bits, unsigned int count)
{
    writer->bits |= (apr_uint64_t)bits << writer->count;
    writer->count += count;
    if (writer->count >= 32) {
        writer->out[0] = (unsigned char)writer->bits;
        writer->out[1] = (unsigned char)(writer->bits >> 8);
        writer->out[2] = (unsigned char)(writer->bits >> 16);
        writer->out[3] = (unsigned char)(writer->bits >> 24);
        writer->out += 4;
        writer->bits >>= 32;
        writer->count -= 32;
    }
}

/* Out to the last bit, with zeros up to a whole byte. */
static void flush(writer_t *writer)
{
    for (; writer->count > 0; writer->count -= writer->count < 8 ? writer->count : 8) {
        *writer->out++ = (unsigned char)writer->bits;
        writer->bits >>= 8;
    }
}

/* A symbol, and the bits that belong to it. */
static inline void put_symbol(writer_t *writer, const code_t *code, unsigned int symbol,
                              unsigned int extra, unsigned int extra_bits)
{
    put(writer, code->bits[symbol] | extra << code->lengths[symbol],
        code->lengths[symbol] + extra_bits);
}

static void put_match(writer_t *writer, const code_t *literals, const code_t *distances,
                      const token_t *token)
{
    unsigned int extra_bits;
    unsigned int symbol = length_symbol(token->length, &extra_bits);

    put_symbol(writer, literals, symbol, (token->length - MATCH_MIN) & ((1u << extra_bits) - 1),
               extra_bits);
    symbol = distance_symbol(token->distance, &extra_bits);
    put_symbol(writer, distances, symbol, (token->distance - 1u) & ((1u << extra_bits) - 1),
               extra_bits);
}

static void put_literals(writer_t *to, const code_t *code, const unsigned char *text, int count)
{
    writer_t writer = *to; /* nothing else points there, so it can be in registers */
    int i;

    for (i = 0; i < count; i++) {
        put_symbol(&writer, code, text[i], 0, 0);
    }
    *to = writer;
}

static void put_tokens(writer_t *writer, const code_t *literals, const code_t *distances,
                       const block_t *block)
{
    const unsigned char *text = block->text;
    int i;

    for (i = 0; i < block->count; i++) {
        const token_t *token = &block->tokens[i];

        put_literals(writer, literals, text, token->literals);
        put_match(writer, literals, distances, token);
        text += token->literals + token->length;
    }
    put_literals(writer, literals, text, block->tokens[block->count].literals);
    put_symbol(writer, literals, END_OF_BLOCK, 0, 0);
}

/* ---- The lengths of codes, run-length coded ------------------------------------------------- */

typedef struct runs_t {
    unsigned char symbols[LITERALS + DISTANCES], extra[LITERALS + DISTANCES];
    int count;
    int literals, distances; /* of how many symbols the lengths are */
    apr_uint16_t often[LENGTHS];
} runs_t;

static void add_run(runs_t *runs, unsigned int symbol, unsigned int extra)
{
    runs->symbols[runs->count] = (unsigned char)symbol;
    runs->extra[runs->count++] = (unsigned char)extra;
    runs->often[symbol]++;
}

static unsigned int extra_bits_of(unsigned int symbol)
{
    return symbol == ZEROS_11_TO_138 ? 7 : symbol == ZEROS_3_TO_10 ? 3
           : symbol == REPEAT_3_TO_6 ? 2 : 0;
}

static void add_zeros(runs_t *runs, int times)
{
    while (times >= 3) {
        const int now = times < 138 ? times : 138;

        add_run(runs, now <= 10 ? ZEROS_3_TO_10 : ZEROS_11_TO_138,
                (unsigned int)(now <= 10 ? now - 3 : now - 11));
        times -= now;
    }
    for (; times > 0; times--) {
        add_run(runs, 0, 0);
    }
}

static void add_same(runs_t *runs, unsigned int length, int times)
{
    add_run(runs, length, 0);
    times--;
    while (times >= 3) {
        const int now = times < 6 ? times : 6;

        add_run(runs, REPEAT_3_TO_6, (unsigned int)now - 3);
        times -= now;
    }
    for (; times > 0; times--) {
        add_run(runs, length, 0);
    }
}

/* Up to the last symbol that has one; gives their number. */
static int add_lengths(runs_t *runs, const code_t *code)
{
    int next = 0, i, same;

    for (i = 0; i < code->count; i += same) {
        const int symbol = code->used[i];
        const unsigned int length = code->lengths[symbol];

        add_zeros(runs, symbol - next);
        for (same = 1; i + same < code->count; same++) {
            if (code->used[i + same] != symbol + same || code->lengths[symbol + same] != length) {
                break;
            }
        }
        add_same(runs, length, same);
        next = symbol + same;
    }
    return next;
}

static void find_runs(const code_t *literals, const code_t *distances, runs_t *runs)
{
    memset(runs->often, 0, sizeof(runs->often));
    runs->count = 0;
    runs->literals = add_lengths(runs, literals);
    runs->distances = add_lengths(runs, distances);
}

/* ---- The block ------------------------------------------------------------------------------- */

/* The order in which the lengths of the code of lengths stand: those that are rare are last. */
static const unsigned char order[LENGTHS] = {
    16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15
};

static int count_ordered(const code_t *code)
{
    int count = LENGTHS;

    while (count > 4 && code->lengths[order[count - 1]] == 0) {
        count--;
    }
    return count;
}

/* Of symbols in either kind of block; the extra bits of tokens are the same in both. */
static apr_size_t bits_if_fixed(const block_t *block, const code_t *literals,
                                const code_t *distances)
{
    apr_size_t bits = 0;
    int i;

    for (i = 0; i < literals->count; i++) {
        bits += (apr_size_t)block->literals[literals->used[i]] * fixed_length(literals->used[i]);
    }
    for (i = 0; i < distances->count; i++) {
        bits += (apr_size_t)block->distances[distances->used[i]] * FIXED_DISTANCE;
    }
    return bits;
}

static void put_lengths(writer_t *writer, const runs_t *runs, code_t *lengths)
{
    const int count = count_ordered(lengths);
    int i;

    put(writer, (unsigned int)runs->literals - 257, 5);
    put(writer, (unsigned int)runs->distances - 1, 5);
    put(writer, (unsigned int)count - 4, 4);
    for (i = 0; i < count; i++) {
        put(writer, lengths->lengths[order[i]], 3);
    }
    assign_bits(lengths);
    for (i = 0; i < runs->count; i++) {
        put_symbol(writer, lengths, runs->symbols[i], runs->extra[i],
                   extra_bits_of(runs->symbols[i]));
    }
}

static void put_block(writer_t *writer, block_t *block)
{
    code_t literals, distances, lengths;
    runs_t runs;
    apr_size_t dynamic;

    dynamic = find_lengths(block->literals, LITERALS, CODE_MAX, &literals);
    dynamic += find_lengths(block->distances, DISTANCES, CODE_MAX, &distances);
    find_runs(&literals, &distances, &runs);
    dynamic += find_lengths(runs.often, LENGTHS, LENGTH_CODE_MAX, &lengths);
    dynamic += 14 + 3 * (apr_size_t)count_ordered(&lengths) + 2u * runs.often[REPEAT_3_TO_6] +
               3u * runs.often[ZEROS_3_TO_10] + 7u * runs.often[ZEROS_11_TO_138];
    put(writer, 1, 1);
    if (bits_if_fixed(block, &literals, &distances) <= dynamic) {
        put(writer, 1, 2);
        take_fixed_codes(&literals, &distances);
    }
    else {
        put(writer, 2, 2);
        put_lengths(writer, &runs, &lengths);
    }
    assign_bits(&literals);
    assign_bits(&distances);
    put_tokens(writer, &literals, &distances, block);
}

apr_size_t djs_deflate_short(djs_bytes_t data, unsigned char *out)
{
    const unsigned char *text = (const unsigned char *)data.data;
    const uLong check = adler32(1, text, (uInt)data.len);
    writer_t writer = { out, 0, 0 };
    finder_t finder;
    block_t block;
    int i;

    finder.text = text;
    finder.len = (unsigned int)data.len;
    finder.last_three = data.len < 2 ? 0 : (apr_uint32_t)text[0] << 8 | text[1];
    memset(finder.latest, 0, sizeof(finder.latest));
    block.text = text;
    block.count = 0;
    memset(block.literals, 0, sizeof(block.literals));
    memset(block.distances, 0, sizeof(block.distances));
    tokenize(&finder, &block);
    put(&writer, 0x9c78, 16);
    put_block(&writer, &block);
    flush(&writer);
    for (i = 24; i >= 0; i -= 8) {
        *writer.out++ = (unsigned char)(check >> i);
    }
    return (apr_size_t)(writer.out - out);
}
