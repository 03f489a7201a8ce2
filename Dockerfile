# depositd on Node 24. How to run it: docs/operations.md

FROM node:24-bookworm-slim AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
# Without scripts: Node is in the image already, and SQLite's binaries are in their package.
RUN npm ci --ignore-scripts
COPY . .
RUN npm run build && npm prune --omit=dev --ignore-scripts

FROM node:24-bookworm-slim
ENV NODE_ENV=production
WORKDIR /app
COPY --from=build /build/package.json ./
COPY --from=build /build/node_modules ./node_modules
COPY --from=build /build/dist ./dist
RUN printf '#!/bin/sh\nexec node /app/dist/src/cli.js "$@"\n' > /usr/local/bin/depositd \
  && chmod 0755 /usr/local/bin/depositd \
  && install -d -m 0700 -o node -g node /var/lib/depositd
USER node
VOLUME /var/lib/depositd
EXPOSE 8080
ENV DEPOSITD_CONFIG=/etc/depositd/config.json
# Asks the port that is configured.
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s CMD ["depositd", "health"]
ENTRYPOINT ["depositd"]
CMD ["serve"]
