#!/usr/bin/env bash
# Real key sets for the string index, from the packages of this Debian: fetch-keys.sh FOLDER
#   words.txt      the words of wamerican-insane
#   packages.txt   the names of all Debian packages
#   paths.txt      the paths of all files in them (7.3 million; from the Contents lists of apt-file)
# Each file is sorted by bytes, one key a line. Nothing of them belongs into the repository.
set -euo pipefail
if [ $# -ne 1 ] || [ "$1" = --help ]; then sed -n '2,6s/^# //p' "$0"; exit 2; fi
folder=$1
mkdir -p "$folder"
export LC_ALL=C
need() { dpkg-query -W -f='${Status}' "$1" 2>/dev/null | grep -q 'install ok' || missing+=("$1"); }
missing=()
need wamerican-insane
need apt-file
if [ ${#missing[@]} -gt 0 ]; then apt-get update -qq && apt-get install -y -qq "${missing[@]}" >/dev/null; fi
lists() { apt-get indextargets --format '$(FILENAME)' "Created-By: $1" | sort -u; }
if ! lists Contents-deb | grep -q .; then apt-file update >/dev/null; fi
# A file appears under its name only when it is whole.
into() { cat >"$folder/$1.partial" && mv "$folder/$1.partial" "$folder/$1"; }

sort -u /usr/share/dict/american-english-insane | into words.txt
apt-cache pkgnames | sort -u | into packages.txt
lists Contents-deb | while read -r list; do /usr/lib/apt/apt-helper cat-file "$list"; done |
  sed -E 's/[[:space:]]+[^[:space:]]+$//' | sort -u -S 1G -T "$folder" | into paths.txt
wc -l "$folder"/words.txt "$folder"/packages.txt "$folder"/paths.txt
