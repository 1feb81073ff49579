# The library, its command line and the examples, with the photographs that they show. How to run it: docs/containers.md
FROM python:3.11-slim-bookworm AS build
# Where pip looks, if not where it does by itself; Compose takes these from the environment.
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG PIP_TRUSTED_HOST
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_PYTHON=/opt/venv/bin/python
RUN python -m venv --without-pip /opt/venv
WORKDIR /src
# What the library needs, in a layer that stays as it is while only the library changes.
COPY pyproject.toml ./
RUN mkdir nptransport && touch README.md LICENSE nptransport_command.py nptransport/__init__.py && pip install '.[demo]'
COPY . .
RUN pip install --no-deps --force-reinstall .

FROM python:3.11-slim-bookworm
# /run/nptransport: a volume that is mounted there first belongs to the user, as the sockets in it have to.
RUN useradd --uid 10001 --no-create-home nptransport && install -d -o nptransport -m 700 /run/nptransport
COPY --from=build /opt/venv /opt/venv
COPY examples /opt/examples
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1
WORKDIR /opt/examples/containers
USER nptransport
CMD ["nptransport", "--help"]
