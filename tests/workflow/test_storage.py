"""Inputs and results in an object store: Snakemake's plugin for S3 against one that moto simulates on this machine.

Skipped where these are not installed: pip install snakemake-storage-plugin-s3 'moto[s3]' flask flask-cors
"""

import json
import socket
import subprocess
import sys
import time
import urllib.request

import pandas as pd
import pytest

from fixtures.user import SMALL, Checkout, Run, changed, new_checkout

pytest.importorskip("snakemake_storage_plugin_s3", reason="pip install snakemake-storage-plugin-s3")
pytest.importorskip("moto", reason="pip install 'moto[s3]' flask flask-cors")

import boto3

pytestmark = pytest.mark.slow

KEYS = {"aws_access_key_id": "nobody", "aws_secret_access_key": "nothing", "region_name": "us-east-1"}


@pytest.fixture(scope="module")
def address():
    """A simulated S3 with an empty bucket."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = [sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", str(port)]
    with subprocess.Popen(server, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        try:
            url = f"http://127.0.0.1:{port}"
            deadline = time.monotonic() + 60
            while not answers(url):
                assert running.poll() is None and time.monotonic() < deadline, "the simulated S3 does not answer"
                time.sleep(0.2)
            client(url).create_bucket(Bucket="bucket")
            yield url
        finally:
            running.kill()


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except OSError:
        return False


def client(url: str):
    return boto3.client("s3", endpoint_url=url, **KEYS)


def stored(url: str) -> set[str]:
    """Names of all files in the bucket."""
    pages = client(url).get_paginator("list_objects_v2").paginate(Bucket="bucket")
    return {item["Key"] for page in pages for item in page.get("Contents", [])}


def flags(url: str) -> list[str]:
    keys = [
        "--storage-s3-access-key",
        KEYS["aws_access_key_id"],
        "--storage-s3-secret-key",
        KEYS["aws_secret_access_key"],
    ]
    where = ["--default-storage-provider", "s3", "--default-storage-prefix", "s3://bucket/a project"]
    return [*where, *keys, "--storage-s3-endpoint-url", url, "--shared-fs-usage", "none", "--cores", "2"]


@pytest.fixture(scope="module")
def filled(address, tmp_path_factory) -> tuple[str, Checkout, Run]:
    """A bucket into which a run up to the model put simulated data and results."""
    checkout = new_checkout(tmp_path_factory.mktemp("storage") / "a path with spaces")
    checkout.write(changed(SMALL, training={"epochs": 1, "restarts": 0}))
    return address, checkout, checkout.snakemake(*flags(address), "--until", "train_model")


def test_a_run_reads_and_writes_in_the_bucket(filled):
    address, checkout, run = filled
    assert run.status == 0, run.screen
    names = ("regions.tsv.gz", "regions.json", "model/model.ckpt", "logs/train_model.log")
    results = {f"a project/results/small/200bp/{name}" for name in names}
    assert results | {"a project/my data/genome.fa", "a project/my data/TAL1.bed"} <= stored(address)
    assert not (checkout.folder / "results").exists() and not (checkout.folder / "my data").exists()
    run = checkout.snakemake(*flags(address), "--until", "train_model")
    assert run.status == 0 and not run.jobs, run.screen


def test_data_of_the_user_are_found_in_the_bucket(filled, tmp_path):
    """Nothing of the data lies here; a blacklist in the bucket is used, too, and what is missing there is named."""
    address = filled[0]
    client(address).put_object(Bucket="bucket", Key="a project/my data/black.bed", Body=b"sim1\t0\t100000000\n")
    checkout = new_checkout(tmp_path / "elsewhere")
    config = changed(SMALL, name="given", regions={"exclude_regions": ["black.bed"]})
    del config["simulate"]
    checkout.write(config)
    run = checkout.snakemake(*flags(address), "--until", "make_regions")
    assert run.status == 0, run.screen
    body = client(address).get_object(Bucket="bucket", Key="a project/results/given/200bp/regions.json")["Body"]
    assert json.loads(body.read())["kept"]["train"]["TAL1"] > 0
    table = tmp_path / "regions.tsv.gz"
    client(address).download_file("bucket", "a project/results/given/200bp/regions.tsv.gz", str(table))
    assert "sim1" not in set(pd.read_csv(table, sep="\t")["chrom"])

    checkout.write(changed(config, targets=[{"name": "TAL1", "peaks": "missing.bed"}]))
    run = checkout.snakemake(*flags(address), "-n")
    assert run.status != 0 and "a project/my data/missing.bed" in run.screen, run.screen
