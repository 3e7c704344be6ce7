# syntax=docker/dockerfile:1
FROM swift:6.3-bookworm AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends libcurl4-openssl-dev libhiredis-dev libpq-dev librdkafka-dev libssl-dev pkg-config \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /build

# The dependencies in a layer of their own, which a change of the sources leaves alone.
COPY Package.* ./
RUN swift package resolve

# SwiftPM wants the folder of every target there, the tests' too.
COPY . .
# onewrite-serve is onewrite with what speaks HTTP.
RUN swift build -c release --product onewrite-serve --static-swift-stdlib \
    && install -D --strip "$(swift build -c release --show-bin-path)/onewrite-serve" /out/onewrite

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates libcurl4 libhiredis0.14 libpq5 librdkafka1 libssl3 libstdc++6 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin onewrite
COPY --from=build /out/onewrite /usr/local/bin/onewrite
USER onewrite
ENTRYPOINT ["onewrite"]
CMD ["--help"]
