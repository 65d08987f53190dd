ARG VERSION=1.4.0
FROM ghcr.io/acme/one:${VERSION} AS one
FROM ghcr.io/acme/two:$VERSION
