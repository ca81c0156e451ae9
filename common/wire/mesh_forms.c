/* The forms of text that mesh's messages are made of. Each check agrees with its pattern wherever the pattern can say it all. */
#include <arpa/inet.h>

#include "base/hex.h"
#include "crypto/ed25519.h"
#include "crypto/sha256.h"
#include "wire/mesh.h"
#include "wire/mesh_messages.h"

enum { HOSTNAME_MAX = 253 /* RFC 1035, in text */, VERSION_MAX = 64, SERVICE_TYPE_MAX = 32, DECIMAL_MAX = 24 };

static bool lower_or_digit(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool digit(char c)
{
	return c >= '0' && c <= '9';
}

/* [a-z0-9][a-z0-9._-]{0,max-1} */
static bool name_valid(struct str s, size_t max)
{
	if (s.n < 1 || s.n > max || !lower_or_digit(s.p[0]))
		return false;
	for (size_t i = 1; i < s.n; i++)
		if (!lower_or_digit(s.p[i]) && s.p[i] != '.' && s.p[i] != '_' && s.p[i] != '-')
			return false;
	return true;
}

bool mesh_node_id_valid(struct str s)
{
	return name_valid(s, MESH_NODE_ID_MAX);
}

bool mesh_network_valid(struct str s)
{
	return name_valid(s, MESH_NETWORK_MAX);
}

bool mesh_service_type_valid(struct str s)
{
	if (str_is(s, "mesh") || str_is(s, "t4") || str_is(s, "ledger") || str_is(s, "identity"))
		return true;
	return s.n <= SERVICE_TYPE_MAX && str_starts(s, "x-") && name_valid(str_of(s.p + 2, s.n - 2), SERVICE_TYPE_MAX - 2);
}

static bool public_key_valid(struct str s)
{
	struct ed25519_public k;
	struct error why;
	return ed25519_public_from_text(s, KEY_LENIENT, &k, &why);
}

static bool signature_valid(struct str s)
{
	struct ed25519_signature sig;
	struct error why;
	return ed25519_signature_from_text(s, KEY_LENIENT, &sig, &why);
}

/* Form alone: whoever uses such a key parses it, which also checks the point; a reader of ten thousand rows need not. */
static bool public_key_written(struct str s)
{
	uint8_t b[ED25519_PUBLIC_SIZE];
	return s.n == ED25519_PUBLIC_TEXT_LEN && str_starts(s, "ed25519_") && hex_decode(b, sizeof b, s.p + 8, s.n - 8, HEX_LOWER_ONLY);
}

static bool signature_written(struct str s)
{
	struct ed25519_signature sig;
	struct error why;
	return ed25519_signature_from_text(s, KEY_WRITTEN, &sig, &why);
}

static bool hash_valid(struct str s)
{
	struct hash h;
	return hash_from_text(s, &h);
}

static bool role_valid(struct str s)
{
	return str_is(s, "validator") || str_is(s, "observer");
}

static bool status_valid(struct str s)
{
	return str_is(s, "pending") || str_is(s, "active") || str_is(s, "offline") || str_is(s, "denied") || str_is(s, "removed");
}

static bool ip_valid(struct str s)
{
	char z[INET6_ADDRSTRLEN];
	unsigned char address[16];

	if (s.n >= sizeof z || memchr(s.p, 0, s.n))
		return false;
	memcpy(z, s.p, s.n);
	z[s.n] = '\0';
	return inet_pton(AF_INET, z, address) == 1 || inet_pton(AF_INET6, z, address) == 1;
}

/* A DNS name or an address, with or without a port. What it resolves to is not our business; that it cannot break out of a log line, a shell
 * or a URL is. */
static bool hostname_valid(struct str s)
{
	if (s.n < 1 || s.n > HOSTNAME_MAX)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		bool alnum = digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
		if (!alnum && (i == 0 || (c != '.' && c != ':' && c != '-' && c != '_')))
			return false;
	}
	return true;
}

/* -?[0-9]{1,3}(\.[0-9]+)?, at most `limit` in size. */
static bool degrees_valid(struct str s, int limit)
{
	size_t i = 0, start;
	int whole = 0;
	bool fraction = false;

	if (s.n > DECIMAL_MAX)
		return false;
	if (i < s.n && s.p[i] == '-')
		i++;
	for (start = i; i < s.n && i - start < 3 && digit(s.p[i]); i++)
		whole = whole * 10 + (s.p[i] - '0');
	if (i == start)
		return false;
	if (i < s.n && s.p[i] == '.') {
		for (start = ++i; i < s.n && digit(s.p[i]); i++)
			fraction |= s.p[i] != '0';
		if (i == start)
			return false;
	}
	return i == s.n && (whole < limit || (whole == limit && !fraction));
}

