FROM local/debian:bookworm
COPY java /opt/java
COPY libs /opt/kafka/libs
COPY log4j2.properties /opt/kafka/
COPY run-kafka.sh /etc/confluent/docker/run
RUN chmod 755 /etc/confluent/docker/run \
 && mkdir -p /etc/kafka/docker \
 && ln -s /etc/confluent/docker/run /etc/kafka/docker/run \
 && install -d -o 1000 -g 1000 /var/lib/kafka/data /etc/kafka
USER 1000:1000
VOLUME /var/lib/kafka/data
CMD ["/etc/kafka/docker/run"]
