#include "https.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	// ANSWER_MAX is far more than any discovery document or token has.
	ANSWER_MAX = 256 * 1024,
	// REQUEST_SECONDS bounds one request. None of them waits for a person.
	REQUEST_SECONDS = 20,
};

struct answer {
	char data[ANSWER_MAX];
	size_t length;
};

static size_t keep(char *data, size_t one, size_t length, void *to)
{
	struct answer *answer = to;

	(void)one; // always 1
	if (length > sizeof answer->data - answer->length)
		return 0; // ends the transfer
	memcpy(answer->data + answer->length, data, length);
	answer->length += length;
	return length;
}

static CURL *request_to(const char *address, const char *form, struct answer *answer)
{
	CURL *curl = curl_easy_init();
	const char *authority = getenv("OIDC_CA_FILE");

	if (curl == NULL)
		return NULL;
	// Neither another protocol nor another place: what is sent is as good as the token.
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https");
	curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(curl, CURLOPT_URL, address);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)REQUEST_SECONDS);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, keep);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
	if (authority != NULL) {
		curl_easy_setopt(curl, CURLOPT_CAINFO, authority);
		curl_easy_setopt(curl, CURLOPT_CAPATH, NULL);
	}
	if (form != NULL)
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, form);
	return curl;
}

json_t *https_json(const char *address, const char *form, long *status)
{
	struct answer *answer = calloc(1, sizeof *answer);
	CURL *curl = answer != NULL ? request_to(address, form, answer) : NULL;
	CURLcode failure = curl != NULL ? curl_easy_perform(curl) : CURLE_OUT_OF_MEMORY;
	json_t *out = NULL;

	if (failure == CURLE_OK) {
		curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, status);
		out = json_loadb(answer->data, answer->length, JSON_REJECT_DUPLICATES, NULL);
		if (!json_is_object(out)) {
			fprintf(stderr, "%s: status %ld and no JSON object\n", address, *status);
			json_decref(out);
			out = NULL;
		}
	} else {
		fprintf(stderr, "%s: %s\n", address, curl_easy_strerror(failure));
	}
	curl_easy_cleanup(curl);
	free(answer);
	return out;
}

char *https_form(const char *const *pairs)
{
	char *out = NULL;
	size_t size = 0;
	FILE *stream = open_memstream(&out, &size);

	if (stream == NULL)
		return NULL;
	for (const char *const *pair = pairs; *pair != NULL; pair += 2) {
		char *value = curl_easy_escape(NULL, pair[1], 0);

		if (value == NULL) {
			fclose(stream);
			free(out);
			return NULL;
		}
		fprintf(stream, "%s%s=%s", pair == pairs ? "" : "&", pair[0], value);
		curl_free(value);
	}
	if (fclose(stream) != 0) {
		free(out);
		return NULL;
	}
	return out;
}
