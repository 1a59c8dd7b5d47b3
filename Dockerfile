# For Docker Spaces and servers. The weights that are downloaded stay in the volume.
#
#   docker build -t speech . && docker run -p 7860:7860 -v speech-weights:/weights speech
FROM python:3.11-slim

RUN useradd --create-home --uid 1000 speech && mkdir /weights && chown speech /weights
WORKDIR /app
COPY requirements.txt requirements-embedded.txt ./
# PIP_OPTIONS: for example where pip shall find a build of torch without CUDA, which is gigabytes smaller.
ARG PIP_OPTIONS=""
RUN pip install --no-cache-dir $PIP_OPTIONS -r requirements-embedded.txt
COPY --chown=speech *.py *.js ./
COPY --chown=speech examples examples
COPY --chown=speech benchmarks/streaming.png benchmarks/

USER speech
ENV HF_HOME=/weights GRADIO_ANALYTICS_ENABLED=False PYTHONUNBUFFERED=1
VOLUME /weights
EXPOSE 7860
HEALTHCHECK --interval=30s --start-period=60s CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:7860/', timeout=5)"]
CMD ["python", "app.py", "--host", "0.0.0.0"]
