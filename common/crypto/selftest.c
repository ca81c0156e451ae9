/*
 * Does the library at hand judge as tana needs? Ed25519 libraries differ in which edge cases they accept, and a network whose nodes
 * disagree about one signature splits. So the published edge cases are put to it at every start; it takes less than a millisecond.
 */
#include <sodium.h>

#include "base/hex.h"
#include "ed25519.h"
#include "sha256.h"
#include "sha256_pairs.h"

/* Chalkias, Garillot, Nikolaenko: "Taming the many EdDSAs" (2020), table 1 and the vectors published with it, in their order. */
static const struct edge_case {
	const char *what;
	bool accepted;
	const char *public_key, *message, *signature;
} edge_cases[] = {
	{"small-order key and R, S = 0", false,
	 "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
	 "8c93255d71dcab10e8f379c26200f3c7bd5f09d9bc3068d3ef4edeb4853022b6",
	 "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"
	 "0000000000000000000000000000000000000000000000000000000000000000"},
	{"small-order key", false,
	 "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
	 "9bd9f44f4dcc75bd531b56b2cd280b0bb38fc1cd6d1230e14861d861de092e79",
	 "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43"
	 "a5bb704786be79fc476f91d3f3f89b03984d8068dcf1bb7dfc6637b45450ac04"},
	{"small-order R", false,
	 "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43",
	 "aebf3f2601a0c8c5d39cc7d8911642f740b78168218da8471772b35f9d35b9ab",
	 "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa"
	 "8c4bd45aecaca5b24fb97bc10ac27ac8751a7dfe1baff8b953ec9f5833ca260e"},
	{"key and R of mixed order, both equations hold", true,
	 "cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d",
	 "9bd9f44f4dcc75bd531b56b2cd280b0bb38fc1cd6d1230e14861d861de092e79",
	 "9046a64750444938de19f227bb80485e92b83fdb4b6506c160484c016cc1852f"
	 "87909e14428a7a1d62e9f22f3d3ad7802db02eb2e688b6c52fcd6648a98bd009"},
	{"key and R of mixed order, only the cofactored equation holds", false,
	 "cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d",
	 "e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec4011eaccd55b53f56c",
	 "160a1cb0dc9c0258cd0a7d23e94d8fa878bcb1925f2c64246b2dee1796bed512"
	 "5ec6bc982a269b723e0668e540911a9a6a58921d6925e434ab10aa7940551a09"},
	{"key of mixed order, only the cofactored equation holds", false,
	 "cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d",
	 "e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec4011eaccd55b53f56c",
	 "21122a84e0b5fca4052f5b1235c80a537878b38f3142356b2c2384ebad4668b7"
	 "e40bc836dac0f71076f9abe3a53f9c03c1ceeeddb658d0030494ace586687405"},
	{"S above L", false,
	 "442aad9f089ad9e14647b1ef9099a1ff4798d78589e66f28eca69c11f582a623",
	 "85e241a07d148b41e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec40",
	 "e96f66be976d82e60150baecff9906684aebb1ef181f67a7189ac78ea23b6c0e"
	 "547f7690a0e2ddcd04d87dbc3490dc19b3b3052f7ff0538cb68afb369ba3a514"},
	{"S far above L", false,
	 "442aad9f089ad9e14647b1ef9099a1ff4798d78589e66f28eca69c11f582a623",
	 "85e241a07d148b41e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec40",
	 "8ce5b96c8f26d0ab6c47958c9e68b937104cd36e13c33566acd2fe8d38aa1942"
	 "7e71f98a473474f2f13f06f97c20d58cc3f54b8bd0d272f42b695dd7e89a8c22"},
	{"non-canonical R, hashed as reduced", false,
	 "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43",
	 "9bedc267423725d473888631ebf45988bad3db83851ee85c85e241a07d148b41",
	 "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
	 "03be9678ac102edcd92b0210bb34d7428d12ffc5df5f37e359941266a4e35f0f"},
	{"non-canonical R, hashed as it stands", false,
	 "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43",
	 "9bedc267423725d473888631ebf45988bad3db83851ee85c85e241a07d148b41",
	 "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
	 "ca8c5b64cd208982aa38d4936621a4775aa233aa0505711d8fdcfdaa943d4908"},
	{"non-canonical key, hashed as reduced", false,
	 "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
	 "e96b7021eb39c1a163b6da4e3093dcd3f21387da4cc4572be588fafae23c155b",
	 "a9d55260f765261eb9b84e106f665e00b867287a761990d7135963ee0a7d59dc"
	 "a5bb704786be79fc476f91d3f3f89b03984d8068dcf1bb7dfc6637b45450ac04"},
	{"non-canonical key, hashed as it stands", false,
	 "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
	 "39a591f5321bbe07fd5a23dc2f39d025d74526615746727ceefd6e82ae65c06f",
	 "a9d55260f765261eb9b84e106f665e00b867287a761990d7135963ee0a7d59dc"
	 "a5bb704786be79fc476f91d3f3f89b03984d8068dcf1bb7dfc6637b45450ac04"},
};

