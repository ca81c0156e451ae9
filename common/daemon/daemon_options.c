/* The options every daemon has, their checks, and what they mean to the log and the HTTP server. */
#include "daemon_options.h"

#include <stdlib.h>

#include "base/file.h"
#include "base/log.h"

static const char *const levels[] = {"error", "warn", "info", "debug", NULL};
static const char *const formats[] = {"text", "json", NULL};
static const char *const access_logs[] = {"off", "errors", "all", NULL};

const struct option_row daemon_options[] = {
	{.name = "listen", .value = "HOST:PORT", .doc = "Where to listen; port 0 takes a free one."},
	{.name = "config", .value = "FILE", .doc = "The configuration file."},
	{.name = "log-level", .type = OPTION_CHOICE, .flags = OPTION_RELOADABLE, .choices = levels, .fallback = "info",
	 .doc = "The least important lines that are logged."},
	{.name = "log-format", .type = OPTION_CHOICE, .choices = formats, .fallback = "text", .doc = "How a line of the log is written."},
	{.name = "log-file", .value = "FILE", .doc = "Log to this file instead of standard error."},
	{.name = "access-log", .type = OPTION_CHOICE, .choices = access_logs, .fallback = "errors",
	 .doc = "Which requests are logged: none, those refused or failed, or all."},
	{.name = "tls-cert", .value = "FILE", .doc = "Serve HTTPS with this certificate chain (PEM); needs --tls-key."},
	{.name = "tls-key", .value = "FILE", .doc = "The certificate's private key (PEM)."},
	{.name = "rate-limit", .type = OPTION_INT, .flags = OPTION_RELOADABLE, .value = "N", .fallback = "200", .min = 0, .max = 1000000,
	 .doc = "Writes a second that one address may make; 0: no limit."},
	{.name = "rate-burst", .type = OPTION_INT, .flags = OPTION_RELOADABLE, .value = "N", .fallback = "1000", .min = 1, .max = 10000000,
	 .doc = "Writes that an address which was quiet may make at once."},
	{.name = "rate-limit-loopback", .type = OPTION_BOOL, .fallback = "no", .doc = "Limit loopback addresses too."},
	{.name = "max-connections", .type = OPTION_INT, .value = "N", .fallback = "20000", .min = 16, .max = 1000000,
	 .doc = "Open connections, event streams included; at most what the descriptor limit leaves."},
	{.name = "max-connections-per-address", .type = OPTION_INT, .value = "N", .fallback = "1000", .min = 1, .max = 1000000,
	 .doc = "Open connections of one address; loopback is exempt."},
	{.name = "max-streams", .type = OPTION_INT, .value = "N", .fallback = "10000", .min = 1, .max = 1000000, .doc = "Open event streams."},
	{.name = "idle-timeout", .type = OPTION_DURATION, .value = "TIME", .fallback = "60s", .min = 1000, .max = 86400000,
	 .doc = "Connections without a request, and requests that do not arrive, end after this."},
	{.name = "trusted-proxy", .flags = OPTION_REPEATABLE, .value = "ADDRESS",
	 .doc = "A proxy in front (an address, or a network such as 10.0.0.0/8): its X-Forwarded-For says who asks."},
	{.name = "workers", .type = OPTION_INT, .value = "N", .fallback = "0", .min = 0, .max = 1024,
	 .doc = "Threads that answer requests; 0: one a core."},
	{0},
};

enum log_level daemon_log_level(const struct invocation *in)
{
	enum log_level level;
	/* The table's choices are the log's own names. */
	if (!log_level_from_text(str_from(option_text(in, "log-level")), &level))
		fatal("the log does not know the level %s", option_text(in, "log-level"));
	return level;
}

bool daemon_log_open(const char *service, const struct invocation *in, struct error *err)
{
	enum log_format format = strcmp(option_text(in, "log-format"), "json") == 0 ? LOG_FORMAT_JSON : LOG_FORMAT_TEXT;
	return log_open(service, daemon_log_level(in), format, option_text(in, "log-file"), err);
}

/* HOST:PORT or [IPV6]:PORT; whether the host exists shows when the socket is opened. */
static bool address_valid(const char *text)
{
	const char *colon = strrchr(text, ':');
	int64_t port;
	if (!colon || colon == text || !str_to_int64(str_from(colon + 1), &port) || port < 0 || port > 65535)
		return false;
	bool bracketed = text[0] == '[' && colon[-1] == ']';
	return bracketed || !memchr(text, ':', (size_t)(colon - text));
}

static bool check_listen(const struct invocation *in, struct error *err)
{
	const char *listen = option_text(in, "listen");
	if (!listen || address_valid(listen))
		return true;
	error_set(err, ERR_CONFIG, "%s: \"%s\" is no HOST:PORT", option_origin(in, "listen"), listen);
	return error_hint(err, "write it as 127.0.0.1:8190 or [::1]:8190");
}

static bool check_pem(const struct invocation *in, const char *option, const char *label, struct error *err)
{
	enum { PEM_MAX = 1024 * 1024 };
	const char *path = option_text(in, option);
	struct buf text = {0};
	struct error why;
	bool ok = true;
	if (!path)
		return true;
	if (!file_read(path, PEM_MAX, &text, &why))
		ok = error_set(err, ERR_CONFIG, "--%s: %s", option, why.message);
	else if (!memmem(buf_z(&text), text.len, label, strlen(label)))
		ok = error_set(err, ERR_CONFIG, "--%s: %s holds no PEM %s", option, path, label);
	if (text.data)
		explicit_bzero(text.data, text.cap);
	buf_free(&text);
	return ok;
}

bool daemon_check(const struct invocation *in, struct error *err)
{
	if (!check_listen(in, err))
		return false;
	if (!option_text(in, "tls-cert") != !option_text(in, "tls-key")) {
		error_set(err, ERR_CONFIG, "--tls-cert and --tls-key go together");
		return error_hint(err, "give both, or neither and serve plain HTTP");
	}
	return check_pem(in, "tls-cert", "CERTIFICATE-----", err) && check_pem(in, "tls-key", "PRIVATE KEY-----", err);
}

void daemon_fill_http(const struct invocation *in, struct http_options *http)
{
	static const char *const kinds[] = {[ACCESS_LOG_OFF] = "off", [ACCESS_LOG_ERRORS] = "errors", [ACCESS_LOG_ALL] = "all"};
	http->version = tana_version();
	http->commit = tana_commit();
	http->listen = option_text(in, "listen");
	http->tls_cert = option_text(in, "tls-cert");
	http->tls_key = option_text(in, "tls-key");
	http->workers = (int)option_int(in, "workers");
	http->connections_max = (int)option_int(in, "max-connections");
	http->connections_per_address = (int)option_int(in, "max-connections-per-address");
	http->streams_max = (int)option_int(in, "max-streams");
	http->idle_timeout_ms = option_int(in, "idle-timeout");
	http->rate_per_second = (double)option_int(in, "rate-limit");
	http->rate_burst = (int)option_int(in, "rate-burst");
	http->rate_exempt_loopback = !option_bool(in, "rate-limit-loopback");
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (strcmp(option_text(in, "access-log"), kinds[i]) == 0)
			http->access_log = i;
}
