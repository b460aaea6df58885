/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a tag means for the field. What the tree builder of WHATWG HTML would do is not followed;
 * instead:
 *
 *     form        start tags add one, end tags take one away; a field only where that gives one, for
 *                 browsers ignore a form inside a form (an unclosed one, too)
 *     template    inside, forms are left alone, and must be whole
 *     noscript    is text to browsers that run scripts and tags to others: it must be the same to us,
 *                 and its end must be nowhere inside
 *     select      a form inside it ends our work: older and newer browsers differ
 *     svg, math   a form inside them ends it, too. Elements that are text in HTML are none there, unless
 *                 a tag before has ended the foreign part: so while one of them is open, any tag but
 *                 its own end ends our work
 *
 * To stop putting fields in is always safe: such a form is refused, it does not leak.
 */
#include "inject_impl.h"

#include <string.h>

#include <apr_lib.h>

/* ---- addresses ---- */

static int is_end_of_host(char c)
{
    return c == '\0' || c == '/' || c == '?' || c == '#';
}

/* "host…" is this site. */
static int is_our_host(const djs_inject_t *inject, const char *text)
{
    apr_size_t len = inject->host ? strlen(inject->host) : 0;

    return len > 0 && strncasecmp(text, inject->host, len) == 0 && is_end_of_host(text[len]);
}

/* Without what browsers take out: blanks and controls around, tabs and line ends anywhere. */
static void clean(char *text)
{
    char *from = text, *to = text;

    while (*from && (unsigned char)*from <= ' ') {
        from++;
    }
    for (; *from; from++) {
        if (!strchr("\t\r\n\f", *from)) {
            *to++ = *from;
        }
    }
    while (to > text && (unsigned char)to[-1] <= ' ') {
        to--;
    }
    *to = '\0';
}

/*
 * Is it sure that this address is of our site? It is changed. Without a foreign <base>; the empty one
 * is the page's own even then.
 */
static int is_ours(const djs_inject_t *inject, text_t *value)
{
    char *text = value->text;
    apr_size_t path, scheme = 0;

    text[value->len < VALUE_MAX_LEN ? value->len : VALUE_MAX_LEN] = '\0';
    if (strlen(text) < value->len && value->len <= VALUE_MAX_LEN) {
        return 0; /* a NUL */
    }
    clean(text);
    path = strcspn(text, "?#");
    if (memchr(text, '&', path) || (value->len > VALUE_MAX_LEN && text[path] == '\0')) {
        return 0; /* an entity can be anything; nor is the end in sight */
    }
    if (apr_isalpha(text[0])) {
        while (apr_isalnum(text[scheme]) || (text[scheme] && strchr("+-.", text[scheme]))) {
            scheme++;
        }
    }
    if (scheme > 0 && text[scheme] == ':') {
        return scheme == strlen(inject->scheme) && strncasecmp(text, inject->scheme, scheme) == 0
               && strncmp(text + scheme, "://", 3) == 0 && is_our_host(inject, text + scheme + 3);
    }
    if ((text[0] == '/' || text[0] == '\\') && (text[1] == '/' || text[1] == '\\')) {
        return strncmp(text, "//", 2) == 0 && is_our_host(inject, text + 2);
    }
    return value->len == 0 || !inject->foreign_base;
}

/* ---- attributes ---- */

static int is(const djs_inject_t *inject, const char *name)
{
    return strcmp(inject->name, name) == 0;
}

static int value_is(const text_t *value, const char *text)
{
    return value->len == strlen(text) && strncasecmp(value->text, text, value->len) == 0;
}

/* Of two attributes of a name the first counts. */
void djs_inject_end_attribute(djs_inject_t *inject)
{
    const char *name = inject->attribute;

    if (strcmp(name, "method") == 0 && !inject->has_method) {
        inject->has_method = 1;
        inject->is_post = value_is(&inject->value, "post");
    }
    else if (strcmp(name, "action") == 0 && !inject->has_action) {
        inject->has_action = 1;
        inject->is_elsewhere = !is_ours(inject, &inject->value);
    }
    else if (strcmp(name, "name") == 0 && !inject->has_name) {
        inject->has_name = 1;
        inject->is_field = inject->value.len == 19
                           && strncmp(inject->value.text, "csrfmiddlewaretoken", 19) == 0;
    }
    else if (strcmp(name, "href") == 0 && !inject->has_href) {
        inject->has_href = 1;
        inject->base_elsewhere = !is_ours(inject, &inject->value);
    }
    else if (strcmp(name, "formaction") == 0 && !inject->has_formaction) {
        inject->has_formaction = 1;
        inject->leads_elsewhere = !is_ours(inject, &inject->value);
    }
}

djs_inject_event_t djs_inject_decide(djs_inject_t *inject, djs_inject_event_t event)
{
    inject->marked = 0;
    return event;
}

djs_inject_event_t djs_inject_give_up(djs_inject_t *inject)
{
    inject->state = DONE;
    return inject->marked ? djs_inject_decide(inject, DJS_INJECT_INSERT) : DJS_INJECT_NOTHING;
}

static djs_inject_event_t start_form(djs_inject_t *inject)
{
    if (inject->templates > 0) {
        inject->template_forms++;
        return DJS_INJECT_NOTHING;
    }
    inject->forms++;
    if (inject->forms > 1 || !inject->is_post || inject->is_elsewhere) {
        return DJS_INJECT_NOTHING;
    }
    inject->marked = 1;
    inject->held = 0;
    return DJS_INJECT_MARK;
}

