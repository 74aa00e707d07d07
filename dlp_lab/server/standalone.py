"""`dlp-lab serve`: the routes as a web backend of their own, without kernels, files, terminals or pages.

It is a Jupyter server with nearly all taken away, so that login, cookies, cross-site protection and TLS are Jupyter's.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import tempfile
from typing import Any

from jupyter_core.application import JupyterApp, NoStart, base_aliases, base_flags
from jupyter_server.auth import Authorizer, IdentityProvider, PasswordIdentityProvider
from jupyter_server.auth.decorator import authorized
from jupyter_server.serverapp import WILDCARD_IPS, ServerApp
from jupyter_server.services.contents.filemanager import AsyncFileContentsManager
from jupyter_server.utils import url_path_join
from tornado import web
from traitlets import Dict, Integer, default
from traitlets.config.loader import KVArgParseConfigLoader

from dlp_lab import __version__
from dlp_lab.errors import DlpError, MalformedRequest
from dlp_lab.server.api_handler import JOBS_SETTING, MAX_BODY_BYTES
from dlp_lab.server.extension import ROUTES, DlpLabApp
from dlp_lab.server.job_routes import MsgHandler, QueryReply

DEFAULT_PORT = 8080
DEFAULT_LOG_FILE = "debug.log"


class _NoFiles(AsyncFileContentsManager):
    """Jupyter's own view of the files; it adds `/files/` to the routes unless told not to."""

    def get_extra_handlers(self) -> list[Any]:
        return []


class _BackendApp(DlpLabApp):
    """`DlpLabApp` whose routes lie at the root too."""

    @default("log_file")
    def _default_log_file(self) -> str:
        return DEFAULT_LOG_FILE

    def initialize_handlers(self) -> None:
        super().initialize_handlers()
        self.handlers.extend((rf"/{path}", handler) for path, handler in [*ROUTES, ("", AboutHandler)])


