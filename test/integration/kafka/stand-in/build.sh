#!/usr/bin/env bash
# Makes images that replace images of a registry that cannot be reached: one that behaves like confluentinc/cp-kafka and
# like apache/kafka, as far as the tests and docker-compose.yml use them, and one like node:24-slim.
# Needs root, debootstrap, a JDK with jlink, Maven, npm, a Docker daemon, and `npm ci` done before.
#
#   LANDFALL_TEST_KAFKA_IMAGE=local/cp-kafka:8.0.0 npx vitest run test/integration/kafka
#   KAFKA_IMAGE=local/cp-kafka:8.0.0 NODE_IMAGE=local/node:24-slim docker compose up --build
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if ! docker image inspect local/debian:bookworm >/dev/null 2>&1; then
  debootstrap --variant=minbase bookworm "$work/debian"
  tar -C "$work/debian" --exclude=./var/cache/apt --exclude=./var/lib/apt/lists --exclude=./usr/share/doc -c . |
    docker import --change 'ENV LANG=C.UTF-8' - local/debian:bookworm
fi

mkdir "$work/kafka"
cp "$here/kafka.Dockerfile" "$work/kafka/Dockerfile"
cp "$here/run-kafka.sh" "$root/test/integration/kafka/brokers/log4j2.properties" "$work/kafka"
jlink --output "$work/kafka/java" --strip-java-debug-attributes --no-man-pages --no-header-files --add-modules \
  java.compiler,java.desktop,java.instrument,java.management,java.naming,java.rmi,java.scripting,java.security.jgss,java.security.sasl,java.sql,jdk.crypto.ec,jdk.management,jdk.net,jdk.unsupported,jdk.zipfs
mvn -B -q -ntp -f "$root/test/integration/kafka/brokers/pom.xml" dependency:copy-dependencies -DincludeScope=runtime \
  -DoutputDirectory="$work/kafka/libs"
docker build -t local/cp-kafka:8.0.0 "$work/kafka"

# The image contains the certificates that this machine trusts: `npm ci` in a build may need them.
mkdir "$work/node"
cp "$here/node.Dockerfile" "$work/node/Dockerfile"
cp -L "$root/node_modules/node/bin/node" /etc/ssl/certs/ca-certificates.crt "$work/node"
cp -rL "$(npm root -g)/npm" "$work/node/npm"
docker build -t local/node:24-slim "$work/node"
docker image ls 'local/*'