static djs_inject_event_t end_form(djs_inject_t *inject)
{
    if (inject->templates > 0) {
        inject->template_forms--;
        return inject->template_forms < 0 ? djs_inject_give_up(inject) : DJS_INJECT_NOTHING;
    }
    if (inject->forms > 0) {
        inject->forms--;
    }
    return inject->marked && inject->forms == 0 ? djs_inject_decide(inject, DJS_INJECT_INSERT)
                                                : DJS_INJECT_NOTHING;
}

static int has_word(const char *const *words, const char *word)
{
    for (; *words && strcmp(*words, word) != 0; words++) {
    }
    return *words != NULL;
}

static int is_text_element(const djs_inject_t *inject)
{
    static const char *const names[] = { "script", "style", "textarea", "title", "xmp", "iframe",
                                         "noembed", "noframes", "plaintext", NULL };

    return has_word(names, inject->name);
}

/* Elements in SVG and MathML with HTML in them, which can end the foreign part or begin another. */
static int is_door(const djs_inject_t *inject)
{
    static const char *const names[] = { "foreignobject", "desc", "annotation-xml", "mi", "mo", "mn",
                                         "ms", "mtext", "template", "noscript", NULL };

    return has_word(names, inject->name);
}

static int is_foreign_root(const djs_inject_t *inject)
{
    return is(inject, "svg") || is(inject, "math");
}

/* A tag where it is not clear what browsers make of it. */
static djs_inject_event_t tag_in_foreign(djs_inject_t *inject)
{
    if (*inject->raw) {
        if (!inject->is_end || !is(inject, inject->raw)) {
            return djs_inject_give_up(inject);
        }
        inject->raw[0] = '\0';
        return DJS_INJECT_NOTHING;
    }
    if (is(inject, "form") || is(inject, "select") || is(inject, "base")) {
        return djs_inject_give_up(inject);
    }
    if (is_foreign_root(inject)) {
        inject->foreign += inject->is_end ? -1 : 1;
    }
    else if (!inject->is_end && (is_text_element(inject) || is_door(inject))) {
        memcpy(inject->raw, inject->name, sizeof(inject->raw));
    }
    return DJS_INJECT_NOTHING;
}

static void begin_noscript(djs_inject_t *inject)
{
    inject->in_noscript = 1;
    inject->forms_before = inject->forms;
    inject->templates_before = inject->templates;
    inject->select_before = inject->in_select;
    memset(inject->tail, 0, sizeof(inject->tail));
}

static djs_inject_event_t end_noscript(djs_inject_t *inject)
{
    int same = inject->forms == inject->forms_before
               && inject->templates == inject->templates_before
               && inject->in_select == inject->select_before;

    if (!inject->in_noscript || same) {
        inject->in_noscript = 0;
        return DJS_INJECT_NOTHING;
    }
    return djs_inject_give_up(inject);
}

djs_inject_event_t djs_inject_follow_noscript(djs_inject_t *inject, char c)
{
    memmove(inject->tail, inject->tail + 1, sizeof(inject->tail) - 1);
    inject->tail[sizeof(inject->tail) - 1] = apr_tolower(c);
    if (memcmp(inject->tail, "</noscript", sizeof(inject->tail)) == 0
        && !(inject->state == TAG_NAME && inject->is_end && is(inject, "noscript")
             && inject->foreign == 0)) {
        return djs_inject_give_up(inject);
    }
    return DJS_INJECT_NOTHING;
}

/* The form that is being looked through has the field already, or a button sends it elsewhere. */
static int is_no_place(const djs_inject_t *inject)
{
    return inject->marked
           && ((is(inject, "input") && inject->is_field)
               || ((is(inject, "input") || is(inject, "button")) && inject->leads_elsewhere));
}

static djs_inject_event_t start_tag(djs_inject_t *inject)
{
    if (inject->in_select && (is(inject, "form") || is_text_element(inject))) {
        return djs_inject_give_up(inject);
    }
    if (is(inject, "form")) {
        return start_form(inject);
    }
    if (is_no_place(inject)) {
        return djs_inject_decide(inject, DJS_INJECT_LEAVE);
    }
    if (is(inject, "base") && inject->has_href) {
        inject->foreign_base |= inject->base_elsewhere;
    }
    else if (is(inject, "template")) {
        inject->templates++;
    }
    else if (is(inject, "select")) {
        inject->in_select = !inject->in_select;
    }
    else if (is_foreign_root(inject)) {
        inject->foreign = 1;
    }
    else if (is(inject, "noscript") && !inject->in_noscript) {
        begin_noscript(inject);
    }
    else if (is_text_element(inject)) {
        memcpy(inject->raw, inject->name, sizeof(inject->raw));
        inject->state = RAW;
        inject->in_window = 0;
        inject->script_escape = 0;
    }
    return DJS_INJECT_NOTHING;
}

static djs_inject_event_t end_tag(djs_inject_t *inject)
{
    if (is(inject, "form")) {
        return inject->in_select ? djs_inject_give_up(inject) : end_form(inject);
    }
    if (is(inject, "template") && inject->templates > 0) {
        inject->templates--;
        return inject->template_forms != 0 ? djs_inject_give_up(inject) : DJS_INJECT_NOTHING;
    }
    if (is(inject, "noscript")) {
        return end_noscript(inject);
    }
    if (is(inject, "select")) {
        inject->in_select = 0;
    }
    return DJS_INJECT_NOTHING;
}

djs_inject_event_t djs_inject_tag(djs_inject_t *inject)
{
    inject->state = DATA;
    if (inject->foreign > 0) {
        return tag_in_foreign(inject);
    }
    return inject->is_end ? end_tag(inject) : start_tag(inject);
}
