# Two stages over the same script that prepares any Debian 12 machine.
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY scripts/deps scripts/deps
COPY go.mod go.sum ./
RUN scripts/deps build && go mod download
COPY . .
RUN scripts/build

FROM debian:bookworm-slim
COPY scripts/deps /usr/local/share/assay/deps
RUN /usr/local/share/assay/deps run && rm -rf /var/lib/apt/lists/* \
 && useradd --system --create-home --home-dir /var/lib/assay assay
COPY --from=build /src/bin/ /usr/local/bin/
USER assay
VOLUME /var/lib/assay
EXPOSE 3333
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s CMD ["assayd", "--probe"]
ENTRYPOINT ["assayd", "--data-dir=/var/lib/assay"]
