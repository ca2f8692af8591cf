# syntax=docker/dockerfile:1

FROM node:22-bookworm-slim AS dashboard
WORKDIR /src/dashboard
COPY dashboard/package.json dashboard/package-lock.json ./
RUN --mount=type=cache,target=/root/.npm npm ci --no-audit --no-fund
COPY dashboard ./
RUN npm run build

FROM rust:1.95-slim-bookworm AS build
# SQLite, ring and jemalloc contain C code; the last is built by make.
RUN apt-get update \
    && apt-get install -y --no-install-recommends gcc libc6-dev make \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
COPY --from=dashboard /src/dashboard/dist dashboard/dist
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --bin posthaste \
    && cp target/release/posthaste /posthaste

FROM debian:bookworm-slim
# The system's authorities are what rediss:// trusts.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /data --shell /usr/sbin/nologin posthaste \
    && install -d -o posthaste -g posthaste -m 0700 /data
COPY --from=build /posthaste /usr/local/bin/posthaste
USER posthaste
ENV POSTHASTE_LISTEN=0.0.0.0:8080 \
    POSTHASTE_DATA_DIR=/data \
    POSTHASTE_LOG__FORMAT=json
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=6s --start-period=30s --retries=3 \
    CMD ["posthaste", "health"]
ENTRYPOINT ["posthaste"]
CMD ["serve"]
