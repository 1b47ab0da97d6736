"""A Postfix of a test's own: private configuration, queue and port, and the installed programs.

`HERMES_POSTFIX` names the folder of an unpacked package instead (`dpkg -x`), with its libraries.
"""

from __future__ import annotations

import asyncio
import grp
import os
import pwd
import shutil
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

UNPACKED = os.environ.get("HERMES_POSTFIX", "")
PREFIX = Path(UNPACKED or "/")
MASTER = PREFIX / "usr/lib/postfix/sbin/master"
READY_WITHIN = 20.0

QUEUES = (
    *("active", "bounce", "corrupt", "defer", "deferred", "flush", "hold"),
    *("incoming", "private", "saved", "trace"),
)

MAIN = """\
compatibility_level = 3.6
queue_directory = {root}/spool
data_directory = {root}/data
command_directory = {prefix}/usr/sbin
daemon_directory = {prefix}/usr/lib/postfix/sbin
shlib_directory = {prefix}/usr/lib/postfix
meta_directory = {meta}
mail_owner = {owner}
setgid_group = {group}
default_privs = nobody
myhostname = mta.hermes.example
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_reject_unlisted_recipient = no
transport_maps = texthash:{root}/etc/transport
smtp_host_lookup = native
maillog_file = {root}/log
maillog_file_prefixes = {root}
minimal_backoff_time = 5s
maximal_backoff_time = 20s
queue_run_delay = 5s
alias_maps =
alias_database =
import_environment = MAIL_CONFIG MAIL_DEBUG MAIL_LOGTAG TZ LANG=C LD_LIBRARY_PATH POSTLOG_SERVICE \
POSTLOG_HOSTNAME
export_environment = TZ MAIL_CONFIG LANG LD_LIBRARY_PATH
"""

SERVICES = """\
127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


def missing() -> str:
    """Why there can be no Postfix here, "" if there can."""
    if not MASTER.exists():
        return f"Postfix is not installed ({MASTER} is not there)"
    if os.geteuid() != 0:
        return "Postfix starts as root alone"
    return ""


@asynccontextmanager
async def postfix(root: Path, everybody: int, bounces: int) -> AsyncIterator[int]:
    """Run one that relays to the port `everybody`, reports to `bounces`; its own port.

    It is the last stop of mail to `mailbox.example`, where `gone` is nobody.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    _lay_out(root, port)
    transport = f"""\
bounce.acme.example smtp:[127.0.0.1]:{bounces}
gone@mailbox.example error:5.1.1 User unknown in virtual mailbox table
mailbox.example discard:
* smtp:[127.0.0.1]:{everybody}
"""
    (root / "etc" / "transport").write_text(transport)
    process = await asyncio.create_subprocess_exec(
        *(str(MASTER), "-c", str(root / "etc"), "-d"),
        env={"PATH": "/usr/sbin:/usr/bin:/bin", "MAIL_CONFIG": str(root / "etc"), **_libraries()},
        start_new_session=True,
    )
    try:
        await _listening(port, process, root / "log")
        yield port
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGTERM)
            await process.wait()


def _libraries() -> dict[str, str]:
    if not UNPACKED:
        return {}
    places = (PREFIX / "usr/lib/postfix", *PREFIX.glob("usr/lib/*-linux-gnu"))
    return {"LD_LIBRARY_PATH": ":".join(map(str, places))}


def _lay_out(root: Path, port: int) -> None:
    # an unpacked package has made no users: any that are there do
    owner, group = ("irc", "mail") if UNPACKED else ("postfix", "postdrop")
    user_id, group_id = pwd.getpwnam(owner).pw_uid, grp.getgrnam(group).gr_gid
    for folder in ("etc", "spool", "data"):
        (root / folder).mkdir()
    for name in QUEUES:
        (root / "spool" / name).mkdir(mode=0o700)
        os.chown(root / "spool" / name, user_id, -1)
    for name, mode in (("public", 0o710), ("maildrop", 0o730)):
        (root / "spool" / name).mkdir()
        (root / "spool" / name).chmod(mode)
        os.chown(root / "spool" / name, user_id, group_id)
    (root / "spool" / "pid").mkdir()
    os.chown(root / "data", user_id, -1)
    main = MAIN.format(
        root=root, prefix=UNPACKED, meta=f"{UNPACKED}/etc/postfix", owner=owner, group=group
    )
    (root / "etc" / "main.cf").write_text(main)
    (root / "etc" / "master.cf").write_text(SERVICES.format(port=port))
    for name in ("dynamicmaps.cf", "postfix-files"):
        found = PREFIX / "etc/postfix" / name
        if found.exists():
            shutil.copy(found, root / "etc" / name)


async def _listening(port: int, process: asyncio.subprocess.Process, log: Path) -> None:
    async with asyncio.timeout(READY_WITHIN):
        while True:
            told = log.read_text() if log.exists() else ""
            assert process.returncode is None, f"Postfix ended: {told}"
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionError:
                await asyncio.sleep(0.05)
                continue
            writer.close()
            return
