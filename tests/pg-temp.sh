#!/bin/sh
# A throw-away PostgreSQL cluster for tests and benchmarks, on a private socket and a free port of 127.0.0.1.
#
#	pg-temp.sh start DIR [SETTING=VALUE]...   makes it and starts it; prints its URL (harmless when it runs already)
#	pg-temp.sh url DIR                        prints the URL of an empty database (TCP)
#	pg-temp.sh socket-url DIR                 the same over the unix socket
#	pg-temp.sh down DIR | up DIR | restart DIR   `down` is a crash: no clean shutdown; data, port and URL stay
#	pg-temp.sh stop DIR                       stops it and removes it
#
# fsync is on unless a setting says otherwise. PostgreSQL refuses to run as root: root runs it as the user postgres. When DIR is
# out of that user's reach, or too long for a socket's path, the cluster lives in a folder of its own under /tmp, which
# DIR/pg-temp.home names.
set -eu

die() { echo "pg-temp: $*" >&2; exit 1; }
usage() { sed -n '2,13s/^# \{0,1\}//p' "$0" >&2; exit 2; }

[ $# -ge 2 ] || usage
verb=$1 dir=$2
shift 2
[ "$verb" != start ] || mkdir -p "$dir"
[ -d "$dir" ] || die "$dir: no such folder"
dir=$(cd "$dir" && pwd -P)

# The newest installed server; Debian keeps its programs out of PATH.
bin=
for b in $(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -t/ -k5 -n -r) "$(pg_config --bindir 2>/dev/null || :)"; do
	if [ -x "$b/initdb" ]; then bin=$b; break; fi
done
[ -n "$bin" ] || die "no PostgreSQL server found (Debian: apt-get install postgresql)"

cd /
as_server() { if [ "$(id -u)" = 0 ]; then runuser -u postgres -- "$@"; else "$@"; fi; }
home() { [ -f "$dir/pg-temp.home" ] || die "$dir holds no cluster: start one first"; cat "$dir/pg-temp.home"; }
running() { as_server "$bin/pg_ctl" -D "$1/data" status >/dev/null 2>&1; }
port() { cat "$1/port"; }

up() {
	as_server "$bin/pg_ctl" -D "$1/data" -l "$1/log" -w -t 60 -s start -o "-p $(port "$1")" >/dev/null 2>&1 </dev/null
}

down() {
	running "$1" || return 0
	as_server "$bin/pg_ctl" -D "$1/data" -m immediate -w -t 60 -s stop >/dev/null 2>&1
}

make_home() {
	# A socket's path has room for 107 bytes: "/s/.s.PGSQL.12345" needs 17 of them.
	h=$dir/pg
	if [ ${#h} -gt 85 ] || { [ "$(id -u)" = 0 ] && ! runuser -u postgres -- test -x "$dir"; }; then
		h=$(mktemp -d /tmp/tana-pg.XXXXXX)
	fi
	mkdir -p "$h"
	[ "$(id -u)" != 0 ] || chown postgres "$h"
	chmod 700 "$h"
	echo "$h" >"$dir/pg-temp.home"
}

make_cluster() {
	h=$1
	shift
	as_server "$bin/initdb" -D "$h/data" -U postgres -A trust -E UTF8 --locale=C --no-sync --no-instructions >"$dir/pg-temp.initdb.log" 2>&1 ||
		{ cat "$dir/pg-temp.initdb.log" >&2; die "initdb failed"; }
	as_server mkdir "$h/s"
	{
		echo "listen_addresses = '127.0.0.1'"
		echo "unix_socket_directories = '$h/s'"
		echo "max_connections = 200"
		echo "timezone = 'UTC'"
		for setting; do
			case $setting in *=*) echo "${setting%%=*} = '${setting#*=}'" ;; *) die "$setting: not SETTING=VALUE" ;; esac
		done
	} | as_server tee -a "$h/data/postgresql.conf" >/dev/null
	as_server touch "$h/log"
}

# Ports below the range the kernel hands out; another program may have taken the one we guess, so several are tried.
start_on_free_port() {
	for try in 1 2 3 4 5 6 7 8 9 10; do
		n=$(od -An -N2 -tu2 /dev/urandom | tr -d ' ')
		echo $((20000 + n % 12000)) | as_server tee "$1/port" >/dev/null
		if up "$1"; then return 0; fi
		grep -q 'could not bind\|Address already in use\|could not create any TCP/IP sockets' "$1/log" || break
	done
	tail -n 20 "$1/log" >&2
	die "the server did not start"
}

case $verb in
start)
	if [ -f "$dir/pg-temp.home" ]; then
		h=$(home)
		running "$h" || up "$h" || { tail -n 20 "$h/log" >&2; die "the server did not start"; }
	else
		make_home
		h=$(home)
		make_cluster "$h" "$@"
		start_on_free_port "$h"
	fi
	echo "postgres://postgres@127.0.0.1:$(port "$h")/postgres"
	;;
url) h=$(home); echo "postgres://postgres@127.0.0.1:$(port "$h")/postgres" ;;
socket-url) h=$(home); echo "postgres://postgres@/postgres?host=$h/s&port=$(port "$h")" ;;
down) down "$(home)" ;;
up) up "$(home)" || die "the server did not start" ;;
restart) h=$(home); down "$h"; up "$h" || die "the server did not start" ;;
stop)
	[ -f "$dir/pg-temp.home" ] || exit 0
	h=$(home)
	down "$h"
	rm -rf "$h"
	rm -f "$dir/pg-temp.home" "$dir/pg-temp.initdb.log"
	;;
*) usage ;;
esac
