/* The manual page under mandoc's eyes; the completion scripts in the very shells, asked what they would offer. A program that is not
 * installed here is skipped. */
#include "daemon_sample.h"

static char folder[] = "/tmp/tana-shells-XXXXXX";

static int make_folder(void **state)
{
	(void)state;
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	char command[128];
	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	return system(command);
}

static void need(const char *program)
{
	char command[128];
	snprintf(command, sizeof(command), "command -v %s >/dev/null", program);
	if (system(command) != 0)
		skip();
}

static void write_file(const char *name, const struct buf *text, mode_t mode)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text->data, text->len), text->len);
	close(fd);
}

static void write_text(const char *name, const char *text, mode_t mode)
{
	struct buf b = {0};
	buf_puts(&b, text);
	write_file(name, &b, mode);
	buf_free(&b);
}

/* What a command line prints in the folder, both streams. */
static const char *shell_says(const char *command)
{
	static char text[SAMPLE_TEXT_MAX];
	char line[1024];
	snprintf(line, sizeof(line), "cd %s && PATH=%s:$PATH %s 2>&1", folder, folder, command);
	FILE *f = popen(line, "r");
	assert_non_null(f);
	size_t n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = '\0';
	pclose(f);
	return text;
}

static void test_manual_page(void **state)
{
	(void)state;
	struct buf page = {0};
	need("mandoc");
	program_man(&sampled, &page);
	write_file("sampled.8", &page, 0644);
	buf_free(&page);
	assert_string_equal(shell_says("mandoc -T lint -W warning sampled.8"), "");
	const char *text = shell_says("mandoc -T ascii sampled.8 | col -b");
	static const char *const parts[] = {"SAMPLED(8)", "sampled - keeps samples", "sampled mesh approve <nodeId> [reason]", "--node-id ID", "-t, --timeout TIME",
					    ".dots and 'quotes' and back\\slashes -- survive.", "Environment: TANA_SAMPLE_MESH_URL, SAMPLE_MESH_URL.", "Between 1 and 1000.",
					    "Taken anew at SIGHUP.", "[sample]", "EXIT STATUS", "SIGNALS"};
	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		if (!strstr(text, parts[i]))
			fail_msg("\"%s\" is not in the page:\n%s", parts[i], text);
}

/* Writes the script, a stand-in for the program that scripts ask for names, and two files to be found. */
static void prepare(const char *shell)
{
	struct buf script = {0};
	char name[32];
	need(shell);
	assert_true(program_completion(&sampled, shell, &script));
	snprintf(name, sizeof(name), "c.%s", shell);
	write_file(name, &script, 0644);
	buf_free(&script);
	write_text("sampled", "#!/bin/sh\n[ \"$1\" = complete ] && printf '%s-one\\n%s-two\\n' \"$2\" \"$2\"\n", 0755);
	write_text("xfile1", "", 0644);
	write_text("xfile2", "", 0644);
	char command[64];
	snprintf(command, sizeof(command), "%s -n %s", shell, name);
	assert_string_equal(shell_says(command), "");
}

/* What may be offered after a line, in sorted order. The same in every shell. */
static const struct {
	const char *line, *offers;
} offers[] = {
	{"m", "man mesh "},
	{"mesh ", "approve audit register sovereign "},
	{"mesh sovereign ", "add list "},
	{"mesh audit ", "verify "},
	{"mesh register --no", "--node-id "},
	{"mesh register --de", "--depth "},
	{"mesh register --fol", "--follow "},
	{"mesh approve --node", ""},
	{"--timeout 5 mesh re", "register "},
	{"-t 5 mesh re", "register "},
	{"--strict mesh re", "register "},
	{"--role ", "observer seed validator "},
	{"mesh register --role s", "seed "},
	{"mesh approve ", "node-one node-two "},
	{"mesh approve node-t", "node-two "},
	{"mesh approve n1 ", ""},
	{"start xf", "xfile1 xfile2 "},
	{"start a b xf", "xfile1 xfile2 "},
	{"--config xf", "xfile1 xfile2 "},
	{"help mesh so", "sovereign "},
	{"completion ", "bash fish zsh "},
	{"--check", "--check-config "},
	{"mesh approve -- --he", ""},
};

