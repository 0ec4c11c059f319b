#!/bin/bash
# SPDX-License-Identifier: Apache-2.0

# Shows what a newcomer sees: clones this repository's last commit into an empty folder, with an empty npm cache, an
# empty home and a PATH without (or with) a C compiler, and runs the commands given there, timing each.
#   tools/fresh-clone.sh [--without-compiler] [--ignore-scripts] COMMAND…
#   tools/fresh-clone.sh --without-compiler 'npm start -- --check' 'npm test'
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd -P)
compiler=yes
npmrc=
while [[ ${1-} == --* ]]; do
  case $1 in
    --without-compiler) compiler=no ;;
    --ignore-scripts) npmrc='ignore-scripts=true' ;;
    *)
      echo "Cannot read \"$1\": expected --without-compiler or --ignore-scripts" >&2
      exit 2
      ;;
  esac
  shift
done

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/bin" "$folder/home"
[ -z "$npmrc" ] || echo "$npmrc" >"$folder/home/.npmrc"
for path in /usr/bin/* /usr/local/bin/*; do
  name=$(basename "$path")
  # Names of compilers: cc, c99, gcc-12, x86_64-linux-gnu-gcc, clang, g++ and their like.
  if [ "$compiler" = no ] && [[ $name =~ ^(.*-)?(cc|c89|c99|gcc|g\+\+|c\+\+|clang|tcc)(-[0-9]+)?$ ]]; then continue; fi
  ln -sf "$path" "$folder/bin/$name"
done

git clone --quiet "$root" "$folder/meridian"
cd "$folder/meridian"
failed=0
for command in "$@"; do
  status=0
  echo "\$ $command"
  started=$(date +%s%N)
  env -i HOME="$folder/home" PATH="$folder/bin" LANG=C.UTF-8 npm_config_cache="$folder/cache" \
    sh -c "$command" || status=$?
  echo "= exit $status after $((($(date +%s%N) - started) / 1000000)) ms"
  [ "$status" = 0 ] || failed=1
done
exit "$failed"
