#include "lib/name/wildcard.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"

/* A pattern of n literal bytes is an automaton of n + 1 states, kept as bits: state i has matched i bytes; it
 * goes to i + 1 on its byte, and stays on any byte ('*' stands there) or any but the separator ('%').  A
 * name is read once, all states at a time. */
enum { WORD_BITS = 64, WORDS_MAX = (WILDCARD_MAX + WORD_BITS) / WORD_BITS };

struct wildcard {
    char separator;
    char *literal; /* before the first wildcard */
    bool is_literal, ends_in_percent;
    size_t count; /* of literal bytes */
    size_t words; /* that count + 1 states take */
    uint64_t star[WORDS_MAX], percent[WORDS_MAX];
    uint64_t *step[256]; /* by byte: the states that it takes on; NULL: none */
};

static void set_bit(uint64_t *bits, size_t i)
{
    bits[i / WORD_BITS] |= (uint64_t)1 << i % WORD_BITS;
}

static int add_literal(struct wildcard *w, unsigned char c)
{
    if (w->count == WILDCARD_MAX)
        return ERR_TOOBIG;
    if (w->step[c] == NULL)
        w->step[c] = xcalloc(WORDS_MAX, sizeof(uint64_t));
    set_bit(w->step[c], w->count++);
    return 0;
}

static int compile(struct wildcard *w, const char *pattern)
{
    for (const char *p = pattern; *p != '\0'; p++) {
        if (*p == '*')
            set_bit(w->star, w->count);
        else if (*p == '%')
            set_bit(w->percent, w->count);
        else if (add_literal(w, (unsigned char)*p) != 0)
            return ERR_TOOBIG;
        w->ends_in_percent = *p == '%';
    }
    return 0;
}

int wildcard_new(char separator, const char *reference, const char *pattern, struct wildcard **w_r)
{
    struct wildcard *w = xcalloc(1, sizeof(*w));
    char *whole = xstrprintf("%s%s", reference, pattern);
    size_t literal = strcspn(whole, "*%");
    int r;

    w->separator = separator;
    w->is_literal = whole[literal] == '\0';
    w->literal = xstrndup(whole, literal);
    r = compile(w, whole);
    w->words = w->count / WORD_BITS + 1;
    free(whole);
    if (r != 0)
        wildcard_free(&w);
    *w_r = w;
    return r;
}

void wildcard_free(struct wildcard **w)
{
    if (*w == NULL)
        return;
    for (size_t i = 0; i < ARRAY_SIZE((*w)->step); i++)
        free((*w)->step[i]);
    free((*w)->literal);
    free(*w);
    *w = NULL;
}

/* Moves all states on by one byte, which may also be read as `other`. */
static bool advance(const struct wildcard *w, uint64_t *state, char c, char other)
{
    const uint64_t *step = w->step[(unsigned char)c], *also = w->step[(unsigned char)other];
    uint64_t carry = 0, any = 0;

    for (size_t i = 0; i < w->words; i++) {
        uint64_t moves = (step != NULL ? step[i] : 0) | (also != NULL ? also[i] : 0);
        uint64_t moved = state[i] & moves;
        uint64_t stays = state[i] & (c == w->separator ? w->star[i] : w->star[i] | w->percent[i]);

        state[i] = moved << 1 | carry | stays;
        carry = moved >> (WORD_BITS - 1);
        any |= state[i];
    }
    return any != 0;
}

bool wildcard_match(const struct wildcard *w, const char *name, size_t len)
{
    uint64_t state[WORDS_MAX] = {1};
    bool inbox = len >= 5 && str_ieq_n(name, "INBOX", 5) && (len == 5 || name[5] == w->separator);

    for (size_t i = 0; i < len; i++) {
        bool fold = inbox && i < 5;
        char c = fold ? str_upper_c(name[i]) : name[i];

        if (!advance(w, state, c, fold ? str_lower_c(c) : c))
            return false;
    }
    return state[w->count / WORD_BITS] >> w->count % WORD_BITS & 1;
}

const char *wildcard_literal(const struct wildcard *w)
{
    return w->literal;
}

bool wildcard_is_literal(const struct wildcard *w)
{
    return w->is_literal;
}

bool wildcard_ends_in_percent(const struct wildcard *w)
{
    return w->ends_in_percent;
}
