/* Where an option's value comes from, and what becomes of wrong ones. */
#include "daemon_sample.h"

#include <pthread.h>
#include <stdatomic.h>

static const char *wanted_name;
static char seen_text[256], seen_origin[256];
static int64_t seen_int;
static size_t seen_count;

static int look(struct invocation *in)
{
	const char *text = option_text(in, wanted_name);
	snprintf(seen_text, sizeof(seen_text), "%s", text ? text : "(unset)");
	snprintf(seen_origin, sizeof(seen_origin), "%s", option_origin(in, wanted_name));
	seen_int = option_int(in, wanted_name);
	seen_count = option_count(in, wanted_name);
	return EXIT_DONE;
}

/* The same option in every source, with a value of its own in each: lowest first. */
struct sources {
	const char *name, *variable, *key;
	const char *values[5];  /* default (as the table has it), [common], own section, environment, flag */
	int64_t numbers[5];
};
static const struct sources all_types[] = {
	{"mesh-url", "TANA_SAMPLE_MESH_URL", "mesh_url", {"http://d", "http://c", "http://f", "http://e", "http://a"}, {0}},
	{"limit", "TANA_SAMPLE_LIMIT", "limit", {"10", "11", "12", "13", "14"}, {10, 11, 12, 13, 14}},
	{"body", "TANA_SAMPLE_BODY", "body", {"1k", "2k", "3", "4k", "1M"}, {1024, 2048, 3, 4096, 1048576}},
	{"timeout", "TANA_SAMPLE_TIMEOUT", "timeout", {"5m", "7", "8s", "9ms", "1h"}, {300000, 7000, 8000, 9, 3600000}},
	{"interval", "TANA_SAMPLE_INTERVAL", "interval", {NULL, "20", "30", "40", "50s"}, {0, 20, 30, 40, 50000}},
	{"strict", "TANA_SAMPLE_STRICT", "strict", {"yes", "no", "true", "off", "on"}, {1, 0, 1, 0, 1}},
	{"role", "TANA_SAMPLE_ROLE", "role", {"validator", "observer", "seed", "observer", "seed"}, {0}},
	{"key", "TANA_SAMPLE_KEY", "key", {NULL, "k1", "k2", "k3", "k4"}, {0}},
	{"secret", "TANA_SAMPLE_SECRET", "secret", {NULL, "s1", "s2", "s3", "s4"}, {0}},
};

/* Runs with the sources 0..top, and sees the value of top. */
static void check_up_to(const struct sources *s, int top)
{
	char text[512], line[512];
	snprintf(text, sizeof(text), "# made by a test\n\n[other]\n%s = 1\nwhatever = x\n[common]\nnot_mine = 1\n%s%s = %s\n[sample]\n%s%s=%s\n", s->key,
		 top >= 1 ? "" : ";", s->key, s->values[1], top >= 2 ? "" : "#", s->key, s->values[2]);
	const char *path = sample_file(text);
	if (top >= 3)
		setenv(s->variable, s->values[3], 1);
	snprintf(line, sizeof(line), "run --config %s%s%s%s%s", path, top >= 4 ? " --" : "", top >= 4 ? s->name : "", top >= 4 ? "=" : "", top >= 4 ? s->values[4] : "");
	wanted_name = s->name;
	sample_look = look;
	const struct outcome *o = sample(&sampled, line);
	unsetenv(s->variable);
	unlink(path);
	assert_string_equal(o->err, "");
	assert_int_equal(o->status, EXIT_DONE);
	assert_string_equal(seen_text, s->values[top] ? s->values[top] : "(unset)");
	assert_int_equal(seen_int, s->numbers[top]);
	char origins[5][256] = {"default"};
	snprintf(origins[0], sizeof(origins[0]), "%s", s->values[0] ? "default" : "unset");
	snprintf(origins[1], sizeof(origins[1]), "%s:8", path);
	snprintf(origins[2], sizeof(origins[2]), "%s:10", path);
	snprintf(origins[3], sizeof(origins[3]), "environment %s", s->variable);
	snprintf(origins[4], sizeof(origins[4]), "flag --%s", s->name);
	assert_string_equal(seen_origin, origins[top]);
}

