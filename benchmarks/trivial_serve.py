"""A process instance without a model, to measure the router: nginx that answers 200 to every request."""

import os
import tempfile
from pathlib import Path

CONFIG = """
daemon off; worker_processes 1; error_log /dev/null; pid {folder}/pid;
events {{ worker_connections 512; }}
http {{
    access_log off; keepalive_requests 1000000000; client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u;
    scgi_temp_path {folder}/s;
    {servers}
}}
"""
ANSWERS = 'server {{ listen 127.0.0.1:{port}; location / {{ return 200 "ok"; }} }}'


def main() -> None:
    """Run nginx on SAGEMAKER_BIND_TO_PORT, in place of this process."""
    run_nginx(ANSWERS.format(port=int(os.environ["SAGEMAKER_BIND_TO_PORT"])))


def run_nginx(servers: str) -> None:
    """Replace this process by nginx with these server blocks."""
    folder = tempfile.mkdtemp(prefix="benchmark-nginx-")
    config = Path(folder, "nginx.conf")
    config.write_text(CONFIG.format(folder=folder, servers=servers))
    os.execlp("nginx", "nginx", "-c", str(config), "-p", folder)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main()
