/* imtest-protocols.c: what the protocols say. */
#include <ctype.h>
#include <string.h>

#include "imap/tools/imtest.h"
#include "lib/base/error.h"
#include "lib/base/str.h"

/* Behind a word and blanks, if the line begins with it (any case) and it ends there; else NULL. */
static const char *behind(const char *line, const char *word)
{
    if (!str_has_iprefix(line, word))
        return NULL;
    line += strlen(word);
    if (*line != ' ' && *line != '\0')
        return NULL;
    return line + strspn(line, " ");
}

/* `+`, `+ base64` */
static const char *continuation(const char *line)
{
    return line[0] == '+' && line[1] != 'O' ? line + 1 + strspn(line + 1, " ") : NULL;
}

/* ---- IMAP (RFC 3501), MUPDATE (RFC 3656), replication ---- */

static enum answer untagged(enum phase phase, const char *text)
{
    if (behind(text, "BYE") != NULL)
        return ANSWER_BYE;
    if (phase == PHASE_GREETING && (behind(text, "OK") != NULL || behind(text, "PREAUTH") != NULL))
        return ANSWER_OK;
    return ANSWER_MORE;
}

static enum answer tagged(const char *line)
{
    const char *status = strchr(line, ' ');

    return status != NULL && behind(status + 1, "OK") != NULL ? ANSWER_OK : ANSWER_NO;
}

static enum answer imap_answer(enum phase phase, const char *line, const char **data_r)
{
    if (str_has_prefix(line, "* "))
        return untagged(phase, line + 2);
    *data_r = continuation(line);
    return *data_r != NULL ? ANSWER_CHALLENGE : tagged(line);
}

/* A challenge is a line of base64 and nothing else (RFC 3656 4.3). */
static enum answer mupdate_answer(enum phase phase, const char *line, const char **data_r)
{
    if (str_has_prefix(line, "* "))
        return untagged(phase, line + 2);
    if (phase == PHASE_AUTH && strchr(line, ' ') == NULL) {
        *data_r = line;
        return ANSWER_CHALLENGE;
    }
    return tagged(line);
}

static enum answer csync_answer(enum phase phase, const char *line, const char **data_r)
{
    if (str_has_prefix(line, "* "))
        return untagged(phase, line + 2);
    *data_r = continuation(line);
    if (*data_r != NULL)
        return ANSWER_CHALLENGE;
    return behind(line, "OK") != NULL ? ANSWER_OK : behind(line, "BYE") != NULL ? ANSWER_BYE : ANSWER_NO;
}

/* The password as a literal: it is not shown. */
static int imap_login(struct dialogue *d, const char *user, const char *password)
{
    struct buf line = BUF_INIT;
    const char *data;
    int r;

    buf_printf(&line, "L01 LOGIN {%zu}", strlen(user));
    r = dialogue_say(d, buf_cstr(&line), NULL);
    if (r == 0)
        r = dialogue_listen(d, PHASE_COMMAND, &data);
    buf_reset(&line);
    buf_printf(&line, "%s {%zu}", user, strlen(password));
    if (r == ANSWER_CHALLENGE)
        r = dialogue_say(d, buf_cstr(&line), NULL);
    else if (r >= 0)
        r = ERR_AUTH;
    if (r == 0)
        r = dialogue_listen(d, PHASE_COMMAND, &data);
    buf_free(&line);
    if (r < 0)
        return r;
    return r == ANSWER_CHALLENGE ? dialogue_command(d, password, "<omitted>") : ERR_AUTH;
}

/* ---- POP3 (RFC 1939, 2449, 5034) ---- */

static enum answer pop3_answer(enum phase phase, const char *line, const char **data_r)
{
    if (behind(line, "+OK") != NULL)
        return phase == PHASE_CAPABILITY ? ANSWER_MORE : ANSWER_OK;
    if (behind(line, "-ERR") != NULL)
        return ANSWER_NO;
    if (phase == PHASE_CAPABILITY)
        return strcmp(line, ".") == 0 ? ANSWER_OK : ANSWER_MORE;
    *data_r = continuation(line);
    return *data_r != NULL ? ANSWER_CHALLENGE : ANSWER_NO;
}

static int two_commands(struct dialogue *d, const char *first, const char *user, const char *second,
                        const char *password)
{
    struct buf line = BUF_INIT, shown = BUF_INIT;
    int r;

    buf_printf(&line, "%s %s", first, user);
    r = dialogue_command(d, buf_cstr(&line), NULL);
    buf_reset(&line);
    buf_printf(&line, "%s %s", second, password);
    buf_printf(&shown, "%s <omitted>", second);
    if (r == 0)
        r = dialogue_command(d, buf_cstr(&line), buf_cstr(&shown));
    buf_free(&line);
    buf_free(&shown);
    return r;
}

static int pop3_login(struct dialogue *d, const char *user, const char *password)
{
    return two_commands(d, "USER", user, "PASS", password);
}

/* ---- LMTP (RFC 2033, 4954), NNTP (RFC 3977, 4643) ---- */

/* The three digits and what follows `-` or a blank; 0: no reply. */
static unsigned reply(const char *line, bool *last_r, const char **text_r)
{
    for (size_t i = 0; i < 3; i++) {
        if (!isdigit((unsigned char)line[i]))
            return 0;
    }
    if (line[3] != '\0' && line[3] != ' ' && line[3] != '-')
        return 0;
    *last_r = line[3] != '-';
    *text_r = line + (line[3] != '\0' ? 4 : 3);
    return (unsigned)(line[0] - '0') * 100 + (unsigned)(line[1] - '0') * 10 + (unsigned)(line[2] - '0');
}