static void expect_offers(const char *command, size_t i)
{
	char sorted[1100];
	snprintf(sorted, sizeof(sorted), "%s | sort -u | tr '\\n' ' '", command);
	const char *said = shell_says(sorted);
	if (strcmp(said, offers[i].offers) != 0)
		fail_msg("after \"sampled %s\": \"%s\" and not \"%s\"", offers[i].line, said, offers[i].offers);
}

static void test_bash(void **state)
{
	(void)state;
	prepare("bash");
	/* A line into words as readline makes them; a blank at the end begins an empty word. */
	write_text("ask.bash",
		   "source c.bash\n"
		   "compopt() { :; }\n"
		   "read -ra COMP_WORDS <<<\"sampled $1\"\n"
		   "[[ $1 == *' ' ]] && COMP_WORDS+=('')\n"
		   "[[ -n $2 ]] && COMP_WORDS=(sampled $2)\n"
		   "COMP_CWORD=$((${#COMP_WORDS[@]} - 1))\n"
		   "_sampled sampled\n"
		   "((${#COMPREPLY[@]})) && printf '%s\\n' \"${COMPREPLY[@]}\"\n",
		   0644);
	for (size_t i = 0; i < ARRAY_LEN(offers); i++) {
		char command[512];
		snprintf(command, sizeof(command), "bash ask.bash '%s'", offers[i].line);
		expect_offers(command, i);
	}
	/* bash splits words at the equals sign. */
	assert_string_equal(shell_says("bash ask.bash '' '--role = s'"), "seed\n");
	assert_string_equal(shell_says("bash ask.bash '' '--strict = y'"), "yes\n");
	assert_string_equal(shell_says("bash ask.bash '' '--role = seed mesh au'"), "audit\n");
	/* And the binding. */
	assert_string_equal(shell_says("bash -c 'source c.bash; complete -p sampled'"), "complete -F _sampled sampled\n");
}

static void test_fish(void **state)
{
	(void)state;
	prepare("fish");
	for (size_t i = 0; i < ARRAY_LEN(offers); i++) {
		char command[512];
		/* fish also offers what resembles the word; only what begins with it counts here. */
		const char *blank = strrchr(offers[i].line, ' ');
		snprintf(command, sizeof(command), "HOME=%s fish -c 'source c.fish; complete -C \"sampled %s\"' | cut -f1 | grep -e '^%s'", folder, offers[i].line,
			 blank ? blank + 1 : offers[i].line);
		expect_offers(command, i);
	}
	char command[256];
	snprintf(command, sizeof(command), "HOME=%s fish -c 'source c.fish; complete -C \"sampled --role=s\"; complete -C \"sampled mesh reg\"'", folder);
	assert_string_equal(shell_says(command), "--role=seed\nregister\tRegister this node.\n");
}

static void test_zsh(void **state)
{
	(void)state;
	prepare("zsh");
	/* The completion system's own functions need a terminal; these stand in and filter as it does. */
	write_text("ask.zsh",
		   "compdef() { [[ $1 == _sampled && $2 == sampled ]] || print bad binding }\n"
		   "source c.zsh\n"
		   "compset() { PREFIX=${PREFIX#*=} }\n"
		   "_call_program() { shift; eval \"$@\" }\n"
		   "_files() { print -l -- ${PREFIX}*(N) }\n"
		   "_describe() { local item; for item in \"${(@P)2}\"; do [[ ${item%%:*} == ${PREFIX}* ]] && print -r -- ${item%%:*}; done; true }\n"
		   "words=(sampled ${=1})\n"
		   "[[ $1 == *' ' ]] && words+=('')\n"
		   "CURRENT=${#words} PREFIX=${words[-1]}\n"
		   "_sampled\n",
		   0644);
	for (size_t i = 0; i < ARRAY_LEN(offers); i++) {
		char command[512];
		snprintf(command, sizeof(command), "zsh -f ask.zsh '%s'", offers[i].line);
		expect_offers(command, i);
	}
	assert_string_equal(shell_says("zsh -f ask.zsh '--role=s'"), "seed\n");
}

static void test_no_other_shell(void **state)
{
	(void)state;
	struct buf out = {0};
	assert_false(program_completion(&sampled, "tcsh", &out));
	assert_int_equal(out.len, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_manual_page),
		cmocka_unit_test(test_bash),
		cmocka_unit_test(test_fish),
		cmocka_unit_test(test_zsh),
		cmocka_unit_test(test_no_other_shell),
	};
	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
