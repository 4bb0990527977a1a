/* play-world.c: the world that scripts of the tests run in; it needs no CUnit: the fuzz harness lives in it too. */
#include <string.h>

#include "cunit/lib/sieve/play.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"

const char play_message[] = "Return-Path: <coyote@desert.example.org>\n"
                            "Received: from a.example by b.example; Fri, 20 Nov 2026 23:30:00 -0500\n"
                            "Received: from x.example by a.example; Fri, 20 Nov 2026 23:29:58 -0500\n"
                            "From: \"Wile E.\" <coyote@desert.example.org>\n"
                            "To: roadrunner+fast@acme.example.com, Bugs <bugs@acme.example.com>\n"
                            "Cc: group: a@b.example, c@d.example;\n"
                            "Subject: =?UTF-8?Q?I_have_a_pr=C3=A9sent?= for you\n"
                            "Date: Tue, 1 Apr 1997 09:06:31 -0800\n"
                            "Message-ID: <m1@desert.example.org>\n"
                            "X-Empty:\n"
                            "X-Count: 007\n"
                            "\n"
                            "Look, I'm sorry about the whole anvil thing.\n";

const char play_requires[] =
    "require [\"body\", \"comparator-i;ascii-numeric\", \"comparator-i;unicode-casemap\", \"copy\", \"date\","
    " \"duplicate\", \"editheader\", \"enotify\", \"envelope\", \"environment\", \"ereject\", \"extlists\", "
    "\"fcc\","
    " \"fileinto\", \"imap4flags\", \"include\", \"index\", \"mailbox\", \"mailboxid\", \"mboxmetadata\", "
    "\"regex\","
    " \"reject\", \"relational\", \"servermetadata\", \"spamtest\", \"spamtestplus\", \"special-use\","
    " \"subaddress\", \"vacation\", \"vacation-seconds\", \"variables\", \"virustest\"];\n";

static int world_mailbox(void *context, enum sieve_mailbox_fact fact, const char *name)
{
    (void)context;
    if (strcmp(name, "broken") == 0)
        return ERR_IO;
    if (fact == SIEVE_MAILBOX_HAS_ID)
        return strcmp(name, "M1") == 0;
    return strcmp(name, "INBOX") == 0 || strcmp(name, "Junk") == 0 || strcmp(name, "Sent") == 0;
}

static int world_special_use(void *context, const char *mailbox, const char *flag)
{
    (void)context;
    return (mailbox == NULL || strcmp(mailbox, "Sent") == 0) && str_ieq(flag, "\\Sent");
}

static int world_metadata(void *context, const char *mailbox, const char *name, struct buf *value)
{
    (void)context;
    if (mailbox == NULL && strcmp(name, "/shared/admin") == 0)
        buf_puts(value, "mailto:admin@example.org");
    else if (mailbox != NULL && strcmp(mailbox, "INBOX") == 0 && strcmp(name, "/private/comment") == 0)
        buf_puts(value, "mine");
    return value->len > 0;
}

static int world_environment(void *context, const char *item, struct buf *value)
{
    (void)context;
    if (strcmp(item, "phase") == 0)
        buf_puts(value, "during");
    return value->len > 0;
}

static int world_is_duplicate(void *context, const struct sieve_string *id)
{
    (void)context;
    return strstr(id->data, "seen") != NULL;
}

static int world_spam(void *context, bool percent, struct buf *value)
{
    (void)context;
    buf_puts(value, percent ? "75" : "8");
    return 1;
}

static int world_in_list(void *context, const char *list, const struct sieve_string *value)
{
    (void)context;
    return strcmp(list, ":addrbook:default") == 0 && strcmp(value->data, "coyote@desert.example.org") == 0;
}

static int world_list_is_known(void *context, const char *list)
{
    (void)context;
    return strcmp(list, ":addrbook:default") == 0;
}

/* Compiled at their first use, and kept until play_forget(). */
static const struct {
    const char *name, *text;
    bool global;
} scripts[] = {
    {"files", "require \"fileinto\"; fileinto \"from-include\";", false},
    {"files", "require \"fileinto\"; fileinto \"from-global\";", true},
    {"stops", "stop;", false},
    {"returns", "require [\"include\", \"fileinto\"]; if true { return; } fileinto \"never\";", false},
    {"loops", "require \"include\"; include \"loops\";", false},
    {"loops-once", "require \"include\"; include :once \"loops-once\"; keep;", false},
    {"sets",
     "require [\"include\", \"variables\"]; global \"shared\"; set \"shared\" \"${shared}+\"; set \"own\" "
     "\"x\";",
     false},
    {"fails", "require \"fileinto\";\nfileinto \"\\x00\"; fileinto \"a\"; error;", false},
    {"deeper", "require \"include\"; include \"files\"; include :global \"files\";", false},
};
static struct sieve_script *compiled[ARRAY_SIZE(scripts)];

static int world_include(void *context, const char *name, bool global, const struct sieve_script **script_r)
{
    struct buf errors = BUF_INIT;
    int r = ERR_NOTFOUND;

    (void)context;
    for (size_t i = 0; i < ARRAY_SIZE(scripts); i++) {
        if (strcmp(scripts[i].name, name) != 0 || scripts[i].global != global)
            continue;
        r = compiled[i] != NULL
                ? 0
                : sieve_compile(scripts[i].text, strlen(scripts[i].text), &errors, &compiled[i]);
        *script_r = compiled[i];
    }
    buf_free(&errors);
    return r;
}

void play_forget(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(scripts); i++)
        sieve_script_free(&compiled[i]);
}

static const char *const world_addresses[] = {"roadrunner@acme.example.com", NULL};

const struct sieve_host play_world = {.include = world_include,
                                      .mailbox = world_mailbox,
                                      .special_use = world_special_use,
                                      .metadata = world_metadata,
                                      .environment = world_environment,
                                      .is_duplicate = world_is_duplicate,
                                      .spam = world_spam,
                                      .in_list = world_in_list,
                                      .list_is_known = world_list_is_known,
                                      .addresses = world_addresses,
                                      .now = 1795262400};
