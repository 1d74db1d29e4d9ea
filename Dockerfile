# No container engine has run this file yet; it was written with care and read by people only.
# The image holds what the daemon needs: no compiler, no test tools, no embedded Postgres.

FROM python:3.11-slim AS build
COPY requirements-runtime.lock .
RUN python -m venv /venv \
 && /venv/bin/pip install --no-cache-dir --require-hashes --only-binary=:all: -r requirements-runtime.lock \
 && echo /app/src > "$(/venv/bin/python -c 'import site; print(site.getsitepackages()[0])')/counterpoise.pth" \
 && printf '%s\n' '#!/venv/bin/python' 'from counterpoise.app.cli.main import main' 'main()' \
    > /venv/bin/counterpoise \
 && chmod 755 /venv/bin/counterpoise

FROM python:3.11-slim
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin counterpoise \
 && install -d -o counterpoise -g counterpoise -m 0700 /var/lib/counterpoise
COPY --from=build /venv /venv
COPY pyproject.toml /app/
COPY config /app/config
COPY migrations /app/migrations
COPY src /app/src
RUN /venv/bin/python -m compileall -q /app/src
ENV PATH=/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    COUNTERPOISE_STATE_DIR=/var/lib/counterpoise \
    COUNTERPOISE_LOG_FORMAT=json
USER 10001
WORKDIR /var/lib/counterpoise
VOLUME /var/lib/counterpoise
STOPSIGNAL SIGTERM
# It reads where the daemon answers, and no other setting.
HEALTHCHECK --interval=15s --timeout=10s --start-period=60s --retries=3 \
    CMD ["counterpoise", "status"]
ENTRYPOINT ["counterpoise"]
CMD ["run"]
