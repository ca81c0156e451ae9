/* keys: key files on disk. Who may touch them, what is in them, what is kept of them. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "keys/base64.h"
#include "keys/keyfile.h"

/* RFC 8032, test 1 and test 2 */
#define SEED_1 "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"
#define PUBLIC_1 "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
#define PUBLIC_2 "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
#define PAIR_1 "\"publicKey\":\"ed25519_" PUBLIC_1 "\",\"privateKey\":\"ed25519_" SEED_1 "\""

static char dir[64];
static struct arena arena;

static const char *in_dir(const char *name)
{
	static char path[128];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	return path;
}

static const char *put(const char *name, const char *text, mode_t mode)
{
	const char *path = in_dir(name);
	struct error err;
	assert_true(file_write_atomic(path, str_from(text), mode, FILE_REPLACE, &err));
	return path;
}

static void assert_content(const char *path, const char *wanted)
{
	struct buf b = {0};
	struct error err;
	assert_true(file_read(path, 1 << 20, &b, &err));
	assert_string_equal(buf_z(&b), wanted);
	buf_free(&b);
}

static void assert_error(const struct error *err, enum error_code code, const char *words)
{
	assert_string_equal(error_code_text(err->code), error_code_text(code));
	if (!strstr(err->message, words))
		fail_msg("\"%s\" is not in \"%s\"", words, err->message);
	assert_null(strstr(err->message, SEED_1));
}

static void assert_refused(const char *path, enum error_code code, const char *words)
{
	struct keyfile k;
	struct error err = {0};
	if (keyfile_read(path, NULL, NULL, &arena, &k, &err))
		fail_msg("%s was read", path);
	assert_error(&err, code, words);
}

static void assert_seed_1(const struct keyfile *k)
{
	char text[ED25519_SEED_TEXT_LEN + 1], public_text[ED25519_PUBLIC_TEXT_LEN + 1];
	assert_true(k->has_secret);
	ed25519_seed_to_text(&k->secret, text);
	assert_string_equal(text, "ed25519_" SEED_1);
	ed25519_public_to_text(&k->public_key, public_text);
	assert_string_equal(public_text, "ed25519_" PUBLIC_1);
}

/* ---- Reading ---- */

static void test_existing_forms(void **state)
{
	(void)state;
	static const struct {
		const char *text, *node_id, *service, *description, *username;
	} files[] = {
		{"{\"nodeId\":\"v1\"," PAIR_1 "}", "v1", NULL, NULL, NULL},
		{"{" PAIR_1 "}", NULL, NULL, NULL, NULL},
		{"{\"service\":\"t4\"," PAIR_1 ",\"unknown\":{\"a\":[1.5]}}", NULL, "t4", NULL, NULL},
		{"{\n  " PAIR_1 ",\n  \"description\": \"the first\"\n}\n", NULL, NULL, "the first", NULL},
		{"{\"username\":\"@a\",\"displayName\":\"A\",\"userId\":\"u1\"," PAIR_1 "}", NULL, NULL, NULL, "@a"},
		/* The lenient spellings of keys. */
		{"{\"publicKey\":\"" PUBLIC_1 "\",\"privateKey\":\"" SEED_1 "\"}", NULL, NULL, NULL, NULL},
	};
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		struct keyfile k;
		struct error err = {0};
		if (!keyfile_read(put("k", files[i].text, 0600), NULL, NULL, &arena, &k, &err))
			fail_msg("%s", err.message);
		assert_seed_1(&k);
		assert_false(k.sealed);
		assert_true(str_equal(k.node_id, str_from(files[i].node_id)));
		assert_true(str_equal(k.service, str_from(files[i].service)));
		assert_true(str_equal(k.description, str_from(files[i].description)));
		assert_true(str_equal(k.username, str_from(files[i].username)));
		keyfile_wipe(&k);
		assert_false(k.has_secret);
		struct ed25519_secret zero;
		memset(&zero, 0, sizeof zero);
		assert_memory_equal(&k.secret, &zero, sizeof zero);
	}
	struct keyfile k;
	struct error err = {0};
	assert_true(keyfile_read(put("k", "{\"publicKey\":\"ed25519_" PUBLIC_1 "\"}", 0400), NULL, NULL, &arena, &k, &err));
	assert_false(k.has_secret || k.sealed);
}

