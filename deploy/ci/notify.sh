#!/bin/sh
# Tells a Tagboat server that an image was pushed: `tagboat notify` for where that program is not at hand.
#
#   notify.sh REPOSITORY:TAG[@DIGEST]
#
#   TAGBOAT_URL             the server
#   TAGBOAT_SECRET          the receiver's signing secret, or
#   TAGBOAT_SECRET_FILE     a file with it, or
#   TAGBOAT_ID_TOKEN        a token of the CI (OIDC), or
#   TAGBOAT_ID_TOKEN_FILE   a file with one, or nothing of these in GitHub Actions and Azure Pipelines, which are asked
#   TAGBOAT_AUDIENCE        for whom GitHub is asked for a token; default: the server
#   TAGBOAT_RECEIVER        the receiver, where more than one may believe this job
#   TAGBOAT_IDEMPOTENCY_KEY default: made of the run of the CI and the image
#   TAGBOAT_TIMEOUT         seconds, tries that fail included; default: 300
#   TAGBOAT_REPOSITORY, TAGBOAT_REVISION, TAGBOAT_RUN   default: as the CI says
#
# Ends with 0 accepted, 3 ignored, 4 refused, 1 unreachable or out of time, 2 invalid input or no credential.
#
# POSIX sh and curl; openssl to sign. Whoever lists processes reads the arguments of all programs, so no secret is one:
# `openssl dgst -hmac` and `-macopt` would show the key. HMAC (RFC 2104) is made of two plain hashes here instead, the
# key reaches them and curl through pipes from `printf`, which is part of the shell.

set -eu
set +x
umask 077

fail() {
  code=$1
  shift
  printf 'error: %s\n' "$*" >&2
  exit "$code"
}

needs() {
  command -v "$1" >/dev/null 2>&1 || fail 2 "this script needs $1"
}

# The line in a file, or the variable's value; without its line end.
given() {
  if [ -n "$2" ]; then
    [ -r "$2" ] || fail 2 "$2 cannot be read"
    cat "$2"
  else
    printf '%s' "$1"
  fi
}

# As text within a JSON string.
json() {
  printf '%s' "$1" | tr -d '\000-\037\177' | sed 's/\\/\\\\/g; s/"/\\"/g'
}

# `"name":"value",` for what is known.
member() {
  [ -z "$2" ] || printf '"%s":"%s",' "$1" "$(json "$2")"
}

# The text of a field in a flat JSON object.
field() {
  sed -n 's/.*"'"$1"'" *: *"\([^"\\]*\)".*/\1/p' "$2" | head -n 1
}

# A repository's path from the address that it is cloned from, in which somebody may have put a password.
path_of() {
  case $1 in
    *://*/*)
      path=${1#*://}
      path=${path#*/}
      ;;
    *://*) path='' ;;
    *:*) path=${1#*:} ;;
    *) path=$1 ;;
  esac
  path=${path%/}
  printf '%s' "${path%.git}"
}

hash_in_hex() {
  if command -v sha256sum >/dev/null 2>&1; then sha256sum; else openssl dgst -sha256 -r; fi | cut -c 1-64
}

# Standard input as decimal numbers, one for each byte.
bytes() {
  od -An -v -tu1 | tr -s ' \n' '  '
}

# Such numbers, each combined with $1, as escapes for `printf %b`.
escapes() {
  for byte in $2; do printf '\\0%03o' $((byte ^ $1)); done
}

# The key combined with $1 and filled up to a block of 64 bytes with it, as escapes.
pad() {
  escapes "$1" "$key_bytes"
  count=$(printf '%s' "$key_bytes" | wc -w)
  while [ "$count" -lt 64 ]; do
    printf '\\0%03o' "$1"
    count=$((count + 1))
  done
}

# The signature of standard input as Standard Webhooks says.
sign() {
  { printf '%b' "$inner"; cat; } | openssl dgst -sha256 -binary >"$folder/inner"
  { printf '%b' "$outer"; cat "$folder/inner"; } | openssl dgst -sha256 -binary | openssl base64 -A
}

# curl with its secret headers from standard input, following nothing.
ask() {
  curl -q --globoff --silent --show-error --max-time 30 --connect-timeout 10 ${direct:+--noproxy '*'} --config - \
    --output "$folder/body" --dump-header "$folder/headers" --write-out '%{http_code}' "$@"
}

secret_header() {
  printf 'header = "%s"\n' "$1"
}

# A token from an endpoint of the CI: its name, address and credential, the field of the answer, then further arguments.
token_of() {
  whose=$1 address=$2 bearer=$3 name=$4
  shift 4
  case $address in
    https://* | http://localhost[:/]* | http://127.0.0.1[:/]*) ;;
    *) fail 2 "the address at which $whose gives tokens is not https" ;;
  esac
  status=$(secret_header "Authorization: Bearer $bearer" | ask "$@" "$address") || fail 1 "$whose cannot be reached"
  [ "$status" = 200 ] || fail 1 "$whose gives no token: it answers with status $status"
  token=$(field "$name" "$folder/body")
}

