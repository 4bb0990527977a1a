/* search-annotation.c: the SEARCH key ANNOTATION (RFC 5257 section 4.8). */
#include <string.h>

#include "imap/store/annotate.h"
#include "imap/store/search-private.h"
#include "lib/base/mem.h"
#include "lib/name/wildcard.h"

static bool is_meant(const struct search_node *n, const struct annotate_item *item)
{
    bool scope = *item->owner == '\0' ? n->shared : n->user != NULL && strcmp(item->owner, n->user) == 0;

    return scope && item->value != NULL && wildcard_match(n->pattern, item->entry, strlen(item->entry));
}

bool search_match_annotation(struct candidate *c, const struct search_node *n)
{
    struct search *s = c->search;
    struct annotate_items items;
    struct pool *pool;
    bool some = false;

    if (c->seen->record.annotation_size == 0)
        return n->text == NULL;
    s->bytes += c->seen->record.annotation_size;
    pool = pool_new(0);
    if (annotate_read_view(s->view, c->seen, pool, &items) < 0)
        items.count = 0; /* what is damaged matches nothing */
    for (size_t i = 0; !some && i < items.count; i++)
        some = is_meant(n, &items.items[i]) &&
               (n->text == NULL ||
                searcher_find(s->searchers[n->number], items.items[i].value, items.items[i].len));
    pool_free(&pool);
    return n->text == NULL ? !some : some;
}
