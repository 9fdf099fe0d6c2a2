# The image of wagateway: webhook and API (`api`, the default), worker (`worker`) and every other command.
#
#   docker build --tag wagateway .
#
# Packages are those that requirements/{build,image}.txt pin with their hashes; nothing is compiled. Behind a
# mirror of PyPI add --build-arg PIP_INDEX_URL=https://…. The first frames of films and the lengths of sounds need
# ffmpeg, which is half of the image: --build-arg FFMPEG=false leaves it out.
ARG PYTHON_IMAGE=python:3.14-slim-trixie

FROM ${PYTHON_IMAGE} AS build
ARG PIP_INDEX_URL
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_INPUT=1 PIP_PROGRESS_BAR=off
# One time for all files of the wheel, so that the same sources make the same wheel.
ENV SOURCE_DATE_EPOCH=1767225600
WORKDIR /source
COPY requirements/build.txt requirements/image.txt requirements/
RUN python3 -m venv /build \
    && /build/bin/pip install --require-hashes --no-deps --only-binary :all: -r requirements/build.txt \
    && python3 -m venv --without-pip /opt/wagateway \
    && /build/bin/pip --python /opt/wagateway/bin/python install --no-compile \
        --require-hashes --no-deps --only-binary :all: -r requirements/image.txt
COPY pyproject.toml README.md LICENSE ./
COPY sql sql
COPY src src
# Compiled here, since nobody may write there later; by content, so that no time gets into the image.
RUN /build/bin/pip wheel --no-deps --no-build-isolation --no-index --wheel-dir /wheel . \
    && /build/bin/pip --python /opt/wagateway/bin/python install --no-compile --no-deps --no-index /wheel/*.whl \
    && /opt/wagateway/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/wagateway/lib
COPY --chmod=0644 compose/image/healthy.py /opt/wagateway/

# ffmpeg and the libraries that it is linked with. What Debian installs beside them is twice as much: drivers of
# displays, which nobody here has.
FROM ${PYTHON_IMAGE} AS ffmpeg
ARG FFMPEG=true
RUN mkdir /ffmpeg && if [ "$FFMPEG" = true ]; then \
        find -L /usr/lib -name '*.so*' >/there \
        && apt-get update && apt-get install --yes --no-install-recommends ffmpeg \
        && for file in /usr/bin/ffmpeg /usr/bin/ffprobe \
            $(ldd /usr/bin/ffmpeg /usr/bin/ffprobe | sed -n 's/.* => \(\/[^ ]*\).*/\1/p' | sort -u); do \
            path=$(readlink -f "${file%/*}")/${file##*/} \
            && if ! grep -qxF "$path" /there; then \
                mkdir -p "/ffmpeg${path%/*}" && cp -L "$file" "/ffmpeg$path" || exit 1; \
            fi; \
        done; \
    fi

FROM ${PYTHON_IMAGE}
COPY --from=ffmpeg /ffmpeg/ /
# Volumes that are mounted on these folders begin with their owner and rights.
RUN ldconfig && { [ ! -e /usr/bin/ffmpeg ] || ffmpeg -version >/dev/null; } \
    && groupadd --gid 10001 wagateway \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/wagateway \
        --shell /usr/sbin/nologin wagateway \
    && install -d -o wagateway -g wagateway -m 0700 /var/lib/wagateway /var/backups/wagateway
COPY --from=build /opt/wagateway /opt/wagateway
ENV PATH=/opt/wagateway/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    WHATSAPP_DATA_DIR=/var/lib/wagateway \
    WHATSAPP_GATEWAY_API_HOST=0.0.0.0
WORKDIR /var/lib/wagateway
USER 10001:10001
EXPOSE 4011
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=5s --start-period=30s --retries=6 \
    CMD ["python3", "-I", "-S", "/opt/wagateway/healthy.py"]
ENTRYPOINT ["wagateway"]
CMD ["api"]

ARG VERSION=0.1.0
ARG REVISION=
LABEL org.opencontainers.image.title="wagateway" \
    org.opencontainers.image.description="A durable WhatsApp archive without twins, which stands beside WAHA" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}"
