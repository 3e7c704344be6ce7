# syntax=docker/dockerfile:1
#
#     docker build --build-arg COMMIT=$(git rev-parse --short=12 HEAD) --tag onewrite .
#
# The image holds onewrite, its libraries and the authorities that TLS trusts: no shell, no package manager.
FROM swift:6.3-bookworm AS build
# Versions are the distribution's, with its mends of security: pinned, a build would stop when one is replaced.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        ca-certificates libcurl4-openssl-dev libhiredis-dev libpq-dev librdkafka-dev libssl-dev libzstd-dev pkg-config \
        zlib1g-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /build

# The dependencies in a layer of their own, which a change of the sources leaves alone.
COPY Package.* ./
RUN swift package resolve

# SwiftPM wants the folder of every target there, the tests' too.
COPY . .
# What onewrite --version says.
ARG COMMIT=
# onewrite-serve is onewrite with what speaks HTTP.
RUN ONEWRITE_COMMIT=$COMMIT swift build -c release --product onewrite-serve --static-swift-stdlib \
    && deploy/image/rootfs.sh "$(swift build -c release --show-bin-path)/onewrite-serve" /image

FROM scratch
COPY --from=build /image /
# By number, so that Kubernetes can see that it is not root.
USER 10001:10001
ENV PATH=/usr/bin
# Whether Redis can be reached from here, and the log is there; orchestrators have better: /readyz of serve, /healthz of
# worker --metrics.
HEALTHCHECK --interval=30s --timeout=15s --start-period=20s CMD ["onewrite", "status"]
ENTRYPOINT ["onewrite"]
CMD ["--help"]
