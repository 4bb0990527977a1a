#include "lib/base/placing.h"

#include <stdbool.h>

#include "lib/base/digest.h"
#include "lib/base/mem.h"

/* What freespace-percent-weighted-delta gives to the fullest, in percent. */
#define DELTA_LEAST 0.5

static double percent_free(const struct placing_candidate *c)
{
    return c->total > 0 ? (double)c->free * 100 / (double)c->total : 0;
}

/* ---- who takes part ---- */

static bool is_over(const struct placing_rule *rule, const struct placing_candidate *c)
{
    return rule->limit > 0 && c->total > 0 && percent_free(c) < 100 - (double)rule->limit;
}

struct field {
    bool unknown_too, over_too;
};

static bool is_in(const struct field *field, const struct placing_rule *rule,
                  const struct placing_candidate *c)
{
    return (field->unknown_too || c->total > 0) && (field->over_too || !is_over(rule, c));
}

/* Within the limit and known, if there is one; else one that is within the limit for all we know; else whoever. */
static struct field field_of(const struct placing_rule *rule, const struct placing_candidate *candidates,
                             size_t count)
{
    struct field field = {.unknown_too = true, .over_too = true};

    for (size_t i = 0; i < count; i++) {
        bool known = candidates[i].total > 0;

        if (is_over(rule, &candidates[i]))
            continue;
        field.over_too = false;
        if (known && rule->mode != SELECT_RANDOM)
            field.unknown_too = false;
    }
    return field;
}

/* ---- the choice ---- */

static bool is_drawn(enum opt_select_mode mode)
{
    return mode == SELECT_RANDOM || mode == SELECT_FREESPACE_PERCENT_WEIGHTED ||
           mode == SELECT_FREESPACE_PERCENT_WEIGHTED_DELTA;
}

/* Its chances, or its rank: higher is better.  `least`: the smallest percentage in the field. */
static double weight_of(enum opt_select_mode mode, const struct placing_candidate *c, double least)
{
    switch (mode) {
    case SELECT_RANDOM:
        return 1;
    case SELECT_FREESPACE_MOST:
        return (double)c->free;
    case SELECT_FREESPACE_PERCENT_MOST:
    case SELECT_FREESPACE_PERCENT_WEIGHTED:
        return percent_free(c);
    case SELECT_FREESPACE_PERCENT_WEIGHTED_DELTA:
        break;
    }
    return percent_free(c) - least + DELTA_LEAST;
}

size_t placing_choose(const struct placing_rule *rule, const struct placing_candidate *candidates,
                      size_t count, double luck)
{
    struct field field = field_of(rule, candidates, count);
    double sum = 0, least = 100, best = -1;
    size_t chosen = count;

    BUG_ON(count == 0);
    for (size_t i = 0; i < count; i++)
        if (is_in(&field, rule, &candidates[i]) && percent_free(&candidates[i]) < least)
            least = percent_free(&candidates[i]);
    for (size_t i = 0; i < count; i++)
        if (is_in(&field, rule, &candidates[i]))
            sum += weight_of(rule->mode, &candidates[i], least);
    luck *= sum;
    for (size_t i = 0; i < count; i++) {
        double weight = weight_of(rule->mode, &candidates[i], least);

        if (!is_in(&field, rule, &candidates[i]))
            continue;
        if (is_drawn(rule->mode) ? chosen == count || luck >= 0 : weight > best) {
            chosen = i;
            best = weight;
        }
        luck -= weight;
    }
    return chosen;
}

double placing_luck(void)
{
    uint32_t random;

    digest_random(&random, sizeof(random));
    return (double)random / 4294967296.0;
}
