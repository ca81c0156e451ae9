/* The shells' own half of completion: each walks the words before the cursor and asks the tables (completion_tables.c) what may come. */
#include "completion.h"

#include <string.h>


static const char *const bash_head[] = {
	"# bash completion for @, made by `@ completion bash`.",
	"_@() {",
	"	local cur=${COMP_WORDS[COMP_CWORD]} i word at= option= ended= helped= kind= args=0 list=()",
	"	COMPREPLY=()",
	"	for ((i = 1; i < COMP_CWORD; i++)); do",
	"		word=${COMP_WORDS[i]}",
	"		if [[ $word == '=' ]]; then continue # bash makes --x=y three words",
	"		elif [[ -n $option ]]; then option=",
	"		elif [[ -z $ended && $word == -- ]]; then ended=1",
	"		elif [[ -z $ended && $word == -?* ]]; then",
	"			if [[ ${COMP_WORDS[i + 1]} == '=' ]] || _@_takes_value \"$word\"; then option=$word; fi",
	"		elif [[ -z $at$helped && $word == help ]]; then helped=1",
	"		elif ((args == 0)) && _@_known \"${at:+$at }$word\"; then at=${at:+$at }$word",
	"		else ((args += 1))",
	"		fi",
	"	done",
	"	[[ $cur == '=' ]] && cur=",
	"	if [[ -n $option ]]; then",
	"		_@_choices \"$at:$option\"",
	"		_@_kind \"$at:$option\"",
	"	elif [[ -z $ended && $cur == -* ]]; then",
	"		_@_options \"$at\"",
	"	else",
	"		((args == 0)) && _@_words \"$at\"",
	"		_@_choices \"$at#$args\"",
	"		_@_kind \"$at#$args\"",
	"	fi",
	"	if [[ $kind == file ]]; then",
	"		compopt -o filenames",
	"		mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")",
	"		return",
	"	fi",
	"	[[ -n $kind ]] && list+=($(\"$1\" complete \"$kind\" 2>/dev/null))",
	"	mapfile -t COMPREPLY < <(compgen -W \"${list[*]}\" -- \"$cur\")",
	"}",
	NULL,
};
static const char *const bash_tail[] = {"", "complete -F _@ @", NULL};

static const char *const zsh_head[] = {
	"#compdef @",
	"# zsh completion for @, made by `@ completion zsh`.",
	"_@() {",
	"	local word at= option= ended= helped= kind=",
	"	local -i i args=0",
	"	local -a list",
	"	for ((i = 2; i < CURRENT; i++)); do",
	"		word=${words[i]}",
	"		if [[ -n $option ]]; then option=",
	"		elif [[ -z $ended && $word == -- ]]; then ended=1",
	"		elif [[ -z $ended && $word == -?* ]]; then",
	"			if [[ $word != *=* ]] && _@_takes_value \"$word\"; then option=$word; fi",
	"		elif [[ -z $at$helped && $word == help ]]; then helped=1",
	"		elif ((args == 0)) && _@_known \"${at:+$at }$word\"; then at=${at:+$at }$word",
	"		else ((args += 1))",
	"		fi",
	"	done",
	"	word=${words[CURRENT]}",
	"	if [[ -z $option && -z $ended && $word == --*=* ]]; then",
	"		option=${word%%=*}",
	"		compset -P '*='",
	"	fi",
	"	if [[ -n $option ]]; then",
	"		_@_choices \"$at:$option\"",
	"		_@_kind \"$at:$option\"",
	"	elif [[ -z $ended && $word == -* ]]; then",
	"		_@_options \"$at\"",
	"	else",
	"		((args == 0)) && _@_words \"$at\"",
	"		_@_choices \"$at#$args\"",
	"		_@_kind \"$at#$args\"",
	"	fi",
	"	if [[ $kind == file ]]; then",
	"		_files",
	"		return",
	"	fi",
	"	[[ -n $kind ]] && list+=(${(f)\"$(_call_program $kind ${(q)words[1]} complete $kind 2>/dev/null)\"})",
	"	_describe @ list",
	"}",
	NULL,
};
/* Autoloaded from $fpath the file's body is the function: it has to run. Sourced, it has to be bound. */
static const char *const zsh_tail[] = {
	"",
	"if [[ ${funcstack[1]} == _@ ]]; then _@ \"$@\"; else compdef _@ @; fi",
	NULL,
};

static const char *const fish_head[] = {
	"# fish completion for @, made by `@ completion fish`.",
	"function _@",
	"	set -l tokens (commandline -opc)",
	"	set -l cur (commandline -ct)",
	"	set -l at ''",
	"	set -l option ''",
	"	set -l ended ''",
	"	set -l helped ''",
	"	set -l prefix ''",
	"	set -l args 0",
	"	for word in $tokens[2..-1]",
	"		set -l longer (string trim -- \"$at $word\")",
	"		if test -n \"$option\"",
	"			set option ''",
	"		else if test -z \"$ended\"; and test \"$word\" = --",
	"			set ended 1",
	"		else if test -z \"$ended\"; and string match -qr -- '^-.' \"$word\"",
	"			if not string match -q -- '*=*' \"$word\"; and _@_takes_value \"$word\"",
	"				set option $word",
	"			end",
	"		else if test -z \"$at$helped\"; and test \"$word\" = help",
	"			set helped 1",
	"		else if test $args -eq 0; and _@_known \"$longer\"",
	"			set at $longer",
	"		else",
	"			set args (math $args + 1)",
	"		end",
	"	end",
	"	if test -z \"$option$ended\"; and string match -q -- '--*=*' \"$cur\"",
	"		set option (string split -m 1 = -- $cur)[1]",
	"		set prefix $option=",
	"		set cur (string split -m 1 = -- $cur)[2]",
	"	end",
	"	set -l place \"$at#$args\"",
	"	test -n \"$option\"; and set place \"$at:$option\"",
	"	if test -z \"$option$ended\"; and string match -q -- '-*' \"$cur\"",
	"		_@_options \"$at\"",
	"		return",
	"	end",
	"	if test -z \"$option\"; and test $args -eq 0",
	"		_@_words \"$at\"",
	"	end",
	"	set -l kind (_@_kind \"$place\")",
	"	begin",
	"		_@_choices \"$place\"",
	"		if test \"$kind\" = file",
	"			__fish_complete_path \"$cur\"",
	"		else if test -n \"$kind\"",
	"			$tokens[1] complete $kind 2>/dev/null",
	"		end",
	"	end | string replace -r '^' -- \"$prefix\"",
	"end",
	NULL,
};
static const char *const fish_tail[] = {"", "complete -c @ -f -a '(_@)'", NULL};

static const struct {
	const char *name;
	enum shell shell;
	const char *const *head, *const *tail;
} shells[] = {
	{"bash", SHELL_BASH, bash_head, bash_tail},
	{"zsh", SHELL_ZSH, zsh_head, zsh_tail},
	{"fish", SHELL_FISH, fish_head, fish_tail},
};

bool program_completion(const struct program *p, const char *shell, struct buf *out)
{
	for (size_t i = 0; i < ARRAY_LEN(shells); i++) {
		const struct script s = {shells[i].shell, p, out};
		if (strcmp(shell, shells[i].name) != 0)
			continue;
		for (const char *const *line = shells[i].head; *line; line++)
			completion_put_line(&s, *line);
		completion_put_tables(&s);
		for (const char *const *line = shells[i].tail; *line; line++)
			completion_put_line(&s, *line);
		return true;
	}
	return false;
}
