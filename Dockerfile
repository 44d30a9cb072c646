FROM python:3.11-slim

WORKDIR /app
COPY . .
RUN pip install --no-cache-dir --constraint constraints.txt . \
    && useradd --create-home --uid 10001 lsr \
    && install --directory --owner lsr --group lsr /data

USER lsr
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/readyz', timeout=2)"]

CMD ["lsr", "serve", "/data/index", "--host", "0.0.0.0", "--port", "8080"]
