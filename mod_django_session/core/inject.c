/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading: the states are those of WHATWG HTML, 13.2.5, less what makes no difference here. What a tag
 * means is for inject_tags.c to say, when it has been read.
 */
#include "inject_impl.h"

#include <string.h>

#include <apr_lib.h>

/* ---- the page ---- */

djs_inject_t *djs_inject_make(djs_ctx_t *ctx, int secure, const char *host)
{
    djs_inject_t *inject = apr_pcalloc(ctx->pool, sizeof(*inject));

    inject->scheme = secure ? "https" : "http";
    inject->host = host;
    return inject;
}

int djs_inject_is_readable(const char *content_type)
{
    static const char *const strange[] = { "utf-16", "utf-32", "utf-7", "ucs-", "iso-10646", "unicode",
                                           "iso-2022", "hz-", "ebcdic", "ibm", "cp037", NULL };
    const char *charset, *const *name;

    if (!content_type || strncasecmp(content_type, "text/html", 9) != 0
        || (content_type[9] != '\0' && !strchr("; \t", content_type[9]))) {
        return 0;
    }
    for (charset = content_type; *charset; charset++) {
        if (strncasecmp(charset, "charset", 7) == 0) {
            charset += 7;
            charset += strspn(charset, " \t=\"'");
            for (name = strange; *name; name++) {
                if (strncasecmp(charset, *name, strlen(*name)) == 0) {
                    return 0;
                }
            }
            return 1;
        }
    }
    return 1;
}

/* ---- tags ---- */

static void keep(char *name, apr_size_t *len, char c)
{
    if (*len < NAME_MAX_LEN) {
        name[*len] = c == '\0' ? '\1' : apr_tolower(c); /* no name that we know has it */
        name[*len + 1] = '\0';
    }
    else {
        name[0] = '\0'; /* none that we know */
    }
    (*len)++;
}

static void keep_value(text_t *value, char c)
{
    if (value->len < VALUE_MAX_LEN) {
        value->text[value->len] = c;
    }
    value->len++;
}

static void begin_tag(djs_inject_t *inject, int is_end)
{
    inject->is_end = is_end;
    inject->name_len = inject->attribute_len = 0;
    inject->name[0] = inject->attribute[0] = '\0';
    inject->has_method = inject->is_post = inject->has_action = inject->is_elsewhere = 0;
    inject->has_name = inject->is_field = inject->has_href = inject->base_elsewhere = 0;
    inject->has_formaction = inject->leads_elsewhere = 0;
}

static void begin_attribute(djs_inject_t *inject)
{
    inject->attribute_len = 0;
    inject->attribute[0] = '\0';
    inject->value.len = 0;
}

static void end_attribute(djs_inject_t *inject)
{
    djs_inject_end_attribute(inject);
    begin_attribute(inject);
}

/* ---- text elements ---- */

/* Remember the last bytes, of which at most ten are ever looked at. */
static void slide(djs_inject_t *inject, char c)
{
    if (inject->in_window == sizeof(inject->window)) {
        memmove(inject->window, inject->window + 1, sizeof(inject->window) - 1);
        inject->in_window--;
    }
    inject->window[inject->in_window++] = apr_tolower(c);
}

static int ends_with(const djs_inject_t *inject, const char *text)
{
    apr_size_t len = strlen(text);

    return inject->in_window >= len
           && memcmp(inject->window + inject->in_window - len, text, len) == 0;
}

static int is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

/* "</name" or "<name" was just before this byte, which ends a tag's name. */
static int is_behind(const djs_inject_t *inject, const char *open, const char *name, char c)
{
    apr_size_t open_len = strlen(open), len = strlen(name);
    const char *end = inject->window + inject->in_window;

    return (is_blank(c) || c == '/' || c == '>') && inject->in_window >= open_len + len
           && memcmp(end - len, name, len) == 0
           && memcmp(end - len - open_len, open, open_len) == 0;
}

/* "<!--", "<script>" in it, and back: a script's end tag is none in there. */
static void follow_script(djs_inject_t *inject, char c)
{
    if (inject->script_escape == 0 && ends_with(inject, "<!-") && c == '-') {
        inject->script_escape = 1;
    }
    else if (inject->script_escape > 0 && ends_with(inject, "--") && c == '>') {
        inject->script_escape = 0;
    }
    else if (inject->script_escape == 1 && is_behind(inject, "<", "script", c)) {
        inject->script_escape = 2;
    }
    else if (inject->script_escape == 2 && is_behind(inject, "</", "script", c)) {
        inject->script_escape = 1;
    }
}

