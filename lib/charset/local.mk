# lib/charset: conversion and case folding by ICU, modified UTF-7.
noinst_LIBRARIES += lib/charset/libcharset.a
lib_charset_libcharset_a_SOURCES = \
	lib/charset/convert.c lib/charset/convert.h \
	lib/charset/decode.c lib/charset/decode.h \
	lib/charset/fold.c lib/charset/fold.h \
	lib/charset/utf7.c lib/charset/utf7.h \
	lib/charset/utf8.c lib/charset/utf8.h \
	lib/charset/words.c lib/charset/words.h
lib_charset_libcharset_a_CPPFLAGS = $(AM_CPPFLAGS) $(ICU_CFLAGS)
CHARSET_LIBS = lib/charset/libcharset.a $(ICU_LIBS) $(BASE_LIBS)