class AboutHandler(MsgHandler):
    """`GET /`, for who opens the address to see what is there."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        about = f"dlp-lab {__version__}: POST job/ submits a job, GET query/<uid> tells what became of it"
        self.reply(QueryReply(msg=about))


class _NoSuchRouteHandler(MsgHandler):
    """What is at no other address."""

    async def prepare(self) -> None:  # type: ignore[override]
        await super().prepare()
        raise web.HTTPError(404)

    def hint(self, status: int, error: BaseException | None) -> str | None:
        if status == 404:
            return "there is nothing at this address; POST job/ and GET query/<uid> are the routes for scripts"
        return super().hint(status, error)


class _StrictLoader(KVArgParseConfigLoader):
    """Command line on which a mistyped option is an error, for a server with other options than asked for harms."""

    def _handle_unrecognized_alias(self, arg: str) -> None:
        raise MalformedRequest(f"there is no option --{arg.lstrip('-')}; --help shows those there are")


class BackendServer(ServerApp):
    """dlp-lab's web backend. Options can be given here, or in the file `jupyter_dlp_lab_config.py`."""

    name = "dlp-lab-serve"
    version = __version__
    description = __doc__
    examples = "dlp-lab serve --root /data --port 8080 --max-concurrent-jobs 4"
    default_services = ("api", "security")  # type: ignore[assignment]
    classes = [DlpLabApp, IdentityProvider, PasswordIdentityProvider, Authorizer]  # noqa: RUF012
    subcommands: dict[str, Any] = {}  # noqa: RUF012
    flags = Dict(dict(base_flags))
    aliases = Dict(
        {
            **base_aliases,
            "root": "DlpLabApp.root",
            "output-dir": "DlpLabApp.output_dir",
            "max-concurrent-jobs": "DlpLabApp.max_concurrent_jobs",
            "log-file": "DlpLabApp.log_file",
            "ip": "ServerApp.ip",
            "port": "ServerApp.port",
            "base-url": "ServerApp.base_url",
            "certfile": "ServerApp.certfile",
            "keyfile": "ServerApp.keyfile",
        }
    )

    port = Integer(DEFAULT_PORT, help="Port to listen on; 0 takes a free one.").tag(config=True)
    port_retries = Integer(
        0, help="How many other ports to try when it is taken. None, for clients were told the one."
    ).tag(config=True)

    @default("open_browser")
    def _default_open_browser(self) -> bool:
        return False

    @default("allow_root")
    def _default_allow_root(self) -> bool:
        return True  # containers do; `start_app` warns

    @default("allow_unauthenticated_access")
    def _allow_unauthenticated_access_default(self) -> bool:
        return False

    @default("max_body_size")
    def _default_max_body_size(self) -> int:
        return MAX_BODY_BYTES

    @default("reraise_server_extension_failures")
    def _default_reraise_server_extension_failures(self) -> bool:
        return True  # without its extension the server is of no use

    @default("contents_manager_class")
    def _default_contents_manager_class(self) -> type:
        return _NoFiles

    def _runtime_dir_default(self) -> str:
        try:
            return super()._runtime_dir_default()
        except OSError:  # a container's user may have no home
            self._own_runtime_dir = tempfile.TemporaryDirectory(prefix="dlp-lab-")
            return self._own_runtime_dir.name

    def _config_file_name_default(self) -> str:
        return "jupyter_dlp_lab_config"

    def _create_loader(self, argv: Any, aliases: Any, flags: Any, classes: Any) -> KVArgParseConfigLoader:
        return _StrictLoader(argv, aliases, flags, classes=classes, log=self.log, subcommands=self.subcommands)

    def init_webapp(self) -> None:
        super().init_webapp()
        self.web_app.wildcard_router.rules[-1].target = _NoSuchRouteHandler  # instead of Jupyter's page

    def init_server_extensions(self) -> None:
        self.jpserver_extensions = {__name__: True}  # whatever the configuration of other Jupyter servers says
        super().init_server_extensions()

    def init_configurables(self) -> None:
        super().init_configurables()
        if not self.identity_provider.auth_enabled:
            self.log.critical("authentication cannot be switched off; remove the empty token from the configuration")
            self.exit(1)

    def init_signal(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._signal_stop)

    def start_app(self) -> None:
        JupyterApp.start(self)
        if os.geteuid() == 0:
            self.log.warning("running as root: the results will belong to root")
        if self.ip in WILDCARD_IPS and not self.certfile:
            self.log.warning("listening to the whole network without TLS: the token travels unencrypted")
        # A server that can take no job does not start. While this waits, the callback that binds the port is run.
        self.io_loop.run_sync(self.web_app.settings[JOBS_SETTING])
        self.io_loop.add_callback(self._announce)

    def _announce(self) -> None:
        scheme = "https" if self.certfile else "http"
        host = "localhost" if self.ip in (*WILDCARD_IPS, "") else self.ip
        address = url_path_join(f"{scheme}://{host}:{self.port}", self.base_url)
        generated = self.identity_provider.token_generated
        token = self.identity_provider.token if generated else "$JUPYTER_TOKEN"
        lines = [
            f"dlp-lab {__version__} serves on {address} (Ctrl-C stops it). Try:\n",
            f'    curl -H "Authorization: token {token}" \\',
            f"""        -d '{{"job_name": "3dblur", "in_dir": "dicom_data"}}' {address}job/\n""",
        ]
        if generated:
            lines.append("The token is new at every start; JUPYTER_TOKEN sets one that lasts.")
        try:
            # printed, not logged: the token must not be in the log file
            print(*lines, sep="\n", flush=True)
        except BrokenPipeError:
            # nobody reads it; nothing may be flushed there at the end either
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _jupyter_server_extension_points() -> list[dict[str, object]]:
    return [{"module": __name__, "app": _BackendApp}]


def serve(argv: list[str]) -> int:
    """Run the backend until it is stopped by SIGINT or SIGTERM.

    Args:
        argv: Options, such as `["--root", "/data"]`; `--help-all` lists them.

    Returns:
        Exit status: 0 after a stop, 1 when it could not start, 2 when it was told what cannot be done.
    """
    server = BackendServer.instance()
    try:
        server.initialize(argv, find_extensions=False)
        server.start()
    except NoStart:
        return 0
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except DlpError as error:
        logging.getLogger(__name__).error("%s", error)
        print(f"dlp-lab serve: {error}", file=sys.stderr)
        return error.exit_status
    finally:
        BackendServer.clear_instance()
    return 0
