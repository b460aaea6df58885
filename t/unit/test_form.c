/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fields of a form's body. What is expected is what Django 3.2 has in request.POST, but for the
 * rows that say so.
 */
#include "support.h"

#include <string.h>

#include "form.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define PAIRS "application/x-www-form-urlencoded"
#define PARTS "multipart/form-data; boundary=B"

typedef struct form_case_t {
    const char *type, *body;
    const char *value; /* NULL: none */
    const char *why;
} form_case_t;

static void assert_found(test_t *test, const form_case_t *cases, size_t count, int whole)
{
    size_t i;

    for (i = 0; i < count; i++) {
        assert_text(djs_form_find(test->ctx, cases[i].type, djs_bytes(cases[i].body), whole,
                                  "tok"),
                    cases[i].value, cases[i].why);
    }
}

static void a_field_of_pairs_is_found_as_django_finds_it(void **state)
{
    static const form_case_t cases[] = {
        { PAIRS, "tok=x", "x", "alone" },
        { PAIRS "; charset=utf-8", "tok=x", "x", "a parameter" },
        { "Application/X-WWW-Form-Urlencoded", "tok=x", "x", "in any case; Django has none" },
        { " " PAIRS " ;charset=utf-8", "tok=x", "x", "blanks" },
        { PAIRS, "a=1&tok=x&b=2", "x", "among others" },
        { PAIRS, "tok=x&tok=y", "y", "the last of two" },
        { PAIRS, "tok=x&tok=", "", "the last, empty" },
        { PAIRS, "tok", "", "no equals sign" },
        { PAIRS, "tok=a%41+b%2", "aA b%2", "encoded" },
        { PAIRS, "%74%6F%6b=x", "x", "an encoded name" },
        { PAIRS, "tok=a=b", "a=b", "the first equals sign" },
        { PAIRS, "tok=x;b=1", "x;b=1", "no separator any more" },
        { PAIRS, "TOK=x", NULL, "another name" },
        { PAIRS, "atok=x&toks=y&to=k", NULL, "longer and shorter ones" },
        { PAIRS, "a=tok=x&b=%26tok%3Dx", NULL, "inside a value" },
        { PAIRS, "tok=%00x", NULL, "a NUL; Django has it" },
        { PAIRS, "&&&tok=x&&", "x", "nothing between" },
        { PAIRS, "", NULL, "nothing" },
        { "application/json", "tok=x", NULL, "no form" },
        { "text/plain", "tok=x", NULL, "a form that Django does not read" },
        { PAIRS "x", "tok=x", NULL, "a longer type" },
        { NULL, "tok=x", NULL, "no type" },
        { "", "tok=x", NULL, "an empty type" },
    };

    assert_found(*state, cases, COUNT(cases), 1);
}

#define PART(name, value) \
    "--B\r\nContent-Disposition: form-data; name=\"" name "\"\r\n\r\n" value "\r\n"
#define END "--B--\r\n"

