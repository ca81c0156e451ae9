/* Command lines: which command runs with which arguments, what help shows, how refusals read, which exit status follows. */
#include "daemon_sample.h"

#include "daemon/suggest.h"

static char seen[1024];

static int look(struct invocation *in)
{
	int n = snprintf(seen, sizeof(seen), "%s", invocation_command(in)->path);
	assert_ptr_equal(invocation_program(in)->name, sampled.name);
	for (const struct argument_row *a = invocation_command(in)->args; a && a->name; a++)
		for (size_t i = 0; i < invocation_arg_count(in, a->name); i++)
			n += snprintf(seen + n, sizeof(seen) - (size_t)n, " %s=%s", a->name, invocation_arg_at(in, a->name, i));
	return EXIT_DONE;
}

/* A program whose help comes without a command. */
static struct program tool(void)
{
	struct program p = sampled;
	p.default_command = NULL;
	return p;
}

static void test_dispatch(void **state)
{
	(void)state;
	static const struct {
		const char *line, *seen;
	} rows[] = {
		{"", "run"},
		{"run", "run"},
		{"--limit 5", "run"},
		{"mesh register", "mesh register"},
		{"mesh --node-id n1 register --follow", "mesh register"},
		{"--node-id n1 mesh -f register", "mesh register"},
		{"mesh register -t 5 --json", "mesh register"},
		{"mesh approve n1", "mesh approve nodeId=n1"},
		{"mesh approve n1 late", "mesh approve nodeId=n1 reason=late"},
		{"mesh approve --json -- --n1", "mesh approve nodeId=--n1"},
		{"-- mesh approve n1", "mesh approve nodeId=n1"},
		{"mesh approve -5 -", "mesh approve nodeId=-5 reason=-"},
		{"mesh audit", "mesh audit"},
		{"mesh audit verify", "mesh audit verify"},
		{"mesh sovereign add", "mesh sovereign add"},
		{"start", "start"},
		{"start a --timeout=5 b c", "start file=a file=b file=c"},
		{"start --key=-x mesh", "start file=mesh"},
	};
	sample_look = look;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct outcome *o = sample(&sampled, rows[i].line);
		assert_string_equal(o->err, "");
		assert_int_equal(o->status, EXIT_DONE);
		assert_int_equal(sample_runs, 1);
		assert_string_equal(seen, rows[i].seen);
	}
}

static int look_at_absent(struct invocation *in)
{
	assert_null(invocation_arg(in, "reason"));
	assert_null(invocation_arg_at(in, "nodeId", 1));
	assert_int_equal(invocation_arg_count(in, "reason"), 0);
	assert_null(option_at(in, "key", 0));
	assert_null(option_text(in, "interval"));
	assert_int_equal(option_int(in, "interval"), 0);
	assert_true(option_bool(in, "strict"));
	assert_false(option_bool(in, "json"));
	return 7;
}

static void test_what_was_not_given(void **state)
{
	(void)state;
	sample_look = look_at_absent;
	assert_int_equal(sample(&sampled, "mesh approve n1")->status, 7);
}

