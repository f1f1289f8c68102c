#ifndef HTTPS_H
#define HTTPS_H

#include <jansson.h>

// https_json sends a GET, or a POST of form if that is not NULL, and returns the JSON object in the answer and its status. It returns
// NULL after it has said on standard error why there is none. The certificate must be of an authority in the file that OIDC_CA_FILE
// names, or one of the system's.
json_t *https_json(const char *address, const char *form, long *status);

// https_form makes name=value&… of pairs of names and values that end with NULL. To be freed.
char *https_form(const char *const *pairs);

#endif
