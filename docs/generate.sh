#!/bin/sh
# Makes the parts of docs/ that programs write themselves: api.md, openapi/*.json, man/*.
#
#	docs/generate.sh           writes them
#	docs/generate.sh --check   writes nothing; exit 1 and a diff when a committed file is not what the programs say now
#
# The programs are those of $TANA_BUILD (build, when unset); build them first.
set -eu

check=no
case "${1-}" in
'') ;;
--check) check=yes ;;
*)
	sed -n '2,8s/^# \{0,1\}//p' "$0" >&2
	exit 2
	;;
esac

cd "$(dirname "$0")/.."
bin=${TANA_BUILD:-build}/bin
daemons="meshd t4d ledgerd identityd"
tools="tana"

for program in $daemons $tools; do
	[ -x "$bin/$program" ] || {
		echo "docs/generate.sh: $bin/$program is not built (make)" >&2
		exit 1
	}
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM
mkdir "$work/openapi" "$work/man"

{
	printf '# HTTP interfaces\n\n'
	printf 'Made by the programs themselves from their tables of endpoints and messages (docs/generate.sh); what it all means is in [protocol.md](protocol.md).\n'
	printf 'Times are milliseconds since the Unix epoch. Beside the codes listed with an endpoint, any request can meet those of [protocol.md, Requests](protocol.md#requests).\n'
	for daemon in $daemons; do
		printf '\n'
		"$bin/$daemon" api-doc
	done
} | cat -s | sed -e '$ { /^$/ d }' >"$work/api.md"

for daemon in $daemons; do
	"$bin/$daemon" openapi >"$work/openapi/${daemon%d}.json"
	"$bin/$daemon" man >"$work/man/$daemon.8"
done
for tool in $tools; do
	"$bin/$tool" man >"$work/man/$tool.1"
done

status=0
for file in api.md openapi/mesh.json openapi/t4.json openapi/ledger.json openapi/identity.json man/meshd.8 man/t4d.8 man/ledgerd.8 man/identityd.8 man/tana.1; do
	if cmp -s "$work/$file" "docs/$file"; then
		continue
	elif [ $check = yes ]; then
		echo "docs/$file is not what the programs say now; run docs/generate.sh" >&2
		diff -u "docs/$file" "$work/$file" >&2 || :
		status=1
	else
		mkdir -p "$(dirname "docs/$file")"
		cp "$work/$file" "docs/$file"
		echo "docs/$file"
	fi
done
exit $status
