"""An SMTP server that keeps its messages: python mail_server.py DIRECTORY HOST MODE [CERTIFICATE KEY]

MODE is plain, starttls or tls. With TLS, it wants a login."""

import asyncio
import ssl
import sys

from aiosmtpd.handlers import Mailbox
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

directory, host, mode, *certificate = sys.argv[1:]
context = None
if certificate:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)


def authenticate(_server, _session, _envelope, _mechanism, login):
    # Not handled: the server sends the refusal.
    return AuthResult(success=login == LoginPassword(b"al", b"open sesame"), handled=False)


def connection():
    tls = {"tls_context": context, "require_starttls": True} if mode == "starttls" else {}
    login = {"auth_required": True, "auth_require_tls": False, "authenticator": authenticate}
    return SMTP(Mailbox(directory), enable_SMTPUTF8=True, **tls, **(login if context else {}))


async def main():
    loop = asyncio.get_running_loop()
    server = await loop.create_server(connection, host, 0, ssl=context if mode == "tls" else None)
    print("ready", server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