static djs_inject_event_t raw(djs_inject_t *inject, char c)
{
    int is_script = strcmp(inject->raw, "script") == 0;
    int ends = strcmp(inject->raw, "plaintext") != 0 && inject->script_escape < 2
               && is_behind(inject, "</", inject->raw, c);

    if (!ends) {
        if (is_script) {
            follow_script(inject, c);
        }
        slide(inject, c);
        return DJS_INJECT_NOTHING;
    }
    inject->raw[0] = '\0';
    begin_tag(inject, 1);
    inject->state = c == '>' ? DATA : BEFORE_ATTRIBUTE;
    return DJS_INJECT_NOTHING;
}

/* Browsers may be out of SVG by now, and see tags in here. */
static djs_inject_event_t cdata(djs_inject_t *inject, char c)
{
    int was_open = ends_with(inject, "<") || ends_with(inject, "</");

    slide(inject, c);
    if (was_open && (apr_isalpha(c) || c == '!' || c == '?')) {
        return djs_inject_give_up(inject);
    }
    if (ends_with(inject, "]]>")) {
        inject->state = DATA;
    }
    return DJS_INJECT_NOTHING;
}

/* ---- "<!" ---- */

static djs_inject_event_t declaration(djs_inject_t *inject, char c)
{
    static const char cdata_open[] = "[cdata[";

    slide(inject, c);
    if (inject->in_window <= 2 && memcmp(inject->window, "--", inject->in_window) == 0) {
        inject->state = inject->in_window == 2 ? COMMENT_START : MARKUP_DECLARATION;
        /* In doubt, a comment would hide the end of one thing or of the other. */
        return inject->state == COMMENT_START && *inject->raw ? djs_inject_give_up(inject)
                                                              : DJS_INJECT_NOTHING;
    }
    if (inject->foreign > 0 && inject->in_window <= 7
        && memcmp(inject->window, cdata_open, inject->in_window) == 0) {
        inject->state = inject->in_window == 7 ? CDATA : MARKUP_DECLARATION;
        return DJS_INJECT_NOTHING;
    }
    /* What was read so far has no ">" in it but perhaps this one. */
    inject->state = c == '>' ? DATA : BOGUS_COMMENT;
    return *inject->raw ? djs_inject_give_up(inject) : DJS_INJECT_NOTHING;
}

static void comment(djs_inject_t *inject, char c)
{
    switch (inject->state) {
    case COMMENT_START:
        inject->state = c == '-' ? COMMENT_START_DASH : c == '>' ? DATA : COMMENT;
        break;
    case COMMENT_START_DASH:
        inject->state = c == '-' ? COMMENT_END : c == '>' ? DATA : COMMENT;
        break;
    case COMMENT_END_DASH:
        inject->state = c == '-' ? COMMENT_END : COMMENT;
        break;
    case COMMENT_END:
        inject->state = c == '>' ? DATA : c == '!' ? COMMENT_END_BANG : c == '-' ? COMMENT_END
                                                                                  : COMMENT;
        break;
    case COMMENT_END_BANG:
        inject->state = c == '-' ? COMMENT_END_DASH : c == '>' ? DATA : COMMENT;
        break;
    default:
        inject->state = c == '-' ? COMMENT_END_DASH : COMMENT;
        break;
    }
}

/* ---- one byte ---- */

static void tag_open(djs_inject_t *inject, char c)
{
    if (apr_isalpha(c)) {
        begin_tag(inject, inject->state == END_TAG_OPEN);
        keep(inject->name, &inject->name_len, c);
        inject->state = TAG_NAME;
    }
    else if (inject->state == END_TAG_OPEN) {
        inject->state = c == '>' ? DATA : BOGUS_COMMENT;
    }
    else if (c == '!') {
        inject->state = MARKUP_DECLARATION;
        inject->in_window = 0;
    }
    else {
        inject->state = c == '/' ? END_TAG_OPEN : c == '?' ? BOGUS_COMMENT
                                              : c == '<' ? TAG_OPEN : DATA;
    }
}

/* Where an attribute may begin. */
static djs_inject_event_t before_attribute(djs_inject_t *inject, char c)
{
    if (c == '>') {
        return djs_inject_tag(inject);
    }
    inject->state = BEFORE_ATTRIBUTE;
    if (!is_blank(c) && c != '/') {
        begin_attribute(inject);
        keep(inject->attribute, &inject->attribute_len, c);
        inject->state = ATTRIBUTE_NAME;
    }
    return DJS_INJECT_NOTHING;
}

