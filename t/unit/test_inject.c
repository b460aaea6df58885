/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the CSRF field goes. In the pages below "$" is where it has to; the page itself has none.
 */
#include "support.h"

#include <stdlib.h>
#include <string.h>

#include "inject.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define POST "<form method=post>"
#define EVIL "<form action=//evil.test method=post>"
#define PAD_1K "................................................................" \
               "................................................................" \
               "................................................................" \
               "................................................................"

/* The page with "$" where a field was put, fed in pieces of the sizes that `next` gives. */
static const char *inject_into(test_t *test, const char *page, int secure,
                               apr_size_t (*next)(apr_size_t left))
{
    djs_inject_t *inject = djs_inject_make(test->ctx, secure, "here.test");
    apr_size_t len = strlen(page), at = 0, out = 0, mark = 0;
    char *made = apr_palloc(test->pool, 2 * len + 2);
    int done = 0;

    while (!done) {
        apr_size_t size = at < len ? next(len - at) : 0;
        apr_size_t end = at + size;
        djs_inject_event_t event;

        do {
            apr_size_t used = djs_inject_scan(inject, page + at, end - at, &event);

            memcpy(made + out, page + at, used);
            out += used;
            at += used;
            if (event == DJS_INJECT_MARK) {
                mark = out;
            }
            if (event == DJS_INJECT_INSERT) {
                memmove(made + mark + 1, made + mark, out - mark);
                made[mark] = '$';
                out++;
            }
        } while (at < end || event != DJS_INJECT_NOTHING);
        done = at == len;
    }
    if (djs_inject_release(inject) == DJS_INJECT_INSERT) {
        memmove(made + mark + 1, made + mark, out - mark);
        made[mark] = '$';
        out++;
    }
    made[out] = '\0';
    return made;
}

static apr_size_t all_at_once(apr_size_t left)
{
    return left;
}

static apr_size_t byte_by_byte(apr_size_t left)
{
    (void)left;
    return 1;
}

static apr_size_t at_random(apr_size_t left)
{
    apr_size_t size = 1 + (apr_size_t)rand() % 17;

    return size < left ? size : left;
}

