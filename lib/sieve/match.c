#define PCRE2_CODE_UNIT_WIDTH 8
#include "lib/sieve/match-private.h"

#include <pcre2.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/charset/fold.h"

enum {
    REGEX_MAX = 8 * 1024,           /* bytes of a pattern */
    REGEX_MATCH_LIMIT = 200 * 1000, /* PCRE2's measures of effort at one place of a value, and of memory */
    REGEX_HEAP_KIB = 8 * 1024,
    REGEX_ITEM = 16, /* effort of an item of a regular expression, besides the characters that it passes */
    SPEND_AT = 4096  /* effort that is told to the run at a time */
};

struct pattern {
    struct pattern *next;
    pcre2_code *code;
};

/* ---- names ---- */

static const char *const relations[] = {"gt", "ge", "lt", "le", "eq", "ne"};

static int find_relation(const struct sieve_string *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(relations); i++)
        if (str_ieq(relations[i], name->data))
            return (int)i;
    return -1;
}

const char *match_check_relation(const struct sieve_string *name)
{
    return find_relation(name) < 0 ? "a relation must be one of gt, ge, lt, le, eq, ne" : NULL;
}

static enum comparator comparator_of(const struct sieve_node *node)
{
    static const char *const names[] = {"i;ascii-casemap", "i;octet", "i;ascii-numeric", "i;unicode-casemap"};
    const struct sieve_arg *arg = node->slots[SLOT_COMPARATOR];

    for (size_t i = 0; arg != NULL && i < ARRAY_SIZE(names); i++)
        if (strcmp(names[i], arg->strings.items[0].data) == 0)
            return (enum comparator)i;
    return COMPARE_ASCII;
}

static enum match_type type_of(const struct sieve_node *node)
{
    return node->slots[SLOT_MATCH] != NULL ? (enum match_type)node->slots[SLOT_MATCH]->value : MATCH_IS;
}

/* i;ascii-numeric has no substrings (RFC 4790 9.1.1). */
const char *match_check(const struct sieve_node *node)
{
    enum match_type type = type_of(node);

    if (comparator_of(node) == COMPARE_NUMERIC &&
        (type == MATCH_CONTAINS || type == MATCH_MATCHES || type == MATCH_REGEX))
        return "i;ascii-numeric cannot be used with :contains, :matches or :regex";
    return NULL;
}

/* ---- regular expressions ---- */

/* `why` gets what is wrong with it. */
static pcre2_code *compile(enum comparator comparator, const struct sieve_string *pattern, char why[128])
{
    uint32_t options = PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_NEVER_BACKSLASH_C | PCRE2_DOLLAR_ENDONLY |
                       PCRE2_AUTO_CALLOUT;
    pcre2_code *code;
    PCRE2_SIZE at;
    int error;

    if (pattern->len > REGEX_MAX) {
        snprintf(why, 128, "a regular expression is too long");
        return NULL;
    }
    if (comparator != COMPARE_OCTET)
        options |= PCRE2_CASELESS;
    code = pcre2_compile((PCRE2_SPTR)pattern->data, pattern->len, options, &error, &at, NULL);
    if (code == NULL)
        pcre2_get_error_message(error, (PCRE2_UCHAR *)why, 128);
    return code;
}

const char *match_compile(struct sieve_script *script, const struct sieve_node *node, struct sieve_arg *keys,
                          size_t i)
{
    char why[128];
    pcre2_code *code = compile(comparator_of(node), &keys->strings.items[i], why);
    struct pattern *pattern;

    if (code == NULL)
        return pool_printf(script->pool, "\"%s\" is no regular expression: %s", keys->strings.items[i].data,
                           why);
    pattern = pool_alloc(script->pool, sizeof(*pattern));
    pattern->code = code;
    pattern->next = script->patterns;
    script->patterns = pattern;
    if (keys->compiled == NULL)
        keys->compiled = pool_alloc(script->pool, keys->strings.count * sizeof(*keys->compiled));
    keys->compiled[i] = code;
    return NULL;
}

void match_free_patterns(struct pattern *patterns)
{
    for (; patterns != NULL; patterns = patterns->next)
        pcre2_code_free(patterns->code);
}