static enum answer lmtp_answer(enum phase phase, const char *line, const char **data_r)
{
    bool last;
    const char *text;
    unsigned code = reply(line, &last, &text);

    (void)phase;
    if (code == 0)
        return ANSWER_NO;
    if (!last)
        return ANSWER_MORE;
    if (code == 334) {
        *data_r = text;
        return ANSWER_CHALLENGE;
    }
    return code == 421 ? ANSWER_BYE : code / 100 == 2 ? ANSWER_OK : ANSWER_NO;
}

/* 281 logs in without, 283 with a last word of the mechanism's; 381 asks for the password. */
static enum answer nntp_answer(enum phase phase, const char *line, const char **data_r)
{
    bool last;
    const char *text;
    unsigned code;

    if (phase == PHASE_CAPABILITY && strcmp(line, ".") == 0)
        return ANSWER_OK;
    code = reply(line, &last, &text);
    if (phase == PHASE_CAPABILITY && (code == 101 || code == 0))
        return ANSWER_MORE;
    if (code == 283 || code == 383)
        *data_r = text;
    if (code == 383)
        return ANSWER_CHALLENGE;
    if (code == 400)
        return ANSWER_BYE;
    return code / 100 == 2 || code == 381 || code == 382 ? ANSWER_OK : ANSWER_NO;
}

static int nntp_login(struct dialogue *d, const char *user, const char *password)
{
    return two_commands(d, "AUTHINFO USER", user, "AUTHINFO PASS", password);
}

/* ---- ManageSieve (RFC 5804) ---- */

/* A string is a challenge; one of OK's codes is the mechanism's last word. */
static enum answer sieve_answer(enum phase phase, const char *line, const char **data_r)
{
    const char *text;

    if ((text = behind(line, "OK")) != NULL) {
        if (str_has_iprefix(text, "(SASL "))
            *data_r = text + strlen("(SASL ");
        return ANSWER_OK;
    }
    if (behind(line, "NO") != NULL)
        return ANSWER_NO;
    if (behind(line, "BYE") != NULL)
        return ANSWER_BYE;
    if (phase == PHASE_AUTH && (line[0] == '"' || line[0] == '{')) {
        *data_r = line;
        return ANSWER_CHALLENGE;
    }
    return ANSWER_MORE;
}

/* ---- all ---- */

const struct protocol protocols[] = {
    {
        .program = "imtest",
        .service = "imap",
        .port = "143",
        .tls_port = "993",
        .capability = "C01 CAPABILITY",
        .mechs = "AUTH=",
        .starttls_word = "STARTTLS",
        .starttls = "S01 STARTTLS",
        .auth = "A01 AUTHENTICATE %s",
        .initial_word = "SASL-IR",
        .compress = "Z01 COMPRESS DEFLATE",
        .logout = "Q01 LOGOUT",
        .login_mech = "login",
        .login = imap_login,
        .answer = imap_answer,
    },
    {
        .program = "pop3test",
        .service = "pop",
        .port = "110",
        .tls_port = "995",
        .capability = "CAPA",
        .mechs = "SASL",
        .starttls_word = "STLS",
        .starttls = "STLS",
        .auth = "AUTH %s",
        .initial_max = 200, /* a line of 255 (RFC 5034 4) */
        .logout = "QUIT",
        .login_mech = "user",
        .login = pop3_login,
        .answer = pop3_answer,
    },
    {
        .program = "lmtptest",
        .service = "lmtp",
        .port = "2003",
        .capability = "LHLO lmtptest",
        .mechs = "AUTH",
        .starttls_word = "STARTTLS",
        .starttls = "STARTTLS",
        .auth = "AUTH %s",
        .logout = "QUIT",
        .answer = lmtp_answer,
    },
    {
        .program = "sivtest",
        .service = "sieve",
        .port = "4190",
        .mechs = "SASL",
        .starttls_word = "STARTTLS",
        .starttls = "STARTTLS",
        .greets_again = true,
        .auth = "AUTHENTICATE \"%s\"",
        .strings = true,
        .string_responses = true,
        .logout = "LOGOUT",
        .answer = sieve_answer,
    },
    {
        .program = "nntptest",
        .service = "nntp",
        .port = "119",
        .tls_port = "563",
        .capability = "CAPABILITIES",
        .mechs = "SASL",
        .starttls_word = "STARTTLS",
        .starttls = "STARTTLS",
        .auth = "AUTHINFO SASL %s",
        .initial_max = 450, /* a line of 512 (RFC 3977 3.1) */
        .compress = "COMPRESS DEFLATE",
        .logout = "QUIT",
        .login_mech = "user",
        .login = nntp_login,
        .answer = nntp_answer,
    },
    {
        .program = "mupdatetest",
        .service = "mupdate",
        .port = "3905",
        .mechs = "AUTH",
        .starttls_word = "STARTTLS",
        .starttls = "S01 STARTTLS",
        .greets_again = true,
        .auth = "A01 AUTHENTICATE \"%s\"",
        .strings = true,
        .compress = "Z01 COMPRESS \"DEFLATE\"",
        .logout = "Q01 LOGOUT",
        .answer = mupdate_answer,
    },
    {
        .program = "synctest",
        .service = "csync",
        .port = "2005",
        .mechs = "SASL",
        .starttls_word = "STARTTLS",
        .starttls = "STARTTLS",
        .greets_again = true,
        .auth = "AUTHENTICATE %s",
        .compress = "COMPRESS DEFLATE",
        .logout = "EXIT",
        .answer = csync_answer,
    },
};
const size_t protocols_count = sizeof(protocols) / sizeof(protocols[0]);