[ $# -eq 1 ] || fail 2 "usage: notify.sh REPOSITORY:TAG[@DIGEST]"
needs curl

server=${TAGBOAT_URL:-}
server=${server%/}
direct=''
case $server in
  https://*) ;;
  http://localhost | http://localhost[:/]* | http://127.0.0.1 | http://127.0.0.1[:/]*) direct=yes ;;
  '') fail 2 "TAGBOAT_URL is not set" ;;
  *) fail 2 "TAGBOAT_URL is not https, so that everybody on the way could read the credential" ;;
esac
case $server in *[!A-Za-z0-9.:/_~%-]*) fail 2 "TAGBOAT_URL is more than an address" ;; esac
case ${TAGBOAT_RECEIVER:-} in *[!A-Za-z0-9._-]*) fail 2 "TAGBOAT_RECEIVER is not the name of a receiver" ;; esac

reference=$1
digest=''
case $reference in
  *@*)
    digest=${reference#*@}
    reference=${reference%%@*}
    ;;
esac
case ${reference##*/} in
  *:*) image=${reference%:*} tag=${reference##*:} ;;
  *) fail 2 "$1 has no tag; write REPOSITORY:TAG, with @DIGEST after it if you like" ;;
esac
[ -n "$image" ] && [ -n "$tag" ] || fail 2 "$1 is not REPOSITORY:TAG[@DIGEST]"

# What the CI says. `identity` is the run, where people see it under a name that others have too.
repository='' revision='' run='' identity=''
if [ -n "${GITHUB_ACTIONS:-}" ]; then
  repository=${GITHUB_REPOSITORY:-} revision=${GITHUB_SHA:-} run=${GITHUB_RUN_NUMBER:-}
  identity=${GITHUB_RUN_ID:-}
elif [ -n "${GITLAB_CI:-}" ]; then
  repository=${CI_PROJECT_PATH:-} revision=${CI_COMMIT_SHA:-} run=${CI_PIPELINE_ID:-}
elif [ -n "${CIRCLECI:-}" ]; then
  repository=$(path_of "${CIRCLE_REPOSITORY_URL:-}") revision=${CIRCLE_SHA1:-} run=${CIRCLE_PIPELINE_ID:-}
elif [ -n "${BUILDKITE:-}" ]; then
  repository=$(path_of "${BUILDKITE_REPO:-}") revision=${BUILDKITE_COMMIT:-} run=${BUILDKITE_BUILD_NUMBER:-}
  identity=${BUILDKITE_BUILD_ID:-}
elif [ -n "${TF_BUILD:-}" ]; then
  repository=${BUILD_REPOSITORY_NAME:-} revision=${BUILD_SOURCEVERSION:-} run=${BUILD_BUILDID:-}
elif [ -n "${JENKINS_URL:-}" ]; then
  repository=$(path_of "${GIT_URL:-}") revision=${GIT_COMMIT:-} run=${BUILD_NUMBER:-}
  identity=${BUILD_URL:-${BUILD_TAG:-}}
fi
repository=${TAGBOAT_REPOSITORY:-$repository}
revision=${TAGBOAT_REVISION:-$revision}
identity=${TAGBOAT_RUN:-${identity:-$run}}
run=${TAGBOAT_RUN:-$run}

said=$(member repository "$repository")$(member revision "$revision")$(member run "$run")
body=$(printf '{"image":"%s","tag":"%s",%s"source":{%s}}' \
  "$(json "$image")" "$(json "$tag")" "$(member digest "$digest")" "${said%,}")

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' HUP INT TERM

key=${TAGBOAT_IDEMPOTENCY_KEY:-}
if [ -z "$key" ] && [ -n "$identity" ]; then
  key=ci-$(printf '%s\n%s\n' "$identity" "$body" | hash_in_hex | cut -c 1-32)
elif [ -z "$key" ]; then
  key=once-$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
fi
case $key in *[!A-Za-z0-9._/:@+=-]*) fail 2 "TAGBOAT_IDEMPOTENCY_KEY is more than letters, digits and ._/:@+=-" ;; esac

secret=$(given "${TAGBOAT_SECRET:-}" "${TAGBOAT_SECRET_FILE:-}")
token=$(given "${TAGBOAT_ID_TOKEN:-}" "${TAGBOAT_ID_TOKEN_FILE:-}")
unset TAGBOAT_SECRET TAGBOAT_ID_TOKEN
if [ -n "$secret" ]; then
  needs openssl
  case $secret in
    whsec_*) key_bytes=$(printf '%s' "${secret#whsec_}" | openssl base64 -d -A | bytes) ;;
    *) key_bytes=$(printf '%s' "$secret" | bytes) ;;
  esac
  [ -n "$(printf '%s' "$key_bytes" | tr -d ' ')" ] || fail 2 "the signing secret is empty, or what follows whsec_ is not base64"
  # A key longer than a block is hashed first.
  if [ "$(printf '%s' "$key_bytes" | wc -w)" -gt 64 ]; then
    key_bytes=$(printf '%b' "$(escapes 0 "$key_bytes")" | openssl dgst -sha256 -binary | bytes)
  fi
  inner=$(pad 54)
  outer=$(pad 92)