static void keep_groups(struct match *m, const struct sieve_string *value, pcre2_match_data *data)
{
    const PCRE2_SIZE *at = pcre2_get_ovector_pointer(data);
    uint32_t count = pcre2_get_ovector_count(data);
    struct sieve_string found[SIEVE_MATCHES_MAX] = {{NULL, 0}};

    for (uint32_t i = 0; i < count && i < SIEVE_MATCHES_MAX; i++)
        if (at[2 * i] != PCRE2_UNSET && at[2 * i] <= at[2 * i + 1])
            found[i] = (struct sieve_string){value->data + at[2 * i], at[2 * i + 1] - at[2 * i]};
    run_set_matches(m->run, found, count < SIEVE_MATCHES_MAX ? count : SIEVE_MATCHES_MAX);
}

/* PCRE2's own limit counts from each place of the value anew: a value of n bytes would take n times as long.  So every item
 * that it comes to is counted, with the way from the last. */
struct effort {
    struct match *match;
    size_t at, spent;
    int error;
};

static int count_item(pcre2_callout_block *block, void *context)
{
    struct effort *e = context;

    e->spent += REGEX_ITEM + (block->current_position > e->at ? block->current_position - e->at : 0);
    e->at = block->current_position;
    if (e->spent < SPEND_AT)
        return 0;
    e->error = run_spend(e->match->run, e->match->node, e->spent);
    e->spent = 0;
    return e->error < 0 ? PCRE2_ERROR_CALLOUT : 0;
}

static int match_code(struct match *m, pcre2_code *code, const struct sieve_string *value)
{
    pcre2_match_context *context = pcre2_match_context_create(NULL);
    pcre2_match_data *data = pcre2_match_data_create_from_pattern(code, NULL);
    struct effort effort = {.match = m};
    int r = run_spend(m->run, m->node, value->len);

    effort.error = r;
    if (r == 0)
        r = PCRE2_ERROR_NOMEMORY;
    if (effort.error == 0 && context != NULL && data != NULL) {
        pcre2_set_match_limit(context, REGEX_MATCH_LIMIT);
        pcre2_set_heap_limit(context, REGEX_HEAP_KIB);
        pcre2_set_callout(context, count_item, &effort);
        r = pcre2_match(code, (PCRE2_SPTR)value->data, value->len, 0, 0, data, context);
    }
    if (r >= 0)
        keep_groups(m, value, data);
    pcre2_match_data_free(data);
    pcre2_match_context_free(context);
    if (effort.error < 0)
        return effort.error;
    m->run->effort += effort.spent;
    if (r >= 0 || r == PCRE2_ERROR_NOMATCH)
        return r >= 0;
    return run_error(m->run, m->node, ERR_LIMIT, "a regular expression takes too long");
}

static int match_regex(struct match *m, size_t i, const struct sieve_string *value)
{
    char why[128];
    pcre2_code *code;
    int r;

    if (m->arg->compiled != NULL && m->arg->compiled[i] != NULL)
        return match_code(m, m->arg->compiled[i], value);
    r = run_spend(m->run, m->node, REGEX_ITEM * m->keys.items[i].len);
    if (r < 0)
        return r;
    code = compile(m->comparator, &m->keys.items[i], why);
    if (code == NULL)
        return run_error(m->run, m->node, ERR_SYNTAX, "\"%s\" is no regular expression: %s",
                         m->keys.items[i].data, why);
    r = match_code(m, code, value);
    pcre2_code_free(code);
    return r;
}

/* ---- :matches ---- */

/* How many bytes the character at s takes; one for what is no UTF-8. */
static size_t character_len(const char *s, size_t n)
{
    unsigned char c = (unsigned char)*s;
    size_t len = c >= 0xf0 && c < 0xf8 ? 4 : c >= 0xe0 ? 3 : c >= 0xc2 ? 2 : 1;

    if (c >= 0xf8 || len > n)
        return 1;
    for (size_t i = 1; i < len; i++)
        if (((unsigned char)s[i] & 0xc0) != 0x80)
            return 1;
    return len;
}

static size_t unit_len(const struct match *m, const char *s, size_t n)
{
    return m->comparator == COMPARE_OCTET ? 1 : character_len(s, n);
}

static bool same_unit(const struct match *m, const char *a, size_t a_len, const char *b, size_t b_len)
{
    if (m->comparator == COMPARE_UNICODE && (a_len > 1 || b_len > 1))
        return fold_compare(FOLD_UNICODE, a, a_len, b, b_len) == 0;
    if (a_len != b_len)
        return false;
    if (a_len == 1 && m->comparator != COMPARE_OCTET)
        return str_lower_c(*a) == str_lower_c(*b);
    return memcmp(a, b, a_len) == 0;
}

/* A walk along pattern and value.  Behind a star that did not reach far enough it begins again there: only the last
 * star ever has to give way, so every wildcard takes as little as possible (RFC 5229 3.2). */
