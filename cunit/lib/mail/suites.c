#include "cunit/unit.h"

extern const struct unit_suite header_suite, address_suite, date_suite, content_suite, message_suite,
    section_suite, wire_suite, text_suite, thread_suite, corpus_suite;

const struct unit_suite *const unit_suites[] = {
    &header_suite, &address_suite, &date_suite,   &content_suite, &message_suite, &section_suite,
    &wire_suite,   &text_suite,    &thread_suite, &corpus_suite,  NULL,
};