static const struct page_t { const char *page, *why; } pages[] = {
    /* What gets one. */
    { POST "$<input></form>", "a form" },
    { "<FORM METHOD=POST>$</FORM>", "in capitals" },
    { "<form action='/x' method=\"post\" class=a>$</form>", "attributes" },
    { "<form\n\tmethod = post\n>$</form>", "blanks" },
    { POST "$</form>" POST "$</form>", "two forms" },
    { POST "$<p>", "a form that does not end" },
    { POST "$", "the page ends behind the tag" },
    { "<form method=post method=get>$</form>", "the first of two methods" },
    { "<form title='>' method=post>$</form>", "a bracket in quotes" },
    { "<form method=post action>$</form>", "an action without a value" },
    { "<form method=post action=>$</form>", "an empty one" },
    { "<form method=post action=''>$</form>", "the same in quotes" },
    { "<form method=post action='?a=1&amp;b=2'>$</form>", "a query with an entity" },
    { "<form method=post action='../x#y'>$</form>", "a relative one" },
    { "<form method=post action='/a:b'>$</form>", "a colon in a path" },
    { "<form method=post action=' /x '>$</form>", "blanks around it" },
    { "<form method=post action='http://here.test'>$</form>", "our origin" },
    { "<form method=post action='HTTP://HERE.test/x'>$</form>", "in any case" },
    { "<form method=post action='//here.test/x'>$</form>", "our host" },
    { "<base href='/x/'>" POST "$</form>", "a base of ours" },
    { "<base href='//evil.test'><form method=post action=''>$</form>", "the page's own address" },
    { "<base target=_top>" POST "$</form>", "a base without an address" },
    { "<!-- x -->" POST "$</form>", "behind a comment" },
    { "<!-->" POST "$</form>", "behind a short one" },
    { "<!--->" POST "$</form>", "behind another short one" },
    { "<!-- --!>" POST "$</form>", "behind an odd one" },
    { "<!DOCTYPE html>" POST "$</form>", "behind a doctype" },
    { "<!x>" POST "$</form>", "behind what is none" },
    { "<?php x ?>" POST "$</form>", "behind an instruction" },
    { "<![CDATA[ x >" POST "$</form>", "CDATA is a comment in HTML, which ends at a bracket" },
    { "<script>x</script>" POST "$</form>", "behind a script" },
    { "<script>'</scripts>'</script >" POST "$</form>", "behind a script's end that is none" },
    { "<script><!--\n<script>x</script>\n--></script>" POST "$</form>", "a script in a script" },
    { "<title><x></title>" POST "$</form>", "behind a title" },
    { "a < b <> </> <1>" POST "$</form>", "brackets that are text" },
    { "</p x='>'>" POST "$</form>", "an end tag with attributes" },
    { POST "$" PAD_1K PAD_1K "</form>", "a longer form" },
    { "<svg><path d='x'/></svg>" POST "$</form>", "behind a picture" },
    { "<svg><title>x</title><style>a{}</style></svg>" POST "$</form>", "with a title and a style" },
    { "<svg><style><![CDATA[a>b]]></style></svg>" POST "$</form>", "with CDATA" },
    { "<math><mi>x</mi><mo>+</mo></math>" POST "$</form>", "behind a formula" },
    { "<noscript><img alt='x'></noscript>" POST "$</form>", "behind a noscript" },
    { "<noscript><iframe src=x></iframe></noscript>" POST "$</form>", "with a frame" },
    { "<noscript>" POST "$</form></noscript>" POST "$</form>", "in a noscript" },
    { "<template>" POST "</form></template>" POST "$</form>", "behind a template" },
    { "<select><option>x</select>" POST "$</form>", "behind a select" },
    { "<form></form>" POST "$</form>", "behind a form by GET" },
    { POST "$<select><option></select></form>", "with a select in it" },
    { POST "$<input name=csrfmiddlewaretokens></form>", "another field" },
    { POST "$<input name=CSRFMIDDLEWARETOKEN></form>", "another field, for names have case" },
    { POST "$<input name=x name=csrfmiddlewaretoken></form>", "the first of two names" },
    { POST "$<p name=csrfmiddlewaretoken></form>", "no field" },
    { POST "$<button formaction=/x></button></form>", "a button that leads to another page" },
    { POST "$<button formaction></button></form>", "and one that leads to this" },
    { POST "$<p formaction=//evil.test></form>", "no button" },
    { POST "$<button formaction=/x formaction=//evil.test></button></form>", "the first of two" },
    { POST "$</form><button formaction=//evil.test></button>", "a button behind the form" },
    { POST "$<!-- <input name=csrfmiddlewaretoken> --></form>", "a field in a comment" },
    { POST "$<script>'<input name=csrfmiddlewaretoken>'</script></form>", "a field in a script" },
    { POST "$</form><input name=csrfmiddlewaretoken>", "a field behind the form" },
    { POST "$<svg><form></svg></form>" POST "</form>", "it began well; the next one is left alone" },

    /* What is left alone. */
    { POST "<button formaction=//evil.test></button></form>", "a button that sends it elsewhere" },
    { POST "<p><input type=submit formaction='https://evil.test/'></form>", "the same as an input" },
    { POST "<button></button><BUTTON FORMACTION=//evil.test></form>", "the second button" },
    { POST "<button formaction='&#47;/evil.test'></button></form>", "an entity can be anything" },
    { "<p>x</p>", "no form" },
    { "<form></form>", "by GET" },
    { "<form method=get></form>", "by GET" },
    { "<form method=dialog></form>", "no request" },
    { "<form method=' post'></form>", "a blank makes it GET" },
    { "<form method=post/ ></form>", "a slash makes it GET" },
    { "<form method='po&#115;t'></form>", "an entity" },
    { "<forms method=post></forms>", "another element" },
    { "<form-x method=post></form-x>", "a custom one" },
    { "<form\x0b method=post></form>", "no blank in HTML" },
    { "< form method=post></form>", "text" },
    { "</form method=post>", "an end tag" },
    { "<form method=post", "a tag that does not end" },
    { "<form method=post x='>", "a value that does not end" },
    { POST "<input type=hidden name=csrfmiddlewaretoken value=x></form>", "it has one" },
    { POST "<p><input value=x NAME='csrfmiddlewaretoken'></form>", "it has one further on" },
    { "<form method=post/></form>", "a slash belongs to a value without quotes" },
    { EVIL "</form>", "to another site" },
    { "<form method=post action='https://here.test/'></form>", "another scheme" },
    { "<form method=post action='http://here.test:81/'></form>", "another port" },
    { "<form method=post action='http://here.test.evil.test/'></form>", "our name below another" },
    { "<form method=post action='http://here.test@evil.test/'></form>", "our name in front" },
    { "<form method=post action='http:/evil.test'></form>", "one slash" },
    { "<form method=post action='http:evil'></form>", "none" },
    { "<form method=post action='/\\evil.test'></form>", "a backslash" },
    { "<form method=post action='\\\\evil.test'></form>", "two" },
    { "<form method=post action='/\t/evil.test'></form>", "a tab" },
    { "<form method=post action='\n//evil.test'></form>", "a line end" },
    { "<form method=post action='\x01//evil.test'></form>", "a control" },
    { "<form method=post action='&#47;/evil.test'></form>", "an entity" },
    { "<form method=post action='&sol;&sol;evil.test'></form>", "a named one" },
    { "<form method=post action='http&colon;//evil.test'></form>", "another" },
    { "<form method=post action='javascript:x'></form>", "a script" },
    { "<form method=post action='mailto:x'></form>", "a mail" },
    { "<form action=//evil.test action=/ method=post></form>", "the first of two actions" },
    { "<form method=post action='" PAD_1K PAD_1K PAD_1K "'></form>", "no end in sight" },
    { "<base href='//evil.test/'><form method=post action=x></form>", "another base" },
    { "<base href='https://here.test/'><form method=post action=x></form>", "another scheme's" },
    { "<base href='/'><base href='//evil.test'><form method=post action=x></form>", "a second one" },
    { "<base href='//evil.test'><form method=post action=' '></form>", "a blank is no own address" },
    { "<!-- " POST "</form> -->", "in a comment" },
    { "<!-- > " POST " -- > -->", "in a comment with brackets" },
    { "<!" POST "</form", "in a declaration" },
    { "<script>'" POST "</form>'</script>", "in a script" },
    { "<script><!--<script></script>" POST "--></script>", "in a script in a script" },
    { "<style>" POST "</style>", "in a style" },
    { "<textarea>" POST "</textarea>", "in a field" },
    { "<title>" POST "</title>", "in a title" },
    { "<xmp>" POST "</xmp>", "in an example" },
    { "<iframe>" POST "</iframe>", "in a frame" },
    { "<noembed>" POST "</noembed><noframes>" POST "</noframes>", "in what nobody reads" },
    { "<plaintext></plaintext>" POST, "in plain text, which has no end" },
    { "<template>" POST "</form></template>", "in a template" },
    { "<p title='" POST "'>", "in a value" },
    { "<p title=\"'" POST "\">", "in a value with the other quote" },

    /* What browsers take for a part of another form, which would tell it the token. */
    { EVIL POST "</form>", "inside another form" },
    { EVIL "</form\1 >" POST, "an end that is none" },
    { EVIL "<!--</form>-->" POST, "an end in a comment" },
    { EVIL "<!--></form-->" "<!-- --><script></form></script>" POST, "an end in a script" },
    { EVIL "<template></form></template>" POST, "an end in a template" },
    { EVIL "<template></form><form></template>" POST, "the same, made up for" },
    { EVIL "<select></form>" POST, "an end in a select" },
    { EVIL "<select><style></form></style>" POST, "in a style in a select" },
    { EVIL "<svg><form></form></svg>" POST, "a form of SVG's" },
    { EVIL "<svg></form></svg>" POST, "an end in SVG" },
    { "<svg><style><div>" EVIL "</style>" POST, "a form in a style of SVG's, which a tag has ended" },
    { "<svg><p><style>" EVIL "</style></svg>" POST, "a style of HTML's in what was SVG" },
    { "<svg><p><![CDATA[>" EVIL "]]></svg>" POST, "CDATA in what was SVG" },
    { "<svg><title><!--</title>" EVIL "--></svg>" POST, "a comment in a title" },
    { "<svg><desc><div></svg></div></desc><style><div>" EVIL "</style>" POST, "doors of SVG's" },
    { "<math><annotation-xml encoding=text/html>" EVIL "</math>" POST, "doors of MathML's" },
    { "<svg><template>" EVIL "</template></svg>" POST, "a template of SVG's" },
    { EVIL "<noscript></form></noscript>" POST, "an end for browsers without scripts" },
    { "<noscript><img alt='</noscript>" EVIL "'></noscript>" POST, "the end in a value" },
    { "<noscript><!--</noscript>" EVIL "--></noscript>" POST, "the end in a comment" },
    { "<noscript><style></noscript>" EVIL "</style></noscript>" POST, "the end in a style" },
    { "<noscript><svg></noscript>" EVIL POST, "the end in SVG" },
    { "<table>" EVIL "</table>" POST, "a form that a table has not ended" },
};