static void test_refusals(void **state)
{
	(void)state;
	static const struct {
		const char *line, *err;
	} rows[] = {
		{"mesh regster", "error: unknown command \"mesh regster\"\nhint: did you mean `sampled mesh register`?\n"},
		{"mehs", "error: unknown command \"mehs\"\nhint: did you mean `sampled mesh`?\n"},
		{"regster", "error: unknown command \"regster\"\nhint: did you mean `sampled mesh register`?\n"},
		{"mesh soverein list", "error: unknown command \"mesh soverein\"\nhint: did you mean `sampled mesh sovereign`?\n"},
		{"mesh sovereign lst", "error: unknown command \"mesh sovereign lst\"\nhint: did you mean `sampled mesh sovereign list`?\n"},
		{"strat", "error: unknown command \"strat\"\nhint: did you mean `sampled start`?\n"},
		{"frobnicate", "error: unknown command \"frobnicate\"\nhint: see `sampled --help`\n"},
		{"mesh zzzzzz", "error: unknown command \"mesh zzzzzz\"\nhint: see `sampled mesh --help`\n"},
		{"mesh sovereign zzz", "error: unknown command \"mesh sovereign zzz\"\nhint: see `sampled mesh sovereign --help`\n"},
		{"zzz --help", "error: unknown command \"zzz\"\nhint: see `sampled --help`\n"},
		{"help zzz", "error: unknown command \"zzz\"\nhint: see `sampled --help`\n"},
		{"complet", "error: unknown command \"complet\"\nhint: did you mean `sampled completion`?\n"},
		{"--limt 5", "error: unknown option --limt\nhint: did you mean --limit?\n"},
		{"--limt=5", "error: unknown option --limt\nhint: did you mean --limit?\n"},
		{"mesh register --node n", "error: unknown option --node\nhint: did you mean --node-id?\n"},
		{"start --follow", "error: unknown option --follow\nhint: it is an option of `sampled mesh register`\n"},
		{"start -f", "error: unknown option -f\nhint: it is an option of `sampled mesh register`\n"},
		{"start -z", "error: unknown option -z\nhint: see `sampled start --help`\n"},
		{"start -limit", "error: unknown option -limit\nhint: did you mean --limit?\n"},
		{"mesh --zzzzzzz", "error: unknown option --zzzzzzz\nhint: see `sampled mesh --help`\n"},
		{"--", "configuration"},
		{"--limit", "error: --limit needs a value\nhint: write --limit=VALUE when the value begins with a dash\n"},
		{"--mesh-url --strict", "error: --mesh-url needs a value\nhint: write --mesh-url=URL when the value begins with a dash\n"},
		{"-t", "error: -t needs a value\nhint: write --timeout=VALUE when the value begins with a dash\n"},
		{"--limit 5 --limit 6", "error: --limit is given twice\n"},
		{"--strict --strict", "error: --strict is given twice\n"},
		{"--check-config=yes", "error: --check-config takes no value\n"},
		{"mesh approve", "error: nodeId is missing\nhint: see `sampled mesh approve --help`\n"},
		{"mesh approve a b c", "error: unexpected argument \"c\"\nhint: see `sampled mesh approve --help`\n"},
		{"run away", "error: unexpected argument \"away\"\nhint: see `sampled run --help`\n"},
		{"mesh approve \xff", "error: argument 1 is not UTF-8\n"},
		{"completion tcsh", "error: no completion for the shell \"tcsh\"\nhint: bash, zsh or fish\n"},
		{"esc\033[2Jape\x7f\xc2\x9b", "error: unknown command \"esc?[2Jape??\"\nhint: see `sampled --help`\n"},
	};
	sample_look = NULL;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct outcome *o = sample(&sampled, rows[i].line);
		if (strcmp(rows[i].err, "configuration") == 0) {
			assert_int_equal(o->status, EXIT_DONE);
			continue;
		}
		assert_string_equal(o->err, rows[i].err);
		assert_string_equal(o->out, "");
		assert_int_equal(o->status, EXIT_USAGE);
		assert_int_equal(sample_runs, 0);
	}
}

static void test_errors_as_json(void **state)
{
	(void)state;
	assert_string_equal(sample(&sampled, "--json --limt=5")->err,
			    "{\"error\":\"unknown option --limt\",\"code\":\"usage\",\"hint\":\"did you mean --limit?\"}\n");
	assert_string_equal(sample(&sampled, "--json --limit 0")->err, "{\"error\":\"flag --limit: \\\"0\\\" is not between 1 and 1000\",\"code\":\"usage\"}\n");
	assert_string_equal(sample(&sampled, "zz\xff\x01 --json")->err,
			    "{\"error\":\"unknown command \\\"zz??\\\"\",\"code\":\"usage\",\"hint\":\"see `sampled --help`\"}\n");
	assert_true(strncmp(sample(&sampled, "--json=no zzz")->err, "error: ", 7) == 0);
	assert_true(strncmp(sample(&sampled, "--json=off zzz")->err, "error: ", 7) == 0);
	assert_true(strncmp(sample(&sampled, "--json=true zzz")->err, "{\"error\"", 8) == 0);
}

/* Asked for, help goes to standard output; shown for want of a command, it is a refusal. */
static void test_help_and_groups(void **state)
{
	(void)state;
	struct program p = tool();
	static const char *const asked[] = {"--help", "-h", "help", "mesh --help", "help mesh", "mesh register --help", "help mesh register", "-h mesh sovereign",
					    "mesh register --zzz -h", "mesh approve --help", "help help"};
	for (size_t i = 0; i < ARRAY_LEN(asked); i++) {
		const struct outcome *o = sample(&p, asked[i]);
		assert_int_equal(o->status, EXIT_DONE);
		assert_string_equal(o->err, "");
		assert_true(strncmp(o->out, "Usage: sampled", 14) == 0);
		assert_int_equal(sample_runs, 0);
	}
	static const char *const refused[] = {"", "mesh", "mesh sovereign", "--json", "--limit 5 mesh"};
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		const struct outcome *o = sample(&p, refused[i]);
		assert_int_equal(o->status, EXIT_USAGE);
		assert_string_equal(o->out, "");
		assert_true(strncmp(o->err, "Usage: sampled", 14) == 0);
	}
}

