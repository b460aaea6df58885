/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pages that fields are put into. The first byte of the input says how the page came, the next four
 * in pieces of what sizes; the rest is the page, in which a 0x01 may stand for many blanks.
 *
 *     pieces   make no difference
 *     the page is all there, byte for byte, beside the fields
 *     fields   stand behind the tags of forms by POST, are put in once, and wait no longer than they
 *              may
 */
#include <string.h>

#include <apr_strings.h>
#include <apr_tables.h>

#include "fuzz.h"
#include "inject.h"

#define FIELD "<input type=\"hidden\" name=\"csrfmiddlewaretoken\" value=\"x\">"
#define SIZES 4

enum { SECURE = 1, NO_HOST = 2, RELEASES = 4, LONG = 8 };

#define BLANKS (DJS_INJECT_HOLD_MAX / 2 - 16)
#define LONGEST (2 * DJS_INJECT_HOLD_MAX)

/* A page on its way. */
typedef struct page_t {
    djs_inject_t *inject;
    apr_array_header_t *places; /* of apr_size_t: where in the page fields go */
    apr_size_t at, mark;
    int marked;
} page_t;

static void act(page_t *page, djs_inject_event_t event)
{
    switch (event) {
    case DJS_INJECT_MARK:
        FUZZ_CHECK(!page->marked);
        page->marked = 1;
        page->mark = page->at;
        break;
    case DJS_INJECT_INSERT:
        FUZZ_CHECK(page->marked);
        APR_ARRAY_PUSH(page->places, apr_size_t) = page->mark;
        page->marked = 0;
        break;
    case DJS_INJECT_LEAVE:
        FUZZ_CHECK(page->marked);
        page->marked = 0;
        break;
    default:
        break;
    }
}

static void feed(djs_ctx_t *ctx, page_t *page, djs_bytes_t piece)
{
    /* In memory of just its length. */
    const char *data = piece.len > 0 ? apr_pmemdup(ctx->pool, piece.data, piece.len) : "";
    djs_inject_event_t event;
    apr_size_t done = 0;

    do {
        apr_size_t used = djs_inject_scan(page->inject, data + done, piece.len - done, &event);

        FUZZ_CHECK(used <= piece.len - done);
        FUZZ_CHECK(used > 0 || done == piece.len || event != DJS_INJECT_NOTHING);
        done += used;
        page->at += used;
        FUZZ_CHECK(!page->marked || page->at - page->mark <= DJS_INJECT_HOLD_MAX);
        act(page, event);
    } while (done < piece.len || event != DJS_INJECT_NOTHING);
}

/* Where fields go. @a sizes: of the pieces, again and again; NULL: one. @a releases: behind each */
static apr_array_header_t *places_in(djs_ctx_t *ctx, unsigned int how, djs_bytes_t text,
                                     const char *sizes, int releases)
{
    page_t page = { .inject = djs_inject_make(ctx, how & SECURE,
                                              how & NO_HOST ? NULL : "here.test") };
    int piece = 0;

    page.places = apr_array_make(ctx->pool, 4, sizeof(apr_size_t));
    while (page.at < text.len) {
        apr_size_t left = text.len - page.at;
        apr_size_t size = sizes ? 1 + (apr_size_t)(unsigned char)sizes[piece++ % SIZES] : left;

        feed(ctx, &page, djs_bytes_of(text.data + page.at, size < left ? size : left));
        if (releases) {
            act(&page, djs_inject_release(page.inject));
        }
    }
    act(&page, djs_inject_release(page.inject));
    FUZZ_CHECK(!page.marked);
    return page.places;
}

static void check_same(const apr_array_header_t *some, const apr_array_header_t *others)
{
    FUZZ_CHECK(some->nelts == others->nelts);
    FUZZ_CHECK(some->nelts == 0
               || memcmp(some->elts, others->elts, (size_t)some->nelts * sizeof(apr_size_t)) == 0);
}

/* ---- the places ---- */

/* Behind a word, in whatever case, that stands between. NULL: it does not. */
static const char *behind(const char *from, const char *to, const char *word)
{
    apr_size_t len = strlen(word);

    for (; from && (apr_size_t)(to - from) >= len; from++) {
        if (strncasecmp(from, word, len) == 0) {
            return from + len;
        }
    }
    return NULL;
}

static void check_places(djs_bytes_t text, const apr_array_header_t *places)
{
    apr_size_t before = 0;
    int i;

    for (i = 0; i < places->nelts; i++) {
        apr_size_t place = APR_ARRAY_IDX(places, i, apr_size_t);
        const char *end = text.data + place;
        const char *form;

        FUZZ_CHECK(place > before && place <= text.len && end[-1] == '>');
        form = behind(text.data + before, end, "<form");
        FUZZ_CHECK(behind(behind(form, end, "method"), end, "post") != NULL);
        before = place;
    }
}

/* ---- the page that browsers get ---- */

static djs_bytes_t with_fields(djs_ctx_t *ctx, djs_bytes_t text, const apr_array_header_t *places)
{
    apr_size_t done = 0, len = text.len + (apr_size_t)places->nelts * strlen(FIELD);
    char *made = apr_palloc(ctx->pool, len + 1), *at = made;
    int i;

    for (i = 0; i <= places->nelts; i++) {
        apr_size_t to = i < places->nelts ? APR_ARRAY_IDX(places, i, apr_size_t) : text.len;

        if (to > done) {
            memcpy(at, text.data + done, to - done);
        }
        at += to - done;
        done = to;
        if (i < places->nelts) {
            memcpy(at, FIELD, strlen(FIELD));
            at += strlen(FIELD);
        }
    }
    FUZZ_CHECK((apr_size_t)(at - made) == len);
    return djs_bytes_of(made, len);
}

/* Without many blanks no form is longer than what is held. */
static djs_bytes_t blown_up(djs_ctx_t *ctx, djs_bytes_t text)
{
    char *made = apr_palloc(ctx->pool, text.len + LONGEST + BLANKS);
    apr_size_t i, len = 0;

    for (i = 0; i < text.len; i++) {
        if (text.data[i] == '\1' && len < LONGEST) {
            memset(made + len, ' ', BLANKS);
            len += BLANKS;
        }
        else {
            made[len++] = text.data[i];
        }
    }
    return djs_bytes_of(made, len);
}

void fuzz_one(djs_ctx_t *ctx, djs_bytes_t bytes)
{
    static const char ones[SIZES] = { 0 };
    const apr_array_header_t *places;
    unsigned int how;
    djs_bytes_t text;

    if (bytes.len < 1 + SIZES) {
        return;
    }
    how = (unsigned char)bytes.data[0];
    text = djs_bytes_of(bytes.data + 1 + SIZES, bytes.len - 1 - SIZES);
    if (how & LONG) {
        text = blown_up(ctx, text);
    }
    places = places_in(ctx, how, text, NULL, 0);
    check_places(text, places);
    check_same(places, places_in(ctx, how, text, bytes.data + 1, 0));
    check_same(places, places_in(ctx, how, text, ones, 0));
    /* What has its fields gets no more of them, by whoever reads it next. */
    FUZZ_CHECK(places_in(ctx, how, with_fields(ctx, text, places), NULL, 0)->nelts == 0);
    if (how & RELEASES) {
        check_places(text, places_in(ctx, how, text, bytes.data + 1, 1));
    }
}
