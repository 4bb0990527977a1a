/* scripts.c: the commands on a user's scripts (RFC 5804 sections 2.5 to 2.12). */
#include <string.h>

#include "imap/managesieve/front-private.h"
#include "imap/sievehost/scripts.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/pool.h"
#include "lib/name/identity.h"
#include "lib/stream/stream.h"

static const struct answer {
    int error;
    const char *code, *text;
} answers[] = {
    {ERR_NOTFOUND, "NONEXISTENT", "There is no script of that name"},
    {ERR_EXISTS, "ALREADYEXISTS", "There is a script of that name"},
    {ERR_BUSY, "ACTIVE", "Not while it is the active script"},
    {ERR_BADNAME, NULL, "No script can have that name"},
    {ERR_TOOBIG, "QUOTA/MAXSIZE", "The script is too large"},
    {ERR_LIMIT, "QUOTA/MAXSCRIPTS", "There are as many scripts as there may be"},
    {ERR_UNSUPPORTED, NULL, "Scripts here are in home directories, where this service does not change them"},
};

/* "line 3: ..." of each error: lines end in CRLF (RFC 5804 section 2.6), the last one with the string. */
static void answer_errors(struct managesieve_front *f, const char *errors)
{
    struct buf text = BUF_INIT;

    for (const char *p = errors; *p != '\0'; p++) {
        if (*p != '\n')
            buf_putc(&text, *p);
        else if (p[1] != '\0')
            buf_puts(&text, "\r\n");
    }
    managesieve_reply(f, "NO", NULL, buf_cstr(&text));
    buf_free(&text);
}

/* OK, or NO with the reason; what is wrong with this server is for the log. */
static void answer(struct managesieve_front *f, int r, const char *errors)
{
    if (r == 0) {
        managesieve_reply(f, "OK", NULL, "");
        return;
    }
    if (r == ERR_SYNTAX) {
        answer_errors(f, errors);
        return;
    }
    for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
        if (answers[i].error == r) {
            managesieve_reply(f, "NO", answers[i].code, answers[i].text);
            return;
        }
    }
    LOG(LOG_ERR, SIEVE_SCRIPTS, LOG_STR(USER, f->login->identity->userid), LOG_ERROR(r));
    managesieve_reply(f, "NO", "TRYLATER", "Not possible now: the server's log says why");
}

static int open_scripts(const struct managesieve_front *f, struct scripts **scripts_r)
{
    *scripts_r = NULL;
    return scripts_open(name_config(), f->login->identity->userid, scripts_r);
}

static const char *text_of(const struct managesieve_front *f, unsigned i)
{
    return managesieve_text(&f->command, i);
}

void managesieve_havespace(struct managesieve_front *f)
{
    struct scripts *scripts;
    int r = open_scripts(f, &scripts);

    if (r == 0)
        r = scripts_have_space(scripts, text_of(f, 1), f->command.args[2].number);
    answer(f, r, "");
    scripts_close(&scripts);
}

void managesieve_putscript(struct managesieve_front *f)
{
    const struct managesieve_arg *text = &f->command.args[2];
    struct buf errors = BUF_INIT;
    struct scripts *scripts;
    int r = open_scripts(f, &scripts);

    if (r == 0 && text->dropped)
        r = ERR_TOOBIG;
    if (r == 0)
        r = scripts_put(scripts, text_of(f, 1), text_of(f, 2), text->len, &errors);
    answer(f, r, buf_cstr(&errors));
    scripts_close(&scripts);
    buf_free(&errors);
}

void managesieve_checkscript(struct managesieve_front *f)
{
    const struct managesieve_arg *text = &f->command.args[1];
    struct buf errors = BUF_INIT;
    int r = text->dropped ? ERR_TOOBIG : scripts_check(text_of(f, 1), text->len, &errors);

    answer(f, r, buf_cstr(&errors));
    buf_free(&errors);
}

void managesieve_listscripts(struct managesieve_front *f)
{
    struct stream *s = f->login->stream;
    struct pool *pool = pool_new(0);
    struct script_info *list;
    struct scripts *scripts;
    size_t count = 0;
    int r = open_scripts(f, &scripts);

    if (r == 0)
        r = scripts_list(scripts, pool, &list, &count);
    for (size_t i = 0; r == 0 && i < count; i++) {
        managesieve_string(s, list[i].name, strlen(list[i].name));
        stream_puts(s, list[i].active ? " ACTIVE\r\n" : "\r\n");
    }
    answer(f, r, "");
    scripts_close(&scripts);
    pool_free(&pool);
}

/* A change of a script that exists: SETACTIVE, DELETESCRIPT. */
static void change(struct managesieve_front *f, int (*to)(struct scripts *scripts, const char *name))
{
    struct scripts *scripts;
    int r = open_scripts(f, &scripts);

    answer(f, r == 0 ? to(scripts, text_of(f, 1)) : r, "");
    scripts_close(&scripts);
}

void managesieve_setactive(struct managesieve_front *f)
{
    change(f, scripts_activate);
}

void managesieve_deletescript(struct managesieve_front *f)
{
    change(f, scripts_delete);
}

void managesieve_getscript(struct managesieve_front *f)
{
    struct buf text = BUF_INIT;
    struct scripts *scripts;
    int r = open_scripts(f, &scripts);

    if (r == 0)
        r = scripts_get(scripts, text_of(f, 1), &text);
    if (r == 0) {
        managesieve_string(f->login->stream, buf_cstr(&text), text.len);
        stream_puts(f->login->stream, "\r\n");
    }
    answer(f, r, "");
    scripts_close(&scripts);
    buf_free(&text);
}

void managesieve_renamescript(struct managesieve_front *f)
{
    struct scripts *scripts;
    int r = open_scripts(f, &scripts);

    if (r == 0)
        r = scripts_rename(scripts, text_of(f, 1), text_of(f, 2));
    answer(f, r, "");
    scripts_close(&scripts);
}