static void test_precedence(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(all_types); i++)
		for (int top = 0; top < 5; top++)
			check_up_to(&all_types[i], top);
}

/* The row's further name counts as environment; the option's own name goes before it. An empty variable is none. */
static void test_environment_names(void **state)
{
	(void)state;
	wanted_name = "mesh-url";
	sample_look = look;
	setenv("SAMPLE_MESH_URL", "http://shared", 1);
	sample(&sampled, "");
	assert_string_equal(seen_text, "http://shared");
	assert_string_equal(seen_origin, "environment SAMPLE_MESH_URL");
	setenv("TANA_SAMPLE_MESH_URL", "http://own", 1);
	sample(&sampled, "");
	assert_string_equal(seen_text, "http://own");
	setenv("TANA_SAMPLE_MESH_URL", "", 1);
	setenv("SAMPLE_MESH_URL", "", 1);
	sample(&sampled, "");
	assert_string_equal(seen_origin, "default");
	unsetenv("TANA_SAMPLE_MESH_URL");
	unsetenv("SAMPLE_MESH_URL");
	/* Flags only are flags only. */
	setenv("TANA_SAMPLE_JSON", "yes", 1);
	wanted_name = "json";
	sample(&sampled, "");
	assert_string_equal(seen_origin, "unset");
	unsetenv("TANA_SAMPLE_JSON");
}

static void test_environment_of_a_program_without_section(void **state)
{
	(void)state;
	struct program tool = sampled;
	tool.section = "";
	wanted_name = "limit";
	sample_look = look;
	setenv("TANA_LIMIT", "77", 1);
	sample(&tool, "run");
	assert_string_equal(seen_text, "77");
	unsetenv("TANA_LIMIT");
	const char *path = sample_file("[sampled]\nlimit = 5\n[sample]\nlimit = 6\n");
	tool.default_config = path;
	sample(&tool, "run");
	assert_string_equal(seen_text, "5");
	unlink(path);
}

/* Highest source replaces the whole list; flags add up; file and environment are split at blanks. */
static void test_repeatable(void **state)
{
	(void)state;
	wanted_name = "key";
	sample_look = look;
	setenv("TANA_SAMPLE_KEY", "  a b\tc ", 1);
	sample(&sampled, "");
	assert_int_equal(seen_count, 3);
	assert_string_equal(seen_text, "a");
	sample(&sampled, "--key x run --key=y");
	assert_int_equal(seen_count, 2);
	assert_string_equal(seen_text, "x");
	unsetenv("TANA_SAMPLE_KEY");
	sample(&sampled, "");
	assert_int_equal(seen_count, 0);
	wanted_name = "port";
	const char *path = sample_file("[sample]\nport = 80 443 8190\n");
	struct program p = sampled;
	p.default_config = path;
	sample(&p, "");
	assert_int_equal(seen_count, 3);
	assert_int_equal(seen_int, 80);
	unlink(path);
}

static void test_program_defaults(void **state)
{
	(void)state;
	static const char *const defaults[] = {"limit", "99", "interval", "1h", NULL};
	struct program p = sampled;
	p.defaults = defaults;
	wanted_name = "limit";
	sample_look = look;
	sample(&p, "");
	assert_int_equal(seen_int, 99);
	wanted_name = "interval";
	sample(&p, "");
	assert_int_equal(seen_int, 3600000);
	assert_string_equal(seen_origin, "default");
}

