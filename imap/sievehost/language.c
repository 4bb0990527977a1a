#include "imap/sievehost/language-private.h"

#include <stddef.h>
#include <string.h>

#include "imap/sievehost/scripts.h"
#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/base/options.h"
#include "lib/base/str.h"
#include "lib/sieve/sieve.h"

/* Words of sieve_extensions that mean extensions of another name, or more than one. */
static const struct {
    const char *extension, *word;
} other_words[] = {
    {"enotify", "notify"},
    {"ereject", "reject"},
};

/* Is there somebody to answer its questions?  Scores there are only where an option says which field has them. */
static bool is_answered(const char *extension)
{
    if (str_has_prefix(extension, "spamtest"))
        return opt_string(OPT_SIEVE_SPAMTEST_HEADER) != NULL;
    if (strcmp(extension, "virustest") == 0)
        return opt_string(OPT_SIEVE_VIRUSTEST_HEADER) != NULL;
    return true;
}

static bool has_word(const char *list, const char *word)
{
    size_t n = strlen(word);

    for (const char *at = list; (at = strstr(at, word)) != NULL; at += n)
        if ((at == list || at[-1] == ' ' || at[-1] == '\t') &&
            (at[n] == '\0' || at[n] == ' ' || at[n] == '\t'))
            return true;
    return false;
}

bool language_allows(const char *extension)
{
    const char *words = option_text(OPT_SIEVE_EXTENSIONS);

    if (str_has_prefix(extension, "comparator-") || strcmp(extension, "encoded-character") == 0)
        return true;
    if (!is_answered(extension))
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(other_words); i++)
        if (strcmp(extension, other_words[i].extension) == 0 && has_word(words, other_words[i].word))
            return true;
    return has_word(words, extension);
}

const char *scripts_list_schemes(void)
{
    return language_allows("extlists") ? "tag urn:ietf:params:sieve:addrbook" : NULL;
}

const char *scripts_extensions(struct pool *pool)
{
    struct str_list all = str_split(pool, sieve_extensions(), " ");
    struct buf allowed = BUF_INIT;
    const char *kept;

    for (size_t i = 0; i < all.count; i++)
        if (language_allows(all.items[i]))
            buf_printf(&allowed, "%s%s", allowed.len > 0 ? " " : "", all.items[i]);
    kept = pool_strdup(pool, buf_cstr(&allowed));
    buf_free(&allowed);
    return kept;
}

unsigned scripts_redirects_max(void)
{
    return SIEVE_REDIRECTS_MAX;
}