static void test_not_key_files(void **state)
{
	(void)state;
	static const struct {
		const char *text, *words;
	} bad[] = {
		{"", "the text is empty"},
		{"ssh-ed25519 AAAA", "where an object should be"},
		{"{}", "publicKey is missing"},
		{"{\"privateKey\":\"ed25519_" SEED_1 "\"}", "publicKey is missing"},
		{"{\"publicKey\":7}", "publicKey must be a text"},
		{"{\"publicKey\":\"ed25519_12\"}", "publicKey is malformed"},
		{"{\"publicKey\":\"0100000000000000000000000000000000000000000000000000000000000000\"}", "publicKey is malformed"},
		{"{\"publicKey\":\"ed25519_" PUBLIC_1 "\",\"privateKey\":\"ed25519_12\"}", "privateKey is malformed"},
		{"{\"publicKey\":\"ed25519_" PUBLIC_2 "\",\"privateKey\":\"ed25519_" SEED_1 "\"}", "do not belong together"},
		{"{\"publicKey\":\"ed25519_" PUBLIC_1 "\",\"publicKey\":\"ed25519_" PUBLIC_1 "\"}", "already has"},
		{"{" PAIR_1 ",\"sealedKey\":\"AAAA\"}", "both privateKey and sealedKey"},
		{"{" PAIR_1 "} ,", "where the end should be"},
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_refused(put("bad", bad[i].text, 0600), ERR_KEY_FILE, bad[i].words);
}

static void test_refused_files(void **state)
{
	(void)state;
	char target[128];
	static const mode_t open_modes[] = {0640, 0604, 0660, 0601, 0777};
	for (size_t i = 0; i < ARRAY_LEN(open_modes); i++) {
		const char *path = put("open", "{" PAIR_1 "}", open_modes[i]);
		struct keyfile k;
		struct error err = {0};
		assert_false(keyfile_read(path, NULL, NULL, &arena, &k, &err));
		assert_error(&err, ERR_KEY_FILE, "by others");
		char hint[160];
		snprintf(hint, sizeof hint, "chmod 600 %s", path);
		assert_string_equal(err.hint, hint);
	}
	assert_refused(in_dir("nowhere"), ERR_KEY_NEEDED, "there is no key file");
	assert_refused(in_dir("open/below"), ERR_KEY_NEEDED, "there is no key file");
	assert_refused(dir, ERR_KEY_FILE, "is not a file");
	snprintf(target, sizeof target, "%s", put("target", "{" PAIR_1 "}", 0600));
	assert_int_equal(symlink(target, in_dir("link")), 0);
	assert_refused(in_dir("link"), ERR_KEY_FILE, "symbolic link");
	assert_int_equal(mkfifo(in_dir("fifo"), 0600), 0);
	assert_refused(in_dir("fifo"), ERR_KEY_FILE, "is not a file"); /* and does not wait for a writer */
}

static void test_too_large(void **state)
{
	(void)state;
	struct buf b = {0};
	buf_puts(&b, "{" PAIR_1 ",\"x\":\"");
	while (b.len < 64 * 1024 - 2)
		buf_putc(&b, 'x');
	buf_puts(&b, "\"}");
	struct keyfile k;
	struct error err = {0};
	assert_true(keyfile_read(put("large", buf_z(&b), 0600), NULL, NULL, &arena, &k, &err));
	keyfile_wipe(&k);
	buf_puts(&b, " ");
	assert_refused(put("large", buf_z(&b), 0600), ERR_KEY_FILE, "larger than a key file can be");
	buf_free(&b);
}

static void test_other_owner(void **state)
{
	(void)state;
	if (geteuid() != 0) /* only root can give files away */
		skip();
	const char *path = put("foreign", "{" PAIR_1 "}", 0600);
	assert_int_equal(chown(path, 12345, (gid_t)-1), 0);
	assert_refused(path, ERR_KEY_FILE, "belongs to another user");
}

/* ---- Writing ---- */

static struct keyfile sample_key(void)
{
	struct keyfile k = {.has_secret = true};
	struct error err;
	assert_true(ed25519_secret_from_text(STR_LIT(SEED_1), KEY_LENIENT, &k.secret, &err));
	k.public_key = k.secret.public_key;
	return k;
}

static void test_write(void **state)
{
	(void)state;
	struct keyfile k = sample_key(), back;
	struct error err = {0};
	struct stat st;
	k.node_id = STR_LIT("v1");
	k.description = STR_LIT("quote \" and \n line");
	const char *path = in_dir("made/deep/key.json");
	assert_true(keyfile_write(path, &k, STR_NONE, false, &err));
	assert_content(path, "{\"nodeId\":\"v1\",\"description\":\"quote \\\" and \\n line\"," PAIR_1 "}\n");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(stat(in_dir("made"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(stat(in_dir("made/deep"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_true(keyfile_read(in_dir("made/deep/key.json"), NULL, NULL, &arena, &back, &err));
	assert_seed_1(&back);
	assert_true(str_equal(back.node_id, k.node_id) && str_equal(back.description, k.description) && !str_present(back.user_id));

	struct keyfile other = {.has_secret = true};
	ed25519_generate(&other.secret);
	other.public_key = other.secret.public_key;
	assert_false(keyfile_write(in_dir("made/deep/key.json"), &other, STR_NONE, false, &err));
	assert_int_equal(err.code, ERR_ALREADY_EXISTS);
	assert_true(keyfile_read(in_dir("made/deep/key.json"), NULL, NULL, &arena, &back, &err));
	assert_seed_1(&back);
}

static void test_rewrite_keeps_unknown(void **state)
{
	(void)state;
	const char *path = put("kept", "{\"x\":1.50,\"nodeId\":\"old\"," PAIR_1 ",\"createdAt\":\"2024\",\"list\":[{\"y\":\"\\u0001\"}]}", 0600);
	struct keyfile k = sample_key();
	struct error err = {0};
	k.node_id = STR_LIT("new");
	assert_true(keyfile_write(path, &k, STR_NONE, true, &err));
	assert_content(path, "{\"nodeId\":\"new\"," PAIR_1 ",\"x\":1.50,\"createdAt\":\"2024\",\"list\":[{\"y\":\"\\u0001\"}]}\n");
}

static void test_replace_what_is_no_key(void **state)
{
	(void)state;
	struct keyfile k = sample_key();
	struct error err = {0};
	const char *path = put("thesis", "forty pages", 0600);
	assert_false(keyfile_write(path, &k, STR_NONE, true, &err));
	assert_error(&err, ERR_KEY_FILE, "is not a key file");
	assert_content(path, "forty pages");
	path = put("shared", "{" PAIR_1 "}", 0644);
	assert_false(keyfile_write(path, &k, STR_NONE, true, &err));
	assert_error(&err, ERR_KEY_FILE, "by others");
	assert_true(keyfile_write(in_dir("not-yet"), &k, STR_NONE, true, &err));
}

static void test_write_too_large(void **state)
{
	(void)state;
	struct keyfile k = sample_key();
	struct error err = {0};
	char *text = malloc(70000);
	memset(text, 'd', 70000);
	k.description = str_of(text, 70000);
	assert_false(keyfile_write(in_dir("huge"), &k, STR_NONE, false, &err));
	assert_error(&err, ERR_KEY_FILE, "larger than a key file can be");
	assert_false(file_exists(in_dir("huge")));
	free(text);
}

/* ---- Sealing ---- */

struct asked {
	const char *passphrase; /* NULL: none to be had */
	int times;
};

static bool ask(void *ctx, const char *path, char *out, size_t size)
{
	struct asked *a = ctx;
	assert_non_null(path);
	a->times++;
	if (a->passphrase)
		snprintf(out, size, "%s", a->passphrase);
	return a->passphrase != NULL;
}

static void test_sealed(void **state)
{
	(void)state;
	struct keyfile k = sample_key(), back;
	struct error err = {0};
	struct buf text = {0};
	struct asked right = {"correct horse", 0}, wrong = {"battery staple", 0}, none = {NULL, 0};
	const char *path = in_dir("sealed");

	k.username = STR_LIT("@a");
	assert_true(keyfile_write(path, &k, STR_LIT("correct horse"), false, &err));
	assert_true(file_read(path, 1 << 16, &text, &err));
	assert_null(strstr(buf_z(&text), SEED_1));
	assert_null(strstr(buf_z(&text), "privateKey"));
	assert_non_null(strstr(buf_z(&text), "\"sealedKey\":\""));

	assert_true(keyfile_read(path, ask, &right, &arena, &back, &err));
	assert_seed_1(&back);
	assert_true(back.sealed && right.times == 1);
	assert_false(keyfile_read(path, ask, &wrong, &arena, &back, &err));
	assert_error(&err, ERR_KEY_FILE, "sealed");
	assert_false(back.has_secret);
	assert_false(keyfile_read(path, ask, &none, &arena, &back, &err));
	assert_error(&err, ERR_KEY_NEEDED, "no passphrase");

	/* Read without being opened, changed and written again: it stays sealed, by the same bytes. */
	assert_true(keyfile_read(path, NULL, NULL, &arena, &back, &err));
	assert_true(back.sealed && !back.has_secret);
	back.description = STR_LIT("new");
	assert_true(keyfile_write(path, &back, STR_NONE, true, &err));
	assert_true(keyfile_read(path, ask, &right, &arena, &back, &err));
	assert_seed_1(&back);
	assert_true(str_is(back.description, "new"));
	assert_true(keyfile_read(path, NULL, NULL, &arena, &back, &err));
	assert_false(keyfile_write(in_dir("elsewhere"), &back, STR_NONE, true, &err));
	assert_error(&err, ERR_KEY_NEEDED, "passphrase");

	/* A changed byte of the sealed text. */
	char *sealed = strstr(buf_z(&text), "\"sealedKey\":\"") + strlen("\"sealedKey\":\"");
	sealed[40] = sealed[40] == 'A' ? 'B' : 'A';
	assert_false(keyfile_read(put("tampered", buf_z(&text), 0600), ask, &right, &arena, &back, &err));
	assert_error(&err, ERR_KEY_FILE, "tampered");
	sealed[40] = '-';
	assert_false(keyfile_read(put("tampered", buf_z(&text), 0600), ask, &right, &arena, &back, &err));
	assert_error(&err, ERR_KEY_FILE, "sealedKey is not base64");
	buf_free(&text);
}

/* ---- A daemon's own key ---- */

static void test_read_or_create(void **state)
{
	(void)state;
	struct keyfile first, second;
	struct error err = {0};
	bool created = false;
	assert_true(keyfile_read_or_create(in_dir("own/coordinator.json"), &arena, &first, &created, &err));
	assert_true(created && first.has_secret);
	assert_true(keyfile_read_or_create(in_dir("own/coordinator.json"), &arena, &second, &created, &err));
	assert_false(created);
	assert_true(ed25519_public_equal(&first.public_key, &second.public_key));

	assert_false(keyfile_read_or_create(put("public-only", "{\"publicKey\":\"ed25519_" PUBLIC_1 "\"}", 0600), &arena, &second, &created, &err));
	assert_error(&err, ERR_KEY_NEEDED, "no private key");
	assert_false(keyfile_read_or_create(put("junk", "x", 0600), &arena, &second, &created, &err));
	assert_error(&err, ERR_KEY_FILE, "is not a key file");
	assert_content(in_dir("junk"), "x");
}

static void test_base64(void **state)
{
	(void)state;
	/* RFC 4648 section 10 */
	static const char *const pairs[][2] = {{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="},
					       {"foobar", "Zm9vYmFy"}, {"\xff\xfe\xfd", "//79"}, {"\xfb\xef\xbe", "++++"}};
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
		struct buf text = {0}, bytes = {0};
		base64_encode(&text, str_from(pairs[i][0]));
		assert_string_equal(buf_z(&text), pairs[i][1]);
		assert_true(base64_decode(buf_str(&text), &bytes));
		assert_string_equal(buf_z(&bytes), pairs[i][0]);
		buf_free(&text);
		buf_free(&bytes);
	}
	static const char *const bad[] = {"Z", "Zg", "Zg=", "Zg===", "=", "====", "Zh==", "Zm9=", "Z===", "Zg==Zg==", "Zm 9v", "Zm9v\n", "Zm-v", "Zm_v", "Z=g="};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct buf bytes = {0};
		if (base64_decode(str_from(bad[i]), &bytes))
			fail_msg("accepted: %s", bad[i]);
		buf_free(&bytes);
	}
	struct buf bytes = {0};
	assert_false(base64_decode(str_of("Zg=\0", 4), &bytes));
	buf_free(&bytes);
}

static int start(void **state)
{
	(void)state;
	struct error err;
	snprintf(dir, sizeof dir, "/tmp/tana-test-keys-XXXXXX");
	arena_init(&arena);
	umask(022);
	return crypto_start(&err) && mkdtemp(dir) ? 0 : -1;
}

static int end(void **state)
{
	(void)state;
	char command[96];
	arena_free(&arena);
	snprintf(command, sizeof command, "rm -r %s", dir);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_existing_forms), cmocka_unit_test(test_not_key_files),
		cmocka_unit_test(test_refused_files),  cmocka_unit_test(test_too_large),
		cmocka_unit_test(test_other_owner),    cmocka_unit_test(test_write),
		cmocka_unit_test(test_rewrite_keeps_unknown), cmocka_unit_test(test_replace_what_is_no_key),
		cmocka_unit_test(test_write_too_large), cmocka_unit_test(test_sealed),
		cmocka_unit_test(test_read_or_create), cmocka_unit_test(test_base64),
	};
	return cmocka_run_group_tests(tests, start, end);
}
