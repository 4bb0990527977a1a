/* imtest-auth.c: from the greeting to the user's turn. */
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "imap/tools/imtest.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/sasl/client.h"
#include "lib/stream/stream.h"

enum { PASSWORD_LONGEST = 512 };

/* ---- lines ---- */

int dialogue_fail(const struct dialogue *d, const char *what, const char *why)
{
    fprintf(stderr, "%s: %s%s%s\n", d->protocol->program, what, why[0] != '\0' ? ": " : "", why);
    return ERR_IO;
}

int dialogue_say(struct dialogue *d, const char *line, const char *shown)
{
    printf("C: %s\n", shown != NULL ? shown : line);
    stream_printf(d->stream, "%s\r\n", line);
    return stream_flush_wait(d->stream, clock_deadline(DIALOGUE_ANSWER_MS));
}

int dialogue_hear(struct dialogue *d, const char **line_r)
{
    const char *line;
    size_t len;
    int r =
        stream_line_wait(d->stream, DIALOGUE_LINE_LONGEST, clock_deadline(DIALOGUE_ANSWER_MS), &line, &len);

    if (r < 0)
        return dialogue_fail(d, "the server does not answer", error_text(r));
    buf_reset(&d->line);
    buf_append(&d->line, line, len);
    printf("S: %s\n", buf_cstr(&d->line));
    *line_r = buf_cstr(&d->line);
    return 0;
}

/* ---- capabilities ---- */

/* The words of a line, quotes and what stands before the first one aside, behind one another. */
static void remember(struct dialogue *d, const char *line)
{
    const char *word = line, *mechs = d->protocol->mechs;
    bool listing = false;

    if (str_has_prefix(line, "250"))
        line += 4;
    else if (str_has_prefix(line, "* "))
        line += 2;
    for (bool first = true; *line != '\0'; line = word) {
        struct buf one = BUF_INIT;

        line += strspn(line, " []\"");
        word = line + strcspn(line, " []\"");
        buf_append(&one, line, (size_t)(word - line));
        buf_printf(&d->words, "%s ", buf_cstr(&one));
        if (listing)
            buf_printf(&d->mechs, "%s ", buf_cstr(&one));
        else if (strcmp(mechs, "AUTH=") == 0 && str_has_iprefix(buf_cstr(&one), mechs))
            buf_printf(&d->mechs, "%s ", buf_cstr(&one) + strlen(mechs));
        listing = listing || (first && str_ieq(buf_cstr(&one), mechs));
        first = false;
        buf_free(&one);
    }
}

/* IMAP's are in lines and codes that say so; elsewhere every line is one. */
static void take_capabilities(struct dialogue *d, enum phase phase, const char *line)
{
    bool imap = strcmp(d->protocol->mechs, "AUTH=") == 0;

    if (phase != PHASE_CAPABILITY && phase != PHASE_GREETING)
        return;
    if (!imap)
        remember(d, line);
    else if (str_has_iprefix(line, "* CAPABILITY ") || str_has_iprefix(line, "* OK [CAPABILITY "))
        remember(d, line);
}

bool dialogue_offers(const struct dialogue *d, const char *word)
{
    const char *at = buf_cstr(&d->words);
    size_t n = strlen(word);

    for (; *at != '\0'; at += strcspn(at, " "), at += strspn(at, " ")) {
        if (strcspn(at, " ") == n && str_ieq_n(at, word, n))
            return true;
    }
    return false;
}

/* `"text"`, `{n}` with the text on the next line, or the bare word. 0, or an error, told. */
static int take_string(struct dialogue *d, const char **data_r)
{
    const char *line;
    int r;

    if ((*data_r)[0] == '{') {
        r = dialogue_hear(d, &line);
        if (r < 0)
            return r;
        *data_r = line;
        return 0;
    }
    *data_r += strspn(*data_r, "\"");
    buf_reset(&d->data);
    buf_append(&d->data, *data_r, strcspn(*data_r, "\" )"));
    *data_r = buf_cstr(&d->data);
    return 0;
}

int dialogue_listen(struct dialogue *d, enum phase phase, const char **data_r)
{
    const char *line, *data;
    enum answer answer;
    int r;

    do {
        data = NULL;
        r = dialogue_hear(d, &line);
        if (r < 0)
            return r;
        take_capabilities(d, phase, line);
        answer = d->protocol->answer(phase, line, &data);
    } while (answer == ANSWER_MORE);
    if (data != NULL && d->protocol->string_responses)
        r = take_string(d, &data);
    if (data_r != NULL)
        *data_r = data;
    return r < 0 ? r : (int)answer;
}