static void a_field_of_parts_is_found_as_django_finds_it(void **state)
{
    static const form_case_t cases[] = {
        { PARTS, PART("tok", "x") END, "x", "alone" },
        { PARTS, PART("a", "1") PART("tok", "x") PART("b", "2") END, "x", "among others" },
        { PARTS, PART("tok", "x") PART("tok", "y") END, "y", "the last of two" },
        { PARTS, PART("tok", "") END, "", "empty" },
        { PARTS, "preamble\r\n" PART("tok", "x") END "epilogue", "x", "text around" },
        { PARTS, PART("tok", "x\r\ny") END, "x\r\ny", "two lines" },
        { PARTS, PART("a", "--B is not alone") PART("tok", "x") END, "x",
          "a boundary's beginning in a value begins a part" },
        { "multipart/form-data; charset=x; boundary=\"B\"", PART("tok", "x") END, "x", "quotes" },
        { "Multipart/Form-Data;BOUNDARY=B", PART("tok", "x") END, "x",
          "in any case; Django has none" },
        { PARTS, "--B\r\ncontent-disposition:form-data;name=tok\r\n\r\nx\r\n" END, "x",
          "a name without quotes" },
        { PARTS, "--B\r\nX: y\r\nContent-Disposition: form-data; name=\"tok\"\r\n"
                 "Content-Type: text/plain\r\n\r\nx\r\n" END, "x", "other headers" },
        { PARTS, "--B\r\nContent-Disposition: form-data; name=\"tok\"; filename=\"f\"\r\n\r\nx\r\n"
                 END, NULL, "a file" },
        { PARTS, "--B\r\nContent-Disposition: form-data; filename=\"\"; name=\"tok\"\r\n\r\nx\r\n"
                 END, "x", "a file without a name is none" },
        { PARTS, "--B\r\nContent-Disposition: form-data; name=\"a; name=tok\"\r\n\r\nx\r\n" END,
          NULL, "in a name's quotes" },
        { PARTS, "--B\r\nContent-Type: text/plain; name=\"tok\"\r\n\r\nx\r\n" END, NULL,
          "no disposition" },
        { PARTS, PART("a", "Content-Disposition: form-data; name=\"tok\"\r\n\r\nx") END, NULL,
          "in a value" },
        { PARTS, PART("toks", "x") PART("to", "k") END, NULL, "other names" },
        { PARTS, END PART("tok", "x") END, "x", "behind the end" },
        { PARTS, "--B\nContent-Disposition: form-data; name=\"tok\"\n\nx\n--B--\n", "x",
          "line feeds alone; Django finds none" },
        { PARTS, PART("tok", "x"), "x\r\n", "no end" },
        { "multipart/form-data", PART("tok", "x") END, NULL, "no boundary; Django refuses" },
        { "multipart/form-data; boundary=", PART("tok", "x") END, NULL,
          "an empty one; Django refuses" },
        { "multipart/form-data; boundary=C", PART("tok", "x") END, NULL,
          "another one; Django has a mess" },
        { "multipart/mixed; boundary=B", PART("tok", "x") END, NULL, "another type" },
        { PARTS, "tok=x", NULL, "no parts" },
        { PARTS, "--B", NULL, "a boundary alone" },
        { PARTS, "--B\r\n", NULL, "nothing behind it" },
        { PARTS, "--B\r\n\r\n", NULL, "no header" },
        { PARTS, "--B\r\nContent-Disposition: form-data; name=\"tok", NULL, "cut in a header" },
        { PARTS, "", NULL, "nothing" },
    };

    assert_found(*state, cases, COUNT(cases), 1);
}

static void what_may_go_on_does_not_count(void **state)
{
    static const form_case_t cases[] = {
        { PAIRS, "a=1&tok=x", NULL, "a value that may go on" },
        { PAIRS, "a=1&tok=x&", "x", "one that is over" },
        { PAIRS, "tok=x&tok=y", "x", "the last that is over" },
        { PARTS, PART("tok", "x"), NULL, "a part that may go on" },
        { PARTS, PART("tok", "x") "--B", "x", "one that is over" },
        { PARTS, PART("tok", "x") "--", NULL, "half a boundary" },
        { PARTS, PART("tok", "x") PART("a", "1"), "x", "the next one may go on" },
    };

    assert_found(*state, cases, COUNT(cases), 0);
}

/* Each beginning of a body gives what was there whole, or nothing, and reads no byte too much. */
static void no_beginning_of_a_body_is_misread(void **state)
{
    static const struct { const char *type, *body; } bodies[] = {
        { PAIRS, "a=1&tok=xyz&b=2" },
        { PARTS, "junk\r\n" PART("a", "1") PART("tok", "xyz") PART("b", "2") END "junk" },
    };
    test_t *test = *state;
    size_t i, len;

    for (i = 0; i < COUNT(bodies); i++) {
        for (len = 0; len <= strlen(bodies[i].body); len++) {
            djs_bytes_t body = djs_bytes_of(malloc(len + 1), len);
            const char *value;

            memcpy((char *)body.data, bodies[i].body, len);
            value = djs_form_find(test->ctx, bodies[i].type, body, 0, "tok");
            free((void *)body.data);
            if (value) {
                assert_text(value, "xyz", bodies[i].type);
            }
        }
    }
}

static void a_boundary_has_an_end(void **state)
{
    test_t *test = *state;
    char *type = apr_palloc(test->pool, 300);
    char *line = apr_palloc(test->pool, 300);
    int len;

    for (len = DJS_FORM_BOUNDARY_MAX; len <= DJS_FORM_BOUNDARY_MAX + 1; len++) {
        const char *body;

        memset(line, 'b', len);
        line[len] = '\0';
        type = apr_pstrcat(test->pool, "multipart/form-data; boundary=", line, NULL);
        body = apr_pstrcat(test->pool, "--", line,
                           "\r\nContent-Disposition: form-data; name=\"tok\"\r\n\r\nx\r\n--", line,
                           "--\r\n", NULL);
        assert_text(djs_form_find(test->ctx, type, djs_bytes(body), 1, "tok"),
                    len > DJS_FORM_BOUNDARY_MAX ? NULL : "x", "a long boundary");
    }
}

