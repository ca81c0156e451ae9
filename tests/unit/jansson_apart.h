/*
 * jansson beside json/fields.h, as an independent judge: some of their constants have the same names. jansson's are called JANSSON_... here; its json_is_...() macros
 * that compare with them must not be used.
 */
#ifndef TANA_TESTS_JANSSON_APART_H
#define TANA_TESTS_JANSSON_APART_H

#include <stdint.h>

#define JSON_OBJECT JANSSON_OBJECT
#define JSON_TRUE JANSSON_TRUE
#define JSON_FALSE JANSSON_FALSE
#include "canonical_oracle.h"
#include "vectors.h"
#undef JSON_OBJECT
#undef JSON_TRUE
#undef JSON_FALSE

#endif