int dialogue_command(struct dialogue *d, const char *line, const char *shown)
{
    int r = dialogue_say(d, line, shown);

    if (r == 0)
        r = dialogue_listen(d, PHASE_COMMAND, NULL);
    if (r < 0)
        return r;
    switch (r) {
    case ANSWER_OK:
        return 0;
    case ANSWER_NO:
        return ERR_REFUSED;
    case ANSWER_BYE:
        return ERR_UNAVAILABLE;
    default:
        return ERR_PROTOCOL;
    }
}

int dialogue_capability(struct dialogue *d)
{
    enum phase phase = d->protocol->capability != NULL ? PHASE_CAPABILITY : PHASE_GREETING;
    int r = 0;

    buf_reset(&d->words);
    buf_reset(&d->mechs);
    if (d->protocol->capability != NULL)
        r = dialogue_say(d, d->protocol->capability, NULL);
    if (r == 0)
        r = dialogue_listen(d, phase, NULL);
    if (r == ANSWER_NO && phase == PHASE_CAPABILITY)
        return 0; /* an old server */
    return r < 0 ? r : r == ANSWER_OK ? 0 : ERR_REFUSED;
}

int dialogue_greet(struct dialogue *d)
{
    int r;

    buf_reset(&d->words);
    buf_reset(&d->mechs);
    r = dialogue_listen(d, PHASE_GREETING, NULL);
    if (r < 0)
        return r;
    if (r != ANSWER_OK)
        return dialogue_fail(d, "the server refuses us", "");
    if (d->protocol->capability == NULL || strcspn(buf_cstr(&d->mechs), " ") > 0)
        return 0;
    return dialogue_capability(d);
}

/* ---- authentication ---- */

static const char *ask_password(void)
{
    static char password[PASSWORD_LONGEST];
    const char *given = getpass("Please enter your password: ");

    if (given == NULL || !str_copy(password, sizeof(password), given))
        return "";
    return password;
}

static const char *user_name(const struct dialogue *d)
{
    const struct passwd *pw = getpwuid(getuid());

    if (d->authname != NULL)
        return d->authname;
    if (d->username != NULL)
        return d->username;
    return pw == NULL ? "anonymous" : pw->pw_name;
}

static bool needs_password(const char *mech)
{
    return mech == NULL ||
           !(str_ieq(mech, "GSSAPI") || str_ieq(mech, "EXTERNAL") || str_ieq(mech, "ANONYMOUS"));
}

static bool has_key(const struct dialogue *d)
{
    return d->key_file != NULL && d->key_file[0] != '\0';
}

static int new_client(struct dialogue *d)
{
    struct sasl_client_config config = {.service = d->protocol->service,
                                        .server = d->host,
                                        .tls = stream_is_tls(d->stream),
                                        .authname = user_name(d),
                                        .username = d->username,
                                        .realm = d->realm,
                                        .password = d->password};

    if (config.tls)
        config.tls_bits = (unsigned)stream_tls_bits(d->stream);
    if (config.password == NULL && needs_password(d->mech))
        config.password = d->password = ask_password();
    config.external = has_key(d) && config.tls;
    return sasl_cli_new(&config, &d->client);
}

static int say_response(struct dialogue *d, const char *data, size_t n)
{
    struct buf base64 = BUF_INIT, line = BUF_INIT;
    int r;

    str_base64_encode(&base64, data == NULL ? "" : data, data == NULL ? 0 : n);
    if (d->protocol->string_responses)
        buf_printf(&line, "{%zu+}\r\n", base64.len);
    buf_append(&line, base64.data, base64.len);
    r = dialogue_say(d, buf_cstr(&line), NULL);
    buf_free(&base64);
    buf_free(&line);
    return r;
}

/* *sent_r: is the initial response part of it? */
static int say_first(struct dialogue *d, const char *mech, const char *data, size_t n, bool *sent_r)
{
    const struct protocol *p = d->protocol;
    struct buf line = BUF_INIT, base64 = BUF_INIT;
    int r;

    if (data != NULL)
        str_base64_encode(&base64, data, n);
    *sent_r = data != NULL && !d->no_initial && (p->initial_max == 0 || base64.len <= p->initial_max) &&
              (p->initial_word == NULL || dialogue_offers(d, p->initial_word));
    for (const char *s = p->auth; *s != '\0'; s++) {
        if (str_has_prefix(s, "%s")) {
            buf_puts(&line, mech);
            s++;
        } else {
            buf_putc(&line, *s);
        }
    }
    if (*sent_r && p->strings)
        buf_printf(&line, " {%zu+}\r\n%s", base64.len, buf_cstr(&base64));
    else if (*sent_r)
        buf_printf(&line, " %s", base64.len > 0 ? buf_cstr(&base64) : "=");
    r = dialogue_say(d, buf_cstr(&line), NULL);
    buf_free(&line);
    buf_free(&base64);
    return r;
}

