#!/usr/bin/env bash
# `make setup` installs this as .venv/bin/snakemake. Snakemake takes every word after --config for a key=value pair and
# refuses `snakemake --config scale=smoke all`; here a word without `=` ends the pairs and is moved to the front as a target.
set -eo pipefail
targets=()
words=()
pairs=false
for word in "$@"; do
    case $word in
        --config | -C) pairs=true ;;
        -*) pairs=false ;;
    esac
    if $pairs && [[ $word != -* && $word != *=* ]]; then
        targets+=("$word")
    else
        words+=("$word")
    fi
done
exec "$(dirname "${BASH_SOURCE[0]}")/python" -m snakemake "${targets[@]}" "${words[@]}"
