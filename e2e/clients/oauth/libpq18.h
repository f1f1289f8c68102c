// What libpq 18 has for OAuth, beside an older header: https://www.postgresql.org/docs/18/libpq-oauth.html.
#ifndef LIBPQ18_H
#define LIBPQ18_H

#include <libpq-fe.h>

#ifndef LIBPQ_HAS_PROMPT_OAUTH_DEVICE

typedef enum {
	PQAUTHDATA_PROMPT_OAUTH_DEVICE, // data is what libpq's own device flow has to show
	PQAUTHDATA_OAUTH_BEARER_TOKEN,  // data is a PGoauthBearerRequest
} PGauthData;

typedef struct PGoauthBearerRequest {
	// From libpq, the same in every call.
	const char *openid_configuration; // the address of the provider's discovery document
	const char *scope;                // separated by blanks; NULL: none

	// To libpq. The token is set now, or by async once that returns PGRES_POLLING_OK; until then async names a descriptor to wait for.
	PostgresPollingStatusType (*async)(PGconn *conn, struct PGoauthBearerRequest *request, int *descriptor);
	void (*cleanup)(PGconn *conn, struct PGoauthBearerRequest *request);
	char *token;
	void *user; // ours
} PGoauthBearerRequest;

// A hook returns 1 when it has dealt with the request, 0 when that is not its business, -1 when it has failed.
typedef int (*PQauthDataHook_type)(PGauthData type, PGconn *conn, void *data);

void PQsetAuthDataHook(PQauthDataHook_type hook);
int PQdefaultAuthDataHook(PGauthData type, PGconn *conn, void *data);

#endif

#endif
