#include "lib/base/options.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/options-private.h"
#include "lib/base/str.h"

enum option_type {
    TYPE_STRING,
    TYPE_SWITCH,
    TYPE_INT,
    TYPE_DURATION,
    TYPE_BYTES,
    TYPE_ENUM,
    TYPE_STRINGLIST,
    TYPE_BITFIELD,
};

struct option_row {
    const char *name;
    enum option_type type;
    const char *detail;
    const char *def;
};

static const struct option_row table[OPT_END] = {
#define OPTION(id, name, type, detail, def, text) {name, TYPE_##type, detail, def},
#include "lib/base/options.def"
#undef OPTION
};

static const struct {
    const char *name;
    enum option option;
} aliases[] = {
#define ALIAS(name, id) {name, OPT_##id},
#include "lib/base/options-alias.def"
#undef ALIAS
};

static const enum option used[] = {
#define USED(id) OPT_##id,
#include "lib/base/options-used.def"
#undef USED
    OPT_END,
};

struct option_value {
    char *text; /* as in the file or the default, {configdirectory} replaced; NULL: none */
    int64_t number;
    bool is_set;
    bool unknown_word;
};

/* Immutable once options_load() has run. */
static struct option_value values[OPT_END];
static bool loaded;

enum option option_find(const char *name)
{
    for (enum option o = 0; o < OPT_END; o++) {
        if (strcmp(table[o].name, name) == 0)
            return o;
    }
    for (size_t i = 0; i < ARRAY_SIZE(aliases); i++) {
        if (strcmp(aliases[i].name, name) == 0)
            return aliases[i].option;
    }
    return OPT_END;
}

bool option_is_used(enum option o)
{
    for (size_t i = 0; used[i] != OPT_END; i++) {
        if (used[i] == o)
            return true;
    }
    return false;
}

const char *option_name(enum option o)
{
    BUG_ON(o >= OPT_END);
    return table[o].name;
}

static int parse_switch(const char *s, int64_t *number_r)
{
    static const char *const words[2][6] = {{"no", "off", "false", "f", "n", "0"},
                                            {"yes", "on", "true", "t", "y", "1"}};

    for (int v = 0; v < 2; v++) {
        for (size_t i = 0; i < ARRAY_SIZE(words[v]); i++) {
            if (str_ieq(s, words[v][i])) {
                *number_r = v;
                return 0;
            }
        }
    }
    return ERR_SYNTAX;
}

/* Digits at *s with an optional sign; *s moves behind them. */
static int parse_number(const char **s, int64_t *number_r)
{
    bool minus = **s == '-';
    const char *digits = *s + minus;
    size_t n = strspn(digits, "0123456789");
    uint64_t v;
    int r = str_parse_u64(digits, n, &v);

    if (r < 0 || v > INT64_MAX)
        return r < 0 ? r : ERR_TOOBIG;
    *s = digits + n;
    *number_r = minus ? -(int64_t)v : (int64_t)v;
    return 0;
}

static int parse_int(const char *s, int64_t *number_r)
{
    int r = parse_number(&s, number_r);

    return r < 0 ? r : *s == '\0' ? 0 : ERR_SYNTAX;
}

/* The unit at *s in milliseconds, or 0; *s moves behind it. */
static int64_t duration_unit(const char **s)
{
    static const struct {
        const char *name;
        int64_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};

    for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
        if (str_has_iprefix(*s, units[i].name)) {
            *s += strlen(units[i].name);
            return units[i].ms;
        }
    }
    return 0;
}

/* "32m", "1h30m", "-1"; a bare number is of `unit`. */
static int parse_duration(const char *s, const char *unit, int64_t *number_r)
{
    int64_t sum = 0;

    if (strcmp(s, "-1") == 0) {
        *number_r = -1;
        return 0;
    }
    do {
        int64_t v, ms;

        if (*s == '-' || parse_number(&s, &v) < 0)
            return ERR_SYNTAX;
        ms = *s == '\0' ? duration_unit(&unit) : duration_unit(&s);
        if (ms == 0)
            return ERR_SYNTAX;
        if (__builtin_mul_overflow(v, ms, &v) || __builtin_add_overflow(sum, v, &sum))
            return ERR_TOOBIG;
    } while (*s != '\0');
    *number_r = sum;
    return 0;
}

/* "64G", "10MB", "-1"; a bare number is of `unit`. */
static int parse_bytes(const char *s, const char *unit, int64_t *number_r)
{
    static const char units[] = "KMGT";
    const char *at;
    int64_t v;
    int r = parse_number(&s, &v);

    if (r < 0)
        return r;
    if (*s == '\0' && v >= 0)
        s = unit;
    at = *s != '\0' ? strchr(units, str_upper_c(*s)) : NULL;
    if (at != NULL) {
        if (__builtin_mul_overflow(v, INT64_C(1024) << (10 * (at - units)), &v))
            return ERR_TOOBIG;
        s++;
    }
    if (str_ieq(s, "b") || str_ieq(s, "ib"))
        s = "";
    *number_r = v;
    return *s == '\0' ? 0 : ERR_SYNTAX;
}

/* The index of the word s[0..n) in a blank-separated list, or -1. */
static int word_index(const char *list, const char *s, size_t n)
{
    for (int i = 0; *list != '\0'; i++) {
        size_t len = strcspn(list, " ");

        if (len == n && str_ieq_n(list, s, n))
            return i;
        list += len + strspn(list + len, " ");
    }
    return -1;
}