static bool latitude_valid(struct str s)
{
	return degrees_valid(s, 90);
}

static bool longitude_valid(struct str s)
{
	return degrees_valid(s, 180);
}

static bool version_valid(struct str s)
{
	if (s.n < 1 || s.n > VERSION_MAX)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < ' ' || s.p[i] > '~')
			return false;
	return true;
}

static bool signed_form_valid(struct str s)
{
	return str_is(s, "full");
}

const struct json_form form_node_id = {"NodeId", "^[a-z0-9][a-z0-9._-]{0,63}$", "a node id (1-64 of a-z 0-9 . _ -, a letter or digit first)",
				       ERR_MALFORMED_FIELD, mesh_node_id_valid};
const struct json_form form_network = {"Network", "^[a-z0-9][a-z0-9._-]{0,63}$", "a network name (1-64 of a-z 0-9 . _ -, a letter or digit first)",
				       ERR_MALFORMED_FIELD, mesh_network_valid};
const struct json_form form_service_type = {"ServiceType", "^(mesh|t4|ledger|identity|x-[a-z0-9][a-z0-9._-]{0,29})$",
					    "a service type (mesh, t4, ledger, identity, or x- and 1-30 of a-z 0-9 . _ -)", ERR_MALFORMED_FIELD,
					    mesh_service_type_valid};
const struct json_form form_public_key = {"PublicKey", "^(ed25519_)?[0-9A-Fa-f]{64}$", "an Ed25519 public key (ed25519_ and 64 hex digits)",
					  ERR_MALFORMED_KEY, public_key_valid};
const struct json_form form_public_key_written = {"WrittenPublicKey", "^ed25519_[0-9a-f]{64}$",
						  "an Ed25519 public key as it is written (ed25519_ and 64 lower-case hex digits)", ERR_MALFORMED_KEY,
						  public_key_written};
const struct json_form form_signature = {"Signature", "^(ed25519_sig_|ed25519_)?[0-9A-Fa-f]{128}$",
					 "an Ed25519 signature (ed25519_sig_ and 128 hex digits)", ERR_MALFORMED_SIGNATURE, signature_valid};
const struct json_form form_signature_written = {"WrittenSignature", "^ed25519_sig_[0-9a-f]{128}$",
						 "an Ed25519 signature as it is written (ed25519_sig_ and 128 lower-case hex digits)",
						 ERR_MALFORMED_SIGNATURE, signature_written};
const struct json_form form_hash = {"Hash", "^[0-9a-f]{64}$", "a SHA-256 hash (64 lower-case hex digits)", ERR_MALFORMED_HASH, hash_valid};
const struct json_form form_role = {"Role", "^(validator|observer)$", "a role (validator or observer)", ERR_MALFORMED_FIELD, role_valid};
const struct json_form form_status = {"NodeStatus", "^(pending|active|offline|denied|removed)$",
				      "a status (pending, active, offline, denied or removed)", ERR_MALFORMED_FIELD, status_valid};
const struct json_form form_ip = {"IpAddress", "^[0-9A-Fa-f:.]{2,45}$", "an IPv4 or IPv6 address", ERR_MALFORMED_FIELD, ip_valid};
const struct json_form form_hostname = {"Hostname", "^[A-Za-z0-9][A-Za-z0-9.:_-]{0,252}$", "a host name (1-253 of A-Z a-z 0-9 . : _ -)",
					ERR_MALFORMED_FIELD, hostname_valid};
const struct json_form form_latitude = {"Latitude", "^-?[0-9]{1,3}(\\.[0-9]+)?$", "a latitude (a decimal number as text, -90 to 90)",
					ERR_MALFORMED_FIELD, latitude_valid};
const struct json_form form_longitude = {"Longitude", "^-?[0-9]{1,3}(\\.[0-9]+)?$", "a longitude (a decimal number as text, -180 to 180)",
					 ERR_MALFORMED_FIELD, longitude_valid};
const struct json_form form_version = {"Version", "^[ -~]{1,64}$", "a version (1-64 printable ASCII characters)", ERR_MALFORMED_FIELD, version_valid};
const struct json_form form_signed = {"SignedForm", "^full$", "\"full\"", ERR_MALFORMED_FIELD, signed_form_valid};
