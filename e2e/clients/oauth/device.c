#include "device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "https.h"

#define GRANT "urn:ietf:params:oauth:grant-type:device_code"
#define WELL_KNOWN "/.well-known/openid-configuration"

enum {
	// The pace of asking, in seconds: what is usual, and what slow_down adds to it (RFC 8628, 3.2 and 3.5).
	POLL_INTERVAL = 5,
	POLL_SLOWER = 5,
	// POLL_MAX keeps the arithmetic sane, whatever the provider says.
	POLL_MAX = 3600,
};

struct device {
	char *endpoint; // where tokens are
	char *client;
	char *code; // the device's, not the person's
	char *token;
	json_int_t interval;
	int timer;
};

// text is a member that is a string and not empty, or NULL.
static const char *text(const json_t *object, const char *name)
{
	const char *value = json_string_value(json_object_get(object, name));

	return value != NULL && *value != '\0' ? value : NULL;
}

static void arm(struct device *device)
{
	struct itimerspec when = {.it_value = {.tv_sec = device->interval}};

	timerfd_settime(device->timer, 0, &when, NULL);
}

// complain says what the provider gave as the reason (RFC 6749, 5.2).
static void complain(const char *what, const json_t *answer, long status)
{
	const char *error = text(answer, "error"), *description = text(answer, "error_description");

	fprintf(stderr, "%s: status %ld, %s%s%s\n", what, status, error ? error : "no error code", description ? ": " : "",
		description ? description : "");
}

// discover reads the document, which must be of the issuer that it was asked of (RFC 8414, 3.3): libpq has compared no more than its
// address.
static json_t *discover(const char *configuration)
{
	long status = 0;
	json_t *document = https_json(configuration, NULL, &status);
	const char *issuer = text(document, "issuer");
	size_t length = issuer != NULL ? strlen(issuer) : 0;

	if (document == NULL)
		return NULL;
	if (status == 200 && issuer != NULL && strncmp(configuration, issuer, length) == 0 &&
	    strcmp(configuration + length, WELL_KNOWN) == 0 && text(document, "device_authorization_endpoint") != NULL &&
	    text(document, "token_endpoint") != NULL)
		return document;
	fprintf(stderr, "%s: not the document of a provider with a device flow\n", configuration);
	json_decref(document);
	return NULL;
}

// authorize asks for the two codes (RFC 8628, 3.1).
static json_t *authorize(const char *endpoint, const char *client, const char *scope)
{
	// Without a scope the pairs end two earlier.
	const char *pairs[] = {"client_id", client, scope != NULL ? "scope" : NULL, scope, NULL};
	char *form = https_form(pairs);
	long status = 0;
	json_t *answer = form != NULL ? https_json(endpoint, form, &status) : NULL;

	free(form);
	if (answer == NULL)
		return NULL;
	if (status == 200 && text(answer, "device_code") != NULL && text(answer, "user_code") != NULL &&
	    text(answer, "verification_uri") != NULL)
		return answer;
	complain("the provider gives no code", answer, status);
	json_decref(answer);
	return NULL;
}

// started is a flow that waits, with all that it needs from the two answers.
static struct device *started(const json_t *document, const json_t *codes, const char *client)
{
	struct device *device = calloc(1, sizeof *device);
	const json_t *interval = json_object_get(codes, "interval");

	if (device == NULL)
		return NULL;
	device->endpoint = strdup(text(document, "token_endpoint"));
	device->client = strdup(client);
	device->code = strdup(text(codes, "device_code"));
	device->interval = json_is_integer(interval) ? json_integer_value(interval) : POLL_INTERVAL;
	device->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (device->endpoint == NULL || device->client == NULL || device->code == NULL || device->timer < 0 || device->interval < 1 ||
	    device->interval > POLL_MAX) {
		fprintf(stderr, "the device flow cannot be begun\n");
		device_end(device);
		return NULL;
	}
	arm(device);
	return device;
}

struct device *device_begin(const char *configuration, const char *client, const char *scope)
{
	json_t *document = discover(configuration), *codes = NULL;
	struct device *device = NULL;

	if (document != NULL)
		codes = authorize(text(document, "device_authorization_endpoint"), client, scope);
	if (codes != NULL)
		device = started(document, codes, client);
	if (device != NULL)
		fprintf(stderr, "Visit %s and enter the code: %s (it asks for: %s)\n", text(codes, "verification_uri"),
			text(codes, "user_code"), scope != NULL ? scope : "nothing");
	json_decref(codes);
	json_decref(document);
	return device;
}

// judge tells an answer of the token endpoint (RFC 8628, 3.5).
static enum device_state judge(struct device *device, const json_t *answer, long status)
{
	const char *token = text(answer, "access_token"), *type = text(answer, "token_type"), *error = text(answer, "error");

	if (status == 200 && token != NULL && type != NULL && strcasecmp(type, "Bearer") == 0) {
		device->token = strdup(token);
		return device->token != NULL ? DEVICE_DONE : DEVICE_FAILED;
	}
	if (error != NULL && strcmp(error, "authorization_pending") == 0) {
		arm(device);
		return DEVICE_WAITS;
	}
	if (error != NULL && strcmp(error, "slow_down") == 0 && device->interval + POLL_SLOWER <= POLL_MAX) {
		device->interval += POLL_SLOWER;
		arm(device);
		return DEVICE_WAITS;
	}
	complain("the provider gives no token", answer, status);
	return DEVICE_FAILED;
}

enum device_state device_step(struct device *device)
{
	const char *pairs[] = {"grant_type", GRANT, "device_code", device->code, "client_id", device->client, NULL};
	enum device_state state = DEVICE_FAILED;
	struct itimerspec left;
	json_t *answer;
	char *form;
	long status = 0;

	// libpq steps when it likes, the provider wants its interval.
	if (timerfd_gettime(device->timer, &left) == 0 && (left.it_value.tv_sec > 0 || left.it_value.tv_nsec > 0))
		return DEVICE_WAITS;
	form = https_form(pairs);
	answer = form != NULL ? https_json(device->endpoint, form, &status) : NULL;
	if (answer != NULL)
		state = judge(device, answer, status);
	json_decref(answer);
	free(form);
	return state;
}

int device_timer(const struct device *device) { return device->timer; }

char *device_token(struct device *device)
{
	char *token = device->token;

	device->token = NULL;
	return token;
}

void device_end(struct device *device)
{
	if (device == NULL)
		return;
	if (device->timer >= 0)
		close(device->timer);
	free(device->endpoint);
	free(device->client);
	free(device->code);
	free(device->token);
	free(device);
}
