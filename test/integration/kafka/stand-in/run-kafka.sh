#!/bin/bash
# Settings come as variables: KAFKA_LOG_DIRS is log.dirs. Variables that only the start script reads are left out.
set -euo pipefail
file=/tmp/server.properties
printf 'log.dirs=/var/lib/kafka/data\n' >"$file"
env -0 | while IFS= read -r -d '' pair; do
  name=${pair%%=*}
  case $name in
    KAFKA_HEAP_OPTS | KAFKA_OPTS | KAFKA_CONFLUENT_*) ;;
    KAFKA_*)
      setting=${name#KAFKA_}
      setting=${setting,,}
      printf '%s=%s\n' "${setting//_/.}" "${pair#*=}"
      ;;
  esac
done >>"$file"
flags=(-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp '/opt/kafka/libs/*' -Dlog4j2.configurationFile=/opt/kafka/log4j2.properties)
/opt/java/bin/java "${flags[@]}" kafka.tools.StorageTool format --ignore-formatted -t "$CLUSTER_ID" -c "$file"
# shellcheck disable=SC2086 # several words
exec /opt/java/bin/java ${KAFKA_HEAP_OPTS:--Xms256m -Xmx256m} "${flags[@]}" kafka.Kafka "$file"
