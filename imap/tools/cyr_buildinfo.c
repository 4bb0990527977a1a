/* cyr_buildinfo: what this build has, as one JSON object. */
#include <jansson.h>
#include <stdio.h>
#include <sysexits.h>
#include <unistd.h>

#include "config.h"
#include "imap/store/codec.h"
#include "lib/base/mem.h"

struct fact {
    const char *name;
    bool is;
};

static const struct fact components[] = {
    {"murder", true},       {"autocreate", false}, {"event_notification", false},
    {"httpd", false},       {"idled", false},      {"jmap", false},
    {"nntpd", false},       {"pop3d", false},      {"replication", false},
    {"sieve", false},       {"backup", false},     {"gssapi", true},
    {"kerberos_v4", false}, {"calalarmd", false},  {"objectstore", false},
};

static const struct fact dependencies[] = {
    {"openssl", true},   {"zlib", true},     {"jansson", true}, {"icu4c", true},   {"sasl", true},
    {"libevent", true},  {"ldap", false},    {"pcre", false},   {"clamav", false}, {"openio", false},
    {"nghttp2", false},  {"wslay", false},   {"brotli", false}, {"xml2", false},   {"ical", false},
    {"shapelib", false}, {"chardet", false}, {"cld2", false},
};

static const struct fact engines[] = {
    {"lmdb", true},      {"berkeley", true}, {"flat", false}, {"quotalegacy", false},
    {"skiplist", false}, {"twoskip", false}, {"sql", false},
};

static const struct fact databases[] = {{"mysql", false}, {"pgsql", false}, {"sqlite", false}};

static const struct fact searches[] = {{"squat", false}, {"xapian", false}};

static json_t *facts(const struct fact *list, size_t count)
{
    json_t *object = json_object();

    for (size_t i = 0; i < count; i++)
        json_object_set_new(object, list[i].name, json_boolean(list[i].is));
    return object;
}

static json_t *versions(void)
{
    json_t *object = json_object();

    json_object_set_new(object, "iatlas", json_string(PACKAGE_VERSION));
    json_object_set_new(object, "index", json_integer(INDEX_VERSION));
    json_object_set_new(object, "cache", json_integer(CACHE_VERSION));
    return object;
}

int main(int argc, char **argv)
{
    json_t *all = json_object();
    int c;

    while ((c = getopt(argc, argv, "C:")) != -1) {
        if (c != 'C') { /* a build knows no configuration */
            fprintf(stderr, "usage: cyr_buildinfo [-C imapd.conf]\n");
            json_decref(all);
            return EX_USAGE;
        }
    }
    json_object_set_new(all, "component", facts(components, ARRAY_SIZE(components)));
    json_object_set_new(all, "dependency", facts(dependencies, ARRAY_SIZE(dependencies)));
    json_object_set_new(all, "cyrusdb", facts(engines, ARRAY_SIZE(engines)));
    json_object_set_new(all, "database", facts(databases, ARRAY_SIZE(databases)));
    json_object_set_new(all, "search", facts(searches, ARRAY_SIZE(searches)));
    json_object_set_new(all, "hardware", json_object());
    json_object_set_new(all, "version", versions());
    json_dumpf(all, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
    putchar('\n');
    json_decref(all);
    return 0;
}
