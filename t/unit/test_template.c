/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pages with places for texts.
 */
#include "support.h"

#include <string.h>

#include "template.h"

static const char *const names[] = { "a", "b", "none", NULL };
static const char *const values[] = { "A", "<&>\"'", NULL };

static void places_are_filled_and_escaped(void **state)
{
    static const struct { const char *text, *page; } cases[] = {
        { "", "" },
        { "no place", "no place" },
        { "{{ a }}", "A" },
        { "{{a}}{{  a\t}}", "AA" },
        { "<{{ b }}>", "<&lt;&amp;&gt;&quot;&#x27;>" },
        { "[{{ none }}]", "[]" },
        { "{% if a %}yes{% endif %}", "yes" },
        { "{% if none %}yes{% endif %}no", "no" },
        { "{% if not none %}yes{% endif %}", "yes" },
        { "{% if not a %}yes{% endif %}", "" },
        { "{%if a%}1{%if none%}2{%endif%}3{%endif%}4", "134" },
        { "{% if none %}1{% if a %}2{% endif %}3{% endif %}4", "4" },
        { "{# nothing {{ unknown }} #}x", "x" },
        { "{ a } {} %} }} {", "{ a } {} %} }} {" },
        { "{% if a %}{% endif %}", "" },
    };
    test_t *test = *state;
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const djs_template_t *made;

        assert_status(test->ctx,
                      djs_template_parse(test->ctx, djs_bytes(cases[i].text), names, &made),
                      APR_SUCCESS, cases[i].text);
        assert_text(djs_template_render(test->ctx, made, values), cases[i].page, cases[i].text);
    }
}

static void mistakes_are_found_with_their_line(void **state)
{
    static const struct { const char *text, *problem; } cases[] = {
        { "{{ c }}", "line 1: there is no \"c\"" },
        { "\n\n{{ c }}", "line 3: there is no \"c\"" },
        { "{% if c %}{% endif %}", "line 1: there is no \"c\"" },
        { "{{ a", "line 1: this is not ended: \"{{\"" },
        { "{{ a b }}", "line 1: {{ }} holds one name" },
        { "{{ }}", "line 1: {{ }} holds one name" },
        { "{% if a %}", "line 1: {% if %} without {% endif %}" },
        { "{% endif %}", "line 1: {% endif %} without {% if %}" },
        { "{% for a in b %}", "line 1: only {% if NAME %}, {% if not NAME %} and {% endif %} are "
                              "known, not \"for\"" },
        { "{% if a or b %}", "line 1: only {% if NAME %}, {% if not NAME %} and {% endif %} are "
                             "known, not \"if\"" },
        { "x\n{% %}", "line 2: only {% if NAME %}, {% if not NAME %} and {% endif %} are known, "
                      "not" },
    };
    test_t *test = *state;
    apr_pool_t *pool = test->pool;
    const djs_template_t *made;
    const char *deep = "{% if a %}";
    char *big = apr_pcalloc(pool, DJS_TEMPLATE_MAX + 2);
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        djs_forget(test->ctx);
        assert_status(test->ctx,
                      djs_template_parse(test->ctx, djs_bytes(cases[i].text), names, &made),
                      DJS_EFORMAT, cases[i].text);
        assert_text(test->ctx->problem, cases[i].problem, cases[i].text);
    }
    for (i = 0; i < 5; i++) {
        deep = apr_pstrcat(pool, deep, deep, NULL);
    }
    assert_status(NULL, djs_template_parse(test->ctx, djs_bytes(deep), names, &made), DJS_EFORMAT,
                  "32 deep");
    memset(big, 'x', DJS_TEMPLATE_MAX + 1);
    assert_status(NULL, djs_template_parse(test->ctx, djs_bytes(big), names, &made), DJS_ELIMIT,
                  "too long");
}

static void it_is_known_which_places_there_are(void **state)
{
    static const struct { const char *text; int a, none; } cases[] = {
        { "", 0, 0 },
        { "a {# {{ a }} #}", 0, 0 },
        { "{{ a }}", 1, 0 },
        { "x{% if a %}{% endif %}", 1, 0 },
        { "{% if not none %}{{ b }}{% endif %}", 0, 1 },
        { "{% if a %}{{ none }}{% endif %}", 1, 1 },
    };
    test_t *test = *state;
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const djs_template_t *made;

        assert_status(test->ctx,
                      djs_template_parse(test->ctx, djs_bytes(cases[i].text), names, &made),
                      APR_SUCCESS, cases[i].text);
        assert_number(djs_template_has(made, 0), cases[i].a, cases[i].text);
        assert_number(djs_template_has(made, 2), cases[i].none, cases[i].text);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(places_are_filled_and_escaped),
        TEST(it_is_known_which_places_there_are),
        TEST(mistakes_are_found_with_their_line),
    };

    return RUN_TESTS(tests);
}