/* What each wrong value is answered with, whichever source it comes from. */
static const struct refusal {
	const char *name, *value, *message, *hint;
} refusals[] = {
	{"limit", "0", "\"0\" is not between 1 and 1000", NULL},
	{"limit", "1001", "\"1001\" is not between 1 and 1000", NULL},
	{"limit", "-1", "\"-1\" is not between 1 and 1000", NULL},
	{"limit", "ten", "\"ten\" is not a whole number", NULL},
	{"limit", "10x", "\"10x\" is not a whole number", NULL},
	{"limit", "9223372036854775808", "\"9223372036854775808\" is not a whole number", NULL},
	{"body", "2M", "\"2M\" is not between 1 and 1M", NULL},
	{"body", "1T", "\"1T\" is not a size", "hint: a number of bytes, or one with k, M or G"},
	{"body", "99999999999G", "\"99999999999G\" is not a size", "hint: a number of bytes"},
	{"timeout", "5d", "\"5d\" is not a duration", "hint: a number with ms, s, m or h, as in 90s; a bare number means seconds"},
	{"interval", "5", "\"5\" is below 10ms", NULL},
	{"interval", "x", "\"x\" is not a duration", "a bare number means milliseconds"},
	{"strict", "maybe", "\"maybe\" is not yes or no", "hint: write yes or no"},
	{"role", "king", "\"king\" is not one of its choices", "hint: one of: validator, observer, seed"},
	{"port", "65536", "\"65536\" is not between 0 and 65535", NULL},
	{"port", "http", "\"http\" is not a whole number", NULL},
	{"pin", "12345", "the value is not between 0 and 9999", NULL},
	{"mesh-url", "http://\xff", "the value is not text of at least one character, in UTF-8", NULL},
};

static void expect_refusal(const struct outcome *o, const char *origin, const struct refusal *r)
{
	char message[512];
	snprintf(message, sizeof(message), "error: %s: %s\n", origin, r->message);
	assert_int_equal(o->status, EXIT_USAGE);
	assert_int_equal(sample_runs, 0);
	assert_true(strncmp(o->err, message, strlen(message)) == 0);
	assert_true(!r->hint || strstr(o->err, r->hint));
	assert_string_equal(o->out, "");
}

static void test_refusals_name_their_source(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
		const struct refusal *r = &refusals[i];
		char line[256], origin[256], key[64], variable[64] = "TANA_SAMPLE_", text[256];
		snprintf(key, sizeof(key), "%s", r->name);
		for (char *c = strchr(key, '-'); c; c = strchr(c, '-'))
			*c = '_';
		snprintf(line, sizeof(line), "--%s=%s", r->name, r->value);
		snprintf(origin, sizeof(origin), "flag --%s", r->name);
		expect_refusal(sample(&sampled, line), origin, r);

		for (char *c = key, *v = variable + strlen(variable); (*v++ = (char)(*c >= 'a' && *c <= 'z' ? *c - 32 : *c)); c++)
			;
		setenv(variable, r->value, 1);
		snprintf(origin, sizeof(origin), "environment %s", variable);
		expect_refusal(sample(&sampled, ""), origin, r);
		/* Also when a flag overrides it. */
		snprintf(line, sizeof(line), "--%s=%s", r->name, strcmp(r->name, "role") ? "20" : "seed");
		if (strcmp(r->name, "strict") != 0)
			expect_refusal(sample(&sampled, line), origin, r);
		unsetenv(variable);

		if (!utf8_valid(r->value, strlen(r->value)))
			continue; /* the file's reader says so itself */
		snprintf(text, sizeof(text), "[sample]\n\n%s = %s\n", key, r->value);
		const char *path = sample_file(text);
		snprintf(line, sizeof(line), "--config=%s", path);
		snprintf(origin, sizeof(origin), "%s:3: %s", path, key);
		expect_refusal(sample(&sampled, line), origin, r);
		unlink(path);
	}
}

static void expect_file_refused(const char *text, const char *message)
{
	char line[256];
	const char *path = sample_file(text);
	snprintf(line, sizeof(line), "--config %s", path);
	const struct outcome *o = sample(&sampled, line);
	unlink(path);
	assert_int_equal(o->status, EXIT_USAGE);
	if (!strstr(o->err, message))
		fail_msg("%s is not in %s", message, o->err);
}

