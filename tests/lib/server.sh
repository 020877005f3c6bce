# Sourced by every script that starts servers: a private copy of the server below build/, clusters in it, and their end.
# Nothing outside build/ is written but short-lived socket folders (a socket path may have 107 bytes only).

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
build=$root/build
pg_config=${PG_CONFIG:-pg_config}
jobs_at_once=$(nproc)
umask 022
# Settings of the caller must not reach our servers and clients, nor flags of an outer make our own.
unset PGHOST PGPORT PGUSER PGDATABASE PGOPTIONS PGSERVICE PGPASSWORD PGDATA PGTZ MAKEFLAGS MFLAGS MAKELEVEL
export LC_ALL=C.UTF-8
bin=

die() { echo "$*" >&2; exit 1; }

# A server refuses to run as root: then an unprivileged user runs it.
server_user=
if [ "$(id -u)" = 0 ]; then
  server_user=postgres
  id postgres >/dev/null 2>&1 || server_user=nobody
fi

# Runs a command as the user of the servers, in the work folder.
as_server() {
  if [ -n "$server_user" ]; then
    (cd "$work" && exec runuser -u "$server_user" -- env HOME="$area" "$@")
  else
    (cd "$work" && HOME=$area exec "$@")
  fi
}

# Makes folders that the servers may write.
server_folder() {
  mkdir -p "$@"
  [ -z "$server_user" ] || chown "$server_user" "$@"
}

# Chooses the folders of a script: `work` (build/, or a temporary one when the server's user cannot get at the
# checkout), `area` (clusters and output of this kind of script) and `sock`. `work_is_temporary` tells which.
open_area() {
  mkdir -p "$build/log"
  work=$build area=$build/$1 work_is_temporary=
  if [ -n "$server_user" ] && ! (cd / && runuser -u "$server_user" -- test -r "$root/tests/run" -a -x "$build"); then
    work=$(mktemp -d /tmp/pgqueue.XXXXXX) area=$work/$1 work_is_temporary=1
    chmod 755 "$work"
  fi
  server_folder "$area"
  sock=$(mktemp -d /tmp/pgq.XXXXXX)
  [ -z "$server_user" ] || chown "$server_user" "$sock"
}

# Copies the installed server (Debian's runs from any place) and installs pgqueue into the copy.
# $1 is `test` (stop points, warnings are errors) or `plain` (what `make install` installs).
build_server() {
  local variant=$1${SANITIZE:+-sanitized}${PGQUEUE_UNDER:+-under} bindir sharedir
  shift
  bindir=$("$pg_config" --bindir) sharedir=$("$pg_config" --sharedir)
  pg=$work/pg-$variant
  bin=$pg$bindir
  obj=$build/obj-$variant
  local flags=()
  [ "$variant" = plain ] || flags=(TESTPOINTS=1 WERROR=1 SANITIZE="${SANITIZE:-}")
  mkdir -p "$pg" "$obj"
  local dir
  for dir in "$(dirname "$bindir")" "$sharedir"; do
    mkdir -p "$pg$(dirname "$dir")"
    cp -au "$dir" "$pg$(dirname "$dir")/"
  done
  [ "$variant" = plain ] || install -m 644 "$root"/tests/lib/pgqueue--0.9--1.0.sql "$pg$sharedir/extension/"
  if [ -n "${MESON_BUILD_ROOT:-}" ] && [ "$variant" = test ]; then
    # Called by `meson test`, which has built everything: test that build.
    obj=$MESON_BUILD_ROOT
    install -m 755 "$obj/pgqueue_test.so" "$pg$("$pg_config" --pkglibdir)/pgqueue.so"
    install -m 755 "$obj/pg_background_queue.so" "$pg$("$pg_config" --pkglibdir)/"
    install -m 644 "$obj"/*--*.sql "$root"/extension/*.control "$pg$sharedir/extension/"
    return
  fi
  make -C "$obj" -f "$root/Makefile" VPATH="$root" "${flags[@]}" "$@" PG_CONFIG="$pg_config" DESTDIR="$pg" \
    -j"$jobs_at_once" --no-print-directory install >"$build/log/build.log" 2>&1 ||
    { grep -E 'error:|Error [0-9]|\*\*\*|undefined reference' -A3 "$build/log/build.log" | tail -n 60 >&2; return 1; }
  put_under
}

# PGQUEUE_UNDER is a command that every server of the copy runs under, such as valgrind; its reports go to $area/under.
put_under() {
  [ -n "${PGQUEUE_UNDER:-}" ] || return 0
  [ -e "$bin/postgres.itself" ] || mv "$bin/postgres" "$bin/postgres.itself"
  printf '#!/bin/sh\nexec %s %s "$@"\n' "${PGQUEUE_UNDER//@OUT@/$area/under}" "$bin/postgres.itself" >"$bin/postgres"
  chmod 755 "$bin/postgres"
  server_folder "$area/under"
}

# Makes cluster $1 with the library preloaded and starts it; further settings come as arguments.
start_server() {
  local name=$1 data=$area/$1
  shift
  rm -rf "$data" "$data.log"
  as_server "$bin/initdb" -D "$data" -A trust -U postgres -E UTF8 --no-locale --no-sync >"$build/log/initdb.log" 2>&1 ||
    { cat "$build/log/initdb.log" >&2; return 1; }
  printf '%s\n' "listen_addresses = ''" "shared_preload_libraries = 'pgqueue'" "max_worker_processes = 16" "$@" \
    >>"$data/postgresql.conf"
  resume_server "$name"
}

# A server outlives the script: it must not keep what the caller has open, such as
# a pipe that somebody reads to its end.
close_descriptors() {
  local fd
  for fd in /proc/self/fd/*; do
    fd=${fd##*/}
    case $fd in
      0 | 1 | 2 | 255) ;;
      *) eval "exec $fd>&-" 2>/dev/null || true ;;
    esac
  done
}

# Starts a cluster that was made before. Clients reach it through $sock.
resume_server() {
  (close_descriptors
   as_server env PGCTLTIMEOUT=300 "$bin/pg_ctl" -D "$area/$1" -l "$area/$1.log" -o "-k $sock" -w start) \
    </dev/null >/dev/null 2>&1 ||
    { tail -n 20 "$area/$1.log" >&2; return 1; }
}

# Stops every server below the area, whoever started it.
stop_servers() {
  local pidfile data pid
  while read -r pidfile; do
    data=${pidfile%/*}
    pid=$(head -n 1 "$pidfile" 2>/dev/null) || continue
    # A left-over file may name a process of somebody else: the postmaster's current folder is its data folder.
    [ "$(readlink "/proc/$pid/cwd" 2>/dev/null)" = "$data" ] || continue
    as_server "$bin/pg_ctl" -D "$data" -m "${1:-immediate}" -t 20 -w stop >/dev/null 2>&1 ||
      kill -9 "$pid" 2>/dev/null || true
  done < <(find "$area" -name postmaster.pid 2>/dev/null)
}

# Ends what open_area and start_server began.
close_area() {
  stop_servers
  if [ -n "$work_is_temporary" ] && [ -d "$area/under" ]; then cp -r "$area/under" "$build/log/"; fi
  rm -rf "$sock"
  if [ -n "$work_is_temporary" ]; then rm -rf "$work"; fi
}