struct glob {
    const struct sieve_string *pattern, *value;
    size_t p, v;
    bool starred;
    size_t star_p, star_v; /* behind the last star; where what follows it is tried */
    unsigned star_n;       /* its number */
    unsigned n;            /* wildcards passed */
    struct sieve_string found[SIEVE_MATCHES_MAX];
};

static void note(struct glob *g, unsigned i, size_t start, size_t len)
{
    if (i < SIEVE_MATCHES_MAX)
        g->found[i] = (struct sieve_string){g->value->data + start, len};
}

static void take_star(struct glob *g)
{
    g->p++;
    g->n++;
    note(g, g->n, g->v, 0);
    g->starred = true;
    g->star_p = g->p;
    g->star_v = g->v;
    g->star_n = g->n;
}

/* The next character of both; false: they differ. */
static bool take_unit(const struct match *m, struct glob *g)
{
    const char *p = g->pattern->data + g->p, *v = g->value->data + g->v;
    size_t v_len = unit_len(m, v, g->value->len - g->v), left = g->pattern->len - g->p, p_len;

    if (left == 0)
        return false;
    if (*p == '?') {
        g->n++;
        note(g, g->n, g->v, v_len);
        g->p++;
        g->v += v_len;
        return true;
    }
    if (*p == '\\' && left > 1) {
        p++;
        left--;
    }
    p_len = unit_len(m, p, left);
    if (!same_unit(m, p, p_len, v, v_len))
        return false;
    g->p = (size_t)(p - g->pattern->data) + p_len;
    g->v += v_len;
    return true;
}

/* The last star takes one character more. */
static bool give_way(const struct match *m, struct glob *g)
{
    size_t start;

    if (!g->starred)
        return false;
    g->star_v += unit_len(m, g->value->data + g->star_v, g->value->len - g->star_v);
    start = g->star_n < SIEVE_MATCHES_MAX ? (size_t)(g->found[g->star_n].data - g->value->data) : 0;
    note(g, g->star_n, start, g->star_v - start);
    g->p = g->star_p;
    g->v = g->star_v;
    g->n = g->star_n;
    return true;
}

static int match_glob(struct match *m, const struct sieve_string *pattern, const struct sieve_string *value)
{
    struct glob g = {.pattern = pattern, .value = value};
    size_t steps = 0;

    while (g.v < value->len) {
        int r = ++steps % SPEND_AT == 0 ? run_spend(m->run, m->node, SPEND_AT) : 0;

        if (r < 0)
            return r;
        if (g.p < pattern->len && pattern->data[g.p] == '*')
            take_star(&g);
        else if (!take_unit(m, &g) && !give_way(m, &g))
            return 0;
    }
    while (g.p < pattern->len && pattern->data[g.p] == '*')
        take_star(&g);
    if (g.p < pattern->len)
        return 0;
    g.found[0] = *value;
    run_set_matches(m->run, g.found, g.n + 1 < SIEVE_MATCHES_MAX ? g.n + 1 : SIEVE_MATCHES_MAX);
    return 1;
}

/* ---- comparing ---- */

/* RFC 4790 9.1: the digits at the front; without any, more than every number. */
static int compare_numbers(const struct sieve_string *a, const struct sieve_string *b)
{
    const struct sieve_string *s[2] = {a, b};
    const char *digits[2];
    size_t len[2];
    bool endless[2];

    for (int i = 0; i < 2; i++) {
        size_t n = 0, zeros = 0;

        while (n < s[i]->len && s[i]->data[n] >= '0' && s[i]->data[n] <= '9')
            n++;
        while (zeros < n && s[i]->data[zeros] == '0')
            zeros++;
        endless[i] = n == 0;
        digits[i] = s[i]->data + zeros;
        len[i] = n - zeros;
    }
    if (endless[0] || endless[1])
        return endless[0] - endless[1];
    if (len[0] != len[1])
        return len[0] < len[1] ? -1 : 1;
    return memcmp(digits[0], digits[1], len[0]);
}

static int compare_octets(const struct sieve_string *a, const struct sieve_string *b)
{
    size_t n = a->len < b->len ? a->len : b->len;
    int r = n > 0 ? memcmp(a->data, b->data, n) : 0;

    return r != 0 ? r : (a->len > b->len) - (a->len < b->len);
}

