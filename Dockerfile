# The base image needs Node 24 and npm. Example: docker build --build-arg BASE_IMAGE=registry.example.org/node:24 .
ARG BASE_IMAGE=node:24-slim

FROM ${BASE_IMAGE} AS sources
WORKDIR /app
COPY package.json package-lock.json .npmrc ./

FROM sources AS build
RUN npm ci --ignore-scripts
COPY . .
RUN ./node_modules/.bin/tsc -p tsconfig.build.json

FROM sources AS dependencies
RUN npm ci --omit=dev --ignore-scripts

FROM ${BASE_IMAGE}
ENV NODE_ENV=production \
    LANDFALL_HOST=0.0.0.0 \
    LANDFALL_PORT=7070 \
    LANDFALL_DB=/var/lib/landfall/ledger.db
WORKDIR /app
COPY package.json LICENSE ./
COPY recordings recordings
COPY --from=dependencies /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY bin bin
# The user is a number because another base image may have no user `node`; 1000 is `node` in the official Node images.
RUN install -d -o 1000 -g 1000 /var/lib/landfall \
 && printf '#!/bin/sh\nexec node /app/bin/landfall.js "$@"\n' > /usr/local/bin/landfall \
 && chmod 755 /usr/local/bin/landfall
USER 1000:1000
WORKDIR /var/lib/landfall
VOLUME /var/lib/landfall
EXPOSE 7070

# The check asks /healthz, not /readyz, because a service that waits for its brokers must not be restarted.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["node", "-e", "\
  const scheme = process.env.LANDFALL_TLS_CERT ? 'https' : 'http';\
  const url = scheme + '://127.0.0.1:' + process.env.LANDFALL_PORT + '/healthz';\
  require(scheme).get(url, { rejectUnauthorized: false }, (reply) => process.exit(reply.statusCode === 200 ? 0 : 1))\
    .on('error', () => process.exit(1))"]

# The service listens on all addresses, so it requires LANDFALL_TOKENS: a file with lines of `landfall token`.
ENTRYPOINT ["landfall"]
CMD ["serve"]