static int parse_enum(const struct option_row *row, const char *s, struct option_value *v)
{
    int i = word_index(row->detail, s, strlen(s));

    if (i < 0 && row->type == TYPE_STRINGLIST) {
        v->unknown_word = true;
        i = word_index(row->detail, row->def, strlen(row->def));
    }
    v->number = i;
    return i < 0 ? ERR_SYNTAX : 0;
}

static int parse_bitfield(const struct option_row *row, const char *s, struct option_value *v)
{
    v->number = 0;
    for (s += strspn(s, " \t"); *s != '\0'; s += strspn(s, " \t")) {
        size_t n = strcspn(s, " \t");
        int i = word_index(row->detail, s, n);

        if (i < 0)
            v->unknown_word = true;
        else
            v->number |= INT64_C(1) << i;
        s += n;
    }
    return 0;
}

static int parse_value(const struct option_row *row, const char *s, struct option_value *v)
{
    switch (row->type) {
    case TYPE_STRING:
        return 0;
    case TYPE_SWITCH:
        return parse_switch(s, &v->number);
    case TYPE_INT:
        return parse_int(s, &v->number);
    case TYPE_DURATION:
        return parse_duration(s, row->detail, &v->number);
    case TYPE_BYTES:
        return parse_bytes(s, row->detail, &v->number);
    case TYPE_ENUM:
    case TYPE_STRINGLIST:
        return parse_enum(row, s, v);
    case TYPE_BITFIELD:
        return parse_bitfield(row, s, v);
    }
    return ERR_INTERNAL;
}

static char *expand(const char *s, const char *configdirectory)
{
    static const char mark[] = "{configdirectory}";

    if (configdirectory == NULL || !str_has_prefix(s, mark))
        return xstrdup(s);
    return xstrprintf("%s%s", configdirectory, s + sizeof(mark) - 1);
}

static int load_one(enum option o, const char *given, const char *configdirectory)
{
    struct option_value v = {.is_set = given != NULL, .number = -1};
    const char *s = given != NULL ? given : table[o].def;

    if (s != NULL) {
        int r = parse_value(&table[o], s, &v);

        if (r < 0)
            return r;
        v.text = expand(s, configdirectory);
    }
    free(values[o].text);
    values[o] = v;
    return 0;
}

/* The value under its name, else under an old one. */
static const char *get_given(enum option o, const char *(*get)(const char *name))
{
    const char *value = get(table[o].name);

    for (size_t i = 0; value == NULL && i < ARRAY_SIZE(aliases); i++) {
        if (aliases[i].option == o)
            value = get(aliases[i].name);
    }
    return value;
}

int options_load(const char *(*get)(const char *name), char **error_r)
{
    const char *configdirectory = get(table[OPT_CONFIGDIRECTORY].name);

    loaded = true;
    for (enum option o = 0; o < OPT_END; o++) {
        const char *given = get_given(o, get);
        int r = load_one(o, given, configdirectory);

        if (r < 0) {
            *error_r = xstrprintf("%s: %s: \"%s\"", table[o].name, error_text(r), given);
            return ERR_CONFIG;
        }
    }
    return 0;
}

static const char *get_nothing(const char *name)
{
    (void)name;
    return NULL;
}

/* For unit tests and whoever asks before config_read(). */
static void load_defaults(void)
{
    char *error = NULL;

    if (!loaded)
        BUG_ON(options_load(get_nothing, &error) < 0);
}

static const struct option_value *value_of(enum option o, enum option_type type)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    BUG_ON(o >= OPT_END || table[o].type != type);
    pthread_once(&once, load_defaults);
    return &values[o];
}

const char *opt_string(enum option o)
{
    return value_of(o, TYPE_STRING)->text;
}

bool opt_switch(enum option o)
{
    return value_of(o, TYPE_SWITCH)->number != 0;
}

int64_t opt_int(enum option o)
{
    return value_of(o, TYPE_INT)->number;
}

int option_parse_duration(const char *s, const char *unit, int64_t *ms_r)
{
    return parse_duration(s, unit, ms_r);
}

int64_t opt_duration_ms(enum option o)
{
    return value_of(o, TYPE_DURATION)->number;
}

int64_t opt_bytes(enum option o)
{
    return value_of(o, TYPE_BYTES)->number;
}

int opt_enum(enum option o)
{
    BUG_ON(o >= OPT_END);
    return (int)value_of(o, table[o].type == TYPE_STRINGLIST ? TYPE_STRINGLIST : TYPE_ENUM)->number;
}

uint64_t opt_bitfield(enum option o)
{
    return (uint64_t)value_of(o, TYPE_BITFIELD)->number;
}

bool opt_is_set(enum option o)
{
    BUG_ON(o >= OPT_END);
    return values[o].is_set;
}

bool option_has_unknown_word(enum option o)
{
    BUG_ON(o >= OPT_END);
    return values[o].unknown_word;
}

const char *option_text(enum option o)
{
    return value_of(o, table[o].type)->text;
}

const char *option_default(enum option o)
{
    BUG_ON(o >= OPT_END);
    return table[o].def;
}

bool option_is_default(enum option o)
{
    const struct option_value *v = value_of(o, table[o].type);
    struct option_value def = {.number = -1};
    const char *configdirectory = values[OPT_CONFIGDIRECTORY].text;
    char *text;
    bool is;

    if (!v->is_set)
        return true;
    if (table[o].def == NULL || parse_value(&table[o], table[o].def, &def) < 0)
        return false;
    if (table[o].type != TYPE_STRING)
        return v->number == def.number;
    text = expand(table[o].def, configdirectory);
    is = strcmp(text, v->text) == 0;
    free(text);
    return is;
}
