#!/usr/bin/env bash
# What action.yml runs: dumpmap check, dumpmap triage, or both. Inputs come as variables and are never part of a command
# line that a shell reads again.
#
#   DUMPMAP_FILES      paths or patterns to check, one a line; needs DUMPMAP_RULES
#   DUMPMAP_RULES      the rules file
#   DUMPMAP_BASELINE   the file to compare with; may be empty
#   DUMPMAP_ALLOW_MISSING_BASELINE   true: a baseline that does not exist is no error
#   DUMPMAP_SARIF      where the SARIF report of the check is written; may be empty
#   DUMPMAP_TRIAGE     folders, files, or patterns to triage, one a line
#   DUMPMAP_FAIL_ON    critical, warning, or info; may be empty
#
# It appends the results to $GITHUB_STEP_SUMMARY and the names of its files to $GITHUB_OUTPUT, and exits with the worst of
# the exit codes: 3 (a file could not be read), 2 (wrong inputs), 1 (a gate was not met), 0.
set -uo pipefail
shopt -s globstar nullglob

python=${DUMPMAP_PYTHON:-python}
folder=$(mktemp -d "${RUNNER_TEMP:-${TMPDIR:-/tmp}}/dumpmap.XXXXXX") || exit 2
summary=$folder/summary.md
: >"$summary"
junit=
sarif=
table=
worst=0

# A step's summary may have 1 MiB; a longer one would be refused as a whole.
longest=900000

fail() {
  echo "::error title=dumpmap::$*"
  finish 2
}

finish() {
  [ "$1" -le "$worst" ] || worst=$1
  if [ -n "${GITHUB_STEP_SUMMARY:-}" ]; then
    if [ "$(wc -c <"$summary")" -gt "$longest" ]; then
      head -c "$longest" "$summary" | sed '$d' >>"$GITHUB_STEP_SUMMARY"
      printf '\n\nThe rest is in the output `summary`.\n' >>"$GITHUB_STEP_SUMMARY"
    else
      cat "$summary" >>"$GITHUB_STEP_SUMMARY"
    fi
  fi
  if [ -n "${GITHUB_OUTPUT:-}" ]; then
    {
      echo "exit-code=$worst"
      echo "summary=$summary"
      echo "junit=$junit"
      echo "sarif=$sarif"
      echo "table=$table"
    } >>"$GITHUB_OUTPUT"
  fi
  exit "$worst"
}

# Notes the exit code of a command. An internal error or a missing program counts as a file that could not be read.
ended() {
  local code=$1
  [ "$code" -le 3 ] || code=3
  [ "$code" -le "$worst" ] || worst=$code
}

# Reads the lines of $1 into the array `lines`, without blanks around them.
split() {
  local line
  lines=()
  while IFS= read -r line || [ -n "$line" ]; do
    line=${line%$'\r'}
    line="${line#"${line%%[![:space:]]*}"}"
    line="${line%"${line##*[![:space:]]}"}"
    [ -z "$line" ] || lines+=("$line")
  done <<<"$1"
}

check() {
  local lines pattern matches files=() arguments
  [ -n "${DUMPMAP_RULES:-}" ] || fail "the input files needs the input rules"
  split "$DUMPMAP_FILES"
  for pattern in "${lines[@]}"; do
    if [ -e "$pattern" ]; then
      files+=("$pattern")
      continue
    fi
    # Without field splitting, a name with blanks stays one name.
    local IFS=
    # shellcheck disable=SC2206
    matches=($pattern)
    unset IFS
    # A name without * ? [ stays as it is.
    { [ ${#matches[@]} -gt 0 ] && [ -e "${matches[0]}" ]; } || fail "no file matches $(printf '%q' "$pattern")"
    files+=("${matches[@]}")
  done
  junit=$folder/junit.xml
  sarif=${DUMPMAP_SARIF:-$folder/check.sarif}
  case $sarif in
    # An output is a line: the second line of a name would be an output of its own.
    *$'\n'*) sarif='' && fail "the input sarif must be one line" ;;
    -*) sarif=./$sarif ;;
  esac
  # The report of an earlier step must not be taken for this one's.
  [ ! -e "$sarif" ] || fail "the file of the input sarif exists already"
  arguments=(--rules "$DUMPMAP_RULES" --junit "$junit" --sarif "$sarif" --github -o "$folder/check.md")
  [ -z "${DUMPMAP_BASELINE:-}" ] || arguments+=(--baseline "$DUMPMAP_BASELINE")
  case ${DUMPMAP_ALLOW_MISSING_BASELINE:-false} in
    true) arguments+=(--allow-missing-baseline) ;;
    false) ;;
    *) fail "the input allow-missing-baseline must be true or false" ;;
  esac
  # The summary of the step is written once, at the end.
  env -u GITHUB_STEP_SUMMARY "$python" -m dumpmap check "${arguments[@]}" -- "${files[@]}"
  ended $?
  # Wrong rules end the command before it writes a report.
  [ -e "$junit" ] || junit=
  [ -e "$sarif" ] || sarif=
  section "dumpmap check" "$folder/check.md"
}

triage() {
  local lines arguments=()
  split "$DUMPMAP_TRIAGE"
  table=$folder/triage.csv
  [ -z "${DUMPMAP_FAIL_ON:-}" ] || arguments+=(--fail-on "$DUMPMAP_FAIL_ON")
  # The second run takes its rows from the cache of the first.
  export DUMPMAP_CACHE=$folder/cache.sqlite
  "$python" -m dumpmap triage -o "$table" "${arguments[@]}" -- "${lines[@]}"
  ended $?
  "$python" -m dumpmap -q triage --limit 200 -o "$folder/triage.md" -- "${lines[@]}"
  section "dumpmap triage" "$folder/triage.md"
}

section() {
  printf '## %s\n\n' "$1" >>"$summary"
  if [ -s "$2" ]; then
    cat "$2" >>"$summary"
  else
    printf 'There is no result; the log of the step says why.\n' >>"$summary"
  fi
  printf '\n' >>"$summary"
}

[ -n "${DUMPMAP_FILES:-}${DUMPMAP_TRIAGE:-}" ] || fail "set the input files or triage"
[ -z "${DUMPMAP_FILES:-}" ] || check
[ -z "${DUMPMAP_TRIAGE:-}" ] || triage
finish "$worst"