static void test_help_of_a_command(void **state)
{
	(void)state;
	const struct outcome *o = sample(&sampled, "mesh register --help");
	assert_string_equal(o->out,
			    "Usage: sampled mesh register [options]\n"
			    "\n"
			    "Register this node.\n"
			    "\n"
			    "The node signs for itself.\n"
			    "\n"
			    ".dots and 'quotes' and back\\slashes -- survive.\n"
			    "\n"
			    "Options:\n"
			    "      --node-id ID       The node's name. (TANA_SAMPLE_NODE_ID)\n"
			    "  -f, --follow           Go on.\n"
			    "      --depth N          How deep. (TANA_SAMPLE_DEPTH)\n"
			    "\n"
			    "Common options:\n"
			    "      --config FILE      The configuration file. (TANA_SAMPLE_CONFIG)\n"
			    "      --json             Answer in JSON.\n"
			    "      --mesh-url URL     The coordinator. (default http://d;\n"
			    "                         TANA_SAMPLE_MESH_URL; SAMPLE_MESH_URL)\n"
			    "      --limit N          How many. (default 10; TANA_SAMPLE_LIMIT)\n"
			    "      --body SIZE        How large. (default 1k; TANA_SAMPLE_BODY)\n"
			    "  -t, --timeout TIME     How long. (default 5m; TANA_SAMPLE_TIMEOUT)\n"
			    "      --interval TIME    How often. (TANA_SAMPLE_INTERVAL)\n"
			    "      --strict[=yes|no]  Whether to refuse the short form. (default yes;\n"
			    "                         TANA_SAMPLE_STRICT)\n"
			    "      --role validator|observer|seed\n"
			    "                         What it does. (default validator; TANA_SAMPLE_ROLE)\n"
			    "      --key TEXT         Who may. (may be repeated; TANA_SAMPLE_KEY)\n"
			    "      --port N           Where. (may be repeated; TANA_SAMPLE_PORT)\n"
			    "      --secret TEXT      A password. (TANA_SAMPLE_SECRET)\n"
			    "      --pin N            A number nobody else knows. (TANA_SAMPLE_PIN)\n"
			    "      --check-config     Verify options, environment and file, start nothing.\n"
			    "  -h, --help             Show this help.\n"
			    "  -V, --version          Show the version.\n"
			    "\n"
			    "Example:\n"
			    "  sampled mesh register --node-id n1\n");
	o = sample(&sampled, "help mesh approve");
	assert_non_null(strstr(o->out, "Usage: sampled mesh approve <nodeId> [reason] [options]\n"));
	assert_non_null(strstr(o->out, "Arguments:\n  nodeId  The node.\n  reason  Why, which may be left out.\n"));
}

static void test_help_of_programs(void **state)
{
	(void)state;
	struct program p = tool();
	const struct outcome *o = sample(&p, "--help");
	assert_non_null(strstr(o->out, "  mesh ...            Who is in the network\n"));
	assert_null(strstr(o->out, "mesh register"));
	assert_null(strstr(o->out, "check-config"));
	o = sample(&p, "help mesh");
	assert_non_null(strstr(o->out, "  mesh register                   Register this node.\n"));
	assert_non_null(strstr(o->out, "  mesh approve <nodeId> [reason]  Let a node in.\n"));
	assert_null(strstr(o->out, "Start all."));
	/* A daemon's help is its default command's, with the list of the others. */
	o = sample(&sampled, "--help");
	assert_non_null(strstr(o->out, "Usage: sampled [run] [options]\n"));
	assert_non_null(strstr(o->out, "Commands:\n"));
	assert_non_null(strstr(o->out, "--check-config"));
	char first[SAMPLE_TEXT_MAX];
	strcpy(first, o->out);
	assert_string_equal(sample(&sampled, "help")->out, first);
	/* No line is wider than a terminal. */
	for (const char *line = first; *line;) {
		size_t n = strcspn(line, "\n");
		assert_true(n <= 80);
		line += n + (line[n] == '\n');
	}
}