/* "name=value " of each, files as "name@value ", without a "=" as "name ". */
static void write_down(void *baton, djs_bytes_t name, djs_bytes_t value, int file)
{
    char **text = baton;
    apr_size_t used = strlen(*text);

    assert_true(used + name.len + value.len + 3 < 500);
    memcpy(*text + used, name.data, name.len);
    used += name.len;
    if (value.data) {
        (*text)[used++] = file ? '@' : '=';
        memcpy(*text + used, value.data, value.len);
        used += value.len;
    }
    (*text)[used] = ' ';
    (*text)[used + 1] = '\0';
}

static void each_field_of_a_form_is_told_in_order(void **state)
{
    static const struct {
        const char *type, *body;
        const char *told; /* NULL: it is no form */
        const char *why;
    } cases[] = {
        { PAIRS, "a=1&b=2&a=3", "a=1 b=2 a=3 ", "doubles" },
        { PAIRS, "%61+b=%31+2", "a b=%31+2 ", "names decoded, values as they are" },
        { PAIRS, "a&b=&=c&&", "a b= =c ", "no equals sign, no value, no name, nothing" },
        { PAIRS, "", "", "nothing" },
        { PARTS, PART("a", "1") PART("b", "x&y") END, "a=1 b=x&y ", "parts" },
        { PARTS, PART("a", "") PART("a", "\r\n") END, "a= a=\r\n ", "empty, and a line end" },
        { PARTS, "--B\r\nContent-Disposition: form-data; name=\"f\"; filename=\"x\"\r\n\r\n1\r\n" END,
          "f@1 ", "a file" },
        { PARTS, "--B\r\nX: y\r\n\r\n1\r\n" PART("b", "2") END, "b=2 ", "a part without a name" },
        { PARTS, "a=1", "", "no parts" },
        { "multipart/form-data", "a=1", NULL, "no boundary" },
        { "application/json", "{}", NULL, "no form" },
    };
    test_t *test = *state;
    size_t i;

    for (i = 0; i < COUNT(cases); i++) {
        char *text = apr_pcalloc(test->pool, 500);
        int is = djs_form_each(test->ctx, cases[i].type, djs_bytes(cases[i].body), write_down,
                               &text);

        assert_text(is ? text : NULL, cases[i].told, cases[i].why);
    }
}

static void a_field_gets_another_value_and_all_else_stays(void **state)
{
    static const struct { const char *type, *body, *then, *why; } cases[] = {
        { PAIRS, "a=1&tok=x&b=%32", "a=1&tok=NEW&b=%32", "among others" },
        { PAIRS, "tok=x&%74ok=&b", "tok=NEW&%74ok=NEW&b", "twice, one encoded, one empty" },
        { PAIRS, "tok&a=tok", "tok&a=tok", "no value to be exchanged" },
        { PAIRS, "a=1", "a=1", "none" },
        { PAIRS, "", "", "nothing" },
        { PARTS, "pre\r\n" PART("a", "1") PART("tok", "longer than it") END "post",
          "pre\r\n" PART("a", "1") PART("tok", "NEW") END "post", "parts" },
        { PARTS, PART("tok", "") END, PART("tok", "NEW") END, "an empty part" },
        { PARTS, "--B\r\nContent-Disposition: form-data; name=\"tok\"\r\n\r\n" END,
          "--B\r\nContent-Disposition: form-data; name=\"tok\"\r\n\r\n" END,
          "a part that has no place for a value" },
        { PARTS, "--B\r\nContent-Disposition: form-data; name=\"tok\"; filename=\"x\"\r\n\r\n1\r\n" END,
          "--B\r\nContent-Disposition: form-data; name=\"tok\"; filename=\"x\"\r\n\r\n1\r\n" END,
          "a file is no field" },
        { "text/plain", "tok=x", "tok=x", "no form" },
    };
    test_t *test = *state;
    size_t i;

    for (i = 0; i < COUNT(cases); i++) {
        assert_bytes(djs_form_exchange(test->ctx, cases[i].type, djs_bytes(cases[i].body), "tok",
                                       "NEW"),
                     djs_bytes(cases[i].then), cases[i].why);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(a_field_of_pairs_is_found_as_django_finds_it),
        TEST(a_field_of_parts_is_found_as_django_finds_it),
        TEST(what_may_go_on_does_not_count),
        TEST(no_beginning_of_a_body_is_misread),
        TEST(a_boundary_has_an_end),
        TEST(each_field_of_a_form_is_told_in_order),
        TEST(a_field_gets_another_value_and_all_else_stays),
    };

    return RUN_TESTS(tests);
}