static bool from_hex(void *out, size_t n, const char *hex)
{
	return hex_decode(out, n, hex, strlen(hex), HEX_LOWER_ONLY);
}

static bool judged_as_published(const struct edge_case *c)
{
	struct ed25519_public key;
	struct ed25519_signature signature;
	uint8_t message[32];
	return from_hex(key.b, sizeof(key.b), c->public_key) && from_hex(signature.b, sizeof(signature.b), c->signature) &&
	       from_hex(message, sizeof(message), c->message) &&
	       ed25519_verify_bytes(&signature, &key, str_of((const char *)message, sizeof(message))) == c->accepted;
}

/* RFC 8032 section 7.1, test 2: one key, one signature, both ways. */
static bool signs_as_published(void)
{
	uint8_t seed[ED25519_SEED_SIZE];
	struct ed25519_signature expected, made;
	struct ed25519_secret key;
	if (!from_hex(seed, sizeof(seed), "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb") ||
	    !from_hex(expected.b, sizeof(expected.b),
		      "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
		      "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"))
		return false;
	ed25519_from_seed(&key, seed);
	ed25519_sign_bytes(&made, &key, STR_LIT("\x72"));
	return memcmp(made.b, expected.b, sizeof(made.b)) == 0 && ed25519_verify_bytes(&made, &key.public_key, STR_LIT("\x72")) &&
	       !ed25519_verify_bytes(&made, &key.public_key, STR_LIT("\x73"));
}

/* FIPS 180-4's example. */
static bool hashes_as_published(void)
{
	struct hash expected, made;
	sha256(&made, "abc", 3);
	return hash_from_text(STR_LIT("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"), &expected) &&
	       hash_equal(&made, &expected);
}

/* One alone and two at once, each of the CPU's ways that there are, against the plain function. */
static bool hashes_pairs_alike(void)
{
	uint8_t message[3][1 + 2 * HASH_SIZE];
	struct hash side[3][2], expected[3], made[3];
	struct sha256_pair jobs[3];
	for (size_t i = 0; i < ARRAY_LEN(jobs); i++) {
		for (size_t j = 0; j < sizeof(message[i]); j++)
			message[i][j] = j == 0 ? 1 : (uint8_t)(37 * j + 101 * i);
		memcpy(side[i], message[i] + 1, sizeof(side[i]));
		sha256(&expected[i], message[i], sizeof(message[i]));
		jobs[i] = (struct sha256_pair){&made[i], &side[i][0], &side[i][1]};
	}
	sha256_pairs(1, jobs, ARRAY_LEN(jobs));
	return memcmp(expected, made, sizeof(made)) == 0;
}

bool crypto_start(struct error *err)
{
	if (sodium_init() < 0)
		return error_set(err, ERR_INTERNAL, "libsodium cannot be initialised");
	if (!hashes_as_published())
		return error_set(err, ERR_INTERNAL, "self-test: libcrypto computes a wrong SHA-256");
	if (!hashes_pairs_alike())
		return error_set(err, ERR_INTERNAL, "self-test: this CPU's SHA instructions compute a wrong SHA-256");
	if (!signs_as_published())
		return error_set(err, ERR_INTERNAL, "self-test: libsodium fails RFC 8032's Ed25519 example");
	for (size_t i = 0; i < ARRAY_LEN(edge_cases); i++)
		if (!judged_as_published(&edge_cases[i])) {
			error_set(err, ERR_INTERNAL, "self-test: libsodium %s a signature that it must not (%s)",
				  edge_cases[i].accepted ? "refuses" : "accepts", edge_cases[i].what);
			return error_hint(err, "tana needs a libsodium built without ED25519_COMPAT, 1.0.18 or later");
		}
	return true;
}
