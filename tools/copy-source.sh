#!/bin/sh
# Copies the files of this checkout, committed or not, to an empty folder.
#
#   tools/copy-source.sh FOLDER
set -eu
cd "$(dirname -- "$(readlink -f -- "$0")")/.."
# A file that was deleted and not yet committed is listed too; it is left out.
git ls-files -z --cached --others --exclude-standard \
    | xargs -0 sh -c 'for file do [ ! -e "$file" ] && [ ! -L "$file" ] || printf "%s\0" "$file"; done' sh \
    | tar -c --null --no-recursion -T - | tar -x -C "$1"
