/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The states are those of WHATWG HTML, 13.2.5, less what makes no difference here. What the tree
 * builder would do is not followed; instead:
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
#include "inject.h"

#include <string.h>

#include <apr_lib.h>

#define NAME_MAX_LEN  20  /* of tags and attributes that are looked at; longer ones are none of them */
#define VALUE_MAX_LEN 512 /* of an address; the beginning tells */

typedef enum state_t {
    DATA,
    TAG_OPEN,
    END_TAG_OPEN,
    TAG_NAME,
    BEFORE_ATTRIBUTE,
    ATTRIBUTE_NAME,
    AFTER_ATTRIBUTE,
    BEFORE_VALUE,
    DOUBLE_QUOTED,
    SINGLE_QUOTED,
    UNQUOTED,
    AFTER_QUOTED,
    MARKUP_DECLARATION, /* "<!" */
    BOGUS_COMMENT,      /* up to ">" */
    COMMENT_START,
    COMMENT_START_DASH,
    COMMENT,
    COMMENT_END_DASH,
    COMMENT_END,
    COMMENT_END_BANG,
    CDATA,              /* in foreign parts */
    RAW,                /* script, style and the like */
    DONE                /* nothing more is put in */
} state_t;

/* A text of which the beginning is kept. */
typedef struct text_t {
    char text[VALUE_MAX_LEN + 1];
    apr_size_t len; /* of all of it */
} text_t;

struct djs_inject_t {
    const char *scheme, *host;
    state_t state;
    char window[10];      /* the last bytes, lower case: for what ends RAW, CDATA and begins "<!…" */
    apr_size_t in_window;
    /* The tag that is being read. */
    int is_end;
    char name[NAME_MAX_LEN + 1];
    apr_size_t name_len;
    char attribute[NAME_MAX_LEN + 1];
    apr_size_t attribute_len;
    text_t value;
    int has_method, is_post, has_action, is_elsewhere, has_name, is_field, has_href, base_elsewhere;
    /* Where in the page we are. */
    char raw[NAME_MAX_LEN + 1]; /* the element whose text RAW is, or that is in doubt in SVG; "" */
    int script_escape;          /* 0; 1: behind "<!--"; 2: in a script in that */
    int forms, templates, foreign, in_select, foreign_base;
    int template_forms;         /* those that a template has not ended */
    int in_noscript;            /* and what there was in front of it: */
    int forms_before, templates_before, select_before;
    char tail[10];              /* the last bytes in it, lower case */
    /* The field. */
    int marked;
    apr_size_t held;
};

/* ---- the page ---- */

djs_inject_t *djs_inject_make(djs_ctx_t *ctx, int secure, const char *host)
{
    djs_inject_t *inject = apr_pcalloc(ctx->pool, sizeof(*inject));

    inject->scheme = secure ? "https" : "http";
    inject->host = host;
    return inject;
}

static int has_word(const char *const *words, const char *word)
{
    for (; *words && strcmp(*words, word) != 0; words++) {
    }
    return *words != NULL;
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

/* ---- tags ---- */

static int is(const djs_inject_t *inject, const char *name)
{
    return strcmp(inject->name, name) == 0;
}

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

static int value_is(const text_t *value, const char *text)
{
    return value->len == strlen(text) && strncasecmp(value->text, text, value->len) == 0;
}

static void begin_tag(djs_inject_t *inject, int is_end)
{
    inject->is_end = is_end;
    inject->name_len = inject->attribute_len = 0;
    inject->name[0] = inject->attribute[0] = '\0';
    inject->has_method = inject->is_post = inject->has_action = inject->is_elsewhere = 0;
    inject->has_name = inject->is_field = inject->has_href = inject->base_elsewhere = 0;
}

static void begin_attribute(djs_inject_t *inject)
{
    inject->attribute_len = 0;
    inject->attribute[0] = '\0';
    inject->value.len = 0;
}

/* Of two attributes of a name the first counts. */
static void end_attribute(djs_inject_t *inject)
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
    begin_attribute(inject);
}