elif [ -z "$token" ] && [ -n "${ACTIONS_ID_TOKEN_REQUEST_TOKEN:-}" ]; then
  audience=$(printf '%s' "${TAGBOAT_AUDIENCE:-$server}" | sed 's/%/%25/g; s/&/%26/g; s/+/%2B/g; s/#/%23/g; s/ /%20/g')
  token_of "GitHub Actions" "$ACTIONS_ID_TOKEN_REQUEST_URL&audience=$audience" "$ACTIONS_ID_TOKEN_REQUEST_TOKEN" value
elif [ -z "$token" ] && [ -n "${SYSTEM_ACCESSTOKEN:-}" ]; then
  token_of "Azure Pipelines" "$SYSTEM_OIDCREQUESTURI?api-version=7.1" "$SYSTEM_ACCESSTOKEN" oidcToken \
    --request POST --header 'Content-Length: 0' --header 'Content-Type: application/json'
elif [ -z "$token" ] && [ -n "${GITHUB_ACTIONS:-}" ]; then
  fail 2 "there is no credential: the job needs the permission \`id-token: write\`"
elif [ -z "$token" ]; then
  fail 2 "there is no credential: set TAGBOAT_SECRET or TAGBOAT_ID_TOKEN"
fi
if [ -z "$secret" ]; then
  case $token in
    *[!A-Za-z0-9._=-]* | '') fail 2 "that is not a token, which has three parts with dots between them" ;;
    *.*.*) ;;
    *) fail 2 "that is not a token, which has three parts with dots between them" ;;
  esac
fi

credential() {
  if [ -n "$secret" ]; then
    now=$(date +%s)
    secret_header "webhook-id: $key"
    secret_header "webhook-timestamp: $now"
    secret_header "webhook-signature: v1,$(printf '%s.%s.%s' "$key" "$now" "$body" | sign)"
  else
    secret_header "Authorization: Bearer $token"
  fi
}

case ${TAGBOAT_TIMEOUT:-300} in *[!0-9]*) fail 2 "TAGBOAT_TIMEOUT is not a number of seconds" ;; esac
deadline=$(($(date +%s) + ${TAGBOAT_TIMEOUT:-300}))
pause=1
while :; do
  why=''
  status=$(credential | ask --header 'Content-Type: application/json' --header "Idempotency-Key: $key" \
    --data-binary "$body" "$server/api/v1/events${TAGBOAT_RECEIVER:+?receiver=$TAGBOAT_RECEIVER}") || why="$server cannot be reached"
  case $status in
    408 | 425 | 429 | 5??) why="$server answers with status $status" ;;
  esac
  [ -n "$why" ] || break
  asked=$(sed -n 's/^[Rr][Ee][Tt][Rr][Yy]-[Aa][Ff][Tt][Ee][Rr]: *\([0-9]\{1,4\}\).*/\1/p' "$folder/headers" 2>/dev/null | tail -n 1)
  rm -f "$folder/headers"
  [ "${asked:-0}" -le "$pause" ] || pause=$asked
  [ $(($(date +%s) + pause)) -lt "$deadline" ] || fail 1 "$why, and time is up"
  printf '%s; trying again in %s s\n' "$why" "$pause" >&2
  sleep "$pause"
  pause=$((pause * 2 > 15 ? 15 : pause * 2))
done

verdict=$(field verdict "$folder/body")
message=$(field error "$folder/body")
# One that has quotes in it is shown as it came.
case $status:$message:$(head -n 1 "$folder/body" | cut -c 1) in
  4??::'{') message=$(tr -d '\000-\037' <"$folder/body" | cut -c 1-300) ;;
esac
case $status:$verdict in
  202:accepted | 200:duplicate)
    id=$(field id "$folder/body")
    [ -n "$id" ] || fail 3 "$image:$tag: ignored before"
    printf '%s:%s: accepted as %s by receiver %s\n' "$image" "$tag" "$id" "$(field receiver "$folder/body")"
    ;;
  200:?*) fail 3 "$image:$tag: ignored: $(tr -d '\000-\037' <"$folder/body")" ;;
  400:*) fail 2 "${message:-the server cannot use what it was sent} (status 400)" ;;
  401:* | 403:* | 409:* | 422:*) fail 4 "${message:-refused} (status $status)" ;;
  3??:*) fail 1 "the server sends us elsewhere, which is not followed with a credential; give its own address" ;;
  *) fail 1 "${message:-the answer is not one of a Tagboat server; is the address right?} (status $status)" ;;
esac
