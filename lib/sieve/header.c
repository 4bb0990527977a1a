#include "lib/sieve/header-private.h"

#include <string.h>

#include "lib/charset/words.h"

static size_t count_fields(const struct sieve_run *run, const char *name)
{
    struct mail_header_iter it;
    struct mail_field field;
    size_t count = 0;

    mail_header_begin(&it, run->header, run->header_len);
    while (mail_header_next(&it, &field))
        count += field.name_len > 0 && mail_field_is(&field, name);
    return count;
}

/* RFC 5260 6: one of the fields, counted from the first or the last. */
static void choose(struct field_list *list, const struct sieve_arg *index, bool last)
{
    uint64_t i;

    if (index == NULL)
        return;
    i = index->number;
    if (i == 0 || i > list->count) {
        list->count = 0;
        return;
    }
    list->items += last ? list->count - i : i - 1;
    list->count = 1;
}

static void add_fields(struct sieve_run *run, const char *name, struct field_list *list)
{
    struct mail_header_iter it;
    struct mail_field field;

    mail_header_begin(&it, run->header, run->header_len);
    while (mail_header_next(&it, &field))
        if (field.name_len > 0 && mail_field_is(&field, name))
            list->items[list->count++] = field;
}

int header_fields(struct sieve_run *run, const struct sieve_node *node, const struct sieve_strings *names,
                  struct field_list *list)
{
    size_t room = 0;

    list->count = 0;
    for (size_t i = 0; i < names->count; i++) {
        int r = run_spend(run, node, run->header_len);

        if (r < 0)
            return r;
        room += count_fields(run, names->items[i].data);
    }
    list->items = pool_alloc(run->pool, room * sizeof(*list->items));
    for (size_t i = 0; i < names->count; i++)
        add_fields(run, names->items[i].data, list);
    choose(list, node->slots[SLOT_INDEX], node->slots[SLOT_LAST] != NULL);
    return 0;
}

struct sieve_string header_value(struct sieve_run *run, const struct mail_field *field)
{
    struct buf unfolded = BUF_INIT, text = BUF_INIT;
    struct sieve_string value;
    const char *s;
    size_t n;

    mail_field_unfold(field, &unfolded);
    words_decode(buf_cstr(&unfolded), unfolded.len, &text);
    s = buf_cstr(&text);
    n = text.len;
    while (n > 0 && (*s == ' ' || *s == '\t')) {
        s++;
        n--;
    }
    while (n > 0 && (s[n - 1] == ' ' || s[n - 1] == '\t'))
        n--;
    value = run_keep(run, s, n);
    buf_free(&unfolded);
    buf_free(&text);
    return value;
}

bool header_first(struct sieve_run *run, const char *name, struct sieve_string *value_r)
{
    struct mail_field field;

    if (!mail_header_find(run->header, run->header_len, name, &field))
        return false;
    *value_r = header_value(run, &field);
    return true;
}