static bool holds(enum relation relation, int order)
{
    switch (relation) {
    case RELATION_GT:
        return order > 0;
    case RELATION_GE:
        return order >= 0;
    case RELATION_LT:
        return order < 0;
    case RELATION_LE:
        return order <= 0;
    case RELATION_EQ:
        return order == 0;
    default:
        return order != 0;
    }
}

static struct sieve_string fold(const struct match *m, const struct sieve_string *s)
{
    struct buf text = BUF_INIT;
    struct sieve_string folded = *s;

    if (m->comparator == COMPARE_ASCII || m->comparator == COMPARE_UNICODE) {
        fold_text(m->comparator == COMPARE_ASCII ? FOLD_ASCII : FOLD_UNICODE, s->data, s->len, &text);
        folded = run_keep(m->run, text.data, text.len);
        buf_free(&text);
    }
    return folded;
}

/* A folded value against a folded key. */
static bool compare(const struct match *m, const struct sieve_string *value, const struct sieve_string *key)
{
    int order;

    if (m->type == MATCH_CONTAINS)
        return key->len == 0 || memmem(value->data, value->len, key->data, key->len) != NULL;
    order = m->comparator == COMPARE_NUMERIC ? compare_numbers(value, key) : compare_octets(value, key);
    return m->type == MATCH_VALUE ? holds(m->relation, order) : order == 0;
}

static bool compares_folded(enum match_type type)
{
    return type == MATCH_IS || type == MATCH_CONTAINS || type == MATCH_VALUE || type == MATCH_COUNT;
}

/* ---- tests ---- */

void match_begin(struct match *m, struct sieve_run *run, const struct sieve_node *node,
                 const struct sieve_arg *keys)
{
    const struct sieve_arg *match = node->slots[SLOT_MATCH];

    *m = (struct match){
        .run = run, .node = node, .type = type_of(node), .comparator = comparator_of(node), .arg = keys};
    if (match != NULL && match->strings.count > 0)
        m->relation = (enum relation)find_relation(&match->strings.items[0]);
    m->keys = run_strings(run, keys);
    if (!compares_folded(m->type))
        return;
    m->folded.items = pool_alloc(run->pool, m->keys.count * sizeof(*m->folded.items));
    m->folded.count = m->keys.count;
    for (size_t i = 0; i < m->keys.count; i++)
        m->folded.items[i] = fold(m, &m->keys.items[i]);
}

static int match_in_list(struct match *m, const struct sieve_string *value, const struct sieve_string *list)
{
    const struct sieve_host *host = m->run->host;
    int r = host->in_list != NULL ? host->in_list(host->context, list->data, value) : 0;

    if (r > 0)
        run_set_matches(m->run, value, 1); /* ${0} */
    return r < 0 ? run_error(m->run, m->node, r, "the list \"%s\" cannot be read", list->data) : r;
}

int match_value(struct match *m, const struct sieve_string *value, struct match_cache *cache)
{
    struct sieve_string folded = {"", 0};
    int r = 0;

    if (m->type == MATCH_COUNT) {
        m->count++;
        return 0;
    }
    if (compares_folded(m->type)) {
        folded = cache != NULL ? cache->folded[m->comparator] : folded;
        if (cache == NULL || folded.data == NULL) {
            r = run_spend(m->run, m->node, value->len);
            if (r < 0)
                return r;
            folded = fold(m, value);
        }
        if (cache != NULL)
            cache->folded[m->comparator] = folded;
    }
    for (size_t i = 0; i < m->keys.count && r == 0; i++) {
        if (m->type == MATCH_MATCHES)
            r = match_glob(m, &m->keys.items[i], value);
        else if (m->type == MATCH_REGEX)
            r = match_regex(m, i, value);
        else if (m->type == MATCH_LIST)
            r = match_in_list(m, value, &m->keys.items[i]);
        else
            r = compare(m, &folded, &m->folded.items[i]);
        if (r == 0 && m->type == MATCH_CONTAINS)
            r = run_spend(m->run, m->node, value->len);
    }
    return r;
}

int match_end(struct match *m)
{
    char digits[24];
    struct sieve_string count = {digits, 0};

    if (m->type != MATCH_COUNT)
        return 0;
    count.len = (size_t)snprintf(digits, sizeof(digits), "%llu", (unsigned long long)m->count);
    for (size_t i = 0; i < m->folded.count; i++) {
        int order = m->comparator == COMPARE_NUMERIC ? compare_numbers(&count, &m->folded.items[i])
                                                     : compare_octets(&count, &m->folded.items[i]);

        if (holds(m->relation, order))
            return 1;
    }
    return 0;
}
