#include "cunit/lib/sieve/play.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cunit/unit.h"

static void put_list(struct buf *to, const char *const *list, const char *open, const char *close)
{
    if (list == NULL)
        return;
    buf_puts(to, open);
    for (size_t i = 0; list[i] != NULL; i++)
        buf_printf(to, "%s%s", i > 0 ? " " : "", list[i]);
    buf_puts(to, close);
}

static void put_target(struct buf *to, const struct sieve_target *t)
{
    buf_puts(to, t->mailbox != NULL ? t->mailbox : "");
    put_list(to, t->flags != NULL && t->flags[0] != NULL ? t->flags : NULL, "[", "]");
    buf_puts(to, t->create ? "!create" : "");
    if (t->special_use != NULL)
        buf_printf(to, "!%s", t->special_use);
    if (t->mailbox_id != NULL)
        buf_printf(to, "!%s", t->mailbox_id);
}

static void put_action(struct buf *to, const struct sieve_action *a)
{
    static const char *const names[] = {
        "keep", "fileinto:", "redirect:", "reject:", "ereject:", "vacation:", "notify:", "remember:"};

    buf_puts(to, names[a->kind]);
    if (a->kind == SIEVE_KEEP || a->kind == SIEVE_FILEINTO)
        put_target(to, &a->target);
    if (a->address != NULL)
        buf_printf(to, "%s%s", a->list ? "list " : "", a->address);
    if (a->kind == SIEVE_VACATION)
        buf_printf(to, ",%us,%s,%s%s%s,", a->seconds, a->handle.len == 40 ? "hash" : a->handle.data,
                   a->subject != NULL ? a->subject : "-", a->from != NULL ? ",from " : "",
                   a->from != NULL ? a->from : "");
    if (a->kind == SIEVE_NOTIFY)
        buf_printf(to, ",%c,%s,", a->importance, a->from != NULL ? a->from : "-");
    put_list(to, a->options, "{", "}");
    if (a->kind >= SIEVE_REJECT && a->kind <= SIEVE_NOTIFY)
        buf_printf(to, "%s%s", a->mime ? "mime " : "", a->reason.data);
    if (a->has_fcc) {
        buf_puts(to, ",fcc ");
        put_target(to, &a->target);
    }
    if (a->kind == SIEVE_DUPLICATE)
        buf_printf(to, "%s%s/%u", strchr(a->handle.data, '\n') == a->handle.data ? "" : "with handle ",
                   strchr(a->handle.data, '\n') + 1, a->seconds);
    buf_puts(to, a->header != NULL ? "(edited)" : "");
    buf_puts(to, a->implicit ? "*" : "");
}

static void run(const struct play *p, const struct sieve_script *script, struct buf *shown)
{
    static const struct sieve_host nobody;
    struct sieve_message message = {.from = p->from != NULL ? p->from : "coyote@desert.example.org",
                                    .to = p->to != NULL ? p->to : "roadrunner+fast@acme.example.com"};
    const char *text = p->message != NULL ? p->message : play_message;
    struct pool *pool = pool_new(0);
    struct buf crlf = BUF_INIT;
    struct sieve_result result;

    for (; *text != '\0'; text++) {
        buf_puts(&crlf, *text == '\n' ? "\r" : "");
        buf_putc(&crlf, *text);
    }
    message.flags = p->flags;
    message.data = buf_cstr(&crlf);
    message.len = crlf.len;
    sieve_run(script, &message, p->host != NULL ? p->host : &nobody, pool, &result);
    if (result.error != NULL)
        buf_printf(shown, "%s / ", result.error);
    for (const struct sieve_action *a = result.actions; a != NULL; a = a->next) {
        put_action(shown, a);
        buf_puts(shown, a->next != NULL ? " " : "");
    }
    if (p->flags != NULL)
        buf_printf(shown, " = %s", result.flags);
    buf_free(&crlf);
    pool_free(&pool);
}

char *play(const struct play *p)
{
    struct sieve_script *script;
    struct buf shown = BUF_INIT;

    if (sieve_compile(p->script, strlen(p->script), &shown, &script) == 0)
        run(p, script, &shown);
    sieve_script_free(&script);
    play_forget();
    buf_puts(&shown, "");
    return buf_steal(&shown);
}

void play_expect(const struct play *p, const char *want)
{
    char *got = play(p);

    CU_ASSERT_STRING_EQUAL(got, want);
    if (strcmp(got, want) != 0)
        fprintf(stderr, "\nscript: %s\nwanted: %s\ngot:    %s\n", p->script, want, got);
    free(got);
}

void play_test(const char *test, const char *message, bool want)
{
    struct buf script = BUF_INIT;
    struct play p = {.message = message, .host = &play_world};

    buf_printf(&script, "%s if %s { keep; } else { discard; }", play_requires, test);
    p.script = buf_cstr(&script);
    play_expect(&p, want ? "keep" : "");
    buf_free(&script);
}
