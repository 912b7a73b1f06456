# The base image. Releases pin it by digest: --build-arg PYTHON=python:3.13-slim@sha256:… (docs/how-to/release.md).
ARG PYTHON=python:3.13-slim
FROM ${PYTHON} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build

# Layers that seldom change come first: the environment of the service, and the one that builds its wheel.
# --build-arg REQUIREMENTS=requirements-otel.txt adds tracing.
ARG REQUIREMENTS=requirements.txt
COPY requirements.txt requirements-otel.txt requirements-build.txt ./
RUN python -m venv /opt/slipway && python -m venv /opt/builder \
 && /opt/slipway/bin/pip install --only-binary :all: --require-hashes -r ${REQUIREMENTS} \
 && /opt/builder/bin/pip install --only-binary :all: --require-hashes -r requirements-build.txt

COPY pyproject.toml README.md LICENSE ./
COPY config config
COPY service service
RUN /opt/builder/bin/pip wheel --no-deps --no-build-isolation --wheel-dir dist . \
 && /opt/slipway/bin/pip install --no-deps dist/*.whl \
 && /opt/slipway/bin/pip uninstall --yes pip

FROM ${PYTHON}
ARG PYTHON
ARG VERSION=
ARG REVISION=
LABEL org.opencontainers.image.title="slipway" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="${PYTHON}" \
      org.opencontainers.image.description="A deployment daemon for Amazon Bedrock custom models: requests from SQS, outcomes to SNS"
COPY --from=build /opt/slipway /opt/slipway
# Writes nothing: the root file system may be read-only. Probes come from outside, so the port must not be on loopback.
ENV PATH=/opt/slipway/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    SLIPWAY_HTTP_HOST=0.0.0.0
USER 10001:10001
WORKDIR /
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=15s --retries=3 CMD ["slipway", "health"]
ENTRYPOINT ["slipway"]
CMD ["serve"]