static djs_inject_event_t in_name(djs_inject_t *inject, char c)
{
    if (is_blank(c) || c == '/' || c == '>') {
        return before_attribute(inject, c);
    }
    keep(inject->name, &inject->name_len, c);
    return DJS_INJECT_NOTHING;
}

static djs_inject_event_t in_attribute_name(djs_inject_t *inject, char c)
{
    if (c == '=') {
        inject->state = BEFORE_VALUE;
    }
    else if (is_blank(c)) {
        inject->state = AFTER_ATTRIBUTE;
    }
    else if (c == '/' || c == '>' || inject->state == AFTER_ATTRIBUTE) {
        end_attribute(inject);
        return before_attribute(inject, c);
    }
    else {
        keep(inject->attribute, &inject->attribute_len, c);
    }
    return DJS_INJECT_NOTHING;
}

static djs_inject_event_t in_value(djs_inject_t *inject, char c)
{
    char quote = inject->state == DOUBLE_QUOTED ? '"' : '\'';

    if (inject->state == BEFORE_VALUE) {
        if (is_blank(c)) {
            return DJS_INJECT_NOTHING;
        }
        inject->state = c == '"' ? DOUBLE_QUOTED : c == '\'' ? SINGLE_QUOTED : UNQUOTED;
        if (inject->state != UNQUOTED) {
            return DJS_INJECT_NOTHING;
        }
    }
    if (inject->state == UNQUOTED ? is_blank(c) || c == '>' : c == quote) {
        int quoted = inject->state != UNQUOTED;

        end_attribute(inject);
        inject->state = AFTER_QUOTED;
        return quoted ? DJS_INJECT_NOTHING : before_attribute(inject, c);
    }
    keep_value(&inject->value, c);
    return DJS_INJECT_NOTHING;
}

static djs_inject_event_t step(djs_inject_t *inject, char c)
{
    switch (inject->state) {
    case DATA:
        inject->state = c == '<' ? TAG_OPEN : DATA;
        return DJS_INJECT_NOTHING;
    case TAG_OPEN:
    case END_TAG_OPEN:
        tag_open(inject, c);
        return DJS_INJECT_NOTHING;
    case TAG_NAME:
        return in_name(inject, c);
    case BEFORE_ATTRIBUTE:
    case AFTER_QUOTED:
        return before_attribute(inject, c);
    case ATTRIBUTE_NAME:
    case AFTER_ATTRIBUTE:
        return in_attribute_name(inject, c);
    case BEFORE_VALUE:
    case DOUBLE_QUOTED:
    case SINGLE_QUOTED:
    case UNQUOTED:
        return in_value(inject, c);
    case MARKUP_DECLARATION:
        return declaration(inject, c);
    case BOGUS_COMMENT:
        inject->state = c == '>' ? DATA : BOGUS_COMMENT;
        return DJS_INJECT_NOTHING;
    case CDATA:
        return cdata(inject, c);
    case RAW:
        return raw(inject, c);
    case DONE:
        return DJS_INJECT_NOTHING;
    default:
        comment(inject, c);
        return DJS_INJECT_NOTHING;
    }
}

/* ---- what hosts call ---- */

apr_size_t djs_inject_scan(djs_inject_t *inject, const char *data, apr_size_t len,
                           djs_inject_event_t *event)
{
    apr_size_t i;

    *event = DJS_INJECT_NOTHING;
    for (i = 0; i < len; i++) {
        if (inject->marked && inject->held++ == DJS_INJECT_HOLD_MAX) {
            *event = djs_inject_decide(inject, DJS_INJECT_INSERT);
            return i;
        }
        if (inject->state == DONE) {
            return len;
        }
        if (inject->state == DATA && data[i] != '<' && !inject->in_noscript) {
            continue;
        }
        *event = step(inject, data[i]);
        if (*event == DJS_INJECT_NOTHING && inject->in_noscript) {
            *event = djs_inject_follow_noscript(inject, data[i]);
        }
        if (*event != DJS_INJECT_NOTHING) {
            return i + 1;
        }
    }
    return len;
}

djs_inject_event_t djs_inject_release(djs_inject_t *inject)
{
    return inject->marked ? djs_inject_decide(inject, DJS_INJECT_INSERT) : DJS_INJECT_NOTHING;
}