static djs_inject_event_t decide(djs_inject_t *inject, djs_inject_event_t event)
{
    inject->marked = 0;
    return event;
}

/* Nothing more goes into this page, but into the form that is being looked through: it began well. */
static djs_inject_event_t give_up(djs_inject_t *inject)
{
    inject->state = DONE;
    return inject->marked ? decide(inject, DJS_INJECT_INSERT) : DJS_INJECT_NOTHING;
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
        return inject->template_forms < 0 ? give_up(inject) : DJS_INJECT_NOTHING;
    }
    if (inject->forms > 0) {
        inject->forms--;
    }
    return inject->marked && inject->forms == 0 ? decide(inject, DJS_INJECT_INSERT)
                                                : DJS_INJECT_NOTHING;
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
            return give_up(inject);
        }
        inject->raw[0] = '\0';
        return DJS_INJECT_NOTHING;
    }
    if (is(inject, "form") || is(inject, "select") || is(inject, "base")) {
        return give_up(inject);
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
    return give_up(inject);
}

/* A byte in it was read: is its end here for those to whom it is text, but not for the others? */
static djs_inject_event_t follow_noscript(djs_inject_t *inject, char c)
{
    memmove(inject->tail, inject->tail + 1, sizeof(inject->tail) - 1);
    inject->tail[sizeof(inject->tail) - 1] = apr_tolower(c);
    if (memcmp(inject->tail, "</noscript", sizeof(inject->tail)) == 0
        && !(inject->state == TAG_NAME && inject->is_end && is(inject, "noscript")
             && inject->foreign == 0)) {
        return give_up(inject);
    }
    return DJS_INJECT_NOTHING;
}

static djs_inject_event_t start_tag(djs_inject_t *inject)
{
    if (inject->in_select && (is(inject, "form") || is_text_element(inject))) {
        return give_up(inject);
    }
    if (is(inject, "form")) {
        return start_form(inject);
    }
    if (is(inject, "input") && inject->is_field && inject->marked) {
        return decide(inject, DJS_INJECT_LEAVE);
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
        return inject->in_select ? give_up(inject) : end_form(inject);
    }
    if (is(inject, "template") && inject->templates > 0) {
        inject->templates--;
        return inject->template_forms != 0 ? give_up(inject) : DJS_INJECT_NOTHING;
    }
    if (is(inject, "noscript")) {
        return end_noscript(inject);
    }
    if (is(inject, "select")) {
        inject->in_select = 0;
    }
    return DJS_INJECT_NOTHING;
}

static djs_inject_event_t tag(djs_inject_t *inject)
{
    inject->state = DATA;
    if (inject->foreign > 0) {
        return tag_in_foreign(inject);
    }
    return inject->is_end ? end_tag(inject) : start_tag(inject);
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
        return give_up(inject);
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
        return inject->state == COMMENT_START && *inject->raw ? give_up(inject)
                                                              : DJS_INJECT_NOTHING;
    }
    if (inject->foreign > 0 && inject->in_window <= 7
        && memcmp(inject->window, cdata_open, inject->in_window) == 0) {
        inject->state = inject->in_window == 7 ? CDATA : MARKUP_DECLARATION;
        return DJS_INJECT_NOTHING;
    }
    /* What was read so far has no ">" in it but perhaps this one. */
    inject->state = c == '>' ? DATA : BOGUS_COMMENT;
    return *inject->raw ? give_up(inject) : DJS_INJECT_NOTHING;
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
        return tag(inject);
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
            *event = decide(inject, DJS_INJECT_INSERT);
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
            *event = follow_noscript(inject, data[i]);
        }
        if (*event != DJS_INJECT_NOTHING) {
            return i + 1;
        }
    }
    return len;
}

djs_inject_event_t djs_inject_release(djs_inject_t *inject)
{
    return inject->marked ? decide(inject, DJS_INJECT_INSERT) : DJS_INJECT_NOTHING;
}
