"""The simulator behind TLS: its own certificate, and clients that have to show one."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from hermes.simulator.cli import main
from hermes.simulator.profile import ReceiptMode
from tests.contract.simulator_esme import eventually, running

BEGIN = datetime(2020, 1, 1, tzinfo=UTC)


class Pair:
    """A certificate that signs itself, and its key, as files."""

    def __init__(self, folder: Path, name: str, password: bytes | None = None) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(BEGIN)
            .not_valid_after(BEGIN + timedelta(days=36_500))
            .add_extension(
                x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]),
                critical=False,
            )
            .sign(key, hashes.SHA256())
        )
        self.cert, self.key = folder / f"{name}.pem", folder / f"{name}.key"
        self.both = folder / f"{name}-both.pem"
        secrecy: serialization.KeySerializationEncryption = serialization.NoEncryption()
        if password is not None:
            secrecy = serialization.BestAvailableEncryption(password)
        key_octets = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, secrecy
        )
        cert_octets = certificate.public_bytes(serialization.Encoding.PEM)
        self.cert.write_bytes(cert_octets)
        self.key.write_bytes(key_octets)
        self.both.write_bytes(cert_octets + key_octets)

    def trusted(self) -> ssl.SSLContext:
        """A client that trusts this certificate alone."""
        return ssl.create_default_context(cafile=str(self.cert))


async def test_binds_submits_and_receipts_go_over_tls(tmp_path: Path) -> None:
    server = Pair(tmp_path, "server")
    async with running(tls_cert=str(server.cert), tls_key=str(server.key)) as bench:
        esme = await bench.connect(server.trusted())
        assert (await esme.bind()).command_status == 0
        for _ in range(50):
            esme.submit()
        await eventually(lambda: len(esme.delivered) == 50)
        await bench.fault("drop", how="rst")
        assert await esme.ended() in ("reset", "eof")


async def test_a_client_that_trusts_another_or_speaks_without_tls_gets_nowhere(
    tmp_path: Path,
) -> None:
    server, other = Pair(tmp_path, "server"), Pair(tmp_path, "other")
    async with running(tls_cert=str(server.both), init_timeout_ms=50) as bench:
        with pytest.raises(ssl.SSLCertVerificationError):
            await bench.connect(other.trusted())
        plain = await bench.connect()
        plain.submit()
        assert await plain.ended() in ("reset", "eof")
        assert await bench.lines("bind") == []
        esme = await bench.connect(server.trusted())
        assert (await esme.bind()).command_status == 0


async def test_a_client_has_to_show_a_certificate_when_that_is_asked(tmp_path: Path) -> None:
    server, client = Pair(tmp_path, "server"), Pair(tmp_path, "client")
    settings = {"tls_cert": str(server.both), "tls_client_ca": str(client.cert)}
    async with running(**settings, receipts=ReceiptMode.none) as bench:
        stranger = await bench.connect(server.trusted())  # TLS 1.3 tells it at the first read
        assert await stranger.ended() in ("reset", "eof")
        context = server.trusted()
        context.load_cert_chain(client.cert, client.key)
        esme = await bench.connect(context)
        assert (await esme.bind()).command_status == 0


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ("--tls-key {a.key}", "--tls-key: is of no use without tls_cert"),
        ("--tls-cert {none}", "--tls-cert: {none} cannot be read: No such file or directory"),
        ("--tls-cert {a.cert} --tls-key {b.key}", "--tls-cert: {a.cert} and {b.key} are no pair: "),
        ("--tls-cert {a.cert}", "--tls-cert: {a.cert} and {a.cert} are no pair: "),
        ("--tls-cert {secret.both}", "--tls-cert: {secret.both} and {secret.both} are no pair: "),
        (
            "--tls-cert {a.both} --tls-client-ca {a.key}",
            "--tls-client-ca: {a.key} holds no certificate: ",
        ),
    ],
)
def test_a_file_of_no_use_ends_it_with_one_sentence(
    options: str, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {
        "a": Pair(tmp_path, "a"),
        "b": Pair(tmp_path, "b"),
        "secret": Pair(tmp_path, "secret", b"password"),
        "none": tmp_path / "none",
    }
    argv = [word.format(**files) for word in options.split()]
    assert main(["--port", "0", "--control-port", "-1", *argv]) == 64
    said = capsys.readouterr().err
    assert said.startswith(f"simulator: {sentence.format(**files)}")
    assert len(said.splitlines()) == 1