static void test_keys_of_files(void **state)
{
	(void)state;
	expect_file_refused("[sample]\nlimt = 5\n", ":2: unknown key limt in section [sample]\nhint: did you mean limit?");
	expect_file_refused("[sample]\nmesh-ulr = 5\n", "hint: did you mean mesh_url?");
	expect_file_refused("[sample]\nfrobnicate = 5\n", "unknown key frobnicate in section [sample]\n");
	expect_file_refused("[sample]\nlimit = 5\nrole=seed\nlimit = 6\n", ":4: limit was set before, on line 2");
	expect_file_refused("[sample]\nmesh_url = a\n[x]\n[sample]\nmesh-url = b\n", ":5: mesh-url was set before, on line 2");
	expect_file_refused("[common]\nlimit = 5\nlimit = 6\n", ":3: limit was set before, on line 2");
	/* A file names no other file, and flags are no keys. */
	expect_file_refused("[sample]\nconfig = /x\n", "unknown key config");
	expect_file_refused("[sample]\njson = yes\n", "unknown key json");
	/* The key of another command is known, and is verified when asked to. */
	const char *path = sample_file("[sample]\ndepth = 10\n");
	char line[256];
	snprintf(line, sizeof(line), "--config %s", path);
	assert_int_equal(sample(&sampled, line)->status, EXIT_DONE);
	snprintf(line, sizeof(line), "--config %s --check-config", path);
	const struct outcome *o = sample(&sampled, line);
	assert_int_equal(o->status, EXIT_USAGE);
	assert_non_null(strstr(o->err, ":2: depth: \"10\" is not between 0 and 9"));
	unlink(path);
}

static void test_which_file(void **state)
{
	(void)state;
	struct program p = sampled;
	p.default_config = "/nonexistent/tana.conf";
	sample_look = NULL;
	assert_int_equal(sample(&p, "")->status, EXIT_DONE);
	assert_int_equal(sample_runs, 1);
	const struct outcome *o = sample(&p, "--config /nonexistent/tana.conf");
	assert_int_equal(o->status, EXIT_USAGE);
	assert_non_null(strstr(o->err, "error: cannot open /nonexistent/tana.conf: No such file or directory"));
	setenv("TANA_SAMPLE_CONFIG", "/nonexistent/other.conf", 1);
	assert_int_equal(sample(&p, "")->status, EXIT_USAGE);
	unsetenv("TANA_SAMPLE_CONFIG");
	assert_int_equal(sample(&p, "--config /tmp")->status, EXIT_USAGE);
	/* A broken file does not stand in the way of help. */
	const char *path = sample_file("nonsense\n");
	p.default_config = path;
	assert_int_equal(sample(&p, "")->status, EXIT_USAGE);
	assert_int_equal(sample(&p, "help")->status, EXIT_DONE);
	assert_int_equal(sample(&p, "version")->status, EXIT_DONE);
	unlink(path);
}

static bool user_file(struct invocation *in, struct error *err)
{
	return invocation_offer(in, "limit", "55", "~/user.json", err) && invocation_offer(in, "depth", "3", "~/user.json", err);
}
static bool user_file_unknown(struct invocation *in, struct error *err)
{
	return invocation_offer(in, "limits", "55", "~/user.json", err);
}
static bool user_file_wrong(struct invocation *in, struct error *err)
{
	return invocation_offer(in, "limit", "many", "~/user.json", err);
}

static void test_user_file(void **state)
{
	(void)state;
	struct program p = sampled;
	const char *path = sample_file("[sample]\nlimit = 44\n");
	p.default_config = path;
	p.user_file = user_file;
	wanted_name = "limit";
	sample_look = look;
	sample(&p, "");
	assert_int_equal(seen_int, 55);
	assert_string_equal(seen_origin, "~/user.json");
	sample(&p, "--limit 66");
	assert_int_equal(seen_int, 66);
	p.user_file = user_file_unknown;
	assert_non_null(strstr(sample(&p, "")->err, "error: ~/user.json: unknown option limits\nhint: did you mean limit?"));
	p.user_file = user_file_wrong;
	assert_non_null(strstr(sample(&p, "")->err, "error: ~/user.json: limit: \"many\" is not a whole number"));
	unlink(path);
}

