# Sourced by scripts/demo and scripts/check: which Debian packages they need, and how what is missing gets there.

# What the build needs: a command, header or pkg-config module, and the package that has it.
build_needs="gcc=gcc make=make pkg-config=pkg-config /usr/include/stdio.h=libc6-dev git=git libmicrohttpd=libmicrohttpd-dev gnutls=libgnutls28-dev
	sqlite3=libsqlite3-dev libsodium=libsodium-dev jansson=libjansson-dev libpq=libpq-dev libcurl=libcurl4-openssl-dev
	libsystemd=libsystemd-dev libcrypto=libssl-dev hiredis=libhiredis-dev libqrencode=libqrencode-dev"
# What the tests need beside it. The sanitizers' and the fuzzer's libraries come with gcc and libclang-rt.
check_needs="$build_needs g++=g++ cmocka=libcmocka-dev clang=clang clang-tidy=clang-tidy llvm-symbolizer=llvm cppcheck=cppcheck
	/usr/lib/postgresql/*/bin/initdb=postgresql /usr/bin/python3=python3 curl=curl mandoc=mandoc strace=strace runuser=util-linux
	openssl=openssl ps=procps zsh=zsh fish=fish sqlite3-cli=sqlite3 systemd-analyze=systemd
	py:pytest=python3-pytest py:xdist=python3-pytest-xdist py:nacl=python3-nacl py:requests=python3-requests py:jsonschema=python3-jsonschema
	py:psycopg2=python3-psycopg2 py:yaml=python3-yaml py:jwt=python3-jwt py:cryptography=python3-cryptography /usr/sbin/nginx=nginx
	py:authlib=python3-authlib py:requests_oauthlib=python3-requests-oauthlib
	redis-server=redis-server chromium=chromium chromedriver=chromium-driver zbarimg=zbar-tools /usr/lib/clang/*/lib/*/libclang_rt.fuzzer*.a=libclang-rt-dev"

# What `make bench-t4` measures beside t4d.
bench_needs="$build_needs /usr/bin/python3=python3 py:nacl=python3-nacl nginx=nginx docker-registry=docker-registry"

# Is it there? $1: the left side of a row above.
have() {
	case $1 in
	/*) set -- $1 && [ -e "$1" ] ;; # a pattern: one match is enough
	py:*) /usr/bin/python3 -c "import ${1#py:}" 2>/dev/null ;;
	sqlite3-cli) command -v sqlite3 >/dev/null 2>&1 ;;
	*) command -v "$1" >/dev/null 2>&1 || pkg-config --exists "$1" 2>/dev/null ;;
	esac
}

# Installs the packages of the rows in $1 that are missing; apt's output goes to the file $2. Returns 1, having said why, when that cannot be.
install_missing() {
	missing=
	for need in $1; do
		have "${need%%=*}" || missing="$missing ${need#*=}"
	done
	[ -n "$missing" ] || return 0
	if ! command -v apt-get >/dev/null; then
		echo "missing:$missing - and there is no apt-get here; install them by other means." >&2
		return 1
	fi
	sudo=
	if [ "$(id -u)" != 0 ]; then
		if ! command -v sudo >/dev/null; then
			echo "missing:$missing - run this as root, or install them: apt-get install$missing" >&2
			return 1
		fi
		sudo=sudo
	fi
	echo "Installing:$missing"
	# Without recommended packages: only what is needed.
	if ! { $sudo env DEBIAN_FRONTEND=noninteractive apt-get update &&
		$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing; } >"$2" 2>&1 </dev/null; then
		tail -n 20 "$2" >&2
		echo "apt-get failed; its whole output is in $2" >&2
		return 1
	fi
}