static void test_version(void **state)
{
	(void)state;
	char text[256];
	snprintf(text, sizeof(text), "sampled %s (commit %s)\n", tana_version(), tana_commit());
	static const char *const lines[] = {"--version", "version", "-V", "mesh register --version"};
	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		const struct outcome *o = sample(&sampled, lines[i]);
		assert_string_equal(o->out, text);
		assert_int_equal(o->status, EXIT_DONE);
	}
	snprintf(text, sizeof(text), "{\"name\":\"sampled\",\"version\":\"%s\",\"commit\":\"%s\"}\n", tana_version(), tana_commit());
	assert_string_equal(sample(&sampled, "version --json")->out, text);
}

static void test_check_config(void **state)
{
	(void)state;
	const struct outcome *o = sample(&sampled, "--check-config --limit 7");
	assert_string_equal(o->out, "configuration ok\n");
	assert_int_equal(o->status, EXIT_DONE);
	assert_int_equal(sample_runs, 0);
	o = sample(&sampled, "--check-config --mesh-url bad");
	assert_string_equal(o->err, "error: the coordinator is bad\n");
	assert_int_equal(o->status, EXIT_USAGE);
	o = sample(&sampled, "--check-config --limit 0");
	assert_int_equal(o->status, EXIT_USAGE);
	/* Without a default command there is nothing to check. */
	struct program p = tool();
	assert_int_equal(sample(&p, "start --check-config")->status, EXIT_USAGE);
}

static int fail_with(struct invocation *in)
{
	struct error err;
	error_set(&err, ERR_UNREACHABLE, "nobody\nthere");
	error_hint(&err, "start it");
	return program_fail(in, &err);
}

static void test_fail(void **state)
{
	(void)state;
	sample_look = fail_with;
	const struct outcome *o = sample(&sampled, "start");
	assert_string_equal(o->err, "error: nobody?there\nhint: start it\n");
	assert_int_equal(o->status, EXIT_UNREACHABLE);
	o = sample(&sampled, "start --json");
	assert_string_equal(o->err, "{\"error\":\"nobody?there\",\"code\":\"unreachable\",\"hint\":\"start it\"}\n");
	assert_string_equal(o->out, "");
}

static void test_exit_statuses(void **state)
{
	(void)state;
	static const struct {
		enum error_code code;
		int status;
	} rows[] = {
		{ERR_USAGE, 2},	       {ERR_CONFIG, 2},	  {ERR_UNREACHABLE, 3}, {ERR_UNAVAILABLE, 3}, {ERR_KEY_NEEDED, 4}, {ERR_KEY_FILE, 4},
		{ERR_UNAUTHENTICATED, 4}, {ERR_TOKEN_INVALID, 4}, {ERR_TOKEN_EXPIRED, 4}, {ERR_TIMED_OUT, 5}, {ERR_CORRUPT, 6},	   {ERR_INTERRUPTED, 130},
	};
	int others = 0;
	for (int code = 0; code < ERR_COUNT; code++) {
		int wanted = 1;
		for (size_t i = 0; i < ARRAY_LEN(rows); i++)
			if (rows[i].code == (enum error_code)code)
				wanted = rows[i].status;
		others += wanted == 1;
		assert_int_equal(exit_status_of((enum error_code)code), wanted);
	}
	assert_int_equal(others, ERR_COUNT - (int)ARRAY_LEN(rows));
}

static int print_much(struct invocation *in)
{
	(void)in;
	puts("an answer");
	return EXIT_DONE;
}

static void test_full_output(void **state)
{
	(void)state;
	/* In a process of its own: a stream that failed once stays so. */
	sample_look = print_much;
	pid_t child = fork();
	if (child == 0) {
		char *argv[] = {(char[]){"sampled"}, (char[]){"start"}, NULL};
		int full = open("/dev/full", O_WRONLY | O_CLOEXEC), null = open("/dev/null", O_WRONLY | O_CLOEXEC);
		dup2(full, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
		_exit(program_main(&sampled, 2, argv));
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), EXIT_FAILED);
}