static const char *reload_path;
static void rewrite(const char *text)
{
	FILE *f = fopen(reload_path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static int reload_look(struct invocation *in)
{
	struct error err;
	const char *before = option_text(in, "mesh-url");
	rewrite("[sample]\nlimit = 200\nbody = 9\nmesh_url = http://new\n");
	assert_true(invocation_reload(in, &err));
	assert_int_equal(option_int(in, "limit"), 200);
	assert_string_equal(option_text(in, "mesh-url"), "http://new");
	assert_string_equal(before, "http://old"); /* whoever still holds it may read it */
	assert_int_equal(option_int(in, "body"), 5); /* needs a restart */
	assert_int_equal(option_int(in, "timeout"), 7000); /* the flag stays */
	rewrite("[sample]\nlimit = 300\nmesh_url = http://worse\nbody = x\n");
	assert_false(invocation_reload(in, &err));
	assert_int_equal(err.code, ERR_CONFIG);
	assert_int_equal(option_int(in, "limit"), 200);
	rewrite("[sample]\n");
	assert_true(invocation_reload(in, &err));
	assert_int_equal(option_int(in, "limit"), 10);
	assert_string_equal(option_origin(in, "limit"), "default");
	return EXIT_DONE;
}

static void test_reload(void **state)
{
	(void)state;
	reload_path = sample_file("[sample]\nlimit = 100\nbody = 5\nmesh_url = http://old\n");
	char line[256];
	snprintf(line, sizeof(line), "--config %s --timeout 7s", reload_path);
	sample_look = reload_look;
	const struct outcome *o = sample(&sampled, line);
	unlink(reload_path);
	assert_int_equal(o->status, EXIT_DONE);
	assert_non_null(strstr(o->err, "a changed option needs a restart option=body"));
	assert_null(strstr(o->err, "option=limit"));
}

static atomic_bool reading_ends;

/* What a worker thread does: each answer is one of the two configurations', whole. */
static void *read_on(void *invocation)
{
	const struct invocation *in = invocation;
	size_t mixed = 0;
	while (!atomic_load(&reading_ends)) {
		struct buf out = {0};
		const char *url = option_text(in, "mesh-url");
		int64_t limit = option_int(in, "limit");
		program_config_json(in, &out);
		mixed += strcmp(url, "http://one") != 0 && strcmp(url, "http://two") != 0;
		mixed += limit != 1 && limit != 2;
		mixed += (strstr(buf_z(&out), "http://one") != NULL) == (strstr(buf_z(&out), "\"limit\",\"value\":\"2\"") != NULL);
		buf_free(&out);
	}
	return mixed ? invocation : NULL;
}

static int reload_while_read(struct invocation *in)
{
	pthread_t readers[2];
	struct error err;
	atomic_store(&reading_ends, false);
	for (size_t i = 0; i < ARRAY_LEN(readers); i++)
		assert_int_equal(pthread_create(&readers[i], NULL, read_on, in), 0);
	for (int i = 0; i < 200; i++) {
		rewrite(i % 2 ? "[sample]\nlimit = 1\nmesh_url = http://one\n" : "[sample]\nlimit = 2\nmesh_url = http://two\n");
		assert_true(invocation_reload(in, &err));
	}
	atomic_store(&reading_ends, true);
	for (size_t i = 0; i < ARRAY_LEN(readers); i++) {
		void *mixed;
		assert_int_equal(pthread_join(readers[i], &mixed), 0);
		assert_null(mixed);
	}
	return EXIT_DONE;
}

static void test_reload_under_readers(void **state)
{
	(void)state;
	reload_path = sample_file("[sample]\nlimit = 1\nmesh_url = http://one\n");
	char line[256];
	snprintf(line, sizeof(line), "--config %s", reload_path);
	sample_look = reload_while_read;
	assert_int_equal(sample(&sampled, line)->status, EXIT_DONE);
	unlink(reload_path);
}

static int show_json(struct invocation *in)
{
	struct buf out = {0};
	program_config_json(in, &out);
	puts(buf_z(&out));
	buf_free(&out);
	return EXIT_DONE;
}

static void test_config_json(void **state)
{
	(void)state;
	sample_look = show_json;
	const struct outcome *o = sample(&sampled, "--secret hush --mesh-url postgres://u:p@ss@h/d?sslpassword=q&x=1 --key a --key b\"c --timeout 9s");
	assert_int_equal(o->status, EXIT_DONE);
	assert_null(strstr(o->out, "hush"));
	assert_null(strstr(o->out, "p@ss"));
	assert_null(strstr(o->out, "=q"));
	assert_non_null(strstr(o->out, "{\"name\":\"secret\",\"value\":\"(secret)\",\"origin\":\"flag --secret\"}"));
	assert_non_null(strstr(o->out, "{\"name\":\"mesh-url\",\"value\":\"postgres://u:***@h/d?sslpassword=***&x=1\",\"origin\":\"flag --mesh-url\"}"));
	assert_non_null(strstr(o->out, "{\"name\":\"key\",\"value\":[\"a\",\"b\\\"c\"],\"origin\":\"flag --key\"}"));
	assert_non_null(strstr(o->out, "{\"name\":\"port\",\"value\":[],\"origin\":\"unset\"}"));
	assert_non_null(strstr(o->out, "{\"name\":\"interval\",\"value\":null,\"origin\":\"unset\"}"));
	assert_non_null(strstr(o->out, "{\"name\":\"timeout\",\"value\":\"9s\",\"origin\":\"flag --timeout\"}"));
	assert_null(strstr(o->out, "check-config"));
}

/* A variable that was not set where it is used is a mistake; an empty variable of our own is as good as none. */
static void test_empty_values(void **state)
{
	(void)state;
	sample_look = look;
	wanted_name = "mesh-url";
	assert_non_null(strstr(sample(&sampled, "--mesh-url=")->err, "flag --mesh-url: \"\" is not text of at least one character"));
	assert_non_null(strstr(sample(&sampled, "--limit=")->err, "flag --limit: \"\" is not a whole number"));
	expect_file_refused("[sample]\nmesh_url =\n", ":2: mesh_url: \"\" is not text of at least one character");
	setenv("TANA_SAMPLE_LIMIT", "", 1);
	assert_int_equal(sample(&sampled, "")->status, EXIT_DONE);
	assert_string_equal(seen_text, "http://d");
	unsetenv("TANA_SAMPLE_LIMIT");
	/* A list may be empty. */
	const char *path = sample_file("[sample]\nkey =\n");
	struct program p = sampled;
	p.default_config = path;
	wanted_name = "key";
	assert_int_equal(sample(&p, "")->status, EXIT_DONE);
	assert_int_equal(seen_count, 0);
	unlink(path);
}

/* Passwords stay out of messages too. */
static void test_refusals_keep_secrets(void **state)
{
	(void)state;
	const struct outcome *o = sample(&sampled, "--limit http://u:geheim@h");
	assert_non_null(strstr(o->err, "\"http://u:***@h\" is not a whole number"));
	o = sample(&sampled, "--pin geheim");
	assert_null(strstr(o->err, "geheim"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_precedence),
		cmocka_unit_test(test_environment_names),
		cmocka_unit_test(test_environment_of_a_program_without_section),
		cmocka_unit_test(test_repeatable),
		cmocka_unit_test(test_program_defaults),
		cmocka_unit_test(test_refusals_name_their_source),
		cmocka_unit_test(test_keys_of_files),
		cmocka_unit_test(test_which_file),
		cmocka_unit_test(test_user_file),
		cmocka_unit_test(test_reload),
		cmocka_unit_test(test_reload_under_readers),
		cmocka_unit_test(test_config_json),
		cmocka_unit_test(test_empty_values),
		cmocka_unit_test(test_refusals_keep_secrets),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
