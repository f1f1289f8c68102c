// A client that logs in by OAUTHBEARER with a device flow of its own, on the hooks of libpq 18, runs one statement and prints its rows:
//
//	oauth CONNINFO STATEMENT
//
// CONNINFO needs oauth_issuer and oauth_client_id. OIDC_CA_FILE names the authority of the provider's certificate if that is not one of the
// system's.
//
// What happens: libpq connects without a token, and the server says whose tokens it takes. libpq compares that with oauth_issuer and asks
// the hook. Until the hook returns, the server has a login open, and it does not wait as long as a person takes: so the hook begins the flow
// and leaves the rest to a callback. libpq ends the connection, calls that until it has the token, and connects again with it.

#include <curl/curl.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device.h"
#include "libpq18.h"

// client_id is that of a connection: libpq does not tell hooks. To be freed.
static char *client_id(PGconn *conn)
{
	PQconninfoOption *all = PQconninfo(conn);
	char *out = NULL;

	for (PQconninfoOption *option = all; option != NULL && option->keyword != NULL; option++)
		if (strcmp(option->keyword, "oauth_client_id") == 0 && option->val != NULL)
			out = strdup(option->val);
	PQconninfoFree(all);
	return out;
}

// next_step asks the provider, which takes a moment, and lets libpq wait for the person. A program with other connections would not block
// for the moment either: libcurl's multi interface has descriptors to wait for.
static PostgresPollingStatusType next_step(PGconn *conn, PGoauthBearerRequest *request, int *descriptor)
{
	(void)conn;
	switch (device_step(request->user)) {
	case DEVICE_DONE:
		request->token = device_token(request->user);
		return PGRES_POLLING_OK;
	case DEVICE_WAITS:
		*descriptor = device_timer(request->user);
		return PGRES_POLLING_READING;
	default:
		return PGRES_POLLING_FAILED;
	}
}

// forget frees what libpq no longer needs.
static void forget(PGconn *conn, PGoauthBearerRequest *request)
{
	(void)conn;
	free(request->token);
	request->token = NULL;
	device_end(request->user);
	request->user = NULL;
}

static int get_token(PGauthData type, PGconn *conn, void *data)
{
	PGoauthBearerRequest *request = data;
	char *client;

	if (type != PQAUTHDATA_OAUTH_BEARER_TOKEN)
		return PQdefaultAuthDataHook(type, conn, data);
	client = client_id(conn);
	request->user = client != NULL ? device_begin(request->openid_configuration, client, request->scope) : NULL;
	free(client);
	if (request->user == NULL)
		return -1;
	request->async = next_step;
	request->cleanup = forget;
	return 1;
}

// connect_verbosely is PQconnectdb, but for errors that name their SQLSTATE. NULL: no memory.
static PGconn *connect_verbosely(const char *conninfo)
{
	PGconn *conn = PQconnectStart(conninfo);
	PostgresPollingStatusType status = PGRES_POLLING_WRITING;

	if (conn == NULL || PQstatus(conn) == CONNECTION_BAD)
		return conn;
	PQsetErrorVerbosity(conn, PQERRORS_VERBOSE);
	while (status == PGRES_POLLING_READING || status == PGRES_POLLING_WRITING) {
		// During the flow this is the callback's descriptor, before and after it a connection's.
		struct pollfd wait = {.fd = PQsocket(conn), .events = status == PGRES_POLLING_READING ? POLLIN : POLLOUT};

		if (poll(&wait, 1, -1) < 0 && errno != EINTR)
			break;
		status = PQconnectPoll(conn);
	}
	return conn;
}

// complain prints the error of a connection, which need not end its line.
static void complain(PGconn *conn)
{
	const char *error = PQerrorMessage(conn);
	size_t length = strlen(error);

	fprintf(stderr, "%s%s", error, length > 0 && error[length - 1] == '\n' ? "" : "\n");
}

static int print_rows(PGconn *conn, const char *statement)
{
	PGresult *result = PQexec(conn, statement);
	int good = PQresultStatus(result) == PGRES_TUPLES_OK;

	if (!good)
		complain(conn);
	for (int row = 0; good && row < PQntuples(result); row++)
		for (int column = 0; column < PQnfields(result); column++)
			printf("%s%s", PQgetvalue(result, row, column), column + 1 < PQnfields(result) ? "|" : "\n");
	PQclear(result);
	return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int count, char **arguments)
{
	PGconn *conn;
	int code = EXIT_FAILURE;

	if (count != 3) {
		fprintf(stderr, "usage: oauth CONNINFO STATEMENT\n");
		return 2;
	}
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return EXIT_FAILURE;
	PQsetAuthDataHook(get_token);
	conn = connect_verbosely(arguments[1]);
	if (PQstatus(conn) == CONNECTION_OK)
		code = print_rows(conn, arguments[2]);
	else
		complain(conn);
	PQfinish(conn);
	curl_global_cleanup();
	return code;
}