/* Without the marks. */
static const char *page_of(test_t *test, const char *marked)
{
    char *page = apr_pstrdup(test->pool, marked), *to = page;
    const char *from;

    for (from = page; *from; from++) {
        if (*from != '$') {
            *to++ = *from;
        }
    }
    *to = '\0';
    return page;
}

static void each_page_gets_its_fields(void **state)
{
    test_t *test = *state;
    size_t i;

    for (i = 0; i < COUNT(pages); i++) {
        const char *expected = pages[i].page;

        assert_text(inject_into(test, page_of(test, expected), 0, all_at_once), expected,
                    pages[i].why);
    }
}

static void the_same_in_whatever_pieces_it_comes(void **state)
{
    test_t *test = *state;
    size_t i;
    int round;

    srand(5);
    for (i = 0; i < COUNT(pages); i++) {
        const char *page = page_of(test, pages[i].page);
        const char *expected = inject_into(test, page, 0, all_at_once);

        assert_text(inject_into(test, page, 0, byte_by_byte), expected, pages[i].why);
        for (round = 0; round < 20; round++) {
            assert_text(inject_into(test, page, 0, at_random), expected, pages[i].why);
        }
    }
}

/* Random soup of what matters: never a crash, the same in pieces, and nothing of the page is lost. */
static void no_soup_is_too_thick(void **state)
{
    static const char *const bits[] = {
        "<form method=post>", "<form>", "</form>", "<", ">", "<!--", "-->", "--", "<script>",
        "</script>", "<style", "</style>", "'", "\"", "=", " ", "<svg>", "</svg>", "<![CDATA[",
        "]]>", "<noscript>", "</noscript>", "<template>", "</template>", "<select>", "</select>",
        "<input name=csrfmiddlewaretoken>", "<base href=//x>", "action=/", "action=//x", "x", "/",
        "<textarea>", "</textarea>", "<!", "<?", "\xff", "&", "method=post", "<form "
    };
    test_t *test = *state;
    int round;

    srand(7);
    for (round = 0; round < 3000; round++) {
        const char *page = "", *whole, *pieces;
        int count = rand() % 24;

        for (; count > 0; count--) {
            page = apr_pstrcat(test->pool, page, bits[(size_t)rand() % COUNT(bits)], NULL);
        }
        whole = inject_into(test, page, 0, all_at_once);
        pieces = inject_into(test, page, 0, at_random);
        assert_text(pieces, whole, page);
        assert_text(page_of(test, whole), page, "but for the fields");
        if (round % 50 == 0) {
            apr_pool_clear(test->pool);
            test->ctx = test_ctx(test->pool);
        }
    }
}