static void test_distance(void **state)
{
	(void)state;
	static const struct {
		const char *a, *b;
		unsigned distance;
	} rows[] = {
		{"", "", 0}, {"a", "", 1}, {"", "abc", 3}, {"kitten", "sitting", 3}, {"abc", "acb", 1}, {"ca", "abc", 3}, {"limit", "limit", 0}, {"register", "regster", 1},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(edit_distance(str_from(rows[i].a), str_from(rows[i].b)), rows[i].distance);
		assert_int_equal(edit_distance(str_from(rows[i].b), str_from(rows[i].a)), rows[i].distance);
	}
	char longer[SUGGEST_MAX + 2];
	memset(longer, 'a', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	assert_int_equal(edit_distance(str_from(longer), str_from(longer)), UINT32_MAX);
	assert_int_equal(edit_distance(str_from(longer + 1), str_from(longer + 1)), 0);
}

static void expect_lint(const struct program *p, const char *message)
{
	struct error err = {0};
	assert_false(program_lint(p, &err));
	assert_non_null(strstr(err.message, message));
}

/* A built program is asked through its hidden command. */
static void test_check_tables(void **state)
{
	(void)state;
	assert_int_equal(sample(&sampled, "check-tables")->status, EXIT_DONE);
	assert_null(strstr(sample(&sampled, "--help")->out, "check-tables"));
	struct program p = sampled;
	static const char *const defaults[] = {"nothing", "1", NULL};
	p.defaults = defaults;
	const struct outcome *o = sample(&p, "check-tables");
	assert_int_equal(o->status, EXIT_FAILED);
	assert_string_equal(o->err, "error: a default for --nothing, which is not in the table\n");
}

static void test_lint(void **state)
{
	(void)state;
	struct error err;
	assert_true(program_lint(&sampled, &err));
	static const struct option_row twice[] = {{.name = "limit", .type = OPTION_INT, .doc = "x"}, {.name = "limit", .type = OPTION_INT, .doc = "x"}, {0}};
	static const struct option_row bad_default[] = {{.name = "limit", .type = OPTION_INT, .fallback = "7", .max = 5, .doc = "x"}, {0}};
	static const struct option_row letter[] = {{.name = "horse", .letter = 'h', .doc = "x"}, {0}};
	static const struct option_row no_choices[] = {{.name = "role", .type = OPTION_CHOICE, .doc = "x"}, {0}};
	static const struct option_row no_doc[] = {{.name = "role"}, {0}};
	static const struct option_row bad_name[] = {{.name = "Role", .doc = "x"}, {0}};
	static const struct option_row builtin[] = {{.name = "version", .type = OPTION_BOOL, .doc = "x"}, {0}};
	static const struct {
		const struct option_row *rows;
		const char *message;
	} rows[] = {
		{twice, "there twice"}, {bad_default, "not between"}, {letter, "takes a value in one command"}, {no_choices, "choices are for"},
		{no_doc, "no text"},	{bad_name, "not a name"},     {builtin, "there twice"},
	};
	struct program p = sampled;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		p.options = rows[i].rows;
		expect_lint(&p, rows[i].message);
	}
	/* One name that takes a value here and none there cannot be parsed before the command is known. */
	static const struct option_row as_text[] = {{.name = "follow", .doc = "x"}, {0}};
	struct command commands[] = {{.path = "a", .run = sample_run, .summary = "x", .options = sample_register_options},
				     {.path = "b", .run = sample_run, .summary = "x", .options = as_text},
				     {0}};
	p.options = NULL;
	p.default_command = NULL;
	p.commands = commands;
	expect_lint(&p, "--follow takes a value in one command and none in another");
	commands[1] = (struct command){.path = "a", .run = sample_run, .summary = "x"};
	expect_lint(&p, "`a` is there twice");
	commands[1] = (struct command){.path = "b c d e", .run = sample_run, .summary = "x"};
	expect_lint(&p, "not a command's name");
	commands[1] = (struct command){.path = "b", .run = sample_run};
	expect_lint(&p, "has a summary");
	static const struct argument_row unreachable[] = {{.name = "a", .doc = "x"}, {.name = "b", .required = true, .doc = "x"}, {0}};
	commands[1] = (struct command){.path = "b", .run = sample_run, .summary = "x", .args = unreachable};
	expect_lint(&p, "can never be given");
	commands[1] = (struct command){0};
	p.default_command = "zzz";
	expect_lint(&p, "not in the table");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dispatch),
		cmocka_unit_test(test_what_was_not_given),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_errors_as_json),
		cmocka_unit_test(test_help_and_groups),
		cmocka_unit_test(test_help_of_a_command),
		cmocka_unit_test(test_help_of_programs),
		cmocka_unit_test(test_version),
		cmocka_unit_test(test_check_config),
		cmocka_unit_test(test_fail),
		cmocka_unit_test(test_exit_statuses),
		cmocka_unit_test(test_full_output),
		cmocka_unit_test(test_distance),
		cmocka_unit_test(test_check_tables),
		cmocka_unit_test(test_lint),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