static int answer_challenge(struct dialogue *d, const char *challenge)
{
    struct buf data = BUF_INIT;
    const char *out;
    size_t n;
    int r = str_base64_decode(&data, challenge, strlen(challenge));

    if (r == 0)
        r = sasl_cli_step(d->client, buf_cstr(&data), data.len, &out, &n);
    if (r >= 0)
        r = say_response(d, out, n);
    else
        dialogue_say(d, d->protocol->string_responses ? "\"*\"" : "*", NULL);
    buf_free(&data);
    return r;
}

/* The server's last word to the mechanism. */
static int check_last(struct dialogue *d, const char *data)
{
    struct buf text = BUF_INIT;
    const char *out;
    size_t n;
    int r = str_base64_decode(&text, data, strlen(data));

    if (r == 0)
        r = sasl_cli_step(d->client, buf_cstr(&text), text.len, &out, &n);
    buf_free(&text);
    return r < 0 ? ERR_AUTH : 0;
}

/* 0 when the server said OK, and the mechanism agrees. out: the initial response that has not been sent yet. */
static int exchange(struct dialogue *d, const char *out, size_t n)
{
    const char *data;
    int r, answer;

    while ((answer = dialogue_listen(d, PHASE_AUTH, &data)) == ANSWER_CHALLENGE) {
        if (out != NULL && data[0] == '\0')
            r = say_response(d, out, n);
        else
            r = answer_challenge(d, data);
        out = NULL;
        if (r < 0)
            return r;
    }
    if (answer != ANSWER_OK)
        return answer < 0 ? answer : ERR_REFUSED;
    return data != NULL && data[0] != '\0' ? check_last(d, data) : 0;
}

static void begin_layer(struct dialogue *d)
{
    struct sasl_layer layer;

    if (sasl_cli_ssf(d->client) == 0)
        return;
    sasl_cli_layer(d->client, &layer);
    stream_sasl_begin(d->stream, &layer);
}

static int sasl(struct dialogue *d)
{
    const char *mech, *out;
    size_t n;
    bool sent;
    int r = new_client(d);

    if (r == 0)
        r = sasl_cli_start(d->client, buf_cstr(&d->mechs), d->mech, &mech, &out, &n);
    if (r >= 0 && d->verbose)
        printf("Mechanism: %s\n", mech);
    if (r >= 0)
        r = say_first(d, mech, out, n, &sent);
    if (r == 0)
        r = exchange(d, sent ? NULL : out, n);
    return r;
}

static int plain_login(struct dialogue *d)
{
    const char *user = user_name(d);

    if (d->password == NULL)
        d->password = ask_password();
    if (strpbrk(user, "\r\n{ ") != NULL || strpbrk(d->password, "\r\n") != NULL)
        return ERR_INVALID;
    return d->protocol->login(d, user, d->password);
}

bool dialogue_needs_no_login(const struct dialogue *d)
{
    return strspn(buf_cstr(&d->mechs), " ") == d->mechs.len && d->mech == NULL && d->authname == NULL &&
           d->username == NULL && d->password == NULL;
}

int dialogue_authenticate(struct dialogue *d)
{
    bool login =
        d->mech != NULL && d->protocol->login_mech != NULL && strcmp(d->mech, d->protocol->login_mech) == 0;
    int r = login ? plain_login(d) : sasl(d);
    const char *why = d->client != NULL ? sasl_cli_error(d->client) : "";
    unsigned ssf = stream_is_tls(d->stream) ? (unsigned)stream_tls_bits(d->stream) : 0;

    if (r != 0) {
        printf("Authentication failed. %s\n", why[0] != '\0' && r != ERR_REFUSED ? why : error_text(r));
        return r;
    }
    if (ssf == 0 && d->client != NULL)
        ssf = sasl_cli_ssf(d->client);
    printf("Authenticated.\nSecurity strength factor: %u\n", ssf);
    if (d->client != NULL)
        begin_layer(d);
    return 0;
}