static void a_long_form_is_not_held_for_ever(void **state)
{
    test_t *test = *state;
    djs_inject_t *inject = djs_inject_make(test->ctx, 0, "here.test");
    char *filler = apr_palloc(test->pool, 2 * DJS_INJECT_HOLD_MAX);
    djs_inject_event_t event;
    apr_size_t used;

    memset(filler, 'x', 2 * DJS_INJECT_HOLD_MAX);
    assert_number(djs_inject_scan(inject, POST, strlen(POST), &event), strlen(POST), "the tag");
    assert_number(event, DJS_INJECT_MARK, "a form");
    used = djs_inject_scan(inject, filler, 2 * DJS_INJECT_HOLD_MAX, &event);
    assert_number(event, DJS_INJECT_INSERT, "no longer");
    assert_number(used, DJS_INJECT_HOLD_MAX, "than this");
    assert_number(djs_inject_release(inject), DJS_INJECT_NOTHING, "nothing is held");
}

static void our_scheme_is_the_pages(void **state)
{
    test_t *test = *state;
    const char *page = "<form method=post action=https://here.test/>x</form>";

    assert_text(inject_into(test, page, 0, all_at_once), page, "to https from http");
    assert_text(inject_into(test, page, 1, all_at_once),
                "<form method=post action=https://here.test/>$x</form>", "from https");
}

static void only_html_in_charsets_like_ascii_is_read(void **state)
{
    static const struct { const char *type; int readable; const char *why; } cases[] = {
        { "text/html", 1, "HTML" },
        { "Text/HTML; charset=UTF-8", 1, "in UTF-8" },
        { "text/html;charset=\"iso-8859-1\"", 1, "in Latin 1" },
        { "text/html; charset=Shift_JIS", 1, "trail bytes are no brackets" },
        { "text/html; charset=utf-16", 0, "two bytes each" },
        { "text/html; charset=UTF-16LE", 0, "the same" },
        { "text/html; Charset='utf-7'", 0, "brackets are others" },
        { "text/html; charset=ISO-2022-JP", 0, "brackets may be halves" },
        { "application/xhtml+xml", 0, "XML has other rules" },
        { "text/htmlx", 0, "another type" },
        { "text/plain", 0, "text" },
        { "", 0, "empty" },
        { NULL, 0, "none" },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(cases); i++) {
        assert_number(djs_inject_is_readable(cases[i].type), cases[i].readable, cases[i].why);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(each_page_gets_its_fields),
        TEST(the_same_in_whatever_pieces_it_comes),
        TEST(no_soup_is_too_thick),
        TEST(a_long_form_is_not_held_for_ever),
        TEST(our_scheme_is_the_pages),
        TEST(only_html_in_charsets_like_ascii_is_read),
    };

    return RUN_TESTS(tests);
}
